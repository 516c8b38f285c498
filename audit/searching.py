"""Answers a query from the log, page by page: the index proposes, the decoded leaf decides.

Walks the entries newest first under the rarest of the query's terms, has the database check the others by
keys, and decodes what is left. Promises that nothing is shown whose leaf does not fit (``audit.matching``),
that entries which are not indexed yet are read one by one, and that a page looks at a bounded number of
entries: when that is used up it ends early and says where to go on, and never cuts silently. An entry whose
leaf cannot be read is named. What an index row that is missing hides, ``audit.copies`` finds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, NamedTuple

from sqlalchemy import Select, bindparam, exists, func, select

from audit import indexing, ledger
from audit.entry import Entry, EntryRefusedError, decode
from audit.matching import EVERY, matches, numbers, values
from audit.records import AuditEntry, AuditSpan, AuditTerm
from audit.search import Qualifier, Query
from policies.transaction import Transaction

LOOKED_AT: Final = 8_000
"""Postings under the chosen term that one page looks at."""
DECODED: Final = 1_000
"""Leaves that one page decodes: what is not indexed yet, and the edges of a time."""
FACETS_OVER: Final = 300
"""Over how many of the newest entries that fit the counts are taken."""
FACETS: Final = (Qualifier.ACTION, Qualifier.DECISION, Qualifier.PURPOSE, Qualifier.REASON, Qualifier.ACTOR)
_FACET_VALUES: Final = 20
_SAMPLE: Final = 256
_GROUPS: Final = 6
"""Conditions that the database checks by keys; the leaf is asked about all of them."""

_entry, _term, _span = AuditEntry.__table__.c, AuditTerm.__table__.c, AuditSpan.__table__.c
_BOUNDS: Final = select(func.min(_span.block), func.max(_span.block)).where(
    _span.latest >= bindparam("since"), _span.earliest < bindparam("until")
)
_NTH: Final = (
    select(_term.leaf_index)
    .where(_term.term == bindparam("number"), _term.leaf_index < bindparam("before"))
    .where(_term.leaf_index >= bindparam("floor"))
    .order_by(_term.leaf_index.desc())
    .limit(1)
    .offset(bindparam("skipped"))
)
_LEAVES: Final = select(_entry.leaf_index, _entry.leaf).where(
    _entry.leaf_index.in_(bindparam("places", expanding=True))
)
_TAIL: Final = (
    select(_entry.leaf_index, _entry.leaf)
    .where(_entry.leaf_index < bindparam("before"), _entry.leaf_index >= bindparam("floor"))
    .order_by(_entry.leaf_index.desc())
    .limit(bindparam("most"))
)


@dataclass(frozen=True, slots=True)
class Hit:
    """An entry that fits, and where it stands."""

    index: int
    entry: Entry


@dataclass(slots=True)
class Page:
    """Entries that fit, newest first.

    ``next`` is where the next page goes on (before this index), None when everything was looked at;
    ``unreadable`` are the places of leaves that should be read and are no entries.
    """

    hits: list[Hit] = field(default_factory=list)
    next: int | None = None
    unreadable: list[int] = field(default_factory=list)


class Facets(NamedTuple):
    """How often each value stands in the newest ``over`` entries that fit; ``all``: there are no others."""

    over: int
    all: bool
    counts: dict[Qualifier, list[tuple[str, int]]]


def page(tx: Transaction, query: Query, before: int | None, most: int) -> Page:
    """Return up to ``most`` entries that fit, older than index ``before`` (None: from the end)."""
    found = Page()
    walk = _Walk(tx, query, found, most)
    size = ledger.head(tx).size
    end = min(size if before is None else before, size, size if query.end is None else query.end)
    floor, indexed = query.first or 0, indexing.position(tx)
    if end > indexed:
        found.next = walk.through_leaves(end, max(floor, indexed))
        end = indexed
    if found.next is None and end > floor:
        found.next = walk.through_index(end, floor)
    return found


def facets(page_over: Page) -> Facets:
    """Count the values in a page of up to ``FACETS_OVER`` entries."""
    counted: dict[Qualifier, Counter[str]] = {name: Counter() for name in FACETS}
    for hit in page_over.hits:
        for name in FACETS:
            counted[name].update(values(hit.entry, name) - {hit.entry.decision})
    return Facets(
        len(page_over.hits),
        page_over.next is None,
        {
            name: sorted(one.items(), key=lambda pair: (-pair[1], pair[0]))[:_FACET_VALUES]
            for name, one in counted.items()
        },
    )


class _Walk:
    """One page in the making: what it may still look at, and what it has found."""

    def __init__(self, tx: Transaction, query: Query, found: Page, most: int) -> None:
        self._tx = tx
        self._query = query
        self._found = found
        self._most = most
        self._decodable = DECODED + most

    def through_leaves(self, before: int, floor: int) -> int | None:
        """Read leaf by leaf down to ``floor``; return where to go on, None when all was looked at."""
        here = before
        while here > floor:
            if self._decodable <= 0:
                return here
            wanted = min(indexing.BLOCK, self._decodable)
            rows = self._tx.rows(_TAIL, {"before": here, "floor": floor, "most": wanted})
            stopped = self._take(rows)
            if stopped is not None:
                return stopped
            here = rows[-1][0] if len(rows) == wanted else floor
        return None

    def through_index(self, before: int, floor: int) -> int | None:
        """Walk the postings of the rarest term; return where to go on, None when all was looked at."""
        floor, here = self._in_time(before, floor)
        if here <= floor:
            return None
        wanted = [numbers(term) for term in self._query.wanted] or [EVERY]
        unwanted = [numbers(term) for term in self._query.unwanted][:_GROUPS]
        wanted.sort(key=lambda group: sum(self._density(number, here, floor) for number in group))
        lowest = self._reach(wanted[0], here, floor)
        while here > lowest:
            if self._decodable <= 0:
                return here
            most = min(self._most + 1 - len(self._found.hits), self._decodable)
            places = self._places(wanted[: _GROUPS + 1], unwanted, here, lowest, most)
            stopped = self._take(self._leaves(places)) if places else None
            if stopped is not None:
                return stopped
            here = places[-1] if len(places) == most else lowest
        return lowest if lowest > floor else None

    def _in_time(self, before: int, floor: int) -> tuple[int, int]:
        """Return the floor and the end between which entries of the wanted time can be."""
        if self._query.since is None and self._query.until is None:
            return floor, before
        span = {"since": self._query.since or 0, "until": self._query.until or 2**62}
        low, high = self._tx.rows(_BOUNDS, span)[0]
        if low is None:
            return before, before
        return max(floor, low * indexing.BLOCK), min(before, (high + 1) * indexing.BLOCK)

    def _density(self, number: int, before: int, floor: int) -> float:
        """Estimate how many entries of this stretch stand under a term, from the newest few."""
        at = self._nth(number, before, floor, _SAMPLE)
        # Under a sample's worth within the stretch: how few exactly makes no difference.
        return _SAMPLE / (before - (floor if at is None else at))

    def _reach(self, group: Sequence[int], before: int, floor: int) -> int:
        """Return how far down ``LOOKED_AT`` postings of a group reach, shared out as they are dense."""
        dense = {number: self._density(number, before, floor) for number in group}
        whole = sum(dense.values())
        found = (
            self._nth(number, before, floor, max(_SAMPLE, int(LOOKED_AT * one / whole)))
            for number, one in dense.items()
        )
        return max((at for at in found if at is not None), default=floor)

    def _nth(self, number: int, before: int, floor: int, skipped: int) -> int | None:
        asked = {"number": number, "before": before, "floor": floor, "skipped": skipped}
        rows = self._tx.rows(_NTH, asked)
        return rows[0][0] if rows else None

    def _places(
        self,
        wanted: Sequence[Sequence[int]],
        unwanted: Sequence[Sequence[int]],
        before: int,
        lowest: int,
        most: int,
    ) -> list[int]:
        asked: dict[str, object] = {"before": before, "floor": lowest, "most": most}
        asked |= {f"wanted_{at}": _padded(group) for at, group in enumerate(wanted)}
        asked |= {f"unwanted_{at}": _padded(group) for at, group in enumerate(unwanted)}
        statement = _walking(len(wanted), len(unwanted), single=len(wanted[0]) == 1)
        return [row[0] for row in self._tx.rows(statement, asked)]

    def _leaves(self, places: Sequence[int]) -> list[Sequence[Any]]:
        rows = {row[0]: row for row in self._tx.rows(_LEAVES, {"places": _padded(places)})}
        return [rows.get(place, (place, b"")) for place in places]

    def _take(self, rows: Sequence[Sequence[Any]]) -> int | None:
        """Decode entries, newest first, and keep those that fit; return where to go on once it is full."""
        for index, leaf in rows:
            if len(self._found.hits) == self._most:
                return int(index) + 1
            self._decodable -= 1
            try:
                entry = decode(bytes(leaf))
            except EntryRefusedError:
                self._found.unreadable.append(index)
                continue
            if matches(self._query, entry, index):
                self._found.hits.append(Hit(index, entry))
        return None


def _padded(some: Sequence[int]) -> list[int]:
    """Repeat the last value up to a power of two: few lengths make few statements to remember."""
    return [*some, *([some[-1]] * ((1 << (len(some) - 1).bit_length()) - len(some)))]


@cache
def _walking(wanted: int, unwanted: int, *, single: bool) -> Select[Any]:
    """Return the statement that walks one group of terms, newest first, and checks the others by keys."""
    first = AuditTerm.__table__.alias("first")
    statement = select(first.c.leaf_index).where(
        first.c.term.in_(bindparam("wanted_0", expanding=True)),
        first.c.leaf_index < bindparam("before"),
        first.c.leaf_index >= bindparam("floor"),
    )
    for prefix, count in (("wanted", wanted), ("unwanted", unwanted)):
        for at in range(1 if prefix == "wanted" else 0, count):
            other = AuditTerm.__table__.alias(f"{prefix}_{at}_of")
            found = select(other.c.leaf_index).where(
                other.c.term.in_(bindparam(f"{prefix}_{at}", expanding=True)),
                other.c.leaf_index == first.c.leaf_index,
            )
            # The offset keeps PostgreSQL from reading all of the other term's entries into a hash first.
            probe = exists(found.correlate(first).offset(0))
            statement = statement.where(probe if prefix == "wanted" else ~probe)
    if not single:
        statement = statement.distinct()
    return statement.order_by(first.c.leaf_index.desc()).limit(bindparam("most"))
