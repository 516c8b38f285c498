"""Pending entries and the one who gives them their places, on PostgreSQL, where writers run side by side."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from audit_making import LI, NOW, ORIGIN, WANG, Insider, a_read, in_threads
from sqlalchemy import text

from audit import ledger
from audit.entry import Entry, Kind, Verdict, decode
from audit.ledger import LogError
from audit.reading import leaves, verify_database
from audit.sequencing import BATCH, Recorded
from audit.verdicts import Exit
from governance.database import Database, StoreError
from policies.transaction import Transaction

only_postgres = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)


@pytest.fixture
def log(database: Database) -> Iterator[Database]:
    with database.transaction() as tx:
        ledger.create(tx, ORIGIN)
        tx.commit()
    return database


def record(log: Database, *entries: Entry) -> list[Recorded]:
    with log.transaction() as tx:
        recorded = ledger.record(tx, entries)
        tx.commit()
    return recorded


def integrate(log: Database) -> int:
    with log.transaction() as tx:
        size = ledger.integrate(tx, NOW)
        tx.commit()
    return size


def entries(log: Database) -> list[Entry]:
    """Every entry, after a check of the whole log."""
    report = verify_database(log.reading, (), None)
    assert report.exit is Exit.OK
    return [decode(leaf) for _, leaf in leaves(log.reading, report.size)]


def pending(log: Database) -> int:
    with log.reading() as tx:
        return int(tx.rows(text("SELECT count(*) FROM audit_pending"))[0][0])


def test_what_is_recorded_has_a_place_at_once_where_writers_queue_and_later_where_they_do_not(
    log: Database,
) -> None:
    first, second = a_read(1), a_read(2)
    recorded = record(log, first, second)
    assert [one.entry_id for one in recorded] == [first.id, second.id]
    assert [one.index for one in recorded] == ([None, None] if log.concurrent else [0, 1])
    assert integrate(log) == 2
    assert entries(log) == [first, second]
    with log.reading() as tx:
        assert ledger.places_of(tx, [second.id, first.id]) == {first.id: 0, second.id: 1}


@only_postgres
def test_a_transaction_that_is_rolled_back_leaves_no_gap(log: Database) -> None:
    record(log, first := a_read(1))
    with log.transaction() as tx:
        ledger.record(tx, [a_read(2)])
    record(log, third := a_read(3))
    assert integrate(log) == 2
    assert entries(log) == [first, third]


@only_postgres
def test_an_entry_that_commits_late_is_placed_late_and_never_lost(log: Database) -> None:
    """Its number is lower than that of what was placed before; comparing numbers would drop it."""
    with log.transaction() as late:
        ledger.record(late, [slow := a_read(1)])
        record(log, quick := a_read(2))
        assert integrate(log) == 1
        late.commit()
    assert integrate(log) == 2
    assert entries(log) == [quick, slow]


@only_postgres
def test_what_must_know_its_place_comes_after_everything_committed_before_it(log: Database) -> None:
    """A withdrawal must not stand before the read that preceded it."""
    record(log, read := a_read(1, WANG))
    with log.transaction() as tx:
        receipt = ledger.append(tx, [withdrawal := a_read(2, WANG, act="consent.withdrawn")])[0]
        tx.commit()
    assert receipt.index == 1
    assert entries(log) == [read, withdrawal]
    assert pending(log) == 0


@only_postgres
def test_more_than_one_batch_keeps_its_order_and_its_search_copies(log: Database) -> None:
    many = [a_read(number, WANG, LI) for number in range(BATCH + 10)]
    record(log, *many)
    assert integrate(log) == len(many)
    assert entries(log) == many
    with log.reading() as tx:
        assert [index for index, _ in ledger.accesses(tx, LI, None, 3)] == [BATCH + 9, BATCH + 8, BATCH + 7]


@only_postgres
def test_integrators_of_many_processes_place_each_entry_once(log: Database) -> None:
    made = [a_read(number) for number in range(240)]

    def work(number: int) -> None:
        for one in made[number * 30 : number * 30 + 30]:
            record(log, one)
            integrate(log)

    in_threads(8, work)
    assert sorted(one.t for one in entries(log)) == [one.t for one in made]
    assert pending(log) == 0


@only_postgres
def test_an_integrator_that_dies_on_the_way_leaves_everything_pending(log: Database) -> None:
    record(log, *(made := [a_read(number) for number in range(5)]))
    with log.transaction() as tx:
        assert ledger.integrate(tx, NOW) == 5
        # No commit: the process is gone.
    assert pending(log) == 5
    assert integrate(log) == 5
    assert entries(log) == made


@only_postgres
@pytest.mark.parametrize("by", ["another leaf", "no leaf at all"])
def test_a_leaf_that_was_changed_while_it_waited_gets_no_place_and_the_log_says_so(
    log: Database, by: str
) -> None:
    record(log, a_read(1, dec=Verdict.DENY), other := a_read(2))
    insider = Insider(log)
    insider.run("ALTER TABLE audit_pending DISABLE TRIGGER ALL")
    leaf = bytes(insider.one("SELECT leaf FROM audit_pending ORDER BY seq LIMIT 1"))
    changed = leaf.replace(b'"deny"', b'"permit"') if by == "another leaf" else b"\x00nothing"
    insider.run("UPDATE audit_pending SET leaf = :changed WHERE leaf = :leaf", changed=changed, leaf=leaf)
    assert integrate(log) == 2
    alarm, whole = entries(log)
    assert (alarm.kind, alarm.act, alarm.dec) == (Kind.AUDIT, "log.pending_altered", Verdict.ERROR)
    assert alarm.resource.startswith("aud_")
    assert whole == other
    assert changed not in [leaf for _, leaf in leaves(log.reading, 2)]


@only_postgres
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_tile SET data = sha256('x') || substring(data FROM 33) WHERE level = 0",
        "UPDATE audit_head SET root = sha256('x')",
        "UPDATE audit_head SET size = 1, frontier = substring(frontier FROM 1 FOR 32)",
        "DELETE FROM audit_tile",
    ],
    ids=["a tile was rewritten", "the root was exchanged", "the head was moved back", "a tile is gone"],
)
def test_nobody_goes_on_from_a_head_that_does_not_fit_its_tiles(log: Database, statement: str) -> None:
    record(log, a_read(1), a_read(2), a_read(3))
    integrate(log)
    Insider(log).run(statement)
    record(log, a_read(4))
    with pytest.raises(LogError):
        integrate(log)
    assert pending(log) == 1


@only_postgres
def test_what_is_pending_is_not_changed_by_ordinary_means(log: Database) -> None:
    record(log, a_read(1))
    for statement in ("UPDATE audit_pending SET leaf = '\\x00'", "TRUNCATE audit_pending"):

        def attempt(tx: Transaction, statement: str = statement) -> None:
            tx.run(text(statement), {})

        with log.transaction() as tx, pytest.raises(StoreError):
            attempt(tx)
    assert integrate(log) == 1


def test_sixty_four_writers_lose_nothing_and_take_nothing_twice(log: Database) -> None:
    """64,000 commits of their own, with an integrator beside them."""
    done = threading.Event()
    kept: list[str] = []

    def work(number: int) -> None:
        mine = [record(log, a_read(number * 1000 + turn))[0].entry_id for turn in range(1000)]
        kept.extend(mine)

    def integrator() -> None:
        while not done.is_set():
            integrate(log)

    beside = threading.Thread(target=integrator)
    if log.concurrent:
        beside.start()
    try:
        in_threads(64, work)
    finally:
        done.set()
        if log.concurrent:
            beside.join()
    assert integrate(log) == len(kept) == 64_000
    found = entries(log)
    assert {one.id for one in found} == set(kept)
    assert sorted(one.t - NOW for one in found) == list(range(64_000))
