"""The decisions an officer signed, and the proof that no grant can change without one of them changing."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import pytest

from policies.book import RuleBook
from policies.plan import Plan, Verdict, compile_plan
from policies.terms import Action, Condition, FieldName, Level, Purpose, Relation, Role, RuleId

AGES = {
    "adult": {Condition.UNDER_14: False, Condition.UNDER_18: False},
    "teen": {Condition.UNDER_14: False, Condition.UNDER_18: True},
    "child": {Condition.UNDER_14: True, Condition.UNDER_18: True},
    "ageless": {},
    "household": {Condition.UNDER_14: False, Condition.UNDER_18: False},
}
SAID_TO_BE_TRUE = (
    Condition.CONSENT,
    Condition.HIDDEN,
    Condition.UNAPPROVED,
    Condition.TICKET,
    Condition.SAME_GENDER_ASKED,
    Condition.OTHER_GENDER,
    Condition.EMERGENCY,
)


@dataclass(frozen=True)
class Line:
    who: str
    person: str
    relation: Relation
    act: Action
    what: FieldName
    purpose: Purpose
    facts: str
    level: Level
    by: str
    why: str

    @classmethod
    def read(cls, *row: str) -> Line:
        who, person, relation, act, what, purpose, facts, level, by, why = row
        asked = (Relation(relation), Action(act), FieldName(what), Purpose(purpose))
        return cls(who, person, *asked, facts, Level[level.upper()], by, why)

    def verdict(self, plan: Plan, book: RuleBook) -> Verdict:
        names = [] if self.who == "-" else self.who.split("+")
        roles = frozenset((scope, Role(name)) for name in names for scope in book.roles[Role(name)].scopes)
        words = self.facts.split()
        facts = {
            condition: condition in words for condition in SAID_TO_BE_TRUE if f"?{condition}" not in words
        }
        facts |= AGES[self.person] | {Condition.PROFILED: book.purposes[self.purpose].profiled}
        return plan.verdict(roles, self.what, self.act, self.relation, self.purpose, facts)


def lines() -> list[Line]:
    document = tomllib.loads((Path(__file__).parent / "golden.toml").read_text(encoding="utf-8"))
    return [Line.read(*row) for row in document["rows"]]


LINES = lines()


def reasons(verdict: Verdict, book: RuleBook) -> str:
    return " ".join(verdict.denied_by or (rule for rule in verdict.rules if book.grants[rule].allows))


@pytest.mark.parametrize("line", LINES, ids=lambda line: f"{line.who}-{line.act}-{line.what}-{line.why}")
def test_the_plan_decides_as_the_officer_signed(line: Line, book: RuleBook) -> None:
    verdict = line.verdict(compile_plan(book), book)
    assert (verdict.level, reasons(verdict, book)) == (line.level, line.by)


def answers(book: RuleBook) -> list[tuple[Level, tuple[str, ...]]]:
    plan = compile_plan(book)
    return [(verdict.level, verdict.duties) for verdict in (line.verdict(plan, book) for line in LINES)]


def explained(book: RuleBook) -> list[tuple[Level, tuple[str, ...], str]]:
    plan = compile_plan(book)
    return [
        (verdict.level, verdict.duties, reasons(verdict, book))
        for verdict in (line.verdict(plan, book) for line in LINES)
    ]


def without(book: RuleBook, rule: RuleId) -> RuleBook:
    return replace(
        book, grants=MappingProxyType({name: grant for name, grant in book.grants.items() if name != rule})
    )


def turned_over(book: RuleBook, rule: RuleId) -> RuleBook:
    flipped = replace(book.grants[rule], allows=not book.grants[rule].allows)
    return replace(book, grants=MappingProxyType(dict(book.grants) | {rule: flipped}))


def test_removing_any_grant_changes_a_signed_line(book: RuleBook) -> None:
    signed = explained(book)
    assert [rule for rule in book.grants if explained(without(book, rule)) == signed] == []


def test_removing_any_allow_row_takes_a_level_or_a_duty_away(book: RuleBook) -> None:
    signed = answers(book)
    assert [
        rule for rule, grant in book.grants.items() if grant.allows and answers(without(book, rule)) == signed
    ] == []


def test_turning_any_grant_over_changes_a_signed_level_or_duty(book: RuleBook) -> None:
    signed = answers(book)
    assert [rule for rule in book.grants if answers(turned_over(book, rule)) == signed] == []


def test_only_the_rows_about_secrecy_forbid_what_nothing_allows(book: RuleBook) -> None:
    """A deny row that changes no level is a guard against a later allow row; we know them by name."""
    signed = answers(book)
    guards = {
        rule
        for rule, grant in book.grants.items()
        if not grant.allows and answers(without(book, rule)) == signed
    }
    assert guards == {"H-COMM-02", "H-COMM-03", "S-CR-08"}


def test_every_role_field_and_purpose_kind_appears_in_a_signed_line(book: RuleBook) -> None:
    named = {name for line in LINES for name in line.who.split("+")} - {"-"}
    assert named == set(book.roles)
    assert {book.fields[line.what].tier for line in LINES} == {field.tier for field in book.fields.values()}
