"""A receipt over HTTP: only for whom it is meant, logged first, and checked by anybody without us."""

from __future__ import annotations

import base64
import json
import re
import string
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pyshacl
import pytest
from living import MINUTE, Living, Wire
from rdflib import Graph
from ticking import tick_of

from audit.entry import ActorType
from consent.notices import Draft
from consent.particulars import METHODS
from governance import seeding, world
from governance.api.consentforms import MethodWord
from governance.identity import Caller
from governance.receipting import MEDIA_TYPE, TYPE
from governance.signing import DocumentSigner
from policies.identifiers import Prefix
from policies.instants import rfc3339
from policies.terms import ActorId
from redaction.keys import KeyRing

MINE = "/v1/me/consents"
HELD = "/v1/consents"
HEALTH = "service.health"
# What rdflib's own JSON-LD reader calls inside itself is no concern of ours.
pytestmark = pytest.mark.filterwarnings("ignore:.*is deprecated, use:DeprecationWarning:rdflib")

SHAPES = Path(__file__).parents[1] / "consent" / "shapes.ttl"
PAGE = Path(__file__).parents[2] / "docs" / "receipts.md"
only_sqlite = pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)


def first_of(house: Living, wire: Wire, person: world.Person) -> str:
    listed = json.loads(wire.get(MINE, session=house.sign_in(person)).content)["data"]
    return str(listed[-1]["consent_id"])


def own(house: Living, wire: Wire, person: world.Person = world.ZHANG_LI) -> bytes:
    path = f"{MINE}/{first_of(house, wire, person)}"
    answer = wire.get(path, session=house.sign_in(person), accept=MEDIA_TYPE)
    assert (answer.status_code, answer.headers["content-type"]) == (200, MEDIA_TYPE)
    return bytes(answer.content)


def record_in(text: bytes) -> dict[str, object]:
    (record,) = json.loads(text)["dpv:hasRecordOfActivity"]
    return dict(record)


def terms_in(text: bytes) -> list[str]:
    lines = record_in(text)["dpv:hasConsentStatus"]
    assert isinstance(lines, list)
    return [line["@type"] if isinstance(line["@type"], str) else line["@type"][0] for line in lines]


def test_a_member_takes_a_receipt_and_the_log_says_where(house: Living, wire: Wire) -> None:
    text = own(house, wire)
    assert house.service.receipts.signer.verifies(text)
    entry = house.log()[json.loads(text)["hh:logIndex"]]
    assert (entry.act, entry.actor.party.type) == ("consent.receipted", ActorType.MEMBER)
    assert entry.resource == f"con_{record_in(text)['dct:identifier']}"


def test_a_service_takes_it_for_the_member_it_acts_for_and_the_member_sees_that(
    house: Living, wire: Wire
) -> None:
    path = f"{HELD}/{first_of(house, wire, world.ZHANG_LI)}"
    head = {"on_behalf_of": world.ZHANG_LI.id, "authorization": f"Bearer {house.key(world.CRM)}"}
    plain = wire.get(path, **head)
    assert json.loads(plain.content)["state"]["code"] == "consent_given"
    assert plain.headers["vary"] == "accept, accept-language"
    signed = wire.get(path, accept=f"text/html;q=0.1, {MEDIA_TYPE}; q=0.9", **head)
    assert house.service.receipts.signer.verifies(signed.content)
    told = json.loads(wire.get("/v1/me/accesses", session=house.sign_in(world.ZHANG_LI)).content)["data"]
    assert [one["action"] for one in told[:2]] == ["consent.receipted", "consent.shown"]
    assert told[0]["who"] == world.CRM.label


@only_sqlite
@pytest.mark.parametrize("weight", ["q=0", "q=0.0", "q=0.000", "Q=0"])
def test_who_says_not_the_receipt_does_not_get_it(weight: str, house: Living, wire: Wire) -> None:
    path = f"{MINE}/{first_of(house, wire, world.ZHANG_LI)}"
    session = house.sign_in(world.ZHANG_LI)
    plain = wire.get(path, session=session, accept=f"{MEDIA_TYPE};{weight}, application/json")
    assert json.loads(plain.content)["state"]["code"] == "consent_given"
    assert "consent.receipted" not in {entry.act for entry in house.log()}


@pytest.mark.parametrize("accept", ["application/json", MEDIA_TYPE])
def test_unknown_and_not_yours_are_the_same_404_and_leave_nothing(
    accept: str, house: Living, wire: Wire
) -> None:
    other = first_of(house, wire, world.LI_QIANG)
    nobodys = f"con_{other[4:-1]}{'1' if other[-1] == '0' else '0'}"
    before, session = house.size(), house.sign_in(world.ZHANG_LI)
    head = {"authorization": f"Bearer {house.key(world.CRM)}", "on_behalf_of": world.ZHANG_LI.id}
    answers = [wire.get(f"{MINE}/{one}", session=session, accept=accept) for one in (other, nobodys)]
    answers += [wire.get(f"{HELD}/{one}", accept=accept, **head) for one in (other, nobodys)]
    said = {json.dumps({**json.loads(one.content), "instance": ""}) for one in answers}
    assert {one.status_code for one in answers} == {404}
    assert len(said) == 1
    assert house.size() == before


@only_sqlite
def test_a_withdrawal_stands_in_the_next_receipt_and_the_first_one_still_verifies(
    house: Living, wire: Wire
) -> None:
    before = own(house, wire)
    session = house.sign_in(world.ZHANG_LI)
    house.clock.advance(MINUTE)
    path = f"{MINE}/con_{record_in(before)['dct:identifier']}/withdraw"
    assert wire.call("POST", path, headers={"cookie": f"governance_session={session}"}).status_code == 200
    after = own(house, wire)
    assert terms_in(before)[-1] == "dpv:ConsentGiven"
    assert terms_in(after) == [*terms_in(before), "dpv:ConsentWithdrawn"]
    assert all(house.service.receipts.signer.verifies(one) for one in (before, after))


@only_sqlite
def test_a_new_notice_that_ends_the_consent_stands_in_the_next_receipt_at_its_instant(
    house: Living, wire: Wire
) -> None:
    before = own(house, wire)
    notice = record_in(before)["dpv:hasNotice"]
    assert isinstance(notice, dict)
    assert (notice["dct:language"], notice["hh:sha256"]) == ("zh", seeding.notice(HEALTH).partition("#")[2])
    (first,) = house.service.noticing.versions_of(HEALTH)
    draft = Draft(HEALTH, replace(first.contents, region="sg"), first.wordings)
    officer = Caller(ActorId(world.OFFICER.id), Prefix.STAFF, roles=frozenset(map(str, world.OFFICER.roles)))
    house.clock.advance(MINUTE)
    second = house.service.noticing.publish(officer, draft, house.service.clock())
    house.clock.advance(MINUTE)
    after = own(house, wire)
    assert terms_in(after) == [*terms_in(before), "dpv:ConsentInvalidated"]
    lines = record_in(after)["dpv:hasConsentStatus"]
    assert isinstance(lines, list)
    ended = lines[-1]
    assert ended["dpv:isIndicatedAtTime"] == rfc3339(second.effective_from)
    assert ended["dpv:hasIndicationMethod"] == "notice_superseded"


@only_sqlite
def test_a_receipt_tells_where_the_data_is_kept_and_who_works_on_it_as_the_notice_says(
    house: Living, wire: Wire
) -> None:
    (first,) = house.service.noticing.versions_of(HEALTH)
    methods = frozenset({"collect", "transmit", "provide"})
    parties = {"recipients": frozenset({"lab@us"}), "processors": frozenset({"sms-gw"})}
    contents = replace(first.contents, region="sg", methods=methods, **parties)
    officer = Caller(ActorId(world.OFFICER.id), Prefix.STAFF, roles=frozenset(map(str, world.OFFICER.roles)))
    draft = Draft(HEALTH, contents, first.wordings, assessment="pia-7")
    second = house.service.noticing.publish(officer, draft, house.service.clock())
    house.clock.advance(MINUTE)
    body = {**tick_of(world.LI_QIANG), "notice": second.reference("zh")}
    made = json.loads(wire.post(HELD, body, key=house.key(world.CRM)).content)
    session = house.sign_in(world.LI_QIANG)
    text = wire.get(f"{MINE}/{made['consent_id']}", session=session, accept=MEDIA_TYPE).content
    record = json.loads(text)["dpv:hasRecordOfActivity"][0]
    process = record["dpv:hasProcess"][0]
    assert process["dpv:hasStorageCondition"][0]["dpv:hasLocation"] == "loc:SG"
    kinds = [one.removeprefix("dpv:") for one in process["dpv:hasProcessing"]]
    assert kinds == ["Collect", "Transmit", "Share", "CrossBorderTransfer"]
    assert "pipl:A39" in [one["@id"] for one in process["dpv:hasLegalBasis"] if isinstance(one, dict)]
    named = {one["dpv:hasIdentifier"]: one["@type"] for one in record["dpv:hasEntity"]}
    assert (named["lab"], named["sms-gw"]) == ("dpv:ThirdParty", "dpv:DataProcessor")
    assert record["dpv:hasNotice"]["dct:date"] == rfc3339(second.published_at)


def test_every_method_that_a_notice_may_name_has_its_word_in_a_receipt() -> None:
    assert set(METHODS) == set(get_args(MethodWord))


@only_sqlite
def test_a_receipt_names_the_language_that_was_read_and_how_long_the_notice_says(
    house: Living, wire: Wire
) -> None:
    body = {**tick_of(world.LI_QIANG), "notice": seeding.notice(HEALTH, "en")}
    made = json.loads(wire.post(HELD, body, key=house.key(world.CRM)).content)
    session = house.sign_in(world.LI_QIANG)
    text = wire.get(f"{MINE}/{made['consent_id']}", session=session, accept=MEDIA_TYPE).content
    record = json.loads(text)["dpv:hasRecordOfActivity"][0]
    notice = record["dpv:hasNotice"]
    assert (notice["dct:language"], notice["hh:sha256"]) == (
        "en",
        seeding.notice(HEALTH, "en").partition("#")[2],
    )
    kept = record["dpv:hasProcess"][0]["dpv:hasStorageCondition"][1]["dpv:hasDuration"]["@value"]
    assert kept == "P1095D"


@only_sqlite
def test_a_guardians_receipt_shows_two_pseudonyms_and_neither_is_the_logs(house: Living, wire: Wire) -> None:
    tick = {
        "subject": world.XIAO_MAN.id,
        "purpose": "service.health",
        "categories": ["health.record"],
        "notice": seeding.notice("service.health"),
        "ticked": True,
        "on_behalf_of": world.ZHANG_LI.id,
    }
    key = house.key(world.CRM)
    ticked = json.loads(wire.post(HELD, tick, key=key).content)
    assert ticked["digits"] == 8
    path = f"{HELD}/{ticked['consent_id']}"
    code = house.service.sender.messages()[0].code  # type: ignore[union-attr]
    wire.post(f"{path}/confirm", {"code": code, "on_behalf_of": world.ZHANG_LI.id}, key=key)
    head = {"authorization": f"Bearer {key}", "on_behalf_of": world.ZHANG_LI.id, "accept": MEDIA_TYPE}
    text = wire.get(path, **head).content
    people = set(re.findall(r"governance:person:([0-9a-f]{32})", text.decode()))
    assert len(people) == 2
    assert b"dpv:GuardianOfDataSubject" in text
    logged = {name.hex() for entry in house.log() for name in entry.subjects}
    assert not people & logged
    values = {value for person in (world.XIAO_MAN, world.ZHANG_LI) for value in person.values.values()}
    assert not [value for value in values if value in text.decode()]


# --- the signature


@only_sqlite
def test_no_byte_of_a_receipt_can_be_another(house: Living, wire: Wire) -> None:
    text, signer = own(house, wire), house.service.receipts.signer
    assert signer.verifies(text)
    altered = [
        text[:place] + bytes([text[place] ^ flip]) + text[place + 1 :]
        for place in range(len(text))
        for flip in (0x01, 0x20)
    ]
    assert not [one for one in altered if signer.verifies(one)]


@only_sqlite
def test_the_signature_itself_has_one_spelling(house: Living, wire: Wire, tmp_path: Path) -> None:
    """Four bits of its last character mean nothing to a lenient reader of base64."""
    text, signer = own(house, wire), house.service.receipts.signer
    end = text.index(b'"', text.index(b'"hh:signature":"') + 16)
    alphabet = string.ascii_letters + string.digits + "-_"
    twins = [text[: end - 1] + one.encode() + text[end:] for one in alphabet]
    assert [one for one in twins if signer.verifies(one)] == [text]
    lenient = next(one for one in twins if one != text and _decodes_alike(one, text))
    assert stranger(tmp_path, lenient, wire.get("/v1/keys").content) != 0


def _decodes_alike(one: bytes, other: bytes) -> bool:
    signatures = [json.loads(text)["hh:signature"].rpartition(".")[2] for text in (one, other)]
    return len({base64.urlsafe_b64decode(signature + "==") for signature in signatures}) == 1


@only_sqlite
def test_what_is_handed_out_conforms_to_the_shapes(house: Living, wire: Wire) -> None:
    data = Graph().parse(data=own(house, wire), format="json-ld")
    shapes = Graph().parse(SHAPES, format="turtle")
    good, _, why = pyshacl.validate(data, shacl_graph=shapes, inference="none")
    assert good, why


@only_sqlite
def test_nothing_can_be_added_left_out_or_spelt_otherwise(house: Living, wire: Wire) -> None:
    text, signer = own(house, wire), house.service.receipts.signer
    document = json.loads(text)
    twins = [
        text + b" ",
        b" " + text,
        text[:-1],
        b"",
        b"[]",
        b'"x"',
        b"[" * 5_000,
        text.replace(b",", b", ", 1),
        json.dumps(document, ensure_ascii=True, separators=(",", ":"), sort_keys=True).encode(),
        json.dumps({k: v for k, v in document.items() if k != "hh:signature"}).encode(),
        text.replace(b'"hh:logIndex"', b'"hh:logIndex":0,"hh:logIndex"'),
        text.replace(b"dct:created", b"dct:dreated"),
    ]
    assert not [one for one in twins if signer.verifies(one)]


@only_sqlite
def test_the_key_is_one_of_its_own_and_of_every_ring(house: Living, wire: Wire, tmp_path: Path) -> None:
    ring = house.service.ring
    others = (ring.log_key, ring.permit_key, ring.tenant_key, ring.receipt_names_key)
    assert ring.receipt_key not in others
    assert KeyRing.load(house.settings.key_ring).receipt_key == ring.receipt_key
    another = KeyRing.create(tmp_path / "keys.json", "another")
    assert not DocumentSigner(another.receipt_key, TYPE, "hh:signature").verifies(own(house, wire))
    assert "receipt" not in house.settings.key_ring.read_text(encoding="ascii")


# --- checked by a stranger, as the page says


def stranger(tmp_path: Path, receipt: bytes, keys: bytes) -> int:
    """Run the page's own script far from our packages; return its exit code."""
    script = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert script is not None
    for name, text in (("check.py", script[1].encode()), ("receipt.json", receipt), ("keys.json", keys)):
        (tmp_path / name).write_bytes(text)
    command = [sys.executable, "-I", "check.py", "receipt.json", "keys.json"]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode


@only_sqlite
def test_the_script_of_the_documents_verifies_a_receipt_with_the_published_key(
    house: Living, wire: Wire, tmp_path: Path
) -> None:
    text, published = own(house, wire), wire.get("/v1/keys")
    assert published.headers["content-type"] == "application/jwk-set+json"
    assert "d" not in json.loads(published.content)["keys"][0]
    assert stranger(tmp_path, text, published.content) == 0
    for place in (1, len(text) // 3, text.index(b"hh:signature") + 40, len(text) - 2):
        altered = text[:place] + bytes([text[place] ^ 1]) + text[place + 1 :]
        assert stranger(tmp_path, altered, published.content) != 0
    assert stranger(tmp_path, text, json.dumps(DocumentSigner(b"k" * 32, TYPE).key_set()).encode()) != 0
