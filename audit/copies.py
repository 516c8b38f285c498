"""Search copies against the leaves they were made from.

Promises to name every entry whose searchable columns, subject index or search index no longer say what the
leaf says: someone who cannot change the tree could otherwise hide an entry by changing an index alone.
Compares and never repairs, because a difference is a trace; the search index alone can be made anew, which
``audit.indexing`` does. What that index has not come to yet is no difference. Whether the leaves are genuine
is ``audit.verify``'s word.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Select, Table, and_, bindparam, func, or_, select

from audit import indexing, ledger, sequencing
from audit.entry import Entry, EntryRefusedError, decode
from audit.matching import terms
from audit.reading import Reader
from audit.records import AuditEntry, AuditSpan, AuditSubject, AuditTerm
from policies.transaction import Row, Transaction

PIECE: Final = indexing.BLOCK
"""Entries a reading: with 100 subjects each, still below the parameter limit of both engines."""
_AT_ONCE: Final = 8_000
"""Terms that one statement asks for, likewise."""
_entry = AuditEntry.__table__.c
_subject = AuditSubject.__table__.c
_term = AuditTerm.__table__.c
_span = AuditSpan.__table__.c
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
_FOUND_UNDER: Final = select(_term.leaf_index, _term.term).where(
    _term.term.in_(bindparam("terms", expanding=True)),
    _term.leaf_index >= bindparam("first"),
    _term.leaf_index <= bindparam("last"),
)
_INDEX_COUNT: Final = (
    select(func.count()).select_from(AuditSubject.__table__).where(_subject.leaf_index < bindparam("size"))
)
_TERM_COUNT: Final = select(func.count()).select_from(AuditTerm.__table__)
_SPANS: Final = select(_span.block, _span.upto, _span.earliest, _span.latest).order_by(_span.block)


def _in_order(table: Table, column: str) -> Select[Any]:
    """Return the statement that reads a piece of an index in the order of its key, with the leaves."""
    key, place = table.c[column], table.c.leaf_index
    return (
        select(key, place, _entry.leaf)
        .select_from(table.outerjoin(AuditEntry.__table__, place == _entry.leaf_index))
        .where(
            or_(key > bindparam("key"), and_(key == bindparam("key"), place > bindparam("after"))),
            place < bindparam("size"),
        )
        .order_by(key, place)
        .limit(bindparam("most"))
    )


_INDEX: Final = _in_order(AuditSubject.__table__, "subject")
_TERMS: Final = _in_order(AuditTerm.__table__, "term")


@dataclass(frozen=True, slots=True)
class Difference:
    """A search copy that does not fit: at which entry, and in which column.

    ``subject`` is the index of subjects, ``term`` the search index, ``span`` its times of the block that
    begins with this entry.
    """

    index: int
    column: str


def differences(reader: Reader) -> Iterator[Difference]:
    """Yield what does not fit, entries in order, then index rows that no leaf asks for."""
    with reader() as tx:
        size = ledger.head(tx).size
        spans = {row[0]: indexing.Span(*row) for row in tx.rows(_SPANS)}
        reached = indexing.position(tx)
    after, subjects, found = -1, 0, 0
    while True:
        with reader() as tx:
            rows = tx.rows(_ENTRIES, {"after": after, "size": size, "most": PIECE})
            if not rows:
                break
            entries = [(row[0], _read(row[1])) for row in rows]
            stored = _stored_subjects(tx, entries)
            wanted = {
                index: set() if entry is None or index >= reached else terms(entry)
                for index, entry in entries
            }
            under = _stored_terms(tx, wanted)
        after = rows[-1][0]
        for (index, entry), row in zip(entries, rows, strict=True):
            if entry is None:
                yield Difference(index, "leaf")
                continue
            yield from _columns(index, entry, row)
            named = {(index, name, entry.t) for name in entry.subjects}
            subjects += len(named)
            if not named <= stored:
                yield Difference(index, "subject")
            found += len(wanted[index])
            if not {(index, term) for term in wanted[index]} <= under:
                yield Difference(index, "term")
        yield from _times(entries, spans, reached)
    yield from _unasked(reader, size, subjects)
    yield from _unasked_terms(reader, reached, found)


def _read(leaf: Any) -> Entry | None:
    try:
        return decode(bytes(leaf))
    except EntryRefusedError:
        return None


def _stored_subjects(
    tx: Transaction, entries: Sequence[tuple[int, Entry | None]]
) -> set[tuple[int, bytes, int]]:
    named = {name for _, entry in entries if entry is not None for name in entry.subjects}
    span = {"subjects": sorted(named), "first": entries[0][0], "last": entries[-1][0]}
    return {(index, bytes(name), t) for index, name, t in tx.rows(_INDEXED, span)}


def _stored_terms(tx: Transaction, wanted: dict[int, set[int]]) -> set[tuple[int, int]]:
    every = sorted(set().union(*wanted.values()))
    found: set[tuple[int, int]] = set()
    for start in range(0, len(every), _AT_ONCE):
        span = {"terms": every[start : start + _AT_ONCE], "first": min(wanted), "last": max(wanted)}
        found |= {(index, term) for index, term in tx.rows(_FOUND_UNDER, span)}
    return found


def _columns(index: int, entry: Entry, row: Row) -> Iterator[Difference]:
    wanted = sequencing.copies(entry)
    for column, value in zip(_COPIED, row[2:], strict=True):
        if wanted[column.name] != value:
            yield Difference(index, column.name)


def _times(
    entries: Sequence[tuple[int, Entry | None]], spans: dict[int, indexing.Span], reached: int
) -> Iterator[Difference]:
    """Compare the times of blocks: a span that is too narrow hides its entries from a search by time."""
    times: dict[int, list[int]] = {}
    for index, entry in entries:
        if entry is not None and index < reached:
            times.setdefault(index // indexing.BLOCK, []).append(entry.t)
    for block, some in times.items():
        span = spans.get(block)
        if span is None or span.earliest > min(some) or span.latest < max(some):
            yield Difference(block * indexing.BLOCK, "span")


def _unasked(reader: Reader, size: int, indexed: int) -> Iterator[Difference]:
    with reader() as tx:
        if tx.rows(_INDEX_COUNT, {"size": size})[0][0] == indexed:
            return
    for name, index, leaf in _through(reader, _INDEX, b"", size):
        entry = None if leaf is None else _read(leaf)
        if entry is None or bytes(name) not in entry.subjects:
            yield Difference(index, "subject")


def _unasked_terms(reader: Reader, reached: int, found: int) -> Iterator[Difference]:
    with reader() as tx:
        if indexing.position(tx) == reached and tx.rows(_TERM_COUNT)[0][0] == found:
            return
        end = indexing.position(tx)
    told = set()
    for term, index, leaf in _through(reader, _TERMS, -(2**63), 2**63 - 1):
        entry = None if leaf is None else _read(leaf)
        asked = entry is not None and term in terms(entry)
        # Rows beyond the end may be another indexer's, made since; rows of no entry at all are not.
        if not asked and index not in told and (index < end or leaf is None):
            told.add(index)
            yield Difference(index, "term")


def _through(reader: Reader, statement: Select[Any], key: object, size: int) -> Iterator[Row]:
    after = -1
    while True:
        with reader() as tx:
            span = {"key": key, "after": after, "size": size, "most": PIECE}
            rows: Sequence[Row] = tx.rows(statement, span)
        yield from rows
        if len(rows) < PIECE:
            return
        key, after = rows[-1][0], rows[-1][1]
