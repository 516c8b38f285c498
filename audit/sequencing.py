"""How entries get their places in the tree: under the lock of the head, in the order of their commits.

Promises that indexes have no gaps, that only rows that are committed (or this transaction's own) get one,
and that nothing of the log lives in this process between two transactions. Two ways lead here. Where writers
queue anyway (SQLite) an entry is placed in the transaction that decided. Where they run beside one another
(PostgreSQL) a deciding transaction only leaves its leaf in ``audit_pending``, and whoever holds the head next
places what was committed by then, first in, first out. Two entries about one subject keep the order of their
decisions, because the second was decided under the subject's lock, after the first had been committed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from sqlalchemy import bindparam, insert, text, update

from audit import partitions
from audit.entry import Actor, ActorType, Entry, EntryRefusedError, Kind, Party, Verdict, decode, fresh
from audit.heads import LOG_ID, Head, LogError
from audit.reading import tile_fetch
from audit.records import AuditEntry, AuditHead, AuditPending, AuditSubject, AuditTile
from audit.tiles import Tile, TileError, grow, node_reader
from audit.tree import extend, leaf_hash, root, root_at
from policies.identifiers import Prefix, kind_of
from policies.transaction import Transaction

BATCH: Final = 4096
"""Pending entries that are placed at once."""
PENDING_ALTERED: Final = "log.pending_altered"
"""What the log says in the place of a leaf that was changed before it was placed."""
_log = logging.getLogger("audit.sequencing")
_INTEGRATOR: Final = Actor(Party(ActorType.SYSTEM, "integrator"))

_head, _tile = AuditHead.__table__.c, AuditTile.__table__.c
_MOVE_HEAD: Final = (
    update(AuditHead.__table__)
    .where(_head.log_id == LOG_ID, _head.size == bindparam("was"))
    .values(size=bindparam("now"), frontier=bindparam("hashes"), root=bindparam("top"))
)
_NEW_TILE: Final = insert(AuditTile.__table__)
_GROW_TILE: Final = (
    update(AuditTile.__table__)
    .where(_tile.level == bindparam("at_level"), _tile.idx == bindparam("at"))
    .values(data=bindparam("grown"))
)
_NEW_ENTRY: Final = insert(AuditEntry.__table__)
_NEW_SUBJECT: Final = insert(AuditSubject.__table__)
_NEW_PENDING: Final = insert(AuditPending.__table__)
# One statement takes and removes: a row that is committed between two statements would be lost to a
# DELETE that only compares numbers, because a lower number may become visible later.
_TAKE: Final = text(
    "DELETE FROM audit_pending WHERE seq IN (SELECT seq FROM audit_pending ORDER BY seq LIMIT :most)"
    " RETURNING seq, entry_id, leaf, leaf_hash"
)


@dataclass(frozen=True, slots=True)
class Receipt:
    """Where an entry stands; binding once the caller's transaction has committed."""

    index: int
    entry_id: str
    leaf_hash: bytes


@dataclass(frozen=True, slots=True)
class Recorded:
    """An entry that is durable with its transaction; ``index`` is None until it has been given a place."""

    entry_id: str
    index: int | None


class Leaf(NamedTuple):
    """An entry with the bytes that stand for it and their hash."""

    entry: Entry
    data: bytes
    hash: bytes


def leaf_of(entry: Entry) -> Leaf:
    """Return the leaf of an entry.

    Raises:
        EntryRefusedError: the entry has the wrong shape.
    """
    data = fresh(entry)
    return Leaf(entry, data, leaf_hash(data))


def leave(tx: Transaction, entries: Sequence[Entry]) -> list[Recorded]:
    """Write entries down beside the log; they get their places when somebody holds the head."""
    leaves = [leaf_of(entry) for entry in entries]
    tx.run(
        _NEW_PENDING,
        [{"entry_id": one.entry.id, "leaf": one.data, "leaf_hash": one.hash} for one in leaves],
    )
    return [Recorded(entry.id, None) for entry in entries]


def place(tx: Transaction, head: Head, leaves: Sequence[Leaf]) -> Head:
    """Put leaves at the end of the log, whose head this transaction holds; return the head as it is then.

    Raises:
        LogError: the head or the right edge is damaged; nothing may be revealed then.
    """
    if root(head.frontier) != head.root:
        raise LogError("the head of the log is damaged")
    hashes = [one.hash for one in leaves]
    _write_tiles(tx, head.size, hashes)
    grown = extend(head.frontier, hashes)
    top = root(grown)
    moved = {"was": head.size, "now": grown.size, "hashes": b"".join(grown.hashes), "top": top}
    if tx.run(_MOVE_HEAD, moved) != 1:
        raise LogError("the head moved under its lock")
    partitions.keep_ahead(tx, head.size, grown.size)
    numbered = list(enumerate(leaves, head.size))
    tx.run(
        _NEW_ENTRY,
        [{"leaf_index": index, "leaf": one.data, **copies(one.entry)} for index, one in numbered],
    )
    tx.run(
        _NEW_SUBJECT,
        [
            {"subject": subject, "leaf_index": index, "t": one.entry.t}
            for index, one in numbered
            for subject in dict.fromkeys(one.entry.subjects)
        ],
    )
    return Head(head.origin, grown.size, grown, top)


def drain(tx: Transaction, head: Head, now: int) -> Head:
    """Place everything that was pending at the start, under a head that this transaction holds.

    The root is made anew from the tiles first, so that nobody continues from a head that was moved. A leaf
    that is not the one that was committed gets no place: an entry that says so stands there instead.

    Raises:
        LogError: head and tiles disagree; the log is not extended.
    """
    placed = False
    while rows := tx.rows(_TAKE, {"most": BATCH}):
        if not placed:
            _refuse_moved_head(tx, head)
            placed = True
        ordered = sorted(rows, key=lambda row: row[0])
        head = place(tx, head, [_pending(row[1], bytes(row[2]), bytes(row[3]), now) for row in ordered])
        if len(rows) < BATCH:
            break  # what was committed meanwhile is the next holder's: writers may be faster than this one
    return head


def _refuse_moved_head(tx: Transaction, head: Head) -> None:
    held: dict[tuple[int, int], bytes] = {}
    read = tile_fetch(tx)

    def fetch(level: int, index: int) -> bytes:
        if (level, index) not in held:
            held[level, index] = read(level, index)
        return held[level, index]

    try:
        sound = root_at(head.size, node_reader(fetch)) == head.root
    except TileError:
        sound = False
    if not sound:
        raise LogError("the head of the log does not fit its tiles")


def _pending(entry_id: str, data: bytes, hashed: bytes, now: int) -> Leaf:
    if leaf_hash(data) == hashed:
        try:
            return Leaf(decode(data), data, hashed)
        except EntryRefusedError:
            pass
    # The id beside the bytes may be anything by now; only what looks like ours goes into the log.
    resource = entry_id if kind_of(entry_id) is Prefix.ENTRY else ""
    alarm = Entry(now, Kind.AUDIT, PENDING_ALTERED, Verdict.ERROR, _INTEGRATOR, resource=resource)
    # Told here, because every way of placing entries comes through here; before the commit, so at least once.
    _log.error(
        "an entry was altered before it got its place: %s; the alarm is %s",
        resource or "its id as well",
        alarm.id,
        extra={"entry_id": resource, "alarm_id": alarm.id},
    )
    return leaf_of(alarm)


def copies(entry: Entry) -> dict[str, object]:
    """Return the search columns of ``audit_entry`` that are made from an entry."""
    person = entry.actor.on_behalf_of
    return {
        "entry_id": entry.id,
        "decision_id": entry.decision,
        "corr": entry.corr,
        "t": entry.t,
        "kind": entry.kind,
        "act": entry.act,
        "dec": entry.dec,
        "actor_id": entry.actor.party.id,
        "behalf_id": "" if person is None else person.id,
        "purpose": entry.purpose,
    }


def _write_tiles(tx: Transaction, size: int, hashes: Iterable[bytes]) -> None:
    try:
        tiles = grow(size, list(hashes), tile_fetch(tx))
    except TileError:
        raise LogError("the right edge of the log is damaged") from None
    for tile in tiles:
        _write_tile(tx, tile)


def _write_tile(tx: Transaction, tile: Tile) -> None:
    if tile.fresh:
        tx.run(_NEW_TILE, {"level": tile.level, "idx": tile.number, "data": tile.data})
    elif tx.run(_GROW_TILE, {"at_level": tile.level, "at": tile.number, "grown": tile.data}) != 1:
        raise LogError("the right edge of the log is damaged")
