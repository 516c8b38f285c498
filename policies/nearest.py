"""Why a question came out as it did, row by row, and which row would have allowed more. For officers only.

Promises every row that speaks about the question, with the conditions that it asks for and that did not
hold, and the allow rows that come nearest: those that differ in the fewest points (a role, the relation,
the purpose, a condition). Each is tried before it is named: the question is put anew with exactly these
points changed, and a row that a deny row would cut is not told. It reports a difference and recommends
nothing: another purpose is another question, not a lawful step, and a consent for this purpose says
nothing about another. Nobody becomes the person or the guardian, so their rows are near to them alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from policies.book import RuleBook
from policies.entries import ANY, Grant
from policies.knowledge import implied
from policies.plan import Plan, Verdict
from policies.questions import Holder, Question, given, goes_with, holders, relations_of, things
from policies.terms import Condition, Level, Purpose, Relation

_OF_THE_PURPOSE = frozenset({str(Condition.CONSENT), str(Condition.SHARED), str(Condition.PROFILED)})
"""What is known about these is known for one purpose only."""

_THE_PERSONS_OWN = frozenset({Relation.SELF, Relation.WARD})


@dataclass(frozen=True, slots=True)
class Spoken:
    """A row that speaks about the question. ``lacking`` are the conditions because of which it did not apply.

    For an allow row these do not hold or are unknown, for a deny row they are known not to hold.
    """

    grant: Grant
    applied: bool
    lacking: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Near:
    """An allow row that would have allowed more, and what is different from the question that was asked.

    A part that is None (or empty) is as the row wants it. ``level`` is what would have come out.
    """

    grant: Grant
    role: Holder | None
    relation: Relation | None
    purpose: Purpose | None
    conditions: tuple[str, ...]
    level: Level

    @property
    def differences(self) -> int:
        """In how many points the row is away from the question."""
        parts = (self.role, self.relation, self.purpose)
        return sum(part is not None for part in parts) + len(self.conditions)


@dataclass(frozen=True, slots=True)
class Explanation:
    """The verdict, every row about the question in the book's order, and the nearest rows, all alike near."""

    verdict: Verdict
    spoken: tuple[Spoken, ...]
    nearest: tuple[Near, ...]


def explain(
    book: RuleBook,
    plan: Plan,
    roles: frozenset[Holder],
    question: Question,
    facts: Mapping[Condition, bool] | Mapping[str, bool],
) -> Explanation:
    """Explain one question. ``plan`` is the book's own; the parts are those of ``Plan.verdict``."""
    known = {str(name): fact for name, fact in facts.items()}
    verdict = plan.verdict(roles, *question, known)
    spoken = []
    for grant in plan.rows_about(roles, *question):
        lacking = _lacking(grant, known)
        spoken.append(Spoken(grant, not lacking, lacking))
    near = list(_candidates(book, plan, roles, question, known, verdict.level))
    fewest = min((one.differences for one in near), default=0)
    return Explanation(verdict, tuple(spoken), tuple(one for one in near if one.differences == fewest))


def _lacking(grant: Grant, facts: Mapping[str, bool]) -> tuple[str, ...]:
    """An allow row lacks what is not true, a deny row what is known to be false."""
    wrong = (False, None) if grant.allows else (False,)
    return tuple(sorted(name for name in map(str, grant.conditions) if facts.get(name) in wrong))


def _candidates(
    book: RuleBook,
    plan: Plan,
    roles: frozenset[Holder],
    question: Question,
    facts: Mapping[str, bool],
    level: Level,
) -> Iterator[Near]:
    """Yield for each allow row the question nearest to this one under which it would allow more."""
    entry = things(book.words).get(question.thing)
    if entry is None or not entry.admits(question.action):
        return
    for grant in book.grants.values():
        about = grant.object in entry.objects and grant.action == question.action
        if not about or not grant.allows or grant.level <= level:
            continue
        tried = [
            one
            for relation in relations_of(entry)
            if relation is question.relation or relation not in _THE_PERSONS_OWN
            for purpose in _purposes(book, grant, question)
            for one in _tries(book, grant, roles, question._replace(relation=relation, purpose=purpose))
        ]
        found = [
            near
            for held, role, asked in tried
            if (near := _try(book, plan, grant, (held, role), question, asked, facts)) and near.level > level
        ]
        if found:
            yield min(found, key=lambda one: one.differences)


def _purposes(book: RuleBook, grant: Grant, question: Question) -> Iterator[Purpose]:
    """Yield the purpose that was asked for if the row covers it, else each that it covers."""
    if grant.covers_purpose(question.purpose):
        yield question.purpose
    else:
        yield from (purpose for purpose in book.purposes if grant.covers_purpose(purpose))


def _tries(
    book: RuleBook, grant: Grant, roles: frozenset[Holder], question: Question
) -> Iterator[tuple[frozenset[Holder], Holder | None, Question]]:
    """Yield the roles with which a row would speak about a question: those held, or with one more.

    With another relation, roles that cannot be held with it fall away.
    """
    if not grant.covers_relation(question.relation):
        return
    held = frozenset(pair for pair in roles if goes_with(pair[0], question.relation))
    if grant.role == ANY or any(_gives(book, pair, grant) for pair in held):
        yield held, None, question
        return
    for pair in holders(book.words):
        if _gives(book, pair, grant) and goes_with(pair[0], question.relation):
            yield held | {pair}, pair, question


def _gives(book: RuleBook, pair: Holder, grant: Grant) -> bool:
    scope, role = pair
    entry = book.roles.get(role)
    return (
        entry is not None
        and scope in entry.scopes
        and grant.scope in (ANY, scope)
        and grant.role in entry.closure
    )


def _try(
    book: RuleBook,
    plan: Plan,
    grant: Grant,
    holding: tuple[frozenset[Holder], Holder | None],
    question: Question,
    asked: Question,
    facts: Mapping[str, bool],
) -> Near | None:
    """Put the question anew with what the row lacks; None when the row would carry nothing."""
    known = dict(facts)
    if asked.purpose != question.purpose:
        known = {name: fact for name, fact in known.items() if name not in _OF_THE_PURPOSE}
    settled = dict(given(book.words, asked.thing, asked.purpose))
    known |= settled
    lacking = _lacking(grant, known)
    if any(settled.get(name) is False for name in implied(lacking)):
        return None
    held, role = holding
    verdict = plan.verdict(held, *asked, known | dict.fromkeys(implied(lacking), True))
    if grant.level < verdict.level:  # another row carries the answer, and is tried itself
        return None
    return Near(
        grant=grant,
        role=role,
        relation=None if asked.relation is question.relation else asked.relation,
        purpose=None if asked.purpose == question.purpose else asked.purpose,
        conditions=lacking,
        level=verdict.level,
    )
