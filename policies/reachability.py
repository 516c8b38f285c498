"""Rows that can never matter: each is a fault, because somebody believes that it says something.

Promises to name exactly the rows that could be removed without any answer changing: an allow row when
neither a level nor a duty depends on it, a deny row when the other deny rows forbid as much wherever it
applies. A deny row that forbids what nothing allows today is a guard and stays. This is proved over all
declared words and all fact sheets: among the facts under which a row applies there is one set (what it
asks for holds, nothing else does) under which the fewest others apply, and among the role sets the
holder alone; a row that changes no level there changes none anywhere. Further conditions of a book count
as independent of each other, unless one attribute would have to have two values.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from policies.entries import ANY, Grant
from policies.grants import Vocabulary
from policies.knowledge import implied, sheets
from policies.questions import Holder, Question, Speakers, given, goes_with, holders, questions
from policies.rulefile import Fault
from policies.terms import Level, RuleId
from policies.weighing import Scale, places

_CULPRITS_TOLD: Final = 3


def unreachable(
    words: Vocabulary, grants: Sequence[Grant], file: str, suspects: Collection[RuleId] | None = None
) -> list[Fault]:
    """Return a fault for each row (of the suspects, or of all) that can never matter beside the others.

    Of several rows that say the same, the first of the book stays.
    """
    found: list[Fault] = []
    court = _Court(words, grants)
    for place in reversed(range(len(grants))):
        if suspects is not None and grants[place].id not in suspects:
            continue
        why = court.idle(place)
        if why:
            found.append(Fault(file, grants[place].line, f"{grants[place].id} {why}"))
            court.dismiss(place)
    return found


class _Setting(NamedTuple):
    """One way in which a row can be asked: who holds what, and which rows then speak, itself included."""

    question: Question
    holder: Holder | None
    rows: int


@dataclass(slots=True)
class _Others:
    """The rows that make a row idle, collected over all its settings."""

    cut: bool
    blamed: list[frozenset[int]]

    def fewest(self) -> list[int]:
        """Return few places that meet every setting's blame, the ones that meet most first."""
        chosen: list[int] = []
        left = self.blamed
        while left:
            counted = Counter(place for some in left for place in some)
            most = max(counted.values())
            chosen.append(min(place for place, times in counted.items() if times == most))
            left = [some for some in left if chosen[-1] not in some]
        return chosen


class _Court:
    """Hears row by row; a row that was dismissed no longer speaks."""

    def __init__(self, words: Vocabulary, grants: Sequence[Grant]) -> None:
        self._words = words
        self._grants = grants
        self._speakers = Speakers(words, enumerate(grants))
        self._scale = Scale(grants)
        self._left = (1 << len(grants)) - 1
        self._rows_of = {question: self._speakers.of(question) for question in questions(words)}
        self._spoken: dict[tuple[str, str | None, str, str], list[Question]] = {}
        self._places = {grant.id: place for place, grant in enumerate(grants)}
        self._heirs: dict[str, list[Holder]] = {}
        for pair in holders(words):
            for role in words.roles[pair[1]].closure:
                self._heirs.setdefault(role, []).append(pair)

    def dismiss(self, place: int) -> None:
        """Let a row speak no longer."""
        self._left &= ~(1 << place)

    def idle(self, place: int) -> str:
        """Say why a row can never matter, or nothing when it can."""
        grant = self._grants[place]
        if grant.allows and self._contradicts_itself(grant):
            return self._why_never(grant)
        others = _Others(cut=True, blamed=[])
        asked = False
        for setting in self._settings(place):
            facts = dict(given(self._words, setting.question.thing, setting.question.purpose))
            if any(facts.get(name) is False for name in implied(grant.conditions)):
                continue
            asked = True
            if self._matters(place, setting, facts, others):
                return ""
        if not asked:
            return self._why_never(grant)
        if grant.allows and grant.duties and self._owes_a_duty(place):
            return ""
        return self._why_idle(grant, others)

    def _settings(self, place: int) -> Iterator[_Setting]:
        """Yield every question a row speaks about, with each single holder who has the row."""
        grant = self._grants[place]
        for question in self._spoken_of(grant):
            rows = self._rows_of[question] & self._left
            if grant.role == ANY:
                yield _Setting(question, None, rows & self._speakers.anyone)
                continue
            for pair in self._heirs.get(grant.role, ()):
                if grant.scope in (ANY, pair[0]) and goes_with(pair[0], question.relation):
                    held = self._speakers.anyone | self._speakers.held[pair]
                    yield _Setting(question, pair, rows & held)

    def _spoken_of(self, grant: Grant) -> list[Question]:
        """Return the questions a row speaks about, whoever asks; rows of one shape share them."""
        shape = (grant.object, grant.action, grant.relation, grant.purpose)
        found = self._spoken.get(shape)
        if found is None:
            bit = 1 << self._places[grant.id]
            found = [question for question, rows in self._rows_of.items() if rows & bit]
            self._spoken[shape] = found
        return found

    def _matters(self, place: int, setting: _Setting, facts: Mapping[str, bool], others: _Others) -> bool:
        """Weigh a row against the fewest rows that can apply beside it; note which ones outweigh it."""
        grant = self._grants[place]
        true = implied(grant.conditions) | {name for name, holds in facts.items() if holds}
        beside = [
            (other, self._grants[other])
            for other in places(setting.rows & ~(1 << place))
            if self._grants[other].conditions <= true
        ]
        denies = [(other, row) for other, row in beside if not row.allows]
        if not grant.allows:
            return self._forbids_more(grant, denies, others)
        reached = max((row.level for _, row in beside if row.allows), default=Level.HIDDEN)
        cap = min((row.level for _, row in denies), default=Level.FULL + 1) - 1
        worth = min(grant.level, cap)
        if worth > reached:
            return True
        if worth:
            others.cut = False
            blamed = [other for other, row in beside if row.allows and row.level >= worth]
        else:
            blamed = [other for other, row in denies if row.level - 1 == cap]
        others.blamed.append(frozenset(blamed))
        return False

    def _forbids_more(self, grant: Grant, denies: list[tuple[int, Grant]], others: _Others) -> bool:
        lower = [other for other, row in denies if row.level < grant.level]
        level = [(other, row) for other, row in denies if row.level == grant.level]
        duties = {duty for _, row in level for duty in row.duties}
        if not lower and (not level or not duties.issuperset(grant.duties)):
            return True
        others.blamed.append(frozenset(lower or (other for other, _ in level)))
        return False

    def _owes_a_duty(self, place: int) -> bool:
        """Say whether some answer would lose a duty without this allow row.

        A cap that a second role brings can make the row carry a level it would not carry alone, so here
        every pair of roles and every fact sheet is tried. Pairs suffice: see ``policies.whatif``.
        """
        seen: set[tuple[int, tuple[tuple[str, bool], ...]]] = set()
        for setting in self._settings(place):
            question = setting.question
            facts = given(self._words, question.thing, question.purpose)
            about = self._rows_of[question] & self._left
            for pair in holders(self._words):
                if not goes_with(pair[0], question.relation):
                    continue
                rows = setting.rows | (about & self._speakers.held[pair])
                if (rows, facts) in seen:
                    continue
                seen.add((rows, facts))
                if self._differs(rows, rows & ~(1 << place), facts):
                    return True
        return False

    def _differs(self, rows: int, without: int, facts: tuple[tuple[str, bool], ...]) -> bool:
        by_allow, by_deny = self._scale.asked(rows)
        settled = {name for name, _ in facts}
        for sheet, _ in sheets(by_allow - settled, by_deny - settled):
            known = self._scale.facts(sheet, facts)
            if self._scale.weigh(rows, *known) != self._scale.weigh(without, *known):
                return True
        return False

    def _contradicts_itself(self, grant: Grant) -> bool:
        """Say whether one attribute would need two values for a row of a further resource to apply."""
        tests = [self._words.resources.conditions[one] for one in grant.conditions if self._is_further(one)]
        values: dict[tuple[str, str], set[tuple[type, object]]] = {}
        for test in tests:
            if test.test == "is":
                values.setdefault((test.of, test.attribute), set()).add((type(test.value), test.value))
        return any(len(some) > 1 for some in values.values()) or any(
            (type(test.value), test.value) in values.get((test.of, test.attribute), set())
            for test in tests
            if test.test == "is_not"
        )

    def _is_further(self, condition: str) -> bool:
        return condition in self._words.resources.conditions

    def _why_never(self, grant: Grant) -> str:
        if any(True for _ in self._settings(self._places[grant.id])):
            conditions = "&".join(sorted(grant.conditions))
            return f"can never apply: {conditions} never holds for what the row speaks about"
        return (
            f"can never apply: nobody can hold {grant.role} in dom {grant.scope} with rel {grant.relation}"
            if grant.role != ANY
            else f"can never apply: rel {grant.relation} never meets obj {grant.object}"
        )

    def _why_idle(self, grant: Grant, others: _Others) -> str:
        rows = [self._grants[place] for place in others.fewest()]
        named = ", ".join(f"{row.id} (line {row.line})" for row in rows[:_CULPRITS_TOLD])
        if not grant.allows:
            return f"forbids nothing that is not forbidden already by {named}"
        if others.cut:
            return f"allows nothing: whatever it allows is forbidden by {named}"
        return f"changes nothing: whatever it allows is allowed or forbidden already by {named}"
