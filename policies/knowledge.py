"""What can be known about the conditions of one question: every fact sheet that can occur, and no other.

Promises that all combinations of "holds", "does not hold" and "nobody knows" are told, except those that
contradict themselves: who is under 14 is under 18, and what follows from a known fact is known. Values
that no row tells apart stand together on one sheet (an allow row does not tell "no" from "unknown", a
deny row does not tell "yes" from "unknown"), and each sheet says how many combinations it stands for.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache
from typing import Final

from policies.terms import Condition


class Known(StrEnum):
    """What a fact sheet says about one condition; the last two stand for two values that come to the same."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"
    NOT_YES = "no_or_unknown"
    NOT_NO = "yes_or_unknown"


VALUES: Final[dict[Known, tuple[bool | None, ...]]] = {
    Known.YES: (True,),
    Known.NO: (False,),
    Known.UNKNOWN: (None,),
    Known.NOT_YES: (False, None),
    Known.NOT_NO: (True, None),
}

Sheet = tuple[tuple[str, Known], ...]
"""One combination: each open condition, in alphabetical order, with what is known about it."""

_IMPLIED: Final = {str(Condition.UNDER_14): str(Condition.UNDER_18)}


def implied(conditions: Iterable[str]) -> frozenset[str]:
    """Return the conditions with everything that holds whenever they do."""
    found = {str(condition) for condition in conditions}
    return frozenset(found | {_IMPLIED[one] for one in found if one in _IMPLIED})


@lru_cache(maxsize=4_096)
def sheets(on_allow: frozenset[str], on_deny: frozenset[str]) -> tuple[tuple[Sheet, int], ...]:
    """Return every fact sheet over these conditions with the number of combinations it stands for.

    ``on_allow`` and ``on_deny`` are the open conditions that allow rows and deny rows ask for.
    """
    names = sorted(on_allow | on_deny)
    choices = [_told_apart(name in on_allow, name in on_deny) for name in names]
    found = []
    for values in itertools.product(*choices):
        sheet = tuple(zip(names, values, strict=True))
        if times := _combinations(sheet):
            found.append((sheet, times))
    return tuple(found)


@lru_cache(maxsize=4_096)
def combinations(asked: frozenset[str]) -> int:
    """Return how many combinations of yes, no and unknown there are over these conditions."""
    return sum(times for _, times in sheets(asked, asked))


@lru_cache(maxsize=16_384)
def cubes(every: tuple[Sheet, ...], chosen: frozenset[Sheet]) -> tuple[Sheet, ...]:
    """Return sheets that leave out what does not matter and together cover ``chosen`` and nothing else.

    ``every`` holds all sheets over the same conditions. The result is exact and without overlap.
    """
    left: dict[Sheet, frozenset[Sheet]] = {sheet: frozenset({sheet}) for sheet in every if sheet in chosen}
    for name, _ in every[0] if every else ():
        groups: dict[Sheet, list[Sheet]] = {}
        for cube in left:
            groups.setdefault(tuple(pair for pair in cube if pair[0] != name), []).append(cube)
        merged: dict[Sheet, frozenset[Sheet]] = {}
        for rest, some in groups.items():
            covered = frozenset().union(*(left[cube] for cube in some))
            if len(covered) == sum(set(rest) <= set(sheet) for sheet in every):
                merged[rest] = covered
            else:
                merged |= {cube: left[cube] for cube in some}
        left = merged
    return tuple(sorted(left))


def _told_apart(by_allow: bool, by_deny: bool) -> tuple[Known, ...]:
    if by_allow and by_deny:
        return Known.YES, Known.NO, Known.UNKNOWN
    return (Known.YES, Known.NOT_YES) if by_allow else (Known.NO, Known.NOT_NO)


def _combinations(sheet: Sheet) -> int:
    """Count the combinations a sheet stands for; 0 when it contradicts itself."""
    known = dict(sheet)
    times = 1
    for stronger, weaker in _IMPLIED.items():
        if stronger in known and weaker in known:
            ones, others = VALUES[known.pop(stronger)], VALUES[known.pop(weaker)]
            times *= sum(not _contradicts(one, other) for one in ones for other in others)
    for value in known.values():
        times *= len(VALUES[value])
    return times


def _contradicts(stronger: bool | None, weaker: bool | None) -> bool:
    return (stronger is True and weaker is not True) or (weaker is False and stronger is not False)
