"""The log as the walks use it: append inside the caller's transaction, and read back.

Promises that an entry stands or falls with the transaction that decided. ``append`` gives it its place at
once, for changes and for whatever must know its index before the commit; ``record`` may leave that to the
next holder of the head (``audit.sequencing``), for the walks that must not queue for it. Never commits, and
never creates a log while serving one. The head row is locked last, so callers append as the final step
before their commit; until then other deciders run beside them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Final

from sqlalchemy import bindparam, delete, func, insert, select, text

from audit import heads, sequencing
from audit.entry import PSEUDONYM_BYTES, Entry, EntryRefusedError, decode
from audit.heads import LOG_ID, READ_HEAD, Head
from audit.note import is_name
from audit.records import AuditEntry, AuditHead, AuditSubject, SubjectPseudonym
from audit.sequencing import Receipt, Recorded
from audit.tree import EMPTY_ROOT
from policies.transaction import Transaction

NEWEST: Final = 2**63 - 1
LogError = heads.LogError

_entry = AuditEntry.__table__.c
_subject = AuditSubject.__table__.c
_name = SubjectPseudonym.__table__.c

_CREATE_HEAD: Final = insert(AuditHead.__table__)
_NAMES_OF: Final = select(_name.subject_id, _name.pseudonym).where(
    _name.subject_id.in_(bindparam("subjects", expanding=True))
)
# Two transactions may meet a subject for the first time together; the second keeps the first's name.
_NEW_NAME: Final = text(
    "INSERT INTO subject_pseudonym (subject_id, pseudonym) VALUES (:subject_id, :pseudonym)"
    " ON CONFLICT (subject_id) DO NOTHING"
)

_SPOKEN_OF: Final = select(_subject.leaf_index).where(_subject.subject == bindparam("name")).limit(1)
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
# No index makes an id unique: should two entries have one, it is the first one's.
_WITH_ID: Final = (
    select(_entry.leaf_index, _entry.leaf)
    .where(_entry.entry_id == bindparam("entry"))
    .order_by(_entry.leaf_index)
)
_PLACES: Final = (
    select(func.min(_entry.leaf_index), _entry.entry_id)
    .where(_entry.entry_id.in_(bindparam("entries", expanding=True)))
    .group_by(_entry.entry_id)
)
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
    return heads.read(tx)


def append(tx: Transaction, entries: Sequence[Entry]) -> list[Receipt]:
    """Append ``entries`` in order and return where they stand. Call it last before the commit.

    What others have left pending and committed is placed before them.

    Raises:
        LogError: there is no log, or it is damaged where it would grow; nothing may be revealed then.
        EntryRefusedError: an entry has the wrong shape, or a why that no table holds.
    """
    if not entries:
        return []
    leaves = [sequencing.leaf_of(entry) for entry in entries]
    head = heads.lock(tx)
    if tx.concurrent:
        head = sequencing.drain(tx, head, entries[0].t)
    sequencing.place(tx, head, leaves)
    return [Receipt(index, one.entry.id, one.hash) for index, one in enumerate(leaves, head.size)]


def record(tx: Transaction, entries: Sequence[Entry]) -> list[Recorded]:
    """Write ``entries`` in order; where writers run beside one another, they get their places later.

    They are durable with the caller's transaction, and nobody waits for the head.

    Raises:
        LogError, EntryRefusedError: as ``append``.
    """
    if tx.concurrent:
        return sequencing.leave(tx, entries)
    return [Recorded(one.entry_id, one.index) for one in append(tx, entries)]


def integrate(tx: Transaction, now: int) -> int:
    """Place what is pending; return the size of the log. Everywhere but where writers queue anyway.

    Raises:
        LogError: head and tiles disagree, or there is no log.
    """
    head = heads.lock(tx)
    return sequencing.drain(tx, head, now).size if tx.concurrent else head.size


def places_of(tx: Transaction, entry_ids: Sequence[str]) -> dict[str, int]:
    """Return the indexes of those entries that have been given a place, by the search copies."""
    rows = tx.rows(_PLACES, {"entries": entry_ids})
    return {entry_id: index for index, entry_id in rows}


def pseudonyms(tx: Transaction, subject_ids: Iterable[str]) -> dict[str, bytes]:
    """Return the random name of each subject, giving one to those that have none yet."""
    wanted = sorted(set(subject_ids))
    if not wanted:
        return {}
    known = names_of(tx, wanted)
    missing = [subject for subject in wanted if subject not in known]
    if missing:
        tx.run(_NEW_NAME, [{"subject_id": one, "pseudonym": _fresh(tx)} for one in missing])
        known |= names_of(tx, missing)
    return known


def _fresh(tx: Transaction) -> bytes:
    """Return a random name that no entry speaks of: one that was forgotten must not come to mean another."""
    while True:
        name = os.urandom(PSEUDONYM_BYTES)
        if not tx.rows(_SPOKEN_OF, {"name": name}):
            return name


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
