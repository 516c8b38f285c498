"""What a finder says about a text: which kind of personal data stands where.

An ``Entity`` holds places, never the value itself. ``settle`` decides between overlapping answers: the surer
one wins, then the longer, then the earlier; what remains is in order and does not overlap.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from policies.terms import EntityType


class Unfinished(RuntimeError):  # noqa: N818 - what is true of the search
    """The search for personal data ran out of time, so nothing may be concluded about the text."""


@dataclass(frozen=True, slots=True)
class Entity:
    """Personal data at ``text[start:end]`` in code points; ``score`` between 0 and 1."""

    type: EntityType
    start: int
    end: int
    score: float


def settle(found: Iterable[Entity]) -> tuple[Entity, ...]:
    """Return the entities that remain when each place belongs to one of them at most."""
    kept: list[Entity] = []
    for entity in sorted(found, key=lambda e: (-e.score, e.start - e.end, e.start, e.type)):
        if all(entity.end <= other.start or other.end <= entity.start for other in kept):
            kept.append(entity)
    return tuple(sorted(kept, key=lambda e: e.start))
