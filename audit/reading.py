"""Feeds the verifier from a database, while writing goes on.

Promises one fixed view without one long transaction: the head is read first, entries only grow behind it
and tiles only at their end, so short readings add up to the log as it was at that head. Reads in pieces of
a few thousand entries; holds no more than one piece.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Final

from sqlalchemy import bindparam, func, select

from audit import checkpoint
from audit.heads import READ_HEAD
from audit.note import Key
from audit.records import AuditCheckpoint, AuditEntry, AuditPruned, AuditTile
from audit.tiles import Fetch
from audit.verdicts import Report
from audit.verify import Head, Pruning, verify
from policies.transaction import Transaction

Reader = Callable[[], AbstractContextManager[Transaction]]
"""Opens a short reading transaction, e.g. ``database.reading``."""

PIECE: Final = 4096
_entry = AuditEntry.__table__.c
_tile = AuditTile.__table__.c
_checkpoint = AuditCheckpoint.__table__.c

_LAST: Final = select(func.max(_entry.leaf_index))
_LEAVES: Final = (
    select(_entry.leaf_index, _entry.leaf)
    .where(_entry.leaf_index > bindparam("after"), _entry.leaf_index < bindparam("size"))
    .order_by(_entry.leaf_index)
    .limit(bindparam("most"))
)
_TILE: Final = select(_tile.data).where(_tile.level == bindparam("level"), _tile.idx == bindparam("at"))
_NOTES: Final = select(_checkpoint.note).order_by(_checkpoint.size)
_pruned = AuditPruned.__table__.c
_STATEMENTS: Final = select(_pruned.entry).order_by(_pruned.size.desc())
_ONE: Final = select(_entry.leaf).where(_entry.leaf_index == bindparam("at"))
_TRIES: Final = 3
"""How often a check begins again because entries were pruned under it; that happens once a day at most."""


def tile_fetch(tx: Transaction) -> Fetch:
    """Return a function that reads tiles within ``tx``; a missing tile is empty."""

    def fetch(level: int, index: int) -> bytes:
        rows = tx.rows(_TILE, {"level": level, "at": index})
        return bytes(rows[0][0]) if rows else b""

    return fetch


def head_as_stored(tx: Transaction) -> Head | None:
    """Return the head as it stands in the database, damaged or not; None when there is no log."""
    last = tx.rows(_LAST)[0][0]
    for origin, size, frontier, top in tx.rows(READ_HEAD):
        return Head(origin, size, bytes(top), bytes(frontier), 0 if last is None else last + 1)
    return None


def leaves(reader: Reader, size: int, first: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield the stored entries from index ``first`` on and below ``size``, in order, as they are."""
    after = first - 1
    while True:
        with reader() as tx:
            rows = tx.rows(_LEAVES, {"after": after, "size": size, "most": PIECE})
        for index, leaf in rows:
            yield index, bytes(leaf)
        if len(rows) < PIECE:
            return
        after = rows[-1][0]


def leaf_at(reader: Reader) -> Callable[[int], bytes | None]:
    """Return a function that reads the body of one entry; None where there is none."""

    def leaf(index: int) -> bytes | None:
        with reader() as tx:
            rows = tx.rows(_ONE, {"at": index})
        return bytes(rows[0][0]) if rows else None

    return leaf


def verify_database(reader: Reader, keys: Sequence[Key], lock: str | None) -> Report:
    """Check the whole log of a database.

    ``lock`` is the note from the lock store, read *before* this call: what is signed while the check runs
    would otherwise look like a rollback. None only where there is no lock store.
    """
    for _ in range(_TRIES):
        report, stated = _verified(reader, keys, lock)
        with reader() as tx:
            since = statements(tx)
        if not report.findings or since == stated:
            break
    return report


def statements(tx: Transaction) -> list[int]:
    """Return where statements about pruned entries are said to stand, newest first; none is trusted."""
    return [index for (index,) in tx.rows(_STATEMENTS)]


def _verified(reader: Reader, keys: Sequence[Key], lock: str | None) -> tuple[Report, list[int]]:
    with reader() as tx:
        head = head_as_stored(tx)
        notes = [note for (note,) in tx.rows(_NOTES)]
        stated = statements(tx)

    def tiles(level: int, index: int) -> bytes:
        with reader() as tx:
            return tile_fetch(tx)(level, index)

    size = 0 if head is None else head.size
    report = verify(
        leaves(reader, size),
        tiles,
        head,
        checkpoints=notes,
        keys=keys,
        lock=lock,
        check=checkpoint.check,
        pruning=Pruning(stated, leaf_at(reader)),
    )
    return report, stated
