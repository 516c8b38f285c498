"""Old bodies go by a statement in the log itself; everything else that is missing stays a removal.

The log has 700 entries, one every half day from a first one on; a checkpoint is signed at its end. Pruned is
what is older than two hundred days: the first 300, so the prefix ends in the second tile. Attacks are made by
somebody who owns the database; on both engines where the engine could matter.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from audit_making import LI, NOW, ORIGIN, STAFF, WANG, Insider, a_read, a_signer
from sqlalchemy import text

from audit import ledger, pruned, pruning
from audit.copies import differences
from audit.entry import Actor, ActorType, Entry, Kind, Party, Verdict, decode
from audit.lockstore import LockStore
from audit.pruned import DAY_MS, FLOOR_MS
from audit.publishing import first_note, publish
from audit.reading import verify_database
from audit.tiles import hashes_in
from audit.tree import leaf_hash
from audit.verdicts import Report, What
from governance.database import ConflictError, Database

SIZE = 700
STEP = DAY_MS // 2
END = NOW + SIZE * STEP
"""When the log is pruned: half a day after its last entry."""
TERM = 200 * DAY_MS
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@dataclass
class Log:
    database: Database
    lock: LockStore

    def append(self, *entries: Entry) -> int:
        with self.database.transaction() as tx:
            last = ledger.append(tx, entries)[-1].index
            tx.commit()
        return last

    def publish(self, now: int = END) -> None:
        publish(self.database.transaction, a_signer(), self.lock, now)

    def verify(self) -> Report:
        return verify_database(self.database.reading, [a_signer().key], self.lock.body())

    def state(self, cutoff: int = END - TERM, now: int = END) -> int:
        """Let the log say that what is older than ``cutoff`` is pruned; return the size of the prefix."""
        with self.database.transaction() as tx:
            pruning.refuse_wrong_clock(tx, now)
            _, size = pruning.sizes(tx, cutoff)
            pruning.state(tx, size, cutoff, now, "")
            tx.commit()
        return size

    def drop(self, size: int, keep: Callable[[pruning.Old], bool] = lambda _old: False) -> int:
        """Delete the bodies that may go, but for those to keep; return how many went."""
        after, count = -1, 0
        while True:
            with self.database.transaction() as tx:
                found = pruning.old(tx, size, after)
                if not found:
                    return count
                gone = [one for one in found if not keep(one)]
                pruning.drop(tx, gone)
                tx.commit()
            after, count = found[-1].place, count + len(gone)

    def indexes(self) -> list[int]:
        with self.database.reading() as tx:
            rows = tx.rows(text("SELECT leaf_index FROM audit_entry ORDER BY leaf_index"))
        return [row[0] for row in rows]


@pytest.fixture
def log(database: Database, tmp_path: Path) -> Log:
    with database.transaction() as tx:
        ledger.create(tx, ORIGIN)
        tx.commit()
    made = Log(database, LockStore.create(tmp_path / "lock.sqlite", first_note(ORIGIN, a_signer())))
    made.append(*(a_read(n * STEP, LI if n % 100 == 7 else WANG) for n in range(SIZE)))
    made.publish()
    return made


@pytest.fixture
def pruned_log(log: Log) -> tuple[Log, int]:
    size = log.state()
    log.drop(size)
    log.append(a_read((SIZE + 1) * STEP))
    return log, size


def found(report: Report) -> tuple[int, What | None, int | None]:
    first = report.first
    return report.exit.value, first and first.what, first and first.first


def said(size: int, cutoff: int, t: int, **changes: object) -> Entry:
    parts: dict[str, object] = {
        "t": t,
        "kind": Kind.AUDIT,
        "act": pruned.ACT,
        "dec": Verdict.PERMIT,
        "actor": Actor(Party(ActorType.SYSTEM, "retention")),
        "resource": str(cutoff),
        "n": size,
    }
    return Entry(**(parts | changes))  # type: ignore[arg-type]


def test_what_is_over_goes_and_the_whole_log_still_verifies(log: Log) -> None:
    size = log.state()
    with log.database.reading() as tx:
        [[t]] = tx.rows(text("SELECT max(t) FROM audit_entry WHERE leaf_index < :size"), {"size": size})
        [[then]] = tx.rows(text("SELECT t FROM audit_entry WHERE leaf_index = :size"), {"size": size})
        root = ledger.head(tx).root
    assert (size, t < END - TERM <= then) == (300, True)
    assert log.drop(size) == size - 1
    assert log.indexes() == list(range(size - 1, SIZE + 1))
    report = log.verify()
    assert (found(report), report.pruned, report.size) == ((0, None, None), size - 1, SIZE + 1)
    assert (report.root, report.signed_size) == (root, SIZE)
    assert list(differences(log.database.reading)) == []


def test_an_entry_that_was_pruned_is_provable_to_whoever_kept_it(log: Log) -> None:
    leaf = Insider(log.database).leaf(3)
    log.drop(log.state())
    with log.database.reading() as tx:
        [[tile]] = tx.rows(text("SELECT data FROM audit_tile WHERE level = 0 AND idx = 0"))
    assert hashes_in(bytes(tile))[3] == leaf_hash(leaf)


def test_pruning_goes_on_from_where_it_was_and_the_older_milestone_goes_too(log: Log) -> None:
    first = log.state()
    log.drop(first)
    later = END + 10 * DAY_MS
    log.append(a_read(later - NOW - 1))
    log.publish(later)
    second = log.state(later - TERM, later)
    assert second == first + 20
    assert log.drop(second) == 20
    assert log.indexes()[0] == second - 1
    report = log.verify()
    assert (report.exit.value, report.pruned) == (0, second - 1)


def test_a_run_that_was_cut_off_verifies_and_is_finished_by_the_next(log: Log) -> None:
    size = log.state()
    with log.database.transaction() as tx:
        pruning.drop(tx, pruning.old(tx, size, -1)[:100])
        tx.commit()
    half = log.verify()
    assert (half.exit.value, half.pruned) == (0, 100)
    assert log.drop(size) == size - 101
    assert log.verify().exit.value == 0


def test_bodies_that_stay_are_still_compared_with_the_tree(log: Log) -> None:
    size = log.state()
    log.drop(size, keep=lambda one: LI in one.about)
    kept = [index for index in log.indexes() if index < size - 1]
    assert kept
    assert all(index % 100 == 7 for index in kept)
    assert log.verify().exit.value == 0
    insider = Insider(log.database)
    insider.alter(kept[1])
    assert found(log.verify()) == (1, What.ALTERED, kept[1])
    insider.remove(kept[0])
    assert found(log.verify()) == (1, What.ALTERED, kept[1])


def test_entries_about_keys_and_published_rules_stay_for_ever(log: Log) -> None:
    kinds = [
        a_read((SIZE + 1) * STEP, kind=Kind.KEY, act="key.rotated"),
        a_read((SIZE + 1) * STEP + 1, kind=Kind.ADMIN, act="rules.published"),
        a_read((SIZE + 1) * STEP + 2),
        a_read((SIZE + 1) * STEP + 3),
    ]
    first = log.append(*kinds) - 3
    later = END + 2 * TERM
    log.append(a_read(later - NOW))
    log.publish(later)
    size = log.state(later - TERM, later)
    assert size == first + 4
    log.drop(size)
    assert log.indexes()[:3] == [first, first + 1, first + 3]
    assert log.verify().exit.value == 0


# --- what the database itself refuses


def test_nothing_is_deleted_before_the_log_has_said_so(log: Log) -> None:
    """SQLite refuses; the function of PostgreSQL finds nothing that it may delete."""
    with log.database.transaction() as tx, suppress(ConflictError):
        pruning.drop(tx, pruning.old(tx, 400, -1))
        tx.commit()
    assert log.indexes() == list(range(SIZE))


@pytest.mark.parametrize(
    ("size", "cutoff", "t", "at"),
    [
        (300, NOW + 300 * STEP, END, SIZE - 1),  # another entry than a statement
        (300, END - FLOOR_MS + 1, END, SIZE),  # a cutoff younger than the floor
        (500, NOW + 400 * STEP, END, SIZE),  # a milestone younger than the cutoff
        (300, NOW + 300 * STEP, END + 1, SIZE),  # another time than the statement's
        (SIZE + 5, END - FLOOR_MS, END, SIZE),  # a milestone that is not there
    ],
)
def test_a_row_that_no_sound_entry_stands_behind_is_refused(
    log: Log, size: int, cutoff: int, t: int, at: int
) -> None:
    row = text("INSERT INTO audit_pruned (size, entry, cutoff, t) VALUES (:size, :entry, :cutoff, :t)")
    good = {"size": 300, "entry": SIZE, "cutoff": NOW + 300 * STEP, "t": END}
    log.append(said(300, NOW + 300 * STEP, END))
    with log.database.transaction() as tx, pytest.raises(ConflictError):
        tx.run(row, {"size": size, "entry": at, "cutoff": cutoff, "t": t})
    with log.database.transaction() as tx:
        tx.run(row, good)
        tx.commit()
    for change in (
        "DELETE FROM audit_pruned",
        "UPDATE audit_pruned SET size = 600",
        "INSERT INTO audit_pruned SELECT size - 1, entry, cutoff, t FROM audit_pruned",
    ):
        with log.database.transaction() as tx, pytest.raises(ConflictError):
            tx.run(text(change), {})


def test_a_clock_that_runs_ahead_of_the_last_signature_prunes_nothing(log: Log) -> None:
    for now in (END + DAY_MS + 1, END - 2 * DAY_MS):
        with pytest.raises(pruning.ClockError):
            log.state(now=now, cutoff=now - TERM)
    ahead = END + 2 * DAY_MS
    log.append(a_read(ahead - NOW))
    with pytest.raises(pruning.ClockError):
        log.state(now=ahead, cutoff=ahead - TERM)
    # Nor does the database take the statement of somebody who does not ask the clock.
    with log.database.transaction() as tx, pytest.raises(ConflictError):
        pruning.state(tx, 300, ahead - TERM, ahead, "")
    log.publish(ahead)
    assert log.state(now=ahead, cutoff=ahead - TERM) > 0


def test_a_cutoff_younger_than_the_floor_is_not_stated(log: Log) -> None:
    with log.database.transaction() as tx, pytest.raises(ValueError, match="kept for longer"):
        pruning.state(tx, 100, END - FLOOR_MS + 1, END, "")


# --- what the verifier refuses, from an insider who owns the database

Deed = Callable[[Insider, int], None]


def _statement_altered(insider: Insider, size: int) -> None:
    leaf = insider.leaf(SIZE)
    insider.put_leaf(SIZE, leaf.replace(b'"n":%d' % size, b'"n":%d' % (size + 40)))
    insider.remove(size - 1, size + 30)


@ON_SQLITE
@pytest.mark.parametrize(
    ("deed", "expected"),
    [
        (lambda i, k: i.remove(k), (1, What.REMOVED, lambda k: k)),
        (lambda i, _: i.remove(600), (1, What.REMOVED, lambda _: 600)),
        (lambda i, _: i.remove(SIZE - 1), (1, What.REMOVED, lambda _: 0)),
        (lambda i, k: i.remove(k - 1), (1, What.REMOVED, lambda _: 0)),
        (lambda i, k: i.alter(k - 1), (1, What.REMOVED, lambda _: 0)),
        (lambda i, k: i.put_leaf(k - 1, i.leaf(600)), (1, What.REMOVED, lambda _: 0)),
        (lambda i, _: i.remove(SIZE), (1, What.REMOVED, lambda _: 0)),
        (lambda i, _: i.run("DELETE FROM audit_pruned"), (1, What.REMOVED, lambda _: 0)),
        (lambda i, _: i.run("UPDATE audit_pruned SET entry = 600"), (1, What.REMOVED, lambda _: 0)),
        (_statement_altered, (1, What.REMOVED, lambda _: 0)),
    ],
    ids=[
        "the first body after the prefix goes",
        "a recent body goes",
        "the entry before the statement goes",
        "the milestone goes",
        "the milestone is altered",
        "another entry in the place of the milestone",
        "the statement goes",
        "the pointer to the statement goes",
        "the pointer points elsewhere",
        "the statement claims more",
    ],
)
def test_what_the_statement_does_not_cover_is_a_removal(
    pruned_log: tuple[Log, int], deed: Deed, expected: tuple[int, What, Callable[[int], int]]
) -> None:
    log, size = pruned_log
    assert log.verify().exit.value == 0
    deed(Insider(log.database), size)
    code, what, first = expected
    assert found(log.verify()) == (code, what, first(size))


def _claim(log: Log, insider: Insider, entry: Entry, size: int, after: int = STEP) -> Report:
    """Let an insider append a statement as the service would, delete what it claims, and hide the rest."""
    at = log.append(entry)
    log.append(a_read(entry.t - NOW + after))
    log.publish(entry.t)
    insider.remove(0, size - 2)
    insider.run("INSERT INTO audit_pruned VALUES (:k, :i, 0, 0)", k=size, i=at)
    return log.verify()


FORGED: dict[str, tuple[Entry, int, int]] = {
    "of recent entries": (said(650, END - FLOOR_MS, END), 650, STEP),
    "of recent entries, with a cutoff younger than the floor": (said(650, END - DAY_MS, END), 650, STEP),
    "of everything up to itself": (said(SIZE, END - FLOOR_MS, END), SIZE, STEP),
    "by a clock that runs ahead": (said(650, END, END + FLOOR_MS), 650, STEP),
    "by a clock that runs ahead and is put right afterwards": (
        said(300, END - TERM, END),
        300,
        -2 * DAY_MS,
    ),
    "by a person": (
        said(300, END - TERM, END, actor=Actor(Party(ActorType.STAFF, STAFF))),
        300,
        STEP,
    ),
    "that was refused": (said(300, END - TERM, END, dec=Verdict.DENY), 300, STEP),
    "of another kind": (said(300, END - TERM, END, kind=Kind.CHANGE), 300, STEP),
    "under another name": (said(300, END - TERM, END, act="log.read"), 300, STEP),
    "whose cutoff is no number": (said(300, 0, END, resource="x"), 300, STEP),
}


@ON_SQLITE
@pytest.mark.parametrize("name", FORGED)
def test_a_statement_that_does_not_hold_excuses_nothing(log: Log, name: str) -> None:
    entry, size, after = FORGED[name]
    assert found(_claim(log, Insider(log.database), entry, size, after)) == (1, What.REMOVED, 0)


@ON_SQLITE
def test_the_same_deed_with_a_sound_statement_is_excused(log: Log) -> None:
    report = _claim(log, Insider(log.database), said(300, END - TERM, END), 300)
    assert (found(report), report.pruned) == ((0, None, None), 299)


@ON_SQLITE
def test_a_forged_statement_beside_a_sound_one_takes_nothing_from_it(pruned_log: tuple[Log, int]) -> None:
    log, size = pruned_log
    insider = Insider(log.database)
    at = log.append(said(SIZE, END - FLOOR_MS, END + STEP))
    insider.run("INSERT INTO audit_pruned VALUES (:k, :i, 0, 0)", k=SIZE, i=at)
    assert log.verify().exit.value == 0
    insider.remove(size + 3)
    assert found(log.verify()) == (1, What.REMOVED, size + 3)


def test_a_check_under_which_entries_are_pruned_begins_again(log: Log) -> None:
    """Bodies go while the verifier reads: the statement that excuses them is newer than its first look."""
    done: list[int] = []

    def reading() -> object:
        if len(done) == 1:  # the head has been read, no entry yet
            log.drop(log.state())
        done.append(1)
        return log.database.reading()

    report = verify_database(reading, [a_signer().key], log.lock.body())  # type: ignore[arg-type]
    assert report.exit.value == 0
    assert report.pruned > 0


def test_a_log_without_a_statement_and_a_broken_leaf_are_told_apart(log: Log) -> None:
    assert pruned.statement_of(b"\xff") is None
    assert pruned.statement_of(b"[1]") is None
    assert pruned.time_of(b"{}") is None
    assert pruned.statement_of(Insider(log.database).leaf(0)) is None
    size = log.state()
    leaf = Insider(log.database).leaf(SIZE)
    assert pruned.statement_of(leaf) == (size, END - TERM, END)
    assert decode(leaf).subjects == ()
