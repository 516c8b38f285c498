"""What an insider does with the database's own tools, and what the verifier says of it.

The log has 650 entries; checkpoints were signed at 100, 300 and 600, the last one also lies outside.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from audit_making import NOW, ORIGIN, WANG, Insider, a_read, a_signer

from audit import checkpoint, ledger
from audit.copies import Difference, differences
from audit.entry import encode
from audit.lockstore import LockStore
from audit.note import Checkpoint
from audit.publishing import NotPublishedError, Standing, examine, first_note, publish
from audit.reading import verify_database
from audit.verdicts import Exit, Report, What
from governance.database import Database

SIZE, SIGNED = 650, (100, 300, 600)
# What is found does not depend on the engine: the long tables run on one, a few deeds on the other too.
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ON_POSTGRESQL = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)


@dataclass
class Log:
    database: Database
    lock: LockStore

    def append(self, first: int, end: int) -> None:
        with self.database.transaction() as tx:
            ledger.append(tx, [a_read(number) for number in range(first, end)])
            tx.commit()

    def publish(self, now: int = NOW) -> str:
        return publish(self.database.transaction, a_signer(), self.lock, now).note

    def verify(self, *, lock: bool = True, seed: int = 7) -> Report:
        outside = self.lock.body() if lock else None
        return verify_database(self.database.reading, [a_signer(seed=seed).key], outside)

    def examine(self) -> Standing:
        with self.database.reading() as tx:
            return examine(tx, self.lock, a_signer())


def found(report: Report) -> tuple[int, What | None, int | None]:
    first = report.first
    return report.exit.value, first and first.what, first and first.first


@pytest.fixture
def log(database: Database, tmp_path: Path) -> Log:
    with database.transaction() as tx:
        ledger.create(tx, ORIGIN)
        tx.commit()
    made = Log(database, LockStore.create(tmp_path / "lock.sqlite", first_note(ORIGIN, a_signer())))
    for first, end in zip((0, *SIGNED), SIGNED, strict=False):
        made.append(first, end)
        made.publish()
    made.append(600, SIZE)
    return made


@pytest.fixture
def insider(log: Log) -> Insider:
    return Insider(log.database)


def test_a_log_nobody_touched_is_in_order(log: Log) -> None:
    report = log.verify()
    assert (report.exit, report.first, report.size, report.signed_size) == (Exit.OK, None, SIZE, 600)
    assert log.examine() is Standing.OK


Deed = Callable[[Insider], None]


def removed_and_renumbered(insider: Insider) -> None:
    insider.remove(259, 260)
    insider.renumber(260, -2)


def slipped_in(insider: Insider) -> None:
    insider.renumber(4, 1)
    insider.run(
        "INSERT INTO audit_entry (leaf_index, leaf, entry_id, decision_id, corr, t, kind, act, dec,"
        " actor_id, behalf_id, purpose) VALUES (5, :leaf, 'x', '', '', 0, '', '', '', '', '', '')",
        leaf=encode(a_read(5)),
    )


def rewritten(insider: Insider) -> None:
    insider.alter(137)
    insider.rebuild()


def rewritten_beside_the_upper_tiles(insider: Insider) -> None:
    insider.alter(137)
    upper, head = insider.tile(1, 0), insider.one("SELECT root FROM audit_head")
    insider.rebuild()
    insider.put_tile(1, 0, upper)
    insider.run("UPDATE audit_head SET root = :r", r=head)


def tile_of_the_entries(insider: Insider) -> None:
    data = insider.tile(0, 1)
    insider.put_tile(0, 1, data[:32] + b"\x00" * 32 + data[64:])


def tile_above(insider: Insider) -> None:
    data = insider.tile(1, 0)
    insider.put_tile(1, 0, data[:32] + b"\x00" * 32)


def truncated(insider: Insider) -> None:
    insider.remove(250, SIZE)
    insider.rebuild()


def truncated_with_its_checkpoints(insider: Insider) -> None:
    truncated(insider)
    insider.run("DELETE FROM audit_checkpoint WHERE size > 250")


@ON_SQLITE
@pytest.mark.parametrize(
    ("deed", "expected"),
    [
        (lambda i: i.alter(0), (1, What.ALTERED, 0)),
        (lambda i: i.alter(137), (1, What.ALTERED, 137)),
        (lambda i: i.alter(SIZE - 1), (1, What.ALTERED, SIZE - 1)),
        (lambda i: (i.alter(300), i.alter(256)), (1, What.ALTERED, 256)),
        (lambda i: i.put_leaf(137, i.leaf(137) + b" "), (1, What.ALTERED, 137)),
        (lambda i: i.put_leaf(137, b""), (1, What.ALTERED, 137)),
        (lambda i: i.put_leaf(137, i.leaf(138)), (1, What.REORDERED, 137)),
        (lambda i: i.remove(0), (1, What.REMOVED, 0)),
        (lambda i: i.remove(259), (1, What.REMOVED, 259)),
        (lambda i: i.remove(200, 300), (1, What.REMOVED, 200)),
        (lambda i: i.remove(SIZE - 1), (1, What.REMOVED, SIZE - 1)),
        (lambda i: i.remove(0, SIZE), (1, What.REMOVED, 0)),
        (removed_and_renumbered, (1, What.REMOVED, 259)),
        (lambda i: i.swap(10, 400), (1, What.REORDERED, 10)),
        (lambda i: i.swap(255, 256), (1, What.REORDERED, 255)),
        (lambda i: i.swap(SIZE - 2, SIZE - 1), (1, What.REORDERED, SIZE - 2)),
        (lambda i: (i.swap(10, 400), i.swap(11, 401)), (1, What.REORDERED, 10)),
        (slipped_in, (1, What.ADDED, 5)),
        (tile_of_the_entries, (1, What.TILE, 257)),
        (tile_above, (1, What.TILE, 256)),
        (rewritten, (1, What.REWRITTEN, 100)),
        (rewritten_beside_the_upper_tiles, (1, What.TILE, 0)),
        (lambda i: i.run("UPDATE audit_head SET root = frontier"), (1, What.HEAD, 600)),
        (lambda i: i.run("UPDATE audit_head SET frontier = root"), (1, What.HEAD, 600)),
        (truncated, (2, What.TRUNCATED, 250)),
        (truncated_with_its_checkpoints, (2, What.TRUNCATED, 250)),
        (lambda i: i.run("UPDATE audit_checkpoint SET note = 'x' WHERE size = 300"), (4, What.FORGED, 0)),
        (lambda i: i.run("DELETE FROM audit_tile WHERE level = 0 AND idx = 1"), (5, What.TILE_MISSING, 256)),
        (lambda i: i.run("DELETE FROM audit_tile WHERE level = 1"), (5, What.TILE_MISSING, 0)),
        (lambda i: i.put_tile(0, 2, i.tile(0, 2)[:-40]), (5, What.TILE_MISSING, SIZE - 2)),
        (lambda i: i.run("DELETE FROM audit_head"), (5, What.NO_HEAD, 0)),
    ],
)
def test_a_deed_is_found_and_named_with_its_place(
    log: Log, insider: Insider, deed: Deed, expected: tuple[int, What, int]
) -> None:
    deed(insider)
    assert found(log.verify()) == expected


@ON_POSTGRESQL
@pytest.mark.parametrize(
    ("deed", "expected"),
    [
        (lambda i: i.alter(137), (1, What.ALTERED, 137)),
        (removed_and_renumbered, (1, What.REMOVED, 259)),
        (lambda i: i.swap(10, 400), (1, What.REORDERED, 10)),
        (tile_of_the_entries, (1, What.TILE, 257)),
        (rewritten, (1, What.REWRITTEN, 100)),
        (truncated_with_its_checkpoints, (2, What.TRUNCATED, 250)),
    ],
)
def test_on_postgresql_too(log: Log, insider: Insider, deed: Deed, expected: tuple[int, What, int]) -> None:
    deed(insider)
    assert found(log.verify()) == expected


@ON_SQLITE
def test_a_removal_is_named_once_with_its_whole_extent(log: Log, insider: Insider) -> None:
    removed_and_renumbered(insider)
    report = log.verify()
    assert [(one.what, one.first, one.end) for one in report.findings] == [(What.REMOVED, 259, 261)]
    insider.remove(100, 110)
    assert [(one.first, one.end) for one in log.verify().findings] == [(100, 111), (259, 261)]


@ON_SQLITE
def test_findings_come_as_sentences_without_a_word_of_the_entries(log: Log, insider: Insider) -> None:
    insider.remove(259, 260)
    finding = log.verify().findings[0]
    assert finding.sentence("en") == "Entries 259 to 260 were removed."
    assert finding.sentence("zh") == "序号 259 至 260 的记录被删除。"
    for what in What:
        assert what.zh
        assert what.en


@ON_SQLITE
def test_an_exchanged_history_is_bounded_by_the_checkpoints_around_it(log: Log, insider: Insider) -> None:
    rewritten(insider)
    report = log.verify()
    assert [(one.what, one.first, one.end) for one in report.findings] == [(What.REWRITTEN, 100, 300)]


@ON_SQLITE
def test_hundreds_of_changes_are_all_counted_and_the_first_hundred_listed(log: Log, insider: Insider) -> None:
    insider.run("UPDATE audit_entry SET leaf = CAST('x' AS BLOB)")
    report = log.verify()
    assert found(report) == (1, What.ALTERED, 0)
    assert (len(report.findings), report.total) == (100, SIZE)


def test_rewriting_back_to_an_older_checkpoint_and_deleting_the_rest_is_a_fork(
    log: Log, insider: Insider
) -> None:
    insider.alter(400)
    insider.rebuild()
    insider.run("DELETE FROM audit_checkpoint WHERE size > 300")
    assert found(log.verify()) == (3, What.FORK, 300)
    assert log.examine() is Standing.FORK


@ON_SQLITE
def test_another_history_of_the_same_size_outside_is_a_fork(log: Log) -> None:
    note = checkpoint.sign(a_signer(), Checkpoint(ORIGIN, 600, b"\x01" * 32))
    assert log.lock.swap(log.lock.body(), note)
    assert found(log.verify()) == (3, What.FORK, 600)
    assert log.examine() is Standing.FORK


@ON_SQLITE
def test_without_the_note_outside_the_logs_own_checkpoints_show_a_truncation(
    log: Log, insider: Insider
) -> None:
    truncated(insider)
    assert found(log.verify(lock=False)) == (2, What.TRUNCATED, 250)


@ON_SQLITE
def test_what_nobody_signed_can_be_rewritten_unseen_and_the_report_says_how_far_it_vouches(
    log: Log, insider: Insider
) -> None:
    insider.alter(SIZE - 1)
    insider.rebuild()
    report = log.verify()
    assert (report.exit, report.signed_size, report.size) == (Exit.OK, 600, SIZE)


@ON_SQLITE
@pytest.mark.parametrize(
    ("note", "expected"),
    [
        (checkpoint.sign(a_signer(seed=8), Checkpoint(ORIGIN, 200, b"\x01" * 32)), (4, What.FORGED, 200)),
        (
            checkpoint.sign(a_signer(), Checkpoint("other.example/log", 200, b"\x01" * 32)),
            (4, What.ORIGIN, 200),
        ),
        (checkpoint.sign(a_signer(), Checkpoint(ORIGIN, 200, b"\x01" * 32)), (1, What.REWRITTEN, 100)),
        (checkpoint.sign(a_signer(), Checkpoint(ORIGIN, 700, b"\x01" * 32)), (2, What.TRUNCATED, SIZE)),
    ],
    ids=["unknown key", "another log", "a root the log never had", "larger than the log"],
)
def test_a_checkpoint_slipped_in_is_named(
    log: Log, insider: Insider, note: str, expected: tuple[int, What, int]
) -> None:
    insider.run("INSERT INTO audit_checkpoint (size, note, t) VALUES (200, :note, 0)", note=note)
    assert found(log.verify()) == expected


@ON_SQLITE
def test_a_forged_note_outside_is_named_and_refused_at_the_start(log: Log) -> None:
    forged = checkpoint.sign(a_signer(seed=8), Checkpoint(ORIGIN, 0, b"\x01" * 32))
    assert log.lock.swap(log.lock.body(), forged)
    assert found(log.verify()) == (4, What.FORGED, 0)
    assert log.examine() is Standing.FORGED
    with pytest.raises(NotPublishedError) as caught:
        log.publish()
    assert caught.value.standing is Standing.FORGED


@ON_SQLITE
def test_without_keys_no_signature_counts(log: Log) -> None:
    report = verify_database(log.database.reading, (), None)
    assert (report.exit, report.signed_size) == (Exit.UNSIGNED, 0)


def test_verifying_goes_on_while_others_write(log: Log) -> None:
    stop = threading.Event()

    def write() -> None:
        number = SIZE
        while not stop.is_set():
            log.append(number, number + 3)
            log.publish()
            number += 3

    writer = threading.Thread(target=write)
    writer.start()
    try:
        reports = [log.verify() for _ in range(5)]
    finally:
        stop.set()
        writer.join()
    assert [report.exit for report in reports] == [Exit.OK] * 5
    assert log.verify().size > SIZE


# --- search copies


def test_search_copies_of_an_untouched_log_fit(log: Log) -> None:
    assert list(differences(log.database.reading)) == []


@ON_SQLITE
@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("UPDATE audit_entry SET act = 'write' WHERE leaf_index = 300", (300, "act")),
        ("UPDATE audit_entry SET t = t + 1 WHERE leaf_index = 0", (0, "t")),
        ("UPDATE audit_entry SET entry_id = 'x' WHERE leaf_index = 9", (9, "entry_id")),
        ("UPDATE audit_entry SET behalf_id = '' WHERE leaf_index = 9", (9, "behalf_id")),
        ("DELETE FROM audit_subject WHERE leaf_index = 300", (300, "subject")),
        ("UPDATE audit_subject SET t = 0 WHERE leaf_index = 300", (300, "subject")),
        ("UPDATE audit_subject SET leaf_index = 10000 WHERE leaf_index = 300", (300, "subject")),
    ],
)
def test_a_changed_search_copy_is_named(
    log: Log, insider: Insider, statement: str, expected: tuple[int, str]
) -> None:
    insider.run(statement)
    assert list(differences(log.database.reading)) == [Difference(*expected)]
    assert log.verify().exit is Exit.OK


@ON_SQLITE
def test_index_rows_that_no_leaf_asks_for_are_named(log: Log, insider: Insider) -> None:
    insider.run("INSERT INTO audit_subject (subject, leaf_index, t) VALUES (:s, 7, 0)", s=b"pseudonym-nobody")
    assert list(differences(log.database.reading)) == [Difference(7, "subject")]


@ON_SQLITE
def test_a_leaf_that_cannot_be_read_is_named(log: Log, insider: Insider) -> None:
    insider.put_leaf(3, b"{}")
    assert Difference(3, "leaf") in list(differences(log.database.reading))
    with log.database.reading() as tx, pytest.raises(ledger.LogError):
        ledger.accesses(tx, WANG, 4, 1)
