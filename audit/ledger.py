"""The log as the walks use it: append inside the caller's transaction, and read back.

Promises that an entry, its place in the tree and its search copies stand or fall with the transaction
that decided, that indexes have no gaps, and that nothing of the log lives in this process between two
transactions. Never commits, and never creates a log while serving one. The head row is locked last, so
callers append as the final step before their commit; until then other deciders run beside them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam, delete, insert, select, text, update

from audit.entry import PSEUDONYM_BYTES, Entry, EntryRefusedError, decode, fresh
from audit.note import is_name
from audit.records import AuditEntry, AuditHead, AuditSubject, AuditTile, SubjectPseudonym
from audit.tiles import Tile, TileError, grow
from audit.tree import EMPTY, EMPTY_ROOT, Frontier, extend, frontier_of_bytes, leaf_hash, root
from policies.transaction import Transaction

LOG_ID: Final = 0
"""One log per deployment; the key leaves room for more."""
NEWEST: Final = 2**63 - 1

_head = AuditHead.__table__.c
_entry = AuditEntry.__table__.c
_subject = AuditSubject.__table__.c
_tile = AuditTile.__table__.c
_name = SubjectPseudonym.__table__.c

READ_HEAD: Final = select(_head.origin, _head.size, _head.frontier, _head.root).where(_head.log_id == LOG_ID)
# SQLite has no row locks and ignores the clause: there BEGIN IMMEDIATE already keeps other writers out.
_LOCK_HEAD: Final = select(_head.size, _head.frontier).where(_head.log_id == LOG_ID).with_for_update()
_CREATE_HEAD: Final = insert(AuditHead.__table__)
_MOVE_HEAD: Final = (
    update(AuditHead.__table__)
    .where(_head.log_id == LOG_ID, _head.size == bindparam("was"))
    .values(size=bindparam("now"), frontier=bindparam("hashes"), root=bindparam("top"))
)
_READ_TILE: Final = select(_tile.data).where(_tile.level == bindparam("level"), _tile.idx == bindparam("at"))
_NEW_TILE: Final = insert(AuditTile.__table__)
_GROW_TILE: Final = (
    update(AuditTile.__table__)
    .where(_tile.level == bindparam("at_level"), _tile.idx == bindparam("at"))
    .values(data=bindparam("grown"))
)
_NEW_ENTRY: Final = insert(AuditEntry.__table__)
_NEW_SUBJECT: Final = insert(AuditSubject.__table__)

_NAMES_OF: Final = select(_name.subject_id, _name.pseudonym).where(
    _name.subject_id.in_(bindparam("subjects", expanding=True))
)
# Two transactions may meet a subject for the first time together; the second keeps the first's name.
_NEW_NAME: Final = text(
    "INSERT INTO subject_pseudonym (subject_id, pseudonym) VALUES (:subject_id, :pseudonym)"
    " ON CONFLICT (subject_id) DO NOTHING"
)

_FORGET_NAME: Final = delete(SubjectPseudonym.__table__).where(_name.subject_id == bindparam("subject"))

_OF_SUBJECT: Final = (
    select(_entry.leaf_index, _entry.leaf)
    .join(AuditSubject.__table__, _subject.leaf_index == _entry.leaf_index)
    .where(_subject.subject == bindparam("pseudonym"), _subject.leaf_index < bindparam("before"))
    .order_by(_subject.leaf_index.desc())
    .limit(bindparam("most"))
)
_OF_DECISION: Final = (
    select(_entry.leaf_index, _entry.leaf)
    .where(_entry.decision_id == bindparam("decision"))
    .order_by(_entry.leaf_index)
)
_WITH_ID: Final = select(_entry.leaf_index, _entry.leaf).where(_entry.entry_id == bindparam("entry"))
_OF_STORY: Final = (
    select(_entry.leaf_index, _entry.leaf)
    .where(_entry.corr == bindparam("story"), _entry.corr != "")
    .order_by(_entry.leaf_index)
)
_RECENT: Final = (
    select(_entry.leaf_index, _entry.leaf)
    .where(_entry.leaf_index < bindparam("before"))
    .order_by(_entry.leaf_index.desc())
    .limit(bindparam("most"))
)


class LogError(Exception):
    """The log is missing, already there, or not in the state it must be in to be extended."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """Where an entry stands; binding once the caller's transaction has committed."""

    index: int
    entry_id: str
    leaf_hash: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """The log's state: ``size`` leaves under ``root``."""

    origin: str
    size: int
    frontier: Frontier
    root: bytes


def create(tx: Transaction, origin: str) -> None:
    """Create the empty log named ``origin``, e.g. ``family.example/audit/main``.

    Raises:
        LogError: there is a log already.
        ValueError: the name cannot stand in a checkpoint (empty, white space, or a plus sign).
    """
    if not is_name(origin) or not origin.isprintable():
        raise ValueError("a log's origin is one word without white space and plus signs")
    if tx.rows(READ_HEAD):
        raise LogError("there is a log already")
    tx.run(_CREATE_HEAD, {"log_id": LOG_ID, "origin": origin, "size": 0, "frontier": b"", "root": EMPTY_ROOT})


def exists(tx: Transaction) -> bool:
    """Say whether this database holds a log."""
    return bool(tx.rows(READ_HEAD))


def head(tx: Transaction) -> Head:
    """Return the log's state without locking it.

    Raises:
        LogError: there is no log, or its head is damaged.
    """
    for origin, size, frontier, top in tx.rows(READ_HEAD):
        return Head(origin, size, _frontier(size, frontier), bytes(top))
    raise LogError("there is no log")


def append(tx: Transaction, entries: Sequence[Entry]) -> list[Receipt]:
    """Append ``entries`` in order and return where they stand. Call it last before the commit.

    Raises:
        LogError: there is no log, or it is damaged where it would grow; nothing may be revealed then.
        EntryRefusedError: an entry has the wrong shape, or a why that no table holds.
    """
    if not entries:
        return []
    leaves = [fresh(entry) for entry in entries]
    hashes = [leaf_hash(leaf) for leaf in leaves]
    rows = tx.rows(_LOCK_HEAD)
    if not rows:
        raise LogError("there is no log")
    size = rows[0][0]
    grown = extend(_frontier(size, rows[0][1]), hashes)
    _write_tiles(tx, size, hashes)
    moved = {"was": size, "now": grown.size, "hashes": b"".join(grown.hashes), "top": root(grown)}
    if tx.run(_MOVE_HEAD, moved) != 1:
        raise LogError("the head moved under its lock")
    numbered = list(enumerate(entries, size))
    tx.run(
        _NEW_ENTRY,
        [
            {"leaf_index": index, "leaf": leaf, **copies(entry)}
            for (index, entry), leaf in zip(numbered, leaves, strict=True)
        ],
    )
    spoken_of = [
        {"subject": subject, "leaf_index": index, "t": entry.t}
        for index, entry in numbered
        for subject in dict.fromkeys(entry.subjects)
    ]
    if spoken_of:
        tx.run(_NEW_SUBJECT, spoken_of)
    return [Receipt(index, entry.id, hashed) for (index, entry), hashed in zip(numbered, hashes, strict=True)]


def pseudonyms(tx: Transaction, subject_ids: Iterable[str]) -> dict[str, bytes]:
    """Return the random name of each subject, giving one to those that have none yet."""
    wanted = sorted(set(subject_ids))
    if not wanted:
        return {}
    known = names_of(tx, wanted)
    missing = [subject for subject in wanted if subject not in known]
    if missing:
        tx.run(_NEW_NAME, [{"subject_id": one, "pseudonym": os.urandom(PSEUDONYM_BYTES)} for one in missing])
        known |= names_of(tx, missing)
    return known


def forget(tx: Transaction, subject_id: str) -> None:
    """Make the log forget under which name it knew somebody; every entry and every proof stays whole."""
    tx.run(_FORGET_NAME, {"subject": subject_id})


def accesses(
    tx: Transaction, pseudonym: bytes, before_index: int | None, limit: int
) -> list[tuple[int, Entry]]:
    """Return up to ``limit`` entries that speak of ``pseudonym``, newest first, older than ``before_index``.

    The index is an untrusted copy: an entry whose leaf does not name the pseudonym is not returned.
    """
    before = NEWEST if before_index is None else before_index
    rows = tx.rows(_OF_SUBJECT, {"pseudonym": pseudonym, "before": before, "most": limit})
    return [(index, entry) for index, entry in _decoded(rows) if pseudonym in entry.subjects]


def entry_of_decision(tx: Transaction, decision_id: str) -> tuple[int, Entry] | None:
    """Return the first entry that records this decision, with its index."""
    for index, entry in _decoded(tx.rows(_OF_DECISION, {"decision": decision_id})):
        if entry.decision == decision_id:
            return index, entry
    return None


def entry_with_id(tx: Transaction, entry_id: str) -> tuple[int, Entry] | None:
    """Return the entry of this id, with its index."""
    for index, entry in _decoded(tx.rows(_WITH_ID, {"entry": entry_id})):
        if entry.id == entry_id:
            return index, entry
    return None


def entries_of(tx: Transaction, corr: str) -> list[tuple[int, Entry]]:
    """Return all entries of one story, oldest first. The column is a copy, so each leaf is asked as well."""
    return [(i, entry) for i, entry in _decoded(tx.rows(_OF_STORY, {"story": corr})) if entry.corr == corr]


def recent(tx: Transaction, before: int | None, limit: int) -> list[tuple[int, Entry]]:
    """Return up to ``limit`` entries older than index ``before`` (None: from the end), newest first."""
    return _decoded(tx.rows(_RECENT, {"before": NEWEST if before is None else before, "most": limit}))


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


def _frontier(size: int, packed: bytes) -> Frontier:
    if not size and not packed:
        return EMPTY
    try:
        return frontier_of_bytes(size, packed)
    except ValueError:
        raise LogError("the head of the log is damaged") from None


def _write_tiles(tx: Transaction, size: int, hashes: Sequence[bytes]) -> None:
    def fetch(level: int, index: int) -> bytes:
        rows = tx.rows(_READ_TILE, {"level": level, "at": index})
        return rows[0][0] if rows else b""

    try:
        tiles = grow(size, hashes, fetch)
    except TileError:
        raise LogError("the right edge of the log is damaged") from None
    for tile in tiles:
        _write_tile(tx, tile)


def _write_tile(tx: Transaction, tile: Tile) -> None:
    if tile.fresh:
        tx.run(_NEW_TILE, {"level": tile.level, "idx": tile.number, "data": tile.data})
    elif tx.run(_GROW_TILE, {"at_level": tile.level, "at": tile.number, "grown": tile.data}) != 1:
        raise LogError("the right edge of the log is damaged")


def names_of(tx: Transaction, subject_ids: Sequence[str]) -> dict[str, bytes]:
    """Return the random names of those subjects that have one; gives none away."""
    return {subject: bytes(name) for subject, name in tx.rows(_NAMES_OF, {"subjects": subject_ids})}


def _decoded(rows: Sequence[Sequence[object]]) -> list[tuple[int, Entry]]:
    found = []
    for index, leaf in rows:
        assert isinstance(index, int)
        assert isinstance(leaf, bytes)
        try:
            found.append((index, decode(leaf)))
        except EntryRefusedError:
            raise LogError("an entry of the log cannot be read") from None
    return found
