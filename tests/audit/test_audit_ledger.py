"""Appending inside a transaction, on both engines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from audit_making import DECISION, LI, NOW, ORIGIN, WANG, Insider, a_read, in_threads
from sqlalchemy import make_url, text

from audit import ledger
from audit.entry import EntryRefusedError, Kind, encode
from audit.ledger import LogError
from audit.reading import tile_fetch, verify_database
from audit.tiles import node_reader
from audit.tree import EMPTY_ROOT, includes, inclusion, leaf_hash
from audit.verdicts import Exit
from governance.database import ConflictError, Database
from policies.transaction import Transaction

MEMBERS = ("mem_01900000-0000-7000-8000-00000000000a", "mem_01900000-0000-7000-8000-00000000000b")


@pytest.fixture
def log(database: Database) -> Database:
    with database.transaction() as tx:
        ledger.create(tx, ORIGIN)
        tx.commit()
    return database


def append(log: Database, *entries: Any) -> list[ledger.Receipt]:
    with log.transaction() as tx:
        receipts = ledger.append(tx, entries)
        tx.commit()
    return receipts


def test_a_new_log_is_empty_and_is_created_once(log: Database) -> None:
    with log.transaction() as tx:
        assert (ledger.head(tx).size, ledger.head(tx).root) == (0, EMPTY_ROOT)
        assert ledger.recent(tx, None, 10) == []
        with pytest.raises(LogError):
            ledger.create(tx, ORIGIN)


def test_a_log_needs_a_name_that_can_stand_in_a_checkpoint(database: Database) -> None:
    for origin in ("", "two words", "a+b", "line\nbreak", "non\u00a0breaking"):
        with database.transaction() as tx, pytest.raises(ValueError, match="origin"):
            ledger.create(tx, origin)


def test_nothing_is_appended_to_a_log_that_nobody_created(database: Database) -> None:
    with database.transaction() as tx:
        with pytest.raises(LogError):
            ledger.append(tx, [a_read()])
        with pytest.raises(LogError):
            ledger.head(tx)


def test_a_receipt_says_where_the_entry_stands_and_the_tree_agrees(log: Database) -> None:
    append(log, *(a_read(number) for number in range(3)))
    entries = [a_read(3), a_read(4)]
    receipts = append(log, *entries)
    assert [receipt.index for receipt in receipts] == [3, 4]
    assert [receipt.entry_id for receipt in receipts] == [entry.id for entry in entries]
    with log.transaction() as tx:
        state = ledger.head(tx)
        proof = inclusion(4, 5, node_reader(tile_fetch(tx)))
    assert receipts[1].leaf_hash == leaf_hash(encode(entries[1]))
    assert includes(4, state.size, receipts[1].leaf_hash, proof, state.root)


def test_appending_nothing_is_nothing(log: Database) -> None:
    assert append(log) == []


def test_a_transaction_left_without_commit_leaves_no_trace(log: Database) -> None:
    append(log, a_read(1))
    with log.transaction() as tx:
        ledger.append(tx, [a_read(2), a_read(3)])
        ledger.pseudonyms(tx, MEMBERS)
    with log.transaction() as tx:
        assert ledger.head(tx).size == 1
        assert [index for index, _ in ledger.recent(tx, None, 9)] == [0]
        assert ledger.accesses(tx, WANG, None, 9)[0][1].t == NOW + 1
        assert tx.rows(text("SELECT count(*) FROM subject_pseudonym"))[0][0] == 0
    assert append(log, a_read(4))[0].index == 1


def test_an_entry_of_the_wrong_shape_stops_its_whole_batch(log: Database) -> None:
    with log.transaction() as tx:
        with pytest.raises(EntryRefusedError):
            ledger.append(tx, [a_read(1), a_read(2, b"short")])
        tx.commit()
    with log.transaction() as tx:
        assert ledger.head(tx).size == 0


def test_of_two_entries_with_one_id_the_first_is_found(log: Database) -> None:
    entry = a_read(1)
    append(log, a_read(0), entry, entry)
    append(log, entry)
    with log.transaction() as tx:
        assert ledger.entry_with_id(tx, entry.id) == (1, entry)
        assert ledger.places_of(tx, [entry.id]) == {entry.id: 1}


def test_across_tiles_in_uneven_batches_the_whole_log_verifies(log: Database) -> None:
    number = 0
    for batch in (1, 254, 1, 1, 300, 512):
        append(log, *(a_read(number + at) for at in range(batch)))
        number += batch
    report = verify_database(log.reading, (), None)
    assert (report.exit, report.size, report.findings) == (Exit.OK, number, ())
    with log.transaction() as tx:
        assert report.root == ledger.head(tx).root


def test_who_saw_my_data_lists_own_entries_newest_first_page_by_page(log: Database) -> None:
    append(log, *(a_read(number, WANG if number % 2 else LI) for number in range(10)))
    append(log, a_read(10, WANG, LI), a_read(11, WANG, WANG))
    with log.transaction() as tx:
        first = ledger.accesses(tx, WANG, None, 3)
        rest = ledger.accesses(tx, WANG, first[-1][0], 9)
        assert [index for index, _ in first] == [11, 10, 9]
        assert [index for index, _ in rest] == [7, 5, 3, 1]
        assert all(WANG in entry.subjects for _, entry in first + rest)
        assert [index for index, _ in ledger.accesses(tx, LI, None, 2)] == [10, 8]
        assert ledger.accesses(tx, b"pseudonym-nobody", None, 9) == []


def test_an_index_row_that_points_at_somebody_elses_entry_shows_nothing(log: Database) -> None:
    append(log, a_read(0, LI))
    with log.transaction() as tx:
        index_row = text("INSERT INTO audit_subject (subject, leaf_index, t) VALUES (:subject, 0, 0)")
        tx.run(index_row, {"subject": WANG})
        assert ledger.accesses(tx, WANG, None, 9) == []
        assert len(ledger.accesses(tx, LI, None, 9)) == 1


def test_a_decision_is_found_by_its_id_and_its_outcome_does_not_hide_it(log: Database) -> None:
    append(log, a_read(0), a_read(1, decision=DECISION), a_read(2, decision=DECISION, kind=Kind.OUTCOME))
    with log.transaction() as tx:
        found = ledger.entry_of_decision(tx, DECISION)
        assert found is not None
        assert (found[0], found[1].t) == (1, NOW + 1)
        assert ledger.entry_of_decision(tx, DECISION[:-1] + "9") is None


def test_recent_entries_come_newest_first_page_by_page(log: Database) -> None:
    append(log, *(a_read(number) for number in range(5)))
    with log.transaction() as tx:
        assert [index for index, _ in ledger.recent(tx, None, 2)] == [4, 3]
        assert [entry.t - NOW for _, entry in ledger.recent(tx, 3, 9)] == [2, 1, 0]


def test_a_subject_keeps_its_random_name_until_it_is_forgotten(log: Database) -> None:
    with log.transaction() as tx:
        names = ledger.pseudonyms(tx, MEMBERS)
        assert ledger.pseudonyms(tx, [MEMBERS[1], MEMBERS[1]]) == {MEMBERS[1]: names[MEMBERS[1]]}
        assert ledger.pseudonyms(tx, []) == {}
        tx.commit()
    assert {len(name) for name in names.values()} == {16}
    assert len(set(names.values())) == 2
    with log.transaction() as tx:
        assert ledger.pseudonyms(tx, MEMBERS) == names
        tx.run(text("DELETE FROM subject_pseudonym WHERE subject_id = :id"), {"id": MEMBERS[0]})
        again = ledger.pseudonyms(tx, MEMBERS)
    assert again[MEMBERS[0]] != names[MEMBERS[0]]
    assert again[MEMBERS[1]] == names[MEMBERS[1]]


def test_eight_writers_leave_no_gap_no_twin_and_one_tree(log: Database) -> None:
    receipts: list[ledger.Receipt] = []

    def work(writer: int) -> None:
        for number in range(100):
            receipts.extend(append(log, a_read(writer * 1000 + number)))

    in_threads(8, work)
    assert sorted(receipt.index for receipt in receipts) == list(range(800))
    assert len({receipt.entry_id for receipt in receipts}) == 800
    report = verify_database(log.reading, (), None)
    assert (report.exit, report.size) == (Exit.OK, 800)


class Overtaken:
    """A transaction that another one overtakes right after its first look."""

    def __init__(self, tx: Transaction, overtake: Callable[[], None]) -> None:
        self._tx, self._overtake = tx, overtake

    def rows(self, *call: Any) -> Any:
        found = self._tx.rows(*call)
        overtake, self._overtake = self._overtake, lambda: None
        overtake()
        return found

    def run(self, *call: Any) -> int:
        return self._tx.run(*call)


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_two_transactions_that_meet_a_subject_first_agree_on_its_name(log: Database) -> None:
    names = []

    def overtake() -> None:
        with log.transaction() as tx:
            names.append(ledger.pseudonyms(tx, MEMBERS))
            tx.commit()

    with log.transaction() as tx:
        names.append(ledger.pseudonyms(Overtaken(tx, overtake), MEMBERS))
        tx.commit()
    assert names[0] == names[1]


CHANGES = (
    "UPDATE audit_entry SET act = 'write'",
    "UPDATE audit_entry SET leaf = leaf",
    "DELETE FROM audit_entry",
    "UPDATE audit_checkpoint SET note = 'x'",
    "DELETE FROM audit_checkpoint",
    "DELETE FROM audit_tile",
    "UPDATE audit_tile SET data = leaf FROM audit_entry",
    "UPDATE audit_tile SET idx = 5",
    "UPDATE audit_subject SET t = 0",
    "DELETE FROM audit_subject",
    "UPDATE audit_head SET size = 0",
    "UPDATE audit_head SET origin = 'x'",
    "UPDATE audit_head SET root = frontier",
    "DELETE FROM audit_head",
)
CHANGES_OF_ENGINE = {
    "sqlite": (
        "INSERT OR REPLACE INTO audit_entry SELECT * FROM audit_entry",
        "INSERT OR REPLACE INTO audit_checkpoint SELECT * FROM audit_checkpoint",
    ),
    "postgresql": tuple(
        f"TRUNCATE audit_{one}" for one in ("entry", "checkpoint", "tile", "subject", "head", "pruned")
    ),
}


def test_the_guards_refuse_to_change_what_was_written(log: Database, database_url: str) -> None:
    append(log, a_read())
    with log.transaction() as tx:
        tx.run(text("INSERT INTO audit_checkpoint (size, note, t) VALUES (1, 'n', 0)"), {})
        tx.commit()
    engine = make_url(database_url).get_backend_name()
    for statement in (*CHANGES, *CHANGES_OF_ENGINE[engine]):
        with log.transaction() as tx, pytest.raises(ConflictError):
            tx.run(text(statement), {})


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE audit_head SET size = size + 1",
        "UPDATE audit_head SET frontier = root",
        "UPDATE audit_head SET size = 2",
        "UPDATE audit_head SET size = 5",
        "DELETE FROM audit_head",
    ],
)
def test_a_log_damaged_where_it_would_grow_is_not_extended(log: Database, damage: str) -> None:
    append(log, a_read(1), a_read(2), a_read(3))
    Insider(log).run(damage)
    with log.transaction() as tx, pytest.raises(LogError):
        ledger.append(tx, [a_read(4)])
