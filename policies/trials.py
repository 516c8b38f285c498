"""Tries the cases of a book, and tries the book on its cases: what fails, and what no case would notice.

Promises that each rule is watched: every grant is once removed and once turned over (allow becomes deny,
deny becomes allow), and for each of these mutants it is told whether a case would have come out
otherwise. Only the cases a row speaks about are asked again, so that a hundred rules are tried in
milliseconds. Nothing is changed; the book and its cases stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum

from policies.book import RuleBook
from policies.cases import Case
from policies.entries import Grant, Title
from policies.plan import Plan, Verdict, compile_plan
from policies.terms import Level, RuleId


@dataclass(frozen=True, slots=True)
class Failure:
    """A case that does not come out as it was signed."""

    case: Case
    level: Level
    by: tuple[RuleId, ...]

    @property
    def told(self) -> Title:
        """One line for an officer: where, what was signed, what comes out."""
        where = f"cases.toml:{self.case.line}: {' '.join(cell or '·' for cell in self.case.cells[:-2])}"
        signed, found = _answer(self.case.level, self.case.by), _answer(self.level, self.by)
        return Title(
            f"{where}：应为 {signed}，实为 {found}（{self.case.why}）",
            f"{where}: signed {signed}, found {found} ({self.case.why})",
        )


class Mutation(StrEnum):
    """What was done to a row to see whether a case notices."""

    REMOVED = "removed"
    TURNED = "turned"


class Noticed(IntEnum):
    """What the most sensitive case noticed: nothing, other rules behind the same answer, another answer."""

    NOTHING = 0
    REASON = 1
    ANSWER = 2


@dataclass(frozen=True, slots=True)
class Mutant:
    """A row that was tampered with, and what the cases noticed of it."""

    rule: RuleId
    line: int
    mutation: Mutation
    noticed: Noticed


@dataclass(frozen=True, slots=True)
class Uncovered:
    """A row that could be removed or turned over without any case coming out otherwise."""

    rule: RuleId
    line: int
    mutation: Mutation

    @property
    def told(self) -> Title:
        """One line for an officer."""
        where = f"grants.csv:{self.line}: {self.rule}"
        if self.mutation is Mutation.REMOVED:
            return Title(f"{where}：删去后没有样例会变", f"{where}: no case changes when it is removed")
        return Title(
            f"{where}：许可与禁止对调后没有样例会变", f"{where}: no case changes when it is turned over"
        )


def run_cases(book: RuleBook) -> tuple[Failure, ...]:
    """Return the cases that do not come out as they were signed, in the order of the file."""
    plan = compile_plan(book)
    failures = []
    for case in book.cases:
        verdict = plan.verdict(*case.question, case.facts)
        by = holding(verdict, book)
        if (verdict.level, by) != (case.level, case.by):
            failures.append(Failure(case, verdict.level, by))
    return tuple(failures)


def holding(verdict: Verdict, book: RuleBook) -> tuple[RuleId, ...]:
    """Return the deny rows that hold the level where it is, otherwise the allow rows that apply."""
    return verdict.denied_by or tuple(rule for rule in verdict.rules if book.grants[rule].allows)


def uncovered(book: RuleBook) -> tuple[Uncovered, ...]:
    """Return each row that no case watches, in the order of the book; a row can appear for each mutation."""
    return tuple(
        Uncovered(mutant.rule, mutant.line, mutant.mutation)
        for mutant in mutants(book)
        if mutant.noticed is Noticed.NOTHING
    )


def mutants(book: RuleBook) -> tuple[Mutant, ...]:
    """Return both mutants of every grant, in the order of the book, with what the cases noticed."""
    plan = compile_plan(book)
    speaking: dict[RuleId, list[_Watched]] = {rule: [] for rule in book.grants}
    for case in book.cases:
        rows = plan.rows_about(*case.question)
        watched = _Watched(case, rows, _told(plan.judge(rows, case.facts), rows))
        for row in rows:
            speaking[row.id].append(watched)
    return tuple(
        Mutant(grant.id, grant.line, mutation, _noticed(plan, grant, mutation, speaking[grant.id]))
        for grant in book.grants.values()
        for mutation in Mutation
    )


_Told = tuple[Level, tuple[str, ...], tuple[RuleId, ...]]
"""The answer to a case, as far as a case can notice: level, duties, and the rules that hold it."""


@dataclass(frozen=True, slots=True)
class _Watched:
    """A case, the rows that speak about it, and what it comes to."""

    case: Case
    rows: tuple[Grant, ...]
    told: _Told


def _noticed(plan: Plan, grant: Grant, mutation: Mutation, watched: list[_Watched]) -> Noticed:
    turned = replace(grant, allows=not grant.allows)
    most = Noticed.NOTHING
    for one in watched:
        if mutation is Mutation.REMOVED:
            rows = tuple(row for row in one.rows if row.id != grant.id)
        else:
            rows = tuple(turned if row.id == grant.id else row for row in one.rows)
        told = _told(plan.judge(rows, one.case.facts), rows)
        if told[:2] != one.told[:2]:
            return Noticed.ANSWER
        if told != one.told:
            most = Noticed.REASON
    return most


def _told(verdict: Verdict, rows: tuple[Grant, ...]) -> _Told:
    allows = {row.id for row in rows if row.allows}
    by = verdict.denied_by or tuple(rule for rule in verdict.rules if rule in allows)
    return verdict.level, verdict.duties, by


def _answer(level: Level, by: tuple[RuleId, ...]) -> str:
    return " ".join((level.name.lower(), *by))
