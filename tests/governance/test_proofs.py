"""Evidence over HTTP: a stranger checks with the standard library alone; nobody learns about others."""

from __future__ import annotations

import json
from base64 import b64decode

import happenings
import httpx2
import pytest
from living import Living, Wire

from audit import ed25519, proof
from audit.entry import ActorType, decode
from audit.note import Checkpoint, Key, open_note, parse_checkpoint
from audit.tiles import node_reader, path
from audit.tree import extends, inclusion, leaf_hash, root_at
from governance import traffic, world
from governance.accesses import of_member
from policies.terms import SubjectId

ON_SQLITE = pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)


def key_of(house: Living) -> Key:
    """The log's public key, as an auditor has it on paper."""
    return house.service.log.checkpoints.known_keys()[0]


def fetched(wire: Wire, address: str, session: str | None = None) -> httpx2.Response:
    answer = wire.get(f"/v1/audit/{address}", session=session)
    assert answer.status_code == 200, answer.text
    return answer


def signed_head(house: Living, wire: Wire) -> Checkpoint:
    answer = fetched(wire, "checkpoint")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    return parse_checkpoint(open_note(answer.text, [key_of(house)], ed25519.verify).text)


def leaves_in(bundle: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(bundle):
        end = at + 2 + int.from_bytes(bundle[at : at + 2], "big")
        found.append(bundle[at + 2 : end])
        at = end
    return found


def test_a_stranger_checks_an_entry_with_what_was_fetched_and_the_public_key(
    house: Living, wire: Wire
) -> None:
    traffic.play(house.service, house.keys, 2)
    session = house.sign_in(world.OFFICER)
    house.service.log.checkpoints.publish(house.clock())
    head = signed_head(house, wire)
    partial = f".p/{head.size}" if head.size < 256 else ""
    before = house.size()
    bundle = fetched(wire, f"tile/entries/000{partial}", session)
    assert bundle.headers["content-type"] == "application/octet-stream"
    assert bundle.headers["cache-control"] == "no-store"
    leaves = leaves_in(bundle.content)
    reading = house.log()[before]
    assert (reading.act, reading.n, reading.actor.party.id) == ("log.read", len(leaves), world.OFFICER.id)
    for index in (0, 17, len(leaves) - 1):
        file = fetched(wire, f"entries/{index}/proof", session).text
        shown = proof.verify(file, leaf_hash(leaves[index]), [key_of(house)], ed25519.verify)
        assert shown.origin == head.origin
        assert proof.parse(file).at == index
        named = decode(leaves[index]).id
        again = proof.parse(fetched(wire, f"entries/{named}/proof", session).text)
        assert (again.at, again.extra) == (index, leaf_hash(leaves[index]))


def test_a_stranger_without_credentials_rebuilds_the_root_and_sees_the_log_only_grow(
    house: Living, wire: Wire
) -> None:
    house.service.log.checkpoints.publish(house.clock())
    old = signed_head(house, wire)
    traffic.play(house.service, house.keys, 20)
    house.service.log.settle()
    house.service.log.checkpoints.publish(house.clock())
    new = signed_head(house, wire)
    assert new.size > max(256, old.size)

    def fetch(level: int, index: int) -> bytes:
        count = min(256, (new.size >> (8 * level)) - 256 * index)
        answer = fetched(wire, path(level, index, count % 256))
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert len(answer.content) == 32 * count
        return answer.content

    assert root_at(new.size, node_reader(fetch)) == new.root
    lines = fetched(wire, f"consistency?from={old.size}&to={new.size}").text.splitlines()
    hashes = [b64decode(line, validate=True) for line in lines]
    assert extends(old.size, new.size, old.root, new.root, hashes)
    session = house.sign_in(world.AUDITOR)
    file = proof.parse(fetched(wire, "entries/300/proof", session).text)
    assert file.hashes == inclusion(300, new.size, node_reader(fetch))


def test_a_proof_is_there_as_soon_as_the_entry_is(house: Living, wire: Wire) -> None:
    session = house.sign_in(world.OFFICER)
    last = house.size() - 1
    health = json.loads(fetched(wire, "health").content)
    assert health["signed_size"] < health["size"] == last + 1
    file = fetched(wire, f"entries/{last}/proof", session).text
    assert proof.verify(file, proof.parse(file).extra, [key_of(house)], ed25519.verify).size == last + 1
    house.clock.advance(61_500)
    told = json.loads(fetched(wire, "health").content)
    assert (told["size"], told["signed_size"], told["checkpoint_age_s"]) == (last + 1, last + 1, 61)


def test_a_member_gets_the_proof_of_what_concerns_them_and_404_for_the_rest(
    house: Living, wire: Wire
) -> None:
    traffic.play(house.service, house.keys, 1)
    happenings.ask_for_access(house)
    log = house.log()
    assert len(log) > 60
    for person in (world.ZHANG_LI, world.XIAO_MAN, world.ZHOU_MING):
        session = house.sign_in(person)
        found, more = of_member(house.service, SubjectId(person.id), None, 500)
        assert not more
        mine = {one.index for one in found}
        answers = {wire.get("/v1/me/accesses/99999999/proof", session=session).content[:40]}
        for index, entry in enumerate(log):
            answer = wire.get(f"/v1/me/accesses/{index}/proof", session=session)
            assert (answer.status_code == 200) == (index in mine)
            if index not in mine:
                assert answer.status_code == 404
                answers.add(answer.content[:40])
                continue
            extra = proof.parse(answer.text).extra
            others = names_of_others(house, person, entry)
            hashed = extra if len(extra) == 32 else leaf_hash(extra)
            assert (len(extra) == 32) == bool(others), "a leaf that names others is not handed out"
            proof.verify(answer.text, hashed, [key_of(house)], ed25519.verify)
            if not others:
                assert decode(extra) == entry
        assert len(answers) == 1, "what is somebody else's and what is not there look the same"


def names_of_others(house: Living, person: world.Person, entry: object) -> set[bytes]:
    """Return the names in an entry that are neither the person's nor of a home they live in."""
    named: dict[bytes, str] = {
        bytes(name): id_ for id_, name in house.sql("SELECT subject_id, pseudonym FROM subject_pseudonym")
    }
    homes = {home.id for home in world.HOMES if person in home.members}
    parties = [entry.actor.party, entry.actor.on_behalf_of]  # type: ignore[attr-defined]
    acting = {bytes.fromhex(one.id) for one in parties if one and one.type is ActorType.MEMBER}
    about: set[bytes] = {*entry.subjects} | acting  # type: ignore[attr-defined]
    return {name for name in about if named.get(name) not in {person.id, *homes}}


@ON_SQLITE
def test_what_is_asked_wrongly_is_told_without_a_word_about_the_log(house: Living, wire: Wire) -> None:
    house.service.log.checkpoints.publish(house.clock())
    size = signed_head(house, wire).size
    for query, status in {
        f"from=0&to={size + 1}": 422,
        "from=2&to=1": 422,
        "from=-1&to=1": 422,
        "from=01&to=1": 422,
        "from=1": 422,
        "from=1&to=2&to=3": 422,
        "from=1&to=2&x=3": 422,
    }.items():
        answer = wire.get(f"/v1/audit/consistency?{query}")
        assert (answer.status_code, query) == (status, query)
        assert json.loads(answer.content)["code"] == "invalid_request"
    session = house.sign_in(world.OFFICER)
    for address in (
        "tile/0/000",
        f"tile/0/000.p/{size + 1}",
        "tile/0/001.p/1",
        "tile/0/x000/001",
        "tile/7/000.p/1",
        "tile/entries/000",
        "entries/99999999/proof",
        "entries/aud_019a0000-0000-7d47-8433-b18122cd4e5d/proof",
    ):
        answer = wire.get(f"/v1/audit/{address}", session=session)
        assert (answer.status_code, address) == (404, address)
    for address in ("tile/64/000.p/1", "tile/00/000.p/1", "tile/data/000.p/1", "entries/+1/proof"):
        assert wire.get(f"/v1/audit/{address}", session=session).status_code == 422
    assert fetched(wire, f"consistency?from={size}&to={size}").text == ""


@ON_SQLITE
def test_a_bundle_that_cannot_be_recorded_is_not_handed_out(house: Living, wire: Wire) -> None:
    house.service.log.checkpoints.publish(house.clock())
    session = house.sign_in(world.OFFICER)
    house.sql("CREATE TRIGGER no_more BEFORE INSERT ON audit_entry BEGIN SELECT RAISE(ABORT, 'full'); END")
    answer = wire.get("/v1/audit/tile/entries/000.p/3", session=session)
    assert json.loads(answer.content)["code"] == "cannot_record"


@ON_SQLITE
def test_without_a_lock_store_nothing_is_signed_and_the_answer_says_so(house: Living, wire: Wire) -> None:
    session = house.sign_in(world.OFFICER)
    house.settings.lock_store.unlink()
    answer = wire.get(f"/v1/audit/entries/{house.size() - 1}/proof", session=session)
    assert (answer.status_code, json.loads(answer.content)["code"]) == (503, "not_signed")
    assert answer.headers["retry-after"] == "1"
