"""Weighs many sets of rows under many fact sheets: what ``policies.plan`` does once, thousands of times.

Promises the plan's level and duties for a set of rows given as bits; a test holds both against each
other. It exists because comparing books asks the same few sets of rows again and again: each is
unpacked once and each answer is kept for as long as the comparison lives. Nothing here is shared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from policies.entries import Grant
from policies.knowledge import Known, Sheet
from policies.terms import Level

_UNCAPPED: Final = Level.FULL + 1
_NO_DUTIES: Final[frozenset[str]] = frozenset()


class Weight(NamedTuple):
    """What some rows come to: the level, and the duties of the rows that reach it."""

    level: int
    duties: frozenset[str]


class _Row(NamedTuple):
    bit: int
    allows: bool
    level: int
    needs: int
    duties: frozenset[str]


class Scale:
    """Rows, each at its place in a sequence, ready to be weighed in any selection."""

    __slots__ = ("_bits", "_kept", "_known", "_rows", "_unpacked")

    def __init__(self, grants: Sequence[Grant]) -> None:
        names = sorted({str(condition) for grant in grants for condition in grant.conditions})
        self._bits = {name: 1 << place for place, name in enumerate(names)}
        self._rows = [
            _Row(
                1 << place,
                grant.allows,
                int(grant.level),
                sum(self._bits[condition] for condition in grant.conditions),
                frozenset(grant.duties),
            )
            for place, grant in enumerate(grants)
        ]
        self._unpacked: dict[int, list[_Row]] = {}
        self._kept: dict[tuple[int, int, int], Weight] = {}
        self._known: dict[tuple[Sheet, tuple[tuple[str, bool], ...]], tuple[int, int]] = {}

    def facts(self, sheet: Sheet, given: tuple[tuple[str, bool], ...]) -> tuple[int, int]:
        """Return what is true and what is false, as bits; what is given goes before what the sheet says."""
        found = self._known.get((sheet, given))
        if found is None:
            known = {name: value is Known.YES for name, value in sheet if value in _SETTLED}
            found = self._known[sheet, given] = self.bits(known | dict(given))
        return found

    def bits(self, facts: Mapping[str, bool]) -> tuple[int, int]:
        """Return what is true and what is false, as bits; conditions that no row asks for are left out."""
        true = false = 0
        for name, value in facts.items():
            bit = self._bits.get(name, 0)
            if value:
                true |= bit
            else:
                false |= bit
        return true, false

    def asked(self, rows: int) -> tuple[frozenset[str], frozenset[str]]:
        """Return the conditions that the allow rows and those that the deny rows of a selection ask for."""
        by_allow = by_deny = 0
        for row in self._unpack(rows):
            if row.allows:
                by_allow |= row.needs
            else:
                by_deny |= row.needs
        return self._named(by_allow), self._named(by_deny)

    def forbids(self, rows: int) -> bool:
        """Say whether there is a deny row in the selection."""
        return any(not row.allows for row in self._unpack(rows))

    def weigh(self, rows: int, true: int, false: int) -> Weight:
        """Return the level and duties of a selection of rows under some facts."""
        key = (rows, true, false)
        weight = self._kept.get(key)
        if weight is None:
            weight = self._kept[key] = self._weigh(rows, true, false)
        return weight

    def holding(self, rows: int, true: int, false: int) -> int:
        """Return the deny rows that hold the level where it is, or the allow rows that apply."""
        level = self.weigh(rows, true, false).level
        allows = denies = 0
        for row in self._unpack(rows):
            if row.allows:
                allows |= 0 if row.needs & ~true else row.bit
            elif not row.needs & false and row.level - 1 == level:
                denies |= row.bit
        return denies or allows

    def _weigh(self, rows: int, true: int, false: int) -> Weight:
        reached, cap = 0, int(_UNCAPPED)
        carrying: list[_Row] = []
        for row in self._unpack(rows):
            if row.allows:
                if not row.needs & ~true:
                    reached = max(reached, row.level)
                    carrying.append(row)
            elif not row.needs & false:
                cap = min(cap, row.level)
        level = min(reached, cap - 1)
        duties = _NO_DUTIES
        if level:
            duties = duties.union(*(row.duties for row in carrying if row.level >= level))
        return Weight(level, duties)

    def _unpack(self, rows: int) -> list[_Row]:
        found = self._unpacked.get(rows)
        if found is None:
            found = self._unpacked[rows] = [self._rows[place] for place in places(rows)]
        return found

    def _named(self, bits: int) -> frozenset[str]:
        return frozenset(name for name, bit in self._bits.items() if bits & bit)


_SETTLED: Final = (Known.YES, Known.NO)


def places(rows: int) -> Iterable[int]:
    """Yield the places of a selection, in order."""
    while rows:
        low = rows & -rows
        yield low.bit_length() - 1
        rows ^= low
