"""The threats to the log, each attacked with the database's own tools, and what catches it.

Exit codes are those of ``governance audit verify``: 0 as it should be, 1 altered, 2 rolled back, 3 forked,
4 not signed as it must be, 5 incomplete.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import threats
from living import Living, Wire
from logbreaking import Insider
from threats import Deed, Governance, grown_twice, refused_start, signed

from audit.checkpoint import Signer, sign
from audit.entry import Verdict
from audit.lockstore import connection_to
from audit.note import Checkpoint
from audit.publishing import NotPublishedError, Standing
from audit.witness import write_request
from governance import world
from governance.app import build
from governance.loopback import serving
from governance.wiring import assemble
from governance.witnessserver import application, make_home, open_home

ON_POSTGRESQL = pytest.mark.parametrize("seeded_copy", ["postgres"], indirect=True)


# --- the log's own rows


def edited(i: Insider, _first: int, second: int) -> None:
    i.alter(second - 1)


def removed(i: Insider, first: int, _second: int) -> None:
    i.remove(first)


def rewritten(i: Insider, first: int, _second: int) -> None:
    i.alter(first)
    i.rebuild()


def cut(i: Insider, first: int, second: int) -> None:
    i.remove(first, second)
    i.rebuild()
    i.run("DELETE FROM audit_checkpoint WHERE size > :first", first=first)


def told_anew(i: Insider, first: int, second: int) -> None:
    i.alter(second - 1)
    i.rebuild()
    i.run("DELETE FROM audit_checkpoint WHERE size > :first", first=first)


def signed_by_a_stranger(i: Insider, first: int, _second: int) -> None:
    origin = str(i.one("SELECT origin FROM audit_head"))
    note = sign(Signer(origin, b"\x2a" * 32), Checkpoint(origin, first + 1, b"\x01" * 32))
    i.run("INSERT INTO audit_checkpoint (size, note, t) VALUES (:s, :n, 0)", s=first + 1, n=note)


def tile_gone(i: Insider, _first: int, _second: int) -> None:
    i.run("DELETE FROM audit_tile WHERE level = 0 AND idx = 0")


def head_gone(i: Insider, _first: int, _second: int) -> None:
    i.run("DELETE FROM audit_head")


def head_spoilt(i: Insider, _first: int, _second: int) -> None:
    i.run("UPDATE audit_head SET frontier = root")


def head_renamed(i: Insider, _first: int, _second: int) -> None:
    i.run("UPDATE audit_head SET origin = 'a b'")


@pytest.mark.parametrize(
    ("deed", "code", "index", "starts"),
    [
        (edited, 1, lambda _first, second: second - 1, True),
        (removed, 1, lambda first, _second: first, True),
        (rewritten, 1, lambda first, _second: first, False),
        (cut, 2, lambda first, _second: first, False),
        (told_anew, 3, lambda first, _second: first, False),
        (signed_by_a_stranger, 4, lambda first, _second: first + 1, True),
        (tile_gone, 5, lambda _first, _second: 0, True),
        (head_gone, 5, lambda _first, _second: 0, False),
        (head_spoilt, 1, lambda _first, second: second, False),
        (head_renamed, 4, lambda _first, _second: 0, False),
    ],
)
def test_a_deed_on_the_log_has_its_exit_code_and_its_place(
    house: Living,
    governance: Governance,
    deed: Deed,
    code: int,
    index: Callable[[int, int], int],
    starts: bool,
) -> None:
    first, second = grown_twice(house)
    assert governance("audit", "verify").code == 0
    assert refused_start(house.settings, house.clock) == ""
    deed(Insider(house.service.database), first, second)
    found = governance("audit", "verify", "--json")
    assert (found.code, found.document["first_bad_index"]) == (code, index(first, second))
    assert f"first bad index: {index(first, second)}" in governance("audit", "verify").out.splitlines()
    assert (refused_start(house.settings, house.clock) == "") is starts


@pytest.mark.parametrize(
    ("statement", "column"),
    [
        ("UPDATE audit_entry SET act = 'write' WHERE leaf_index = :at", "act"),
        ("UPDATE audit_entry SET actor_id = 'stf_nobody' WHERE leaf_index = :at", "actor_id"),
        ("UPDATE audit_entry SET t = t + 3600000 WHERE leaf_index = :at", "t"),
        ("DELETE FROM audit_subject WHERE leaf_index = :at", "subject"),
        ("UPDATE audit_subject SET t = t + 1 WHERE leaf_index = :at", "subject"),
        ("DELETE FROM audit_term WHERE leaf_index = :at", "term"),
        ("UPDATE audit_term SET term = term + 1 WHERE leaf_index = :at", "term"),
    ],
)
def test_a_copy_that_is_searched_is_compared_with_its_leaf(
    house: Living, governance: Governance, statement: str, column: str
) -> None:
    _, second = grown_twice(house)
    assert governance("audit", "reindex").code == 0
    assert governance("audit", "reindex", "--check").code == 0
    insider = Insider(house.service.database)
    insider.run(statement, at=second - 1)
    differ = [{"index": second - 1, "column": column}]
    for words in (("verify",), ("reindex", "--check")):
        found = governance("audit", *words, "--json")
        assert (found.code, found.document["altered_copies"]) == (1, differ)


# --- the whole database


def test_a_database_put_back_from_a_copy_does_not_start_and_is_told_as_rolled_back(
    house: Living, governance: Governance, tmp_path: Path
) -> None:
    first = signed(house.service, house.clock())
    house.service.close()
    with threats.copied(house, tmp_path) as copy:
        threats.put_back(house, copy)
        assert refused_start(house.settings, house.clock) == ""  # nothing was signed since
        later = assemble(house.settings, clock=house.clock)
        assert signed(later, house.clock()) > first
        later.close()
        assert governance("audit", "verify").code == 0
        threats.put_back(house, copy)
    assert "rollback" in refused_start(house.settings, house.clock)
    found = governance("audit", "verify", "--json")
    assert (found.code, found.document["first_bad_index"]) == (2, first)
    assert found.document["size"] == first


@pytest.mark.parametrize("ahead", [0, 2], ids=["the same size", "a longer one"])
def test_of_two_services_with_one_lock_store_one_cannot_sign(
    house: Living, governance: Governance, tmp_path: Path, ahead: int
) -> None:
    first = signed(house.service, house.clock())
    house.service.close()
    with threats.copied(house, tmp_path) as copy:
        ours = assemble(house.settings, clock=house.clock)
        theirs = assemble(threats.replace(house.settings, database_url=copy), clock=house.clock)
        try:
            threats.read_names(theirs, house.clock(), 3 + ahead)
            theirs.log.settle()
            won = signed(ours, house.clock(), 3)
            with pytest.raises(NotPublishedError) as caught:
                theirs.log.checkpoints.publish(house.clock())
            assert caught.value.standing is Standing.FORK
        finally:
            ours.close()
            theirs.close()
        assert governance("audit", "verify").code == 0
        found = governance("audit", "verify", "--json", url=copy)
        assert found.code == 3
        assert found.document["size"] == won + ahead
        assert found.document["first_bad_index"] == first
        assert "fork" in refused_start(threats.replace(house.settings, database_url=copy), house.clock)


def test_a_lock_store_that_names_no_log_leaves_no_signature_that_counts(
    house: Living, governance: Governance
) -> None:
    grown_twice(house)
    connection = connection_to(house.settings.lock_store)
    connection.execute("UPDATE lock SET body = '\n'")
    connection.close()
    Insider(house.service.database).run("UPDATE audit_head SET origin = 'a b'")
    assert governance("audit", "verify").code == 4
    assert refused_start(house.settings, house.clock) != ""


# --- before an entry has its place


FORGE = (
    """CREATE FUNCTION forge() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
       NEW.leaf = convert_to(replace(convert_from(NEW.leaf, 'UTF8'), '"permit"', '"deny"'), 'UTF8');
       RETURN NEW; END $$""",
    "CREATE TRIGGER forge BEFORE INSERT ON audit_pending FOR EACH ROW EXECUTE FUNCTION forge()",
)
"""Changes every leaf in the moment in which it is left to be placed."""
CHANGE_PENDING = """
UPDATE audit_pending SET leaf = convert_to(replace(convert_from(leaf, 'UTF8'), '"permit"', '"deny"'), 'UTF8')
"""
PRESSURE = {
    "subject": {"type": "member", "id": world.GRANDMOTHER.id},
    "fields": ["blood_pressure"],
    "purpose": "family.care",
    "on_behalf_of": world.ZHANG_LI.id,
}
NAME = PRESSURE | {"fields": ["name"]}


@ON_POSTGRESQL
def test_an_entry_changed_while_it_waits_raises_an_alarm_and_health_data_is_not_given_out(
    house: Living, wire: Wire, governance: Governance
) -> None:
    key = house.key(world.CRM)
    assert wire.post("/v1/reads", PRESSURE, key=key).status_code == 200
    house.sql(*FORGE)
    before = house.size()
    refused = wire.post("/v1/reads", PRESSURE, key=key)
    assert (refused.status_code, refused.json()["code"]) == (503, "cannot_record")
    assert world.GRANDMOTHER.values["blood_pressure"] not in refused.text
    # The level ``committed`` promises no more than that the log will say so.
    assert wire.post("/v1/reads", NAME, key=key).status_code == 200
    told = house.log()[before:]
    assert {entry.act for entry in told} == {"log.pending_altered"}
    assert {entry.dec for entry in told} == {Verdict.ERROR}
    assert governance("audit", "verify").code == 0


@ON_POSTGRESQL
def test_the_window_that_is_left_is_an_entry_changed_with_its_hash_before_it_has_a_place(
    house: Living, governance: Governance
) -> None:
    """What SECURITY.md grants: until it is placed, a ``committed`` entry is the database's word alone."""
    insider = Insider(house.service.database)
    before = house.size()
    threats.read_names(house.service, house.clock())
    insider.run(CHANGE_PENDING)
    insider.run("UPDATE audit_pending SET leaf_hash = sha256('\\x00'::bytea || leaf)")
    assert [entry.dec for entry in house.log()[before:]] == [Verdict.DENY]
    assert governance("audit", "verify").code == 0
    # Once it has its place and a checkpoint covers it, the same deed is found.
    house.service.log.checkpoints.publish(house.clock())
    insider.put_leaf(before, insider.leaf(before).replace(b'"deny"', b'"permit"'))
    found = governance("audit", "verify", "--json")
    assert (found.code, found.document["first_bad_index"]) == (1, before)


# --- with the key that signs the log


def test_a_witness_signs_no_forged_head_whoever_holds_the_key_of_the_log(
    house: Living, tmp_path: Path
) -> None:
    first, second = grown_twice(house)
    true = threats.true_story(house)
    forged = true.otherwise(first - 1)
    make_home(tmp_path / "witness", "witness.example/compliance")
    app = application(open_home(tmp_path / "witness", [true.signer.key]), lambda: house.clock() // 1000)
    with serving(app, 0) as port:

        def ask(story: threats.Story, old: int, size: int) -> tuple[int, str]:
            body = write_request(old, story.proof(min(old, size), size), story.note(size))
            return threats.post(port, "/add-checkpoint", body)

        assert ask(true, 0, first)[0] == 200
        assert ask(forged, first, second)[0] == 422  # another history that goes on
        assert ask(forged, first, first) == (409, "another root was signed for this size\n")
        assert ask(forged, first - 1, second) == (409, f"{first}\n")  # it knows better where it stands
        assert ask(forged, 0, first - 2) == (409, f"{first}\n")  # the log moved back
        assert ask(true, first, second)[0] == 200  # its memory is what it was


def test_a_log_told_anew_on_every_disk_of_the_house_contradicts_the_officers_laptop(
    house: Living, governance: Governance, tmp_path: Path
) -> None:
    first, second = grown_twice(house)
    stolen = threats.true_story(house).signer
    kept = ("--log", stolen.key.text, "--file", str(tmp_path / "kept.jsonl"), "--json")

    def pull() -> tuple[int, str]:
        service = assemble(house.settings, clock=house.clock)  # starts: everything here agrees
        with serving(build(service), 0) as port:
            found = governance("audit", "witness", "pull", f"http://127.0.0.1:{port}", *kept)
        return found.code, found.document["result"]

    assert pull() == (0, "OK")
    insider = Insider(house.service.database)
    insider.alter(second - 1)
    insider.run("UPDATE audit_entry SET dec = 'deny' WHERE leaf_index = :at", at=second - 1)
    threats.tell_otherwise(house, insider, stolen)
    assert governance("audit", "reindex").code == 0
    assert governance("audit", "verify").code == 0
    assert pull() == (3, "FORK")
    insider.remove(first, second + 9)
    threats.tell_otherwise(house, insider, stolen)
    assert governance("audit", "reindex").code == 0
    assert governance("audit", "verify").code == 0
    assert pull() == (2, "ROLLBACK")


# --- beneath the database


@pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
def test_a_byte_that_turned_over_in_the_file_is_sound_to_sqlite_and_found_by_the_log(
    house: Living, governance: Governance
) -> None:
    _, second = grown_twice(house)
    index = second - 2
    salt = house.log()[index].salt.hex().encode()
    house.service.close()
    path = Path(house.url.removeprefix("sqlite:///"))
    data = path.read_bytes()
    assert data.count(salt) == 1
    at = data.index(salt)
    turned = b"1" if data[at : at + 1] == b"0" else b"0"
    path.write_bytes(data[:at] + turned + data[at + 1 :])
    assert house.sql("PRAGMA integrity_check") == [("ok",)]
    found = governance("audit", "verify", "--json")
    assert (found.code, found.document["first_bad_index"]) == (1, index)
