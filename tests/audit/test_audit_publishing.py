"""Publishing checkpoints: order, crashes in between, two signers, and the question at the start."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import pytest
from audit_making import NOW, ORIGIN, Insider, a_read, a_signer
from sqlalchemy import text

from audit import ledger
from audit.checkpoint import open_checkpoint
from audit.lockstore import LockStore, LockStoreError
from audit.publishing import NotPublishedError, Standing, examine, first_note, publish
from governance.database import Database

# The rules are the same on both engines; what touches the database differently is tried on both.
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def log(database: Database) -> Database:
    with database.transaction() as tx:
        ledger.create(tx, ORIGIN)
        tx.commit()
    return database


@pytest.fixture
def lock(tmp_path: Path) -> LockStore:
    return LockStore.create(tmp_path / "lock.sqlite", first_note(ORIGIN, a_signer()))


def append(log: Database, *numbers: int) -> None:
    with log.transaction() as tx:
        ledger.append(tx, [a_read(number) for number in numbers])
        tx.commit()


def stored(log: Database) -> list[tuple[int, str, int]]:
    with log.reading() as tx:
        return [
            tuple(row) for row in tx.rows(text("SELECT size, note, t FROM audit_checkpoint ORDER BY size"))
        ]


def standing(log: Database, lock: LockStore) -> Standing:
    with log.reading() as tx:
        return examine(tx, lock, a_signer())


def test_a_checkpoint_is_signed_kept_outside_and_stored(log: Database, lock: LockStore) -> None:
    append(log, 1, 2, 3)
    published = publish(log.transaction, a_signer(), lock, NOW)
    assert published.fresh
    assert lock.body() == published.note
    assert open_checkpoint(published.note, [a_signer().key]) == published.checkpoint
    with log.reading() as tx:
        head = ledger.head(tx)
    assert (published.checkpoint.size, published.checkpoint.root) == (3, head.root)
    assert stored(log)[-1] == (3, published.note, NOW)


@ON_SQLITE
def test_the_same_head_is_not_signed_twice(log: Database, lock: LockStore) -> None:
    append(log, 1)
    first = publish(log.transaction, a_signer(), lock, NOW)
    again = publish(log.transaction, a_signer(), lock, NOW + 1)
    assert not again.fresh
    assert again.note == first.note
    assert stored(log)[-1][2] == NOW


@ON_SQLITE
def test_an_empty_log_stands_on_its_first_note(log: Database, lock: LockStore) -> None:
    assert standing(log, lock) is Standing.OK
    assert not publish(log.transaction, a_signer(), lock, NOW).fresh


class CrashError(Exception):
    pass


def test_a_crash_after_the_note_went_out_is_mended_by_the_next_call(log: Database, lock: LockStore) -> None:
    append(log, 1, 2)
    opened = 0

    @contextmanager
    def failing() -> Iterator[Any]:
        nonlocal opened
        opened += 1
        if opened == 2:
            raise CrashError
        with log.transaction() as tx:
            yield tx

    with pytest.raises(CrashError):
        publish(failing, a_signer(), lock, NOW)
    assert open_checkpoint(lock.body(), [a_signer().key]).size == 2
    assert [size for size, _, _ in stored(log)] == [0]
    assert standing(log, lock) is Standing.OK
    append(log, 3)
    publish(log.transaction, a_signer(), lock, NOW + 5)
    assert [(size, t) for size, _, t in stored(log)] == [(0, NOW), (2, NOW + 5), (3, NOW + 5)]


def test_of_two_signers_with_one_lock_the_second_fails(log: Database, lock: LockStore) -> None:
    append(log, 1)
    depth = 0

    @contextmanager
    def overtaken() -> Iterator[Any]:
        nonlocal depth
        depth += 1
        with log.transaction() as tx:
            yield tx
        if depth == 1:
            append(log, 2)
            publish(log.transaction, a_signer(), lock, NOW)

    with pytest.raises(NotPublishedError) as caught:
        publish(overtaken, a_signer(), lock, NOW)
    assert caught.value.standing is Standing.OK
    assert open_checkpoint(lock.body(), [a_signer().key]).size == 2
    assert [size for size, _, _ in stored(log)] == [0, 2]


@ON_SQLITE
def test_a_log_cut_back_is_not_signed_and_not_started(log: Database, lock: LockStore) -> None:
    append(log, *range(10))
    publish(log.transaction, a_signer(), lock, NOW)
    insider = Insider(log)
    insider.remove(8, 9)
    insider.rebuild()
    assert standing(log, lock) is Standing.ROLLBACK
    with pytest.raises(NotPublishedError) as caught:
        publish(log.transaction, a_signer(), lock, NOW)
    assert caught.value.standing is Standing.ROLLBACK


@ON_SQLITE
@pytest.mark.parametrize("grown", [0, 3])
def test_a_rewritten_log_is_not_signed_and_not_started(log: Database, lock: LockStore, grown: int) -> None:
    append(log, *range(10))
    publish(log.transaction, a_signer(), lock, NOW)
    insider = Insider(log)
    insider.alter(4)
    insider.rebuild()
    append(log, *range(10, 10 + grown))
    assert standing(log, lock) is Standing.FORK
    with pytest.raises(NotPublishedError) as caught:
        publish(log.transaction, a_signer(), lock, NOW)
    assert caught.value.standing is Standing.FORK


@ON_SQLITE
def test_a_log_whose_tiles_are_gone_is_not_signed(log: Database, lock: LockStore) -> None:
    append(log, *range(3))
    publish(log.transaction, a_signer(), lock, NOW)
    append(log, 4)
    Insider(log).run("DELETE FROM audit_tile")
    assert standing(log, lock) is Standing.FORK


@ON_SQLITE
def test_the_note_of_another_log_is_a_fork(log: Database, tmp_path: Path) -> None:
    other = LockStore.create(tmp_path / "other.sqlite", first_note("other.example/log", a_signer()))
    assert standing(log, other) is Standing.FORK
    assert stored(log) == []


def test_a_standing_has_no_truth_value() -> None:
    with pytest.raises(TypeError):
        bool(Standing.OK)


# --- the lock store by itself


def test_of_many_swaps_from_one_note_one_succeeds(tmp_path: Path) -> None:
    store = LockStore.create(tmp_path / "lock.sqlite", "old")
    won: list[bool] = []
    threads = [
        threading.Thread(
            target=lambda number=number: won.append(
                LockStore(tmp_path / "lock.sqlite").swap("old", f"new {number}")
            )
        )
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 7 + [True]
    assert store.body().startswith("new")


def test_opening_never_creates_and_creating_never_replaces(tmp_path: Path) -> None:
    path = tmp_path / "lock.sqlite"
    with pytest.raises(LockStoreError):
        LockStore(path)
    assert not path.exists()
    LockStore.create(path, "note")
    with pytest.raises(LockStoreError):
        LockStore.create(path, "other")
    assert LockStore(path).body() == "note"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_damaged_lock_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lock.sqlite"
    path.write_bytes(b"no database" * 100)
    with pytest.raises(LockStoreError):
        LockStore(path)
    other = tmp_path / "empty.sqlite"
    connection = apsw.Connection(str(other))
    connection.execute("CREATE TABLE lock (only INTEGER PRIMARY KEY, body TEXT)")
    connection.close()
    with pytest.raises(LockStoreError):
        LockStore(other)


def test_a_lock_store_that_vanished_cannot_be_swapped(tmp_path: Path) -> None:
    path = tmp_path / "lock.sqlite"
    store = LockStore.create(path, "note")
    path.unlink()
    with pytest.raises(LockStoreError):
        store.swap("note", "new")
