"""The log's own retention: old bodies go, a hold keeps them, an erased person's entries lead to nobody."""

from __future__ import annotations

import json
from pathlib import Path

import happenings
import pytest
from export_story import checked
from living import DAY, START, Living
from rights_story import OFFICER, count, erase, hold
from sqlalchemy import text

from audit import ledger, pruned, pruning
from audit.bundle import DamagedLogError
from governance import accesses, world
from governance.erasureledger import ErasureLedger
from governance.logexports import Wish
from governance.logsource import Run
from governance.retentioncommands import run as retention_command
from governance.world import Person
from policies.retention import LOG_FLOOR_DAYS, THREE_YEARS
from policies.terms import SubjectId

TERM = THREE_YEARS.days * DAY
OLD = world.GRANDMOTHER


def some_day(house: Living, now: int) -> None:
    """Move the clock; on that day somebody reads, and the log is signed."""
    house.clock.now = now
    for person in (world.ZHANG_LI, OLD):
        house.service.gate.read([happenings.reading(person.id, person.id, "name")], now)
    house.service.log.settle()
    house.service.log.checkpoints.publish(now)


def newest(house: Living) -> int:
    """Return the newest time in the log: whoever made the house asked the machine's own clock."""
    return max(START, house.sql("SELECT max(t) FROM audit_entry")[0][0])


def bodies(house: Living, person: Person | None = None) -> list[int]:
    """Return the indexes of the bodies that are there, of all or of those that speak of a person."""
    if person is None:
        return [row[0] for row in house.sql("SELECT leaf_index FROM audit_entry ORDER BY leaf_index")]
    rows = house.sql(
        "SELECT e.leaf_index FROM audit_entry e JOIN audit_subject s ON s.leaf_index = e.leaf_index"
        " JOIN subject_pseudonym p ON p.pseudonym = s.subject"
        f" WHERE p.subject_id = '{person.id}' ORDER BY e.leaf_index"
    )
    return [row[0] for row in rows]


def test_the_rules_the_verifier_and_the_guards_have_one_floor() -> None:
    assert LOG_FLOOR_DAYS == pruned.FLOOR_DAYS == 183
    assert THREE_YEARS.days * DAY >= (365 * 3 + 1) * DAY


def test_the_work_of_a_day_prunes_what_is_older_than_three_years(house: Living) -> None:
    some_day(house, newest(house) + DAY)
    first = house.size()
    some_day(house, newest(house) + TERM)
    house.service.tidy()
    # The milestone and what was published stay; the first day's last entries were exactly three years old.
    early = [index for index in bodies(house) if index < first]
    rules = [row[0] for row in house.sql("SELECT leaf_index FROM audit_entry WHERE act = 'rules.published'")]
    assert house.sql("SELECT min(leaf_index) FROM audit_entry WHERE act = 'log.pruned'")[0][0] >= first
    [[size]] = house.sql("SELECT size FROM audit_pruned")
    assert early == sorted({*rules, *range(size - 1, first)})
    assert house.service.desk.agrees_with_log()
    report = house.service.log.checkpoints.verify()
    assert (int(report.exit), report.pruned) == (0, first - len(early))
    assert house.service.log.checkpoints.altered_copies() == []


def test_a_dry_run_tells_what_a_run_then_does_and_changes_nothing(house: Living) -> None:
    hold(house, OLD.id, days=3000)
    some_day(house, newest(house) + DAY)
    some_day(house, newest(house) + DAY + TERM)
    before, size = bodies(house), house.size()
    told = house.service.log.pruning.run(house.clock(), dry=True)
    assert (bodies(house), house.size()) == (before, size)
    heard: list[int] = []
    done = house.service.log.pruning.run(house.clock(), progress=heard.append)
    assert (told.deleted, told.held, told.size) == (done.deleted, done.held, done.size)
    assert done.deleted == len(before) + 1 - len(bodies(house)) > 0
    assert done.held > 0
    assert heard[-1] == done.deleted
    again = house.service.log.pruning.run(house.clock())
    assert (again.deleted, again.held) == (0, done.held)
    assert count(house, "audit_pruned", "1 = 1") == 1


def test_a_run_that_was_cut_off_is_finished_by_the_next(house: Living, monkeypatch) -> None:
    monkeypatch.setattr(pruning, "BATCH", 5)
    some_day(house, newest(house) + DAY)
    some_day(house, newest(house) + DAY + TERM)

    class PowerCutError(Exception):
        pass

    def cut(done: int) -> None:
        if done >= 10:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        house.service.log.pruning.run(house.clock(), progress=cut)
    assert int(house.service.log.checkpoints.verify().exit) == 0
    left = len(bodies(house))
    done = house.service.log.pruning.run(house.clock())
    assert len(bodies(house)) == left - done.deleted < left
    assert int(house.service.log.checkpoints.verify().exit) == 0


@pytest.mark.parametrize("whom", [OLD.id, world.ZHANG_HOME.id], ids=["a person", "the home of a person"])
def test_a_hold_keeps_what_the_log_says_of_whom_it_holds_until_it_is_over(house: Living, whom: str) -> None:
    placed = hold(house, whom, days=3000)
    some_day(house, newest(house) + DAY)
    spoken = bodies(house, OLD)
    everybody = len(bodies(house))
    some_day(house, newest(house) + DAY + TERM)
    done = house.service.log.pruning.run(house.clock())
    assert done.deleted > 0
    assert len(spoken) - 1 <= done.held < everybody  # the milestone stays anyway
    assert set(spoken) <= set(bodies(house, OLD))
    assert len(accesses.of_member(house.service, SubjectId(OLD.id), None, 200)[0]) >= len(spoken)
    assert int(house.service.log.checkpoints.verify().exit) == 0
    house.service.holds.lift(OFFICER.caller, placed, house.clock(), request_id="r")
    house.service.log.checkpoints.publish(house.clock())
    last = house.service.log.pruning.run(house.clock())
    assert last.held == 0
    assert last.deleted >= len(spoken) - 1
    assert int(house.service.log.checkpoints.verify().exit) == 0


def test_a_hold_of_a_member_who_acted_for_another_keeps_that_too(house: Living) -> None:
    some_day(house, newest(house) + DAY)
    with house.service.database.reading() as tx:
        acting = ledger.names_of(tx, [OLD.id])[OLD.id].hex()
    own = house.sql(f"SELECT leaf_index FROM audit_entry WHERE '{acting}' IN (actor_id, behalf_id)")
    assert own
    hold(house, OLD.id, days=3000)
    some_day(house, newest(house) + DAY + TERM)
    house.service.log.pruning.run(house.clock())
    assert {row[0] for row in own} <= set(bodies(house))


def test_nothing_goes_by_a_clock_that_no_signature_bears_out(house: Living) -> None:
    some_day(house, newest(house) + DAY)
    house.clock.now = newest(house) + DAY + TERM
    before = bodies(house)
    done = house.service.log.pruning.run(house.clock())
    assert (done.clock_refused, done.deleted, bodies(house)) == (True, 0, before)
    # Nor does a hold seem over by such a clock.
    some_day(house, house.clock())
    hold(house, OLD.id, days=30)
    house.service.log.pruning.run(house.clock())
    kept = bodies(house)
    house.clock.advance(40 * DAY)
    assert house.service.log.pruning.run(house.clock()).clock_refused
    assert bodies(house) == kept


def test_the_command_tells_how_many_bodies_went_and_when_it_left_the_log_alone(
    house: Living, monkeypatch, capsys
) -> None:
    import argparse  # noqa: PLC0415 - only here

    from governance import retentioncommands  # noqa: PLC0415 - only here

    some_day(house, newest(house) + DAY)
    some_day(house, newest(house) + DAY + TERM)
    monkeypatch.setattr(retentioncommands, "settings", lambda: house.settings)
    monkeypatch.setattr(retentioncommands, "assemble", lambda _: house.service)
    asked = argparse.Namespace(what="run", dry_run=True, json=True)
    assert retention_command(asked) == 0
    told = json.loads(capsys.readouterr().out)["log"]
    assert told["deleted"] > 0
    assert (told["clock_refused"], told["held"]) == (False, 0)


# --- erasure


def test_an_erased_members_entries_are_there_prove_and_lead_to_nobody(house: Living) -> None:
    some_day(house, newest(house) + DAY)
    with house.service.database.reading() as tx:
        name = ledger.names_of(tx, [world.ZHANG_LI.id])[world.ZHANG_LI.id]
    mine = bodies(house, world.ZHANG_LI)
    assert len(mine) > 3
    erase(house)
    house.service.log.settle()
    assert set(mine) <= set(bodies(house))
    assert int(house.service.log.checkpoints.verify().exit) == 0
    assert house.service.log.checkpoints.altered_copies() == []
    # No table knows who that was; the tables of the log never held the id of a member.
    tables = house.sql(
        "SELECT name FROM sqlite_master WHERE type = 'table'"
        if house.engine == "sqlite"
        else "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    )
    knowing = []
    for (table,) in tables:
        for row in house.sql(f"SELECT * FROM {table}"):
            cells = [bytes(one) if isinstance(one, memoryview) else one for one in row]
            told = [one if isinstance(one, bytes) else str(one).encode() for one in cells]
            about = any(world.ZHANG_LI.id.encode() in one for one in told)
            named = any(name in one or name.hex().encode() in one for one in told)
            if (about and named) or (about and table.startswith("audit_")):
                knowing.append(table)
    assert knowing == []
    # And nobody's view shows those that spoke of nobody else, not even to whoever lived there.
    alone = {index for index, entry in enumerate(house.log()) if entry.subjects == (name,)}
    assert len(alone.intersection(mine)) > 3
    for home in world.HOMES:
        for person in home.members:
            shown, more = accesses.of_member(house.service, SubjectId(person.id), None, 1000)
            assert not more
            assert not alone.intersection(one.index for one in shown)
    assert list(ErasureLedger(house.settings.erasures).orders())


def test_a_name_that_was_forgotten_is_never_given_again(house: Living, monkeypatch) -> None:
    some_day(house, newest(house) + DAY)
    with house.service.database.transaction() as tx:
        old = ledger.names_of(tx, [world.ZHANG_LI.id])[world.ZHANG_LI.id]
        ledger.forget(tx, world.ZHANG_LI.id)
        tx.commit()
    drawn = [old, old, b"pseudonym-fresh-"]
    monkeypatch.setattr(ledger.os, "urandom", lambda _size: drawn.pop(0))
    with house.service.database.transaction() as tx:
        # Even a source of randomness that repeats itself does not link somebody to an erased person.
        assert ledger.pseudonyms(tx, ["mem_new"]) == {"mem_new": b"pseudonym-fresh-"}
        rows = tx.rows(text("SELECT pseudonym FROM subject_pseudonym WHERE subject_id = 'mem_new'"))
    assert [bytes(row[0]) for row in rows] == [b"pseudonym-fresh-"]


def test_every_way_on_which_the_log_loses_a_body_asks_the_one_hold_predicate() -> None:
    import governance  # noqa: PLC0415 - only here

    rooms = Path(governance.__file__).parent.parent
    callers = {
        path.relative_to(rooms).as_posix()
        for room in ("audit", "consent", "governance", "policies", "redaction")
        for path in (rooms / room).rglob("*.py")
        if "pruning.drop(" in path.read_text(encoding="utf-8")
    }
    assert callers == {"governance/logpruning.py"}
    assert "holds.held(" in (rooms / "governance/logpruning.py").read_text(encoding="utf-8")


def test_an_export_over_deleted_bodies_is_complete_and_proves_that_the_log_said_so(house: Living) -> None:
    some_day(house, newest(house) + DAY)
    some_day(house, newest(house) + TERM)
    house.service.tidy()
    gone = set(range(house.size())) - set(bodies(house))
    wish = Wish(Run(0), "")
    _, pieces = house.service.log.exports.by_operator(wish, house.clock(), lambda _done, _of: None, "")
    report = checked(house, b"".join(pieces))
    assert (int(report.report.exit), report.report.pruned) == (0, len(gone))
    assert report.excuse.statement == house.sql("SELECT entry FROM audit_pruned")[0][0]
    house.sql(
        "DROP TRIGGER audit_entry_no_delete"
        if house.settings.on_sqlite
        else "ALTER TABLE audit_entry DISABLE TRIGGER ALL",
        f"DELETE FROM audit_entry WHERE leaf_index = {house.size() - 2}",
    )
    _, pieces = house.service.log.exports.by_operator(wish, house.clock(), lambda _done, _of: None, "")
    with pytest.raises(DamagedLogError):
        b"".join(pieces)
