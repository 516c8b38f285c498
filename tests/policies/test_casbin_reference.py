"""The plan against stock Casbin and against Cedar: three engines, one answer."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import casbin
import cedar_oracle
import pytest
from corners import SEEDS, Corner, Question, unshrunk, with_grants
from hypothesis import given

from policies.book import RuleBook, packaged_rules
from policies.distributions import TwinDistributionsError, providers, refuse_twin_distributions
from policies.plan import Verdict, compile_plan
from policies.roles import ModelError, reference, row_of
from policies.terms import Action, Level

BOOKS, QUESTIONS = 520, 40


def as_cedar_names_it(verdict: Verdict, book: RuleBook) -> cedar_oracle.Answer:
    """Return the level, the allow rows that reach it and the deny rows that hold it there."""
    reaching = frozenset(
        rule
        for rule in verdict.rules
        if book.grants[rule].allows and book.grants[rule].level >= verdict.level
    )
    return cedar_oracle.Answer(
        verdict.level, reaching if verdict.level else frozenset(), frozenset(verdict.denied_by)
    )


def kinds(question: Question, verdict: Verdict, book: RuleBook) -> list[str]:
    """Return which of the ways to go wrong this question tries."""
    rows = {rule: book.grants[rule] for rule in verdict.rules}
    allowed = any(row.allows for row in rows.values())
    holding = [rows[rule] for rule in verdict.denied_by]
    tried = {
        "deny over allow": allowed and holding,
        "deny by an unknown fact": allowed and any(row.conditions - question.facts.keys() for row in holding),
        "no allow for want of a fact": any(
            not question.facts.keys() >= set(conditions) for _, conditions in verdict.unmet
        ),
        "a role where it is never held": any(
            role not in book.roles or scope not in book.roles[role].scopes for scope, role in question.roles
        ),
        "all or nothing": question.action is not Action.READ and verdict.rules,
        "a row for any act": any(row.action is None for row in holding),
    }
    return [kind for kind, true in tried.items() if true]


def test_the_plan_stock_casbin_and_cedar_answer_twenty_thousand_made_up_questions_alike(
    book: RuleBook,
) -> None:
    levels: Counter[Level] = Counter()
    met: Counter[str] = Counter()
    known = cedar_oracle.words(book)

    @unshrunk(BOOKS)
    @given(SEEDS)
    def compare(seed: int) -> None:
        corner = Corner(seed, book)
        made_up = with_grants(book, corner.rows())
        plan = compile_plan(made_up)
        asked = {f"asker{number}": corner.question() for number in range(QUESTIONS)}
        held = {place: roles for asker, one in asked.items() for place, roles in one.held(asker).items()}
        enforcer = reference(made_up, held)
        second = cedar_oracle.Cedar(made_up, known).answers(asked)
        for asker, question in asked.items():
            verdict = question.to_plan(plan)
            assert verdict.level == question.to_casbin(enforcer, asker), question
            assert as_cedar_names_it(verdict, made_up) == second[asker], question
            levels[verdict.level] += 1
            met.update(kinds(question, verdict, made_up))

    compare()
    assert levels.total() >= 20_000
    assert min(levels[level] for level in Level) >= 800, f"the questions hardly reach some level: {levels}"
    assert min(met.values()) >= 100, met
    assert len(met) == 6, met


def test_the_plan_stock_casbin_and_cedar_agree_under_the_real_rules(book: RuleBook) -> None:
    plan, second = compile_plan(book), cedar_oracle.Cedar(book, cedar_oracle.words(book))

    @unshrunk(60)
    @given(SEEDS)
    def compare(seed: int) -> None:
        question = Corner(seed, book).question()
        verdict = question.to_plan(plan)
        assert verdict.level == question.to_casbin(reference(book, question.held()))
        assert as_cedar_names_it(verdict, book) == second.answers({"asker": question})["asker"]

    compare()


def test_casbins_own_file_reader_sees_the_same_rows_as_ours(book: RuleBook) -> None:
    rules = packaged_rules()
    enforcer = casbin.Enforcer(str(rules / "model.conf"), str(rules / "grants.csv"))
    theirs = [[*row[:6], set(row[6].split("&")), *row[7:]] for row in enforcer.get_policy()]
    ours = [[*row[:6], set(row[6].split("&")), *row[7:]] for row in map(row_of, book.grants.values())]
    assert theirs == ours


def test_a_model_with_other_columns_is_refused(book: RuleBook) -> None:
    turned = book.model.replace("cond, eft, obl, id, src", "eft, cond, obl, id, src", 1)
    with pytest.raises(ModelError):
        reference(replace(book, model=turned), {})


def test_two_distributions_of_casbin_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_twin_distributions()
    assert providers(["pycasbin", "SQLAlchemy"]) == ("pycasbin",)
    assert providers(["PyCasbin", "casbin"]) == ("casbin", "pycasbin")
    monkeypatch.setattr("policies.distributions.providers", lambda: ("casbin", "pycasbin"))
    with pytest.raises(TwinDistributionsError, match="casbin, pycasbin"):
        refuse_twin_distributions()
