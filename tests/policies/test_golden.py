"""The decisions an officer signed, and the proof that no grant can change without one of them changing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest

from policies.book import RuleBook, load_book, packaged_rules
from policies.cases import Case
from policies.plan import Verdict, compile_plan
from policies.terms import Level, RuleId
from policies.trials import (
    Failure,
    Mutant,
    Mutation,
    Noticed,
    Uncovered,
    holding,
    mutants,
    run_cases,
    uncovered,
)

PACKAGED = load_book(packaged_rules())
DOCUMENTS = load_book(Path(__file__).parent / "documents")
BOOKS = [PACKAGED, DOCUMENTS]


@pytest.mark.parametrize(
    "case", PACKAGED.cases, ids=lambda case: f"{case.cells[0]}-{case.action}-{case.thing}-{case.why}"
)
def test_the_plan_decides_as_the_officer_signed(case: Case) -> None:
    verdict = compile_plan(PACKAGED).verdict(*case.question, case.facts)
    assert (verdict.level, holding(verdict, PACKAGED)) == (case.level, case.by)


@pytest.mark.parametrize("book", BOOKS, ids=["packaged", "documents"])
def test_every_signed_case_comes_out(book: RuleBook) -> None:
    assert book.cases
    assert run_cases(book) == ()


@pytest.mark.parametrize("book", BOOKS, ids=["packaged", "documents"])
def test_removing_or_turning_over_any_grant_changes_a_signed_case(book: RuleBook) -> None:
    assert len(mutants(book)) == 2 * len(book.grants)
    assert uncovered(book) == ()


def test_removing_any_allow_row_takes_a_level_or_a_duty_away() -> None:
    removed = {one.rule for one in mutants(PACKAGED) if one.mutation is Mutation.REMOVED and _answers(one)}
    assert {rule for rule, grant in PACKAGED.grants.items() if grant.allows} <= removed


def test_turning_any_grant_over_changes_a_signed_level_or_duty() -> None:
    turned = {one.rule for one in mutants(PACKAGED) if one.mutation is Mutation.TURNED and _answers(one)}
    assert turned == set(PACKAGED.grants)


def test_only_the_rows_about_secrecy_forbid_what_nothing_allows() -> None:
    """A deny row that changes no level is a guard against a later allow row; we know them by name."""
    guards = {one.rule for one in mutants(PACKAGED) if one.noticed is Noticed.REASON}
    assert guards == {"H-COMM-02", "H-COMM-03", "S-CR-08"}


def test_every_role_field_and_purpose_kind_appears_in_a_signed_case() -> None:
    named = {role for case in PACKAGED.cases for _, role in case.roles}
    assert named == set(PACKAGED.roles)
    asked = {PACKAGED.fields[case.thing].tier for case in PACKAGED.cases}  # type: ignore[index]
    assert asked == {field.tier for field in PACKAGED.fields.values()}


def _answers(mutant: Mutant) -> bool:
    return mutant.noticed is Noticed.ANSWER


def changed(book: RuleBook, rule: str, **cells: object) -> RuleBook:
    grant = replace(book.grants[RuleId(rule)], **cells)
    return replace(book, grants=MappingProxyType({**book.grants, RuleId(rule): grant}))


def test_a_case_that_fails_is_told_with_its_line_and_both_answers() -> None:
    failures = run_cases(changed(PACKAGED, "S-AG-02", level=Level.FULL))
    assert [failure.case.by for failure in failures] == [("S-AG-02",)]
    failure = failures[0]
    assert failure == Failure(failure.case, Level.FULL, (RuleId("S-AG-02"),))
    line = (packaged_rules() / "cases.toml").read_text(encoding="utf-8").splitlines()[failure.case.line - 1]
    assert "手机号默认脱敏" in line
    assert failure.told.en == (
        f"cases.toml:{failure.case.line}: agent adult assigned read mobile service.delivery consent: "
        "signed masked S-AG-02, found full S-AG-02 (手机号默认脱敏)"
    )
    assert "应为 masked S-AG-02，实为 full S-AG-02" in failure.told.zh


def test_a_case_that_names_a_rule_that_is_gone_fails() -> None:
    gone = {rule: grant for rule, grant in PACKAGED.grants.items() if rule != "S-CD-02"}
    failures = run_cases(replace(PACKAGED, grants=MappingProxyType(gone)))
    assert [(failure.case.by, failure.level) for failure in failures] == [(("S-CD-02",), Level.HIDDEN)]


def test_a_row_that_no_case_watches_is_told_with_its_line() -> None:
    fewer = tuple(case for case in PACKAGED.cases if "S-CD-02" not in case.by)
    line = PACKAGED.grants[RuleId("S-CD-02")].line
    found = uncovered(replace(PACKAGED, cases=fewer))
    assert found == tuple(Uncovered(RuleId("S-CD-02"), line, mutation) for mutation in Mutation)
    assert [one.told.en for one in found] == [
        f"grants.csv:{line}: S-CD-02: no case changes when it is removed",
        f"grants.csv:{line}: S-CD-02: no case changes when it is turned over",
    ]


def test_without_cases_no_row_is_watched() -> None:
    bare = replace(PACKAGED, cases=())
    assert run_cases(bare) == ()
    assert len(uncovered(bare)) == 2 * len(bare.grants)


@pytest.mark.parametrize("book", BOOKS, ids=["packaged", "documents"])
def test_asking_only_the_cases_a_row_speaks_about_misses_no_mutant(book: RuleBook) -> None:
    """The same by brute force: every mutant book is compiled and asked every case."""

    def told(tried: RuleBook) -> list[tuple[object, ...]]:
        plan = compile_plan(tried)
        verdicts: list[Verdict] = [plan.verdict(*case.question, case.facts) for case in tried.cases]
        return [(verdict.level, verdict.duties, holding(verdict, tried)) for verdict in verdicts]

    def noticed(tried: RuleBook) -> Noticed:
        pairs = list(zip(told(book), told(tried), strict=True))
        if any(one[:2] != other[:2] for one, other in pairs):
            return Noticed.ANSWER
        return Noticed.REASON if any(one != other for one, other in pairs) else Noticed.NOTHING

    expected = {}
    for rule, grant in book.grants.items():
        others = {name: row for name, row in book.grants.items() if name != rule}
        expected[rule, Mutation.REMOVED] = noticed(replace(book, grants=MappingProxyType(others)))
        expected[rule, Mutation.TURNED] = noticed(changed(book, rule, allows=not grant.allows))
    assert {(one.rule, one.mutation): one.noticed for one in mutants(book)} == expected
