"""The second walk over HTTP: who may be written to, how often, with what, and what a permit is worth."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import httpx2
import pytest
from happenings import NOBODY, consent_of, withdraw
from living import DAY, MINUTE, Living, Wire

from audit import ledger
from audit.entry import Entry, Kind, Verdict
from governance import seeding, world
from governance.asking import SendAsk
from governance.dispatch import Sent
from governance.identity import Caller
from governance.logexports import OPERATOR
from governance.replay import once_of
from policies.identifiers import Prefix, new_id
from policies.terms import ActorId, Channel, Purpose, SubjectId

CLEAN = "【张家小铺】周末绘本八折，拒收请回复R"
HELD = "【张家小铺】请加微信 wxabc12345 领取礼品，拒收请回复R"
only_sqlite = pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)


def message(*recipients: str, text: str = CLEAN, **how: str) -> dict[str, Any]:
    words = {"sender": world.SENDER.id, "channel": "sms", "purpose": "marketing.direct", **how}
    return {**words, "text": text, "recipients": list(recipients)}


def send(house: Living, wire: Wire, *recipients: str, **how: str) -> dict[str, Any]:
    answer = wire.post("/v1/messages", message(*recipients, **how), key=house.key(world.SENDER))
    assert answer.status_code == 200
    return json.loads(answer.content)


def told(body: Mapping[str, Any]) -> dict[str, str]:
    return {
        one["id"]: " ".join([one["outcome"], *(reason["code"] for reason in one["reasons"])])
        for one in body["recipients"]
    }


def verify(house: Living, wire: Wire, permit: str, **how: str) -> httpx2.Response:
    use = {"permit": permit, "text": CLEAN, "recipient": world.ZHANG_LI.id, "channel": "sms", **how}
    return wire.post("/v1/permits/verify", use, key=house.key(world.GATEWAY))


def valid(answer: httpx2.Response) -> bool:
    assert answer.status_code == 200
    body = json.loads(answer.content)
    assert set(body) == {"valid"}
    return body["valid"] is True


def test_each_recipient_is_told_what_becomes_of_the_message_and_the_log_says_the_same(
    house: Living, wire: Wire
) -> None:
    people = [*(person.id for person in world.ZHANG_HOME.members), world.ZHOU_MING.id, NOBODY]
    before = house.verified()
    body = send(house, wire, *people)
    assert told(body) == {
        world.ZHANG_LI.id: "admit consent_given content_clean",
        world.LI_QIANG.id: "admit consent_given content_clean",
        world.GRANDMOTHER.id: "refuse no_consent",
        world.XIAO_MAN.id: "refuse minor_protected",
        world.ZHOU_MING.id: "refuse no_consent",
        NOBODY: "refuse recipient_unavailable",
    }
    assert [("permit" in one) for one in body["recipients"]] == [True, True, *[False] * 4]
    entries = house.log()[before:]
    assert [house.place(one) for one in body["recipients"]] == list(range(before, before + 6))
    assert [" ".join([entry.message.outcome, *entry.why]) for entry in entries if entry.message] == list(
        told(body).values()
    )
    assert {entry.corr for entry in entries} == {body["message_id"]}
    assert not any(CLEAN.encode() in leaf for (leaf,) in house.sql("SELECT leaf FROM audit_entry"))


def test_fifty_messages_at_once_take_exactly_the_five_slots_of_the_day(house: Living, wire: Wire) -> None:
    headers = {"content-type": "application/json", "authorization": f"Bearer {house.key(world.SENDER)}"}
    content = json.dumps(message(world.ZHANG_LI.id, world.LI_QIANG.id))
    answers = wire.together(
        [("POST", "/v1/messages", {"content": content, "headers": headers}) for _ in range(50)]
    )
    assert {answer.status_code for answer in answers} == {200}
    told_all = [told(json.loads(answer.content)) for answer in answers]
    for person in (world.ZHANG_LI, world.LI_QIANG):
        outcomes = [one[person.id] for one in told_all]
        assert outcomes.count("admit consent_given content_clean") == 5
        assert outcomes.count("refuse daily_cap") == 45
        rows = house.sql(f"SELECT slot FROM send_slot WHERE subject_id = '{person.id}' ORDER BY slot")
        assert [slot for (slot,) in rows] == [0, 1, 2, 3, 4]
    house.verified()
    # A new day in Shanghai, and there are slots again; at its last minute there are none.
    house.clock.now += DAY - (house.clock.now + 8 * 60 * MINUTE) % DAY - 1
    assert told(send(house, wire, world.ZHANG_LI.id)) == {world.ZHANG_LI.id: "refuse daily_cap"}
    house.clock.advance(1)
    assert told(send(house, wire, world.ZHANG_LI.id))[world.ZHANG_LI.id].startswith("admit")


@only_sqlite
def test_a_refused_or_held_message_takes_no_slot(house: Living, wire: Wire) -> None:
    for text in (HELD, "【张家小铺】本品包治百病，拒收请回复R"):
        for _ in range(6):
            outcome = told(send(house, wire, world.ZHANG_LI.id, text=text))[world.ZHANG_LI.id]
            assert not outcome.startswith("admit")
    assert house.sql("SELECT count(*) FROM send_slot")[0][0] == 0
    assert told(send(house, wire, world.ZHANG_LI.id))[world.ZHANG_LI.id].startswith("admit")


@only_sqlite
def test_a_service_message_needs_no_consent_and_takes_no_slot(house: Living, wire: Wire) -> None:
    for _ in range(7):
        body = send(
            house,
            wire,
            world.GRANDMOTHER.id,
            purpose="service.delivery",
            text="【张家小铺】您的包裹已送达门口",
        )
        assert told(body)[world.GRANDMOTHER.id].startswith("admit")


def test_a_recipient_named_twice_is_one_recipient(house: Living, wire: Wire) -> None:
    body = send(house, wire, world.ZHANG_LI.id, world.LI_QIANG.id, world.ZHANG_LI.id)
    assert [one["id"] for one in body["recipients"]] == [world.ZHANG_LI.id, world.LI_QIANG.id]
    assert house.sql("SELECT count(*) FROM send_slot")[0][0] == 2


def test_a_permit_is_good_once_and_for_exactly_what_it_was_given_for(house: Living, wire: Wire) -> None:
    body = send(house, wire, world.ZHANG_LI.id, world.LI_QIANG.id)
    permit, other = (one["permit"] for one in body["recipients"])
    before = house.verified()
    assert not valid(verify(house, wire, permit, text=CLEAN + " "))
    assert not valid(verify(house, wire, permit, text=CLEAN.replace("八折", "７折")))
    assert not valid(verify(house, wire, permit, recipient=world.LI_QIANG.id))
    assert not valid(verify(house, wire, permit, channel="email"))
    assert not valid(verify(house, wire, other))
    for forged in forgeries(permit):
        assert not valid(verify(house, wire, forged)), forged[:60]
    assert house.verified() == before
    assert valid(verify(house, wire, permit))
    assert not valid(verify(house, wire, permit)), "used"
    assert [entry.dec for entry in house.log()[before:]] == [Verdict.PERMIT, Verdict.DENY]
    house.clock.advance(house.service.rules.book.limits.permit_seconds * 1000)
    assert not valid(verify(house, wire, other, recipient=world.LI_QIANG.id)), "expired"


def test_a_permit_is_good_to_the_last_millisecond(house: Living, wire: Wire) -> None:
    permit = send(house, wire, world.ZHANG_LI.id)["recipients"][0]["permit"]
    house.clock.advance(house.service.rules.book.limits.permit_seconds * 1000 - 1)
    assert valid(verify(house, wire, permit))


def forgeries(permit: str) -> list[str]:
    """Return permits that somebody may make out of a real one."""
    header, payload, signature = permit.split(".")

    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    body = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return [
        f"{header}.{part({**body, 'exp': body['exp'] * 2})}.{signature}",
        f"{part({'alg': 'none'})}.{payload}.",
        f"{part({'alg': 'none', 'typ': 'permit+jwt'})}.{payload}.{signature}",
        f"{part({'alg': 'HS256', 'typ': 'permit+jwt'})}.{payload}.{signature}",
        f"{part({'alg': 'Ed25519', 'typ': 'permit+jwt', 'kid': '../../x'})}.{payload}.{signature}",
        f"{part({'alg': 'Ed25519', 'typ': 'JWT'})}.{payload}.{signature}",
        f"{header}.{payload}",
        f"{header}.{payload}.{signature[:-2]}",
        f"{header}.{payload}.{signature}.{signature}",
        permit + "=",
        permit.upper(),
        "..",
        "a" * 4096,
        "许可",
    ]


def test_fifty_gateways_spend_one_permit_once(house: Living, wire: Wire) -> None:
    permit = send(house, wire, world.ZHANG_LI.id)["recipients"][0]["permit"]
    headers = {"content-type": "application/json", "authorization": f"Bearer {house.key(world.GATEWAY)}"}
    use = {"permit": permit, "text": CLEAN, "recipient": world.ZHANG_LI.id, "channel": "sms"}
    answers = wire.together(
        [("POST", "/v1/permits/verify", {"content": json.dumps(use), "headers": headers}) for _ in range(50)]
    )
    assert sorted(map(valid, answers)) == [False] * 49 + [True]


def test_a_withdrawal_between_permit_and_delivery_stops_the_delivery(house: Living, wire: Wire) -> None:
    first, second = (send(house, wire, world.ZHANG_LI.id)["recipients"][0]["permit"] for _ in range(2))
    assert valid(verify(house, wire, first))
    withdraw(house, world.ZHANG_LI, "marketing.direct")
    before = house.verified()
    assert not valid(verify(house, wire, second))
    entry = house.log()[before]
    assert (entry.act, entry.dec) == ("deliver", Verdict.DENY)
    assert told(send(house, wire, world.ZHANG_LI.id)) == {world.ZHANG_LI.id: "refuse withdrawn"}
    # Agreeing again does not revive the old permit's message once it has expired, but opens new ones.
    seeding.give_consent(house.service, world.ZHANG_LI, "marketing.direct", ("outreach.sms",))
    assert consent_of(house, world.ZHANG_LI, "marketing.direct")


def test_a_sender_that_was_retired_meanwhile_delivers_nothing(house: Living, wire: Wire) -> None:
    permit = send(house, wire, world.ZHANG_LI.id)["recipients"][0]["permit"]
    house.sql(f"UPDATE actor SET state = 'ended' WHERE id = '{world.SENDER.id}'")
    assert not valid(verify(house, wire, permit))


def test_a_held_message_waits_sealed_for_a_review(house: Living, wire: Wire) -> None:
    body = send(house, wire, world.ZHANG_LI.id, world.LI_QIANG.id, text=HELD)
    assert body["screening"]["outcome"] == "review"
    assert {one.split(" ")[0] for one in told(body).values()} == {"hold"}
    assert not any("permit" in one for one in body["recipients"])
    ((review, waiting, recipients, sealed),) = house.sql(
        "SELECT id, message_id, recipients, text FROM review WHERE state = 'waiting'"
    )
    assert (waiting, recipients) == (body["message_id"], 2)
    assert HELD.encode() not in bytes(sealed)
    opening = house.service.gate._opening
    with house.service.database.reading() as tx:
        assert opening.open_alone(tx, review, "review", bytes(sealed)) == HELD


@only_sqlite
def test_a_message_of_another_sender_or_of_no_sender_is_refused(house: Living, wire: Wire) -> None:
    before = house.verified()
    for sender in (world.CRM.id, world.GATEWAY.id):
        body = message(world.ZHANG_LI.id, sender=sender)
        assert wire.post("/v1/messages", body, key=house.key(world.SENDER)).status_code == 403
    assert house.verified() == before


@only_sqlite
def test_what_a_sender_may_not_do_is_told_with_all_reasons(house: Living, wire: Wire) -> None:
    text = "【张家小铺】本品包治百病，拒收请回复R"
    for _ in range(5):
        send(house, wire, world.ZHANG_LI.id)
    assert told(send(house, wire, world.ZHANG_LI.id, text=text)) == {
        world.ZHANG_LI.id: "refuse content_blocked daily_cap"
    }
    assert told(send(house, wire, world.GRANDMOTHER.id, text=text)) == {
        world.GRANDMOTHER.id: "refuse no_consent content_blocked"
    }
    for purpose in ("audit.review", "family.care", "no.such"):
        outcome = told(send(house, wire, world.ZHANG_LI.id, purpose=purpose))
        assert outcome == {world.ZHANG_LI.id: "refuse unknown_purpose"}
    assert SubjectId(world.ZHANG_LI.id) in outcome


@pytest.mark.parametrize("seeded_copy", ["postgres"], indirect=True)
def test_a_message_sent_twice_names_the_place_that_its_entry_keeps(house: Living) -> None:
    """The repeat gives the entry its place, and somebody who drew an earlier number commits after it."""
    ask = SendAsk(
        Caller(ActorId(world.SENDER.id), Prefix.SERVICE),
        new_id(Prefix.MESSAGE),
        Channel.SMS,
        Purpose("marketing.direct"),
        CLEAN,
        (SubjectId(world.ZHANG_LI.id),),
        "",
    )
    once = once_of("k1", b"body")
    other = Entry(house.clock(), Kind.AUDIT, "log.read", Verdict.PERMIT, OPERATOR)
    with house.service.database.transaction() as slow:
        ledger.record(slow, [other])
        house.service.dispatch.send(ask, house.clock(), once)
        again = house.service.dispatch.send(ask, house.clock(), once)
        slow.commit()
    assert isinstance(again, Sent)
    house.service.log.settle()
    with house.service.database.reading() as tx:
        places = ledger.places_of(tx, [one.entry_id for one in again.recipients])
    assert {one.entry_id: one.receipt for one in again.recipients} == places
