"""Retention: what has lapsed is as absent at once, the sweep deletes it, and a legal hold wins everywhere."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from pathlib import Path

import happenings
import pytest
from living import DAY, START, Living
from rights_story import OFFICER, ask, count, decide, erase, hold, left_of

import governance
from audit import ledger, reading
from audit.entry import Entry, decode
from governance import world
from governance.asking import Answer
from governance.erasureledger import Erased, ErasureLedger
from governance.holds import HeldError, NoSuchHoldError
from governance.retaining import GRACE_MS
from governance.rightsdeciding import Step
from governance.rightsrecords import Right
from governance.world import Person
from policies.reasons import Reason
from policies.terms import SubjectId

YEAR = START + 365 * DAY
OLD = world.GRANDMOTHER


def field(
    house: Living, name: str, purpose: str = "personal.access", person: Person = OLD
) -> tuple[object, ...]:
    own = happenings.reading(person.id, person.id, name, purpose=purpose)
    [reply] = house.service.gate.read([own], house.clock())
    assert isinstance(reply, Answer)
    return reply.fields[0].value, set(reply.fields[0].reasons), reply.valid_until


def test_a_lapsed_value_is_as_absent_from_its_instant_on_whether_swept_or_not(house: Living) -> None:
    written = house.sql(
        f"SELECT written_at FROM cell WHERE subject_id = '{OLD.id}' AND field = 'viewing_history'"
    )[0][0]
    house.clock.now = written + 365 * DAY - 1
    value, _, until = field(house, "viewing_history")
    assert value == OLD.values["viewing_history"]
    assert until == written + 365 * DAY
    house.clock.now = written + 365 * DAY
    absent = field(house, "viewing_history")
    assert absent[:2] == (None, {Reason.NOT_AVAILABLE})
    assert count(house, "cell", f"subject_id = '{OLD.id}' AND field = 'viewing_history'") == 1
    house.service.retaining.run(house.clock())
    assert count(house, "cell", f"subject_id = '{OLD.id}' AND field = 'viewing_history'") == 0
    assert field(house, "viewing_history") == absent


def test_a_dry_run_tells_what_a_run_then_does_and_changes_nothing(house: Living) -> None:
    house.clock.now = START + 800 * DAY
    size, cells = house.size(), count(house, "cell", "1 = 1")
    told = house.service.retaining.run(house.clock(), dry=True)
    assert (house.size(), count(house, "cell", "1 = 1")) == (size, cells)
    done = house.service.retaining.run(house.clock())
    assert told.fields == done.fields
    assert set(done.fields) >= {"viewing_history", "blood_pressure", "id_card"}
    assert count(house, "cell", "1 = 1") == cells - done.destroyed.cells
    swept = [entry for entry in house.log() if entry.act == "retention.swept"]
    assert {entry.resource: entry.n for entry in swept} == done.fields
    again = house.service.retaining.run(house.clock())
    assert (again.fields, again.destroyed.cells) == ({}, 0)


def test_a_key_goes_with_the_last_value_it_opened_and_not_before(house: Living) -> None:
    def keys(key_class: str) -> int:
        return count(house, "data_key", f"owner_id = '{OLD.id}' AND key_class = '{key_class}'")

    house.clock.now = YEAR - 1
    house.service.retaining.run(house.clock())
    assert keys("content") == 1
    house.clock.now = START + 800 * DAY
    house.service.retaining.run(house.clock())
    # Two years are over for the blood pressure, three are not for the allergies under the same key.
    assert keys("sensitive") == 1
    assert field(house, "allergies")[0] == OLD.values["allergies"]
    house.clock.now = START + 4 * 365 * DAY
    house.service.retaining.run(house.clock())
    assert keys("content") == 0
    assert keys("sensitive") == 0


def test_a_sweep_of_many_works_in_batches_and_tells_its_progress(house: Living, monkeypatch) -> None:
    from governance import retaining  # noqa: PLC0415 - only here

    monkeypatch.setattr(retaining, "_LAPSED", retaining._LAPSED.limit(1))
    house.clock.now = YEAR
    heard: list[tuple[str, int]] = []
    done = house.service.retaining.run(house.clock(), progress=lambda name, n: heard.append((name, n)))
    histories = [n for name, n in heard if name == "viewing_history"]
    assert histories == list(range(1, done.fields["viewing_history"] + 1))
    assert len(histories) > 1


# --- legal holds: every way on which data can be deleted, tried -------------------------------------------


def _erase(house: Living) -> None:
    with pytest.raises(HeldError):
        erase(house, OLD)


def _replay(house: Living) -> None:
    ErasureLedger(house.settings.erasures).append(Erased(SubjectId(OLD.id), "rgt_x", house.clock()))
    assert house.service.erasing.replay_erasures(house.clock()) == 0


def _sweep(house: Living) -> None:
    house.clock.now = START + 800 * DAY
    assert house.service.retaining.run(house.clock()).held > 0


def _overwrite(house: Living) -> None:
    request = ask(house, Right.RECTIFICATION, OLD, values={"allergies": "无"}).request.id
    decide(house, request, Step.FULFIL)


def _release(house: Living) -> None:
    _overwrite(house)
    assert house.service.retaining.run(house.clock()).held > 0


def _withdraw(house: Living) -> None:
    house.clock.advance(DAY)
    for purpose in ("service.health", "family.care"):
        happenings.withdraw(house, OLD, purpose)
    house.clock.advance(GRACE_MS)
    assert house.service.retaining.run(house.clock()).held > 0


def _prune(house: Living) -> None:
    newest = house.sql("SELECT max(t) FROM audit_entry")[0][0]  # the machine's own clock made the house
    house.clock.now = max(START, newest) + 1100 * DAY
    house.service.gate.read([happenings.reading(OLD.id, OLD.id, "name")], house.clock())
    house.service.log.settle()
    house.service.log.checkpoints.publish(house.clock())
    done = house.service.log.pruning.run(house.clock())
    assert done.held > 0
    assert done.deleted > 0


PATHS: Mapping[str, Callable[[Living], None]] = {
    "an erasure that an officer fulfils": _erase,
    "an erasure that is made good at the start": _replay,
    "the sweep of what has lapsed": _sweep,
    "a value that is written over": _overwrite,
    "the sweep of what was kept for a hold": _release,
    "the sweep of what was taken for a withdrawn consent": _withdraw,
    "the pruning of the log": _prune,
}
DELETING: Mapping[str, str] = {
    "governance/vault.py": "every path above ends here",
    "governance/erasing.py": "an erasure that an officer fulfils",
    "audit/ledger.py": "an erasure that an officer fulfils",
    "audit/sequencing.py": "a leaf that waited goes into the log: nothing is lost",
    "audit/pruning.py": "the pruning of the log",
    "governance/metering.py": "whom a reader saw before the longest window: pseudonyms",
    "audit/roomguards.py": "the pruning of the log",
    "consent/confirmation.py": "an erasure that an officer fulfils",
    "governance/details.py": "an erasure that an officer fulfils",
    "governance/savedsearches.py": "searches that an officer kept: they name nobody",
    "governance/api/auditlog.py": "the address at which a search is forgotten: deletes nothing by itself",
    "audit/indexing.py": "the search index, which is made anew from the leaves",
    "governance/replay.py": "digests of idempotency keys after a day: nothing of a person",
    "governance/rulepublishing.py": "the pointer to a rehearsed version of the rules: nothing of a person",
    "governance/rightsrecords.py": "a certificate that a newer one replaces: names nobody",
}
"""Every module that deletes rows, and on which path, or why it needs none."""


def test_no_code_deletes_rows_that_the_table_of_paths_does_not_know() -> None:
    root = Path(governance.__file__).parent.parent
    found = set()
    for room in ("policies", "consent", "audit", "redaction", "governance"):
        for path in (root / room).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            called = any(
                isinstance(node, ast.Call)
                and "delete" in (getattr(node.func, "id", ""), getattr(node.func, "attr", ""))
                for node in ast.walk(ast.parse(text))
            )
            if (called or "DELETE FROM" in text) and "migrations" not in path.parts:
                found.add(path.relative_to(root).as_posix())
    assert found == set(DELETING)
    # Those that reach into the vault's tables, and the one that prunes the log, look for a hold.
    asking = ("erasing", "retaining", "gate", "logpruning")
    for module in (f"governance/{one}.py" for one in asking):
        assert "holds.held(" in (root / module).read_text(encoding="utf-8"), module


def enumerated(house: Living) -> list[tuple[int, Entry]]:
    """Return the entries whose bodies are there, with their places."""
    found = reading.leaves(house.service.database.reading, house.verified())
    return [(index, decode(leaf)) for index, leaf in found]


@pytest.mark.parametrize("name", PATHS)
def test_a_legal_hold_wins_over_every_deletion(name: str, house: Living) -> None:
    def values() -> set[tuple[str, bytes]]:
        cells = house.sql(f"SELECT field, value FROM cell WHERE subject_id = '{OLD.id}'")
        kept = house.sql(f"SELECT field, value FROM held_cell WHERE subject_id = '{OLD.id}'")
        return {(row[0], bytes(row[1])) for row in (*cells, *kept)}

    def told() -> set[int]:
        return {index for index, entry in enumerated(house) if own in entry.subjects}

    with house.service.database.reading() as tx:
        own = ledger.names_of(tx, [OLD.id])[OLD.id]
    before, keys = values(), left_of(house, OLD)["data_key"]
    hold(house, OLD.id, days=3000)
    entries = told()
    PATHS[name](house)
    assert before <= values()
    assert left_of(house, OLD)["data_key"] >= keys
    assert entries <= told()


def test_what_a_hold_kept_stays_as_absent_and_goes_when_the_hold_is_over(house: Living) -> None:
    placed = hold(house, OLD.id, days=3000)
    _overwrite(house)
    house.clock.now = YEAR
    house.service.retaining.run(house.clock())
    assert field(house, "viewing_history")[0] is None
    assert field(house, "allergies")[0] == "无"
    house.service.holds.lift(OFFICER.caller, placed, house.clock(), request_id="r")
    with pytest.raises(NoSuchHoldError):
        house.service.holds.lift(OFFICER.caller, placed, house.clock(), request_id="r")
    house.service.retaining.run(house.clock())
    left = left_of(house, OLD)
    assert left["held_cell"] == 0
    assert count(house, "cell", f"subject_id = '{OLD.id}' AND field = 'viewing_history'") == 0
    assert field(house, "allergies")[0] == "无"


def test_a_hold_ends_by_itself_at_the_end_of_its_term(house: Living) -> None:
    hold(house, OLD.id, days=1)
    [standing] = house.service.holds.standing(house.clock())
    house.clock.now = standing.ends_at - 1
    _erase(house)
    house.clock.now = standing.ends_at
    request = next(one for one in house.service.deciding.queue(OFFICER, house.clock()))
    decide(house, request.request.id, Step.FULFIL)
    assert set(left_of(house, OLD).values()) == {0}


@pytest.mark.parametrize(("reason", "days"), [("", 30), ("诉讼", 0), ("诉讼", 3651)])
def test_a_hold_has_a_reason_and_a_term(reason: str, days: int, house: Living) -> None:
    now = house.clock()
    with pytest.raises(ValueError, match="a hold has a reason"):
        house.service.holds.place(
            OFFICER.caller, SubjectId(OLD.id), reason, now + days * DAY, now, request_id="r"
        )
    with pytest.raises(NoSuchHoldError):
        house.service.holds.place(
            OFFICER.caller, SubjectId(happenings.NOBODY), "诉讼", now + DAY, now, request_id="r"
        )
