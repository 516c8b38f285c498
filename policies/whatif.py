"""What would change if another book took this one's place: exhaustive, exact, and short enough to read.

Promises that nothing changes for anybody, whatever roles they hold together, unless it is told here:
every question that can be put to either book is compared under every combination of facts, unknown ones
included. One role and pairs of roles suffice for all role sets: the level of a set S is the lowest, over
c in S, of the highest, over r in S, of the levels of {r, c}, because allow rows only raise and deny rows
only cap; and a duty that S owes is owed by a pair with the level of S. So whoever may see more (or less)
holds a set that is listed as rising (or falling) under the same facts. Pure; neither book is changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, cast

from policies.book import RuleBook
from policies.comparing import Comparison, Direction, RoleSet, Spot, Turn
from policies.knowledge import Sheet, cubes
from policies.questions import Question
from policies.terms import Level, Purpose, Relation, RuleId
from policies.weighing import Weight


class Answer(NamedTuple):
    """What the rules give; duties in alphabetical order."""

    level: Level
    duties: tuple[str, ...]


class Cell(NamedTuple):
    """One question by one role set under one fact sheet. ``rules`` are those that hold the level.

    ``times`` says for how many combinations of yes, no and unknown the sheet stands.
    """

    direction: Direction
    roles: RoleSet
    question: Question
    facts: Sheet
    times: int
    before: Answer
    after: Answer
    rules_before: tuple[RuleId, ...]
    rules_after: tuple[RuleId, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """Cells that change alike, as one line: every combination of what is listed changes, none is left out.

    ``facts`` names only what matters. ``rules_before`` and ``rules_after`` are those of any of its cells.
    """

    direction: Direction
    role_sets: tuple[RoleSet, ...]
    things: tuple[str, ...]
    action: str
    relations: tuple[Relation, ...]
    purposes: tuple[Purpose, ...]
    facts: Sheet
    before: Answer
    after: Answer
    rules_before: tuple[RuleId, ...]
    rules_after: tuple[RuleId, ...]
    cells: int


@dataclass(frozen=True, slots=True)
class Diff:
    """Everything that changes: first what is newly allowed, then what is newly denied, then duties.

    ``considered`` counts the cells of both books (role sets × questions × combinations of facts),
    ``changed`` those that part, by direction. ``beside`` names what else differs between the books and
    is not a matter of rows: a changed legal basis, for one, changes when ``consent`` holds.
    """

    changes: tuple[Change, ...]
    considered: int
    changed: dict[Direction, int]
    beside: tuple[str, ...]
    spots: tuple[Spot, ...]
    comparison: Comparison

    def cells(self) -> Iterator[Cell]:
        """Yield every changed cell, in the order of the directions; there may be a great many."""
        for direction in Direction:
            for spot in self.spots:
                for turn in (turn for turn in spot.turns if turn.direction is direction):
                    yield from self._expanded(spot, turn)

    def _expanded(self, spot: Spot, turn: Turn) -> Iterator[Cell]:
        before, after = _answer(turn.before), _answer(turn.after)
        rules = self.comparison.names(turn.rules_before), self.comparison.names(turn.rules_after)
        for question in spot.questions:
            for roles in spot.role_sets:
                yield Cell(turn.direction, roles, question, turn.sheet, turn.times, before, after, *rules)


def diff(old: RuleBook, new: RuleBook, role_sets: Iterable[RoleSet] = ()) -> Diff:
    """Compare two books. ``role_sets``, for example those in use, are listed wherever they change.

    Any other set of roles is listed only where no part of it changes in the same direction.
    """
    comparison = Comparison(old, new, role_sets)
    spots = tuple(comparison.spots())
    changed = dict.fromkeys(Direction, 0)
    for spot in spots:
        for turn in spot.turns:
            changed[turn.direction] += turn.times * len(spot.questions) * len(spot.role_sets)
    return Diff(
        changes=tuple(_fold(comparison, spots)),
        considered=comparison.considered,
        changed=changed,
        beside=tuple(_beside(old, new)),
        spots=spots,
        comparison=comparison,
    )


class _Alike(NamedTuple):
    """What the cells of one line have in common."""

    direction: Direction
    action: str
    before: Weight
    after: Weight
    facts: Sheet


_Axes = tuple[frozenset[RoleSet], frozenset[str], frozenset[Relation], frozenset[Purpose]]
_Tally = tuple[int, int, int]
"""How many cells, and the rules before and after, as bits."""


def _fold(comparison: Comparison, spots: Iterable[Spot]) -> list[Change]:
    lines: dict[tuple[_Alike, _Axes], _Tally] = {}
    for spot in spots:
        sets = frozenset(spot.role_sets)
        for alike, (cells, before, after) in _lines(spot):
            for thing, action, relation, purpose in spot.questions:
                axes = (sets, frozenset({thing}), frozenset({relation}), frozenset({purpose}))
                key = (alike._replace(action=action), axes)
                lines[key] = _joined(lines.get(key, (0, 0, 0)), (cells * len(sets), before, after))
    for axis in (2, 3, 1, 0):
        lines = _folded(lines, axis)
    order = list(Direction)
    changes = [_change(comparison, alike, axes, tally) for (alike, axes), tally in lines.items()]
    return sorted(
        changes,
        key=lambda one: (
            order.index(one.direction),
            -abs(one.after.level - one.before.level),
            -one.cells,
            one.action,
            one.things,
            [sorted(some) for some in one.role_sets],
            one.relations,
            one.purposes,
            one.facts,
        ),
    )


def _lines(spot: Spot) -> Iterator[tuple[_Alike, _Tally]]:
    """Yield the sheets of a spot that change alike, with what does not matter left out."""
    groups: dict[tuple[Direction, Weight, Weight], list[Turn]] = {}
    for turn in spot.turns:
        groups.setdefault((turn.direction, turn.before, turn.after), []).append(turn)
    for (direction, before, after), turns in groups.items():
        for cube in cubes(spot.every, frozenset(turn.sheet for turn in turns)):
            tally: _Tally = (0, 0, 0)
            for turn in turns:
                if set(cube) <= set(turn.sheet):
                    tally = _joined(tally, (turn.times, turn.rules_before, turn.rules_after))
            yield _Alike(direction, "", before, after, cube), tally


def _folded(lines: dict[tuple[_Alike, _Axes], _Tally], axis: int) -> dict[tuple[_Alike, _Axes], _Tally]:
    """Join lines that differ along one axis only."""
    groups: dict[tuple[_Alike, tuple[object, ...]], list[tuple[_Axes, _Tally]]] = {}
    for (alike, axes), tally in lines.items():
        groups.setdefault((alike, (*axes[:axis], *axes[axis + 1 :])), []).append((axes, tally))
    joined: dict[tuple[_Alike, _Axes], _Tally] = {}
    for (alike, _), some in groups.items():
        first = some[0][0]
        values = frozenset[object]().union(*(axes[axis] for axes, _ in some))
        together = cast("_Axes", (*first[:axis], values, *first[axis + 1 :]))
        total: _Tally = (0, 0, 0)
        for _, tally in some:
            total = _joined(total, tally)
        joined[alike, together] = total
    return joined


def _joined(one: _Tally, other: _Tally) -> _Tally:
    return one[0] + other[0], one[1] | other[1], one[2] | other[2]


def _change(comparison: Comparison, alike: _Alike, axes: _Axes, tally: _Tally) -> Change:
    role_sets, things, relations, purposes = axes
    return Change(
        direction=alike.direction,
        role_sets=tuple(sorted(role_sets, key=lambda some: (len(some), sorted(some)))),
        things=tuple(sorted(things)),
        action=alike.action,
        relations=tuple(relation for relation in Relation if relation in relations),
        purposes=tuple(sorted(purposes)),
        facts=alike.facts,
        before=_answer(alike.before),
        after=_answer(alike.after),
        rules_before=comparison.names(tally[1]),
        rules_after=comparison.names(tally[2]),
        cells=tally[0],
    )


def _answer(weight: Weight) -> Answer:
    return Answer(Level(weight.level), tuple(sorted(weight.duties)))


def _beside(old: RuleBook, new: RuleBook) -> Iterator[str]:
    for name, one, other in (
        ("purposes", dict(old.purposes), dict(new.purposes)),
        ("bases", old.bases, new.bases),
        ("limits", old.limits, new.limits),
        ("oversight", old.oversight, new.oversight),
        ("lexicon", old.lexicon, new.lexicon),
        ("resources", old.resources, new.resources),
        ("cases", _signed(old), _signed(new)),
        ("shadows", dict(old.shadows), dict(new.shadows)),
    ):
        if one != other:
            yield name


def _signed(book: RuleBook) -> list[tuple[str, ...]]:
    return [(*case.cells, case.why) for case in book.cases]
