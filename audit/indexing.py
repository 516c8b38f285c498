"""Fills the officers' index from the leaves, behind the log and never in its way.

Appending pays nothing for it: the index grows afterwards, in pieces, from where it stands. Promises that
doing a piece twice, or in two processes at once, makes the same index, and that a search never depends on
how far it has come: what is not indexed yet is read from the leaves (``audit.searching``).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import bindparam, delete, select, text

from audit.entry import EntryRefusedError, decode
from audit.matching import terms
from audit.publishing import Opener
from audit.reading import Reader
from audit.records import AuditEntry, AuditSpan, AuditTerm
from policies.transaction import Transaction

BLOCK: Final = 256
"""Entries of one span: the grain at which a search by time leaves entries out unread."""

_entry, _span = AuditEntry.__table__.c, AuditSpan.__table__.c
_POSITION: Final = select(_span.upto).order_by(_span.block.desc()).limit(1)
_LEAVES: Final = (
    select(_entry.leaf_index, _entry.leaf)
    .where(_entry.leaf_index >= bindparam("first"))
    .order_by(_entry.leaf_index)
    .limit(bindparam("most"))
)
_ADD_TERM: Final = text(
    "INSERT INTO audit_term (term, leaf_index) VALUES (:term, :leaf_index)"
    " ON CONFLICT (term, leaf_index) DO NOTHING"
)
# The wider span holds, whoever comes second: a block is never left thinner than what was indexed of it.
_GROW_SPAN: Final = text(
    "INSERT INTO audit_span (block, upto, earliest, latest) VALUES (:block, :upto, :earliest, :latest)"
    " ON CONFLICT (block) DO UPDATE SET"
    " upto = CASE WHEN excluded.upto > audit_span.upto THEN excluded.upto ELSE audit_span.upto END,"
    " earliest = CASE WHEN excluded.earliest < audit_span.earliest"
    " THEN excluded.earliest ELSE audit_span.earliest END,"
    " latest = CASE WHEN excluded.latest > audit_span.latest THEN excluded.latest ELSE audit_span.latest END"
)
_EMPTY: Final = (delete(AuditTerm.__table__), delete(AuditSpan.__table__))


class Span(NamedTuple):
    """What is kept of one block."""

    block: int
    upto: int
    earliest: int
    latest: int


class Piece(NamedTuple):
    """What the next entries bring to the index: term rows in order, spans, and how many entries."""

    rows: list[tuple[int, int]]
    spans: list[Span]
    entries: int


def position(tx: Transaction) -> int:
    """Return the index of the first entry that is not indexed yet."""
    rows = tx.rows(_POSITION)
    return rows[0][0] if rows else 0


def read(tx: Transaction, most: int) -> Piece:
    """Read the next entries, up to ``most``. A leaf that is no entry has no terms, and the index goes on."""
    rows: list[tuple[int, int]] = []
    spans: dict[int, Span] = {}
    leaves = tx.rows(_LEAVES, {"first": position(tx), "most": most})
    for index, leaf in leaves:
        block = index // BLOCK
        earliest, latest = spans[block][2:] if block in spans else (2**62, 0)
        try:
            entry = decode(bytes(leaf))
        except EntryRefusedError:
            spans[block] = Span(block, index + 1, earliest, latest)
            continue
        rows += [(term, index) for term in terms(entry)]
        spans[block] = Span(block, index + 1, min(earliest, entry.t), max(latest, entry.t))
    # In the order of the key: pages are touched once, and two indexers wait for each other in one order.
    return Piece(sorted(rows), list(spans.values()), len(leaves))


def write(tx: Transaction, piece: Piece) -> None:
    """Store what was read, once or again."""
    tx.run(_ADD_TERM, [{"term": term, "leaf_index": index} for term, index in piece.rows])
    tx.run(_GROW_SPAN, [span._asdict() for span in piece.spans])


def catch_up(tx: Transaction, most: int) -> int:
    """Index up to ``most`` further entries in the caller's transaction; return how many there were."""
    piece = read(tx, most)
    write(tx, piece)
    return piece.entries


def empty(tx: Transaction) -> None:
    """Throw the index away, to make it anew from the leaves."""
    for statement in _EMPTY:
        tx.run(statement, {})


def keep_up(reader: Reader, writer: Opener, most: int) -> int:
    """Index what there is, up to ``most`` entries, in short transactions; return how many.

    Leaves are read and decoded without the write lock, which is held only while rows are stored.
    """
    done = 0
    while done < most:
        with reader() as tx:
            piece = read(tx, min(BLOCK, most - done))
        if piece.entries == 0:
            break
        with writer() as writing:
            write(writing, piece)
            writing.commit()
        done += piece.entries
    return done
