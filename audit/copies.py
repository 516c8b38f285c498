"""Search copies against the leaves they were made from.

Promises to name every entry whose searchable columns or subject index no longer say what the leaf says:
someone who cannot change the tree could otherwise hide an entry by changing an index alone. Compares and
never repairs, because a difference is a trace. Whether the leaves are genuine is ``audit.verify``'s word.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import and_, bindparam, func, or_, select

from audit import ledger, sequencing
from audit.entry import Entry, EntryRefusedError, decode
from audit.reading import Reader
from audit.records import AuditEntry, AuditSubject
from policies.transaction import Row

PIECE: Final = 256
"""Entries a reading: with 100 subjects each, still below the parameter limit of both engines."""
_entry = AuditEntry.__table__.c
_subject = AuditSubject.__table__.c
_COPIED: Final = tuple(column for column in _entry if column.name not in {"leaf_index", "leaf"})

_ENTRIES: Final = (
    select(_entry.leaf_index, _entry.leaf, *_COPIED)
    .where(_entry.leaf_index > bindparam("after"), _entry.leaf_index < bindparam("size"))
    .order_by(_entry.leaf_index)
    .limit(bindparam("most"))
)
_INDEXED: Final = select(_subject.leaf_index, _subject.subject, _subject.t).where(
    _subject.subject.in_(bindparam("subjects", expanding=True)),
    _subject.leaf_index >= bindparam("first"),
    _subject.leaf_index <= bindparam("last"),
)
_INDEX_COUNT: Final = (
    select(func.count()).select_from(AuditSubject.__table__).where(_subject.leaf_index < bindparam("size"))
)
_INDEX: Final = (
    select(_subject.subject, _subject.leaf_index, _entry.leaf)
    .select_from(
        AuditSubject.__table__.outerjoin(AuditEntry.__table__, _subject.leaf_index == _entry.leaf_index)
    )
    .where(
        or_(
            _subject.subject > bindparam("subject"),
            and_(_subject.subject == bindparam("subject"), _subject.leaf_index > bindparam("after")),
        ),
        _subject.leaf_index < bindparam("size"),
    )
    .order_by(_subject.subject, _subject.leaf_index)
    .limit(bindparam("most"))
)


@dataclass(frozen=True, slots=True)
class Difference:
    """A search copy that does not fit: at which entry, and in which column (``subject``: the index)."""

    index: int
    column: str


def differences(reader: Reader) -> Iterator[Difference]:
    """Yield what does not fit, entries in order, then index rows that no leaf asks for."""
    with reader() as tx:
        size = ledger.head(tx).size
    after, indexed = -1, 0
    while True:
        with reader() as tx:
            rows = tx.rows(_ENTRIES, {"after": after, "size": size, "most": PIECE})
            if not rows:
                break
            entries = [(row[0], _read(row[1])) for row in rows]
            named = {name for _, entry in entries if entry is not None for name in entry.subjects}
            span = {"subjects": sorted(named), "first": rows[0][0], "last": rows[-1][0]}
            stored = {(index, bytes(name), t) for index, name, t in tx.rows(_INDEXED, span)}
        after = rows[-1][0]
        for (index, entry), row in zip(entries, rows, strict=True):
            if entry is None:
                yield Difference(index, "leaf")
                continue
            yield from _columns(index, entry, row)
            wanted = {(index, name, entry.t) for name in entry.subjects}
            indexed += len(wanted)
            if not wanted <= stored:
                yield Difference(index, "subject")
    yield from _unasked(reader, size, indexed)


def _read(leaf: Any) -> Entry | None:
    try:
        return decode(bytes(leaf))
    except EntryRefusedError:
        return None


def _columns(index: int, entry: Entry, row: Row) -> Iterator[Difference]:
    wanted = sequencing.copies(entry)
    for column, value in zip(_COPIED, row[2:], strict=True):
        if wanted[column.name] != value:
            yield Difference(index, column.name)


def _unasked(reader: Reader, size: int, indexed: int) -> Iterator[Difference]:
    with reader() as tx:
        if tx.rows(_INDEX_COUNT, {"size": size})[0][0] == indexed:
            return
    subject, after = b"", -1
    while True:
        with reader() as tx:
            span = {"subject": subject, "after": after, "size": size, "most": PIECE}
            rows: Sequence[Row] = tx.rows(_INDEX, span)
        for name, index, leaf in rows:
            entry = None if leaf is None else _read(leaf)
            if entry is None or bytes(name) not in entry.subjects:
                yield Difference(index, "subject")
        if len(rows) < PIECE:
            return
        subject, after = bytes(rows[-1][0]), rows[-1][1]
