"""Compares two books question by question and yields every spot where their answers part.

Promises exactness by sharing, not by sampling: questions about which the same rows speak on both sides
form one bundle, roles that bring the same rows to it form one class, and each combination is weighed
once under each fact sheet. A pair of roles is weighed only where one of them forbids something: rows
that only allow add nothing to each other that neither shows alone. A role set is yielded only where no
part of it changes in the same direction under the same facts; sets that a caller names always are.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

from policies.book import RuleBook
from policies.entries import Grant
from policies.knowledge import Sheet, combinations, sheets
from policies.questions import Holder, Question, Speakers, given, goes_with, holders, questions
from policies.terms import Relation, RuleId
from policies.weighing import Scale, Weight, places

RoleSet = frozenset[Holder]
Given = tuple[tuple[str, bool], ...]


class Direction(StrEnum):
    """How an answer changes, in the order in which an officer should read."""

    RISES = "rises"
    FALLS = "falls"
    DUTIES = "duties"


class Turn(NamedTuple):
    """One fact sheet under which the answers part; rules are bits (see ``Comparison.names``)."""

    sheet: Sheet
    times: int
    direction: Direction
    before: Weight
    after: Weight
    rules_before: int
    rules_after: int


class Spot(NamedTuple):
    """Questions and role sets whose answers part under the same fact sheets in the same way."""

    questions: tuple[Question, ...]
    role_sets: tuple[RoleSet, ...]
    every: tuple[Sheet, ...]
    turns: tuple[Turn, ...]


class _Bundle(NamedTuple):
    """What questions have in common about which the same rows speak."""

    old: int
    new: int
    relation: Relation
    given_old: Given
    given_new: Given


class _Class(NamedTuple):
    """Roles that bring the same rows, beside those for everybody, to a bundle."""

    old: int
    new: int
    role_sets: tuple[RoleSet, ...]


class _Side:
    def __init__(self, book: RuleBook, place_of: Callable[[Grant], int]) -> None:
        self.words = book.words
        self.speakers = Speakers(self.words, [(place_of(grant), grant) for grant in book.grants.values()])

    def given(self, question: Question) -> Given:
        return given(self.words, question.thing, question.purpose)


class Comparison:
    """Two books side by side. ``considered`` counts the cells once the spots have been yielded."""

    def __init__(self, old: RuleBook, new: RuleBook, role_sets: Iterable[RoleSet] = ()) -> None:
        """Prepare a comparison; ``role_sets`` are listed wherever they change, whatever their parts show."""
        self.considered = 0
        self._rows: list[Grant] = []
        self._index: dict[tuple[object, ...], int] = {}
        self._named = frozenset(role_sets)
        self._old, self._new = _Side(old, self._place), _Side(new, self._place)
        self._scale = Scale(self._rows)
        self._pairs = tuple(dict.fromkeys((*holders(self._old.words), *holders(self._new.words))))
        self._turns_of: dict[tuple[int, int, Given, Given], tuple[tuple[Sheet, ...], tuple[Turn, ...]]] = {}

    def names(self, rules: int) -> tuple[RuleId, ...]:
        """Return the ids of rows given as bits; a row that changed keeps its id on both sides."""
        return tuple(dict.fromkeys(self._rows[place].id for place in places(rules)))

    def spots(self) -> Iterator[Spot]:
        """Yield every spot where the answers part."""
        bundles: dict[tuple[str, _Bundle], list[Question]] = {}
        for question in dict.fromkeys((*questions(self._old.words), *questions(self._new.words))):
            bundle = _Bundle(
                self._old.speakers.of(question),
                self._new.speakers.of(question),
                question.relation,
                self._old.given(question),
                self._new.given(question),
            )
            bundles.setdefault((question.action, bundle), []).append(question)
        for (_, bundle), asked in bundles.items():
            base, classes, idle = self._classes(bundle)
            self.considered += len(asked) * self._cells(bundle, base, classes, idle)
            for group, parts in self._groups(bundle, base, classes):
                every, turns = self._turns(base.old | group.old, base.new | group.new, bundle)
                left = tuple(turn for turn in turns if not self._shown(turn, parts, bundle))
                if left:
                    yield Spot(tuple(asked), group.role_sets, every, left)

    def _place(self, grant: Grant) -> int:
        key = (
            grant.id, grant.role, grant.scope, grant.object, grant.action, grant.level, grant.relation,
            grant.purpose, grant.conditions, grant.allows, grant.duties,
        )  # fmt: skip
        place = self._index.setdefault(key, len(self._rows))
        if place == len(self._rows):
            self._rows.append(grant)
        return place

    def _classes(self, bundle: _Bundle) -> tuple[_Class, list[_Class], int]:
        """Return the rows for everybody, the classes of roles, and how many roles bring nothing."""
        old, new = self._old.speakers, self._new.speakers
        base = _Class(bundle.old & old.anyone, bundle.new & new.anyone, (frozenset(),))
        found: dict[tuple[int, int], list[RoleSet]] = {}
        idle = 0
        for pair in self._pairs:
            if not goes_with(pair[0], bundle.relation):
                continue
            own = bundle.old & old.held.get(pair, 0), bundle.new & new.held.get(pair, 0)
            if own == (0, 0):
                idle += 1
            else:
                found.setdefault(own, []).append(frozenset({pair}))
        return base, [_Class(*own, tuple(sets)) for own, sets in found.items()], idle

    def _groups(
        self, bundle: _Bundle, base: _Class, classes: Sequence[_Class]
    ) -> Iterator[tuple[_Class, tuple[_Class, ...]]]:
        """Yield what has to be weighed, each with its parts: nobody's rows, one role, two, the named sets."""
        yield from self._unnamed(base, ())
        for one in classes:
            yield from self._unnamed(one, (base,))
        whole = base.old != base.new or bundle.given_old != bundle.given_new
        changed = [whole or one.old != one.new for one in classes]
        forbids = [self._scale.forbids(one.old | one.new) for one in classes]
        for left, right in itertools.combinations(range(len(classes)), 2):
            if (changed[left] or changed[right]) and (forbids[left] or forbids[right]):
                one, other = classes[left], classes[right]
                sets = tuple(a | b for a in one.role_sets for b in other.role_sets)
                pair = _Class(one.old | other.old, one.new | other.new, sets)
                yield from self._unnamed(pair, (base, one, other))
        for named in self._named:
            if all(goes_with(scope, bundle.relation) for scope, _ in named):
                yield self._of(bundle, named), ()

    def _unnamed(
        self, group: _Class, parts: tuple[_Class, ...]
    ) -> Iterator[tuple[_Class, tuple[_Class, ...]]]:
        left = group.role_sets
        if self._named:
            left = tuple(one for one in left if one not in self._named)
        if left:
            yield group._replace(role_sets=left), parts

    def _of(self, bundle: _Bundle, role_set: RoleSet) -> _Class:
        old = new = 0
        for pair in role_set:
            old |= bundle.old & self._old.speakers.held.get(pair, 0)
            new |= bundle.new & self._new.speakers.held.get(pair, 0)
        return _Class(old, new, (role_set,))

    def _turns(self, old: int, new: int, bundle: _Bundle) -> tuple[tuple[Sheet, ...], tuple[Turn, ...]]:
        key = (old, new, bundle.given_old, bundle.given_new)
        if old == new and bundle.given_old == bundle.given_new:
            return (), ()
        found = self._turns_of.get(key)
        if found is None:
            found = self._turns_of[key] = self._part(*key)
        return found

    def _part(
        self, old: int, new: int, given_old: Given, given_new: Given
    ) -> tuple[tuple[Sheet, ...], tuple[Turn, ...]]:
        by_allow, by_deny = self._scale.asked(old | new)
        settled = {name for name, _ in given_old} & {name for name, _ in given_new}
        every = sheets(by_allow - settled, by_deny - settled)
        scale, turns = self._scale, []
        for sheet, times in every:
            was, will = scale.facts(sheet, given_old), scale.facts(sheet, given_new)
            before, after = scale.weigh(old, *was), scale.weigh(new, *will)
            direction = _direction(before, after)
            if direction is not None:
                rules = scale.holding(old, *was), scale.holding(new, *will)
                turns.append(Turn(sheet, times, direction, before, after, *rules))
        return tuple(sheet for sheet, _ in every), tuple(turns)

    def _shown(self, turn: Turn, parts: Sequence[_Class], bundle: _Bundle) -> bool:
        """Say whether a part of a role set changes in the same direction under the same facts."""
        if not parts:
            return False
        base = parts[0]
        was = self._scale.facts(turn.sheet, bundle.given_old)
        will = self._scale.facts(turn.sheet, bundle.given_new)
        return any(
            _direction(
                self._scale.weigh(base.old | part.old, *was), self._scale.weigh(base.new | part.new, *will)
            )
            is turn.direction
            for part in parts
        )

    def _cells(self, bundle: _Bundle, base: _Class, classes: Sequence[_Class], idle: int) -> int:
        """Count the cells of one question: nobody, each role and each pair, under all combinations."""
        settled = {name for name, _ in bundle.given_old} & {name for name, _ in bundle.given_new}
        asked = [self._asked(one) - settled for one in (base, *classes)]
        sizes = [idle, *(len(one.role_sets) for one in classes)]
        total = combinations(asked[0])
        for left, size in enumerate(sizes):
            own = asked[0] | asked[left]
            total += (size + size * (size - 1) // 2) * combinations(own)
            for right in range(left + 1, len(sizes)):
                total += size * sizes[right] * combinations(own | asked[right])
        return total

    def _asked(self, one: _Class) -> frozenset[str]:
        by_allow, by_deny = self._scale.asked(one.old | one.new)
        return by_allow | by_deny


def _direction(before: Weight, after: Weight) -> Direction | None:
    if after.level != before.level:
        return Direction.RISES if after.level > before.level else Direction.FALLS
    return None if after.duties == before.duties else Direction.DUTIES
