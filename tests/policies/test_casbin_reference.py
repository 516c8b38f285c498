"""The plan against stock Casbin, and the Casbin pitfalls that concern us."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from random import Random
from types import MappingProxyType
from typing import Any

import casbin
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from policies.book import RuleBook, packaged_rules
from policies.distributions import TwinDistributionsError, providers, refuse_twin_distributions
from policies.entries import ANY, Grant
from policies.plan import NO_RULE, Plan, Verdict, compile_plan
from policies.roles import HeldRoles, ModelError, reference, reference_level, row_of
from policies.terms import (
    Action,
    Condition,
    FieldName,
    Level,
    Purpose,
    Relation,
    Role,
    RuleId,
    Scope,
)

SCOPE_NAMES = {Scope.HOUSEHOLD: "household:h1", Scope.PORTFOLIO: "portfolio:p1", Scope.ORG: "org"}
EXAMPLES, QUESTIONS = 120, 18
UNSHRUNK = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)
"""A book is made from one seed, and a smaller seed makes no smaller book."""


@dataclass(frozen=True)
class Question:
    roles: frozenset[tuple[Scope, Role]]
    field: FieldName
    action: Action
    relation: Relation
    purpose: Purpose
    facts: Mapping[Condition, bool]

    def to_plan(self, plan: Plan) -> Verdict:
        return plan.verdict(self.roles, self.field, self.action, self.relation, self.purpose, self.facts)

    def to_casbin(self, enforcer: casbin.Enforcer, asker: str = "asker") -> Level:
        return reference_level(
            enforcer,
            subject=asker,
            scopes=(SCOPE_NAMES[Scope.HOUSEHOLD], SCOPE_NAMES[Scope.PORTFOLIO]),
            field=self.field,
            action=self.action,
            relation=self.relation,
            purpose=self.purpose,
            facts=self.facts,
        )

    def held(self, asker: str = "asker") -> dict[tuple[str, str], list[Role]]:
        held: dict[tuple[str, str], list[Role]] = {}
        for scope, role in self.roles:
            held.setdefault((asker, SCOPE_NAMES[scope]), []).append(role)
        return held


def with_grants(book: RuleBook, grants: list[Grant]) -> RuleBook:
    return replace(book, grants=MappingProxyType({grant.id: grant for grant in grants}))


class Corner:
    """A small part of the rules' world, where made-up rows and questions meet; one seed, one corner."""

    def __init__(self, seed: int, book: RuleBook) -> None:
        self.book = book
        self.chance = Random(seed)
        self.field = self.chance.choice(list(book.fields.values()))
        self.purpose = self.chance.choice(list(book.purposes))
        self.relation = self.chance.choice(list(Relation))
        self.roles = self.chance.sample(list(book.roles.values()), k=3)

    def mostly(self, usual: Any, others: Iterable[Any]) -> Any:
        return usual if self.chance.random() < 0.9 else self.chance.choice(list(others))

    def row(self, place: int) -> Grant:
        """Make up a row as the reader would accept it: an act to allow, all or nothing beside reading."""
        role = self.chance.choice([ANY, *(role.id for role in self.roles)])
        allows = self.chance.random() < 0.6
        usual = Action.SEND if self.field.channel else Action.READ
        action = self.mostly(usual, list(Action) if allows else [*Action, None])
        level = self.chance.choice([Level.EXISTS, Level.MASKED, Level.FULL])
        group = self.purpose.partition(".")[0]
        return Grant(
            id=RuleId(f"T-{place:02}"),
            role=role,
            scope=ANY if role == ANY else self.chance.choice([ANY, *Scope]),
            object=self.mostly(self.chance.choice(self.field.objects), ["name", "tier:hideable"]),
            action=action,
            level=level if action is Action.READ else Level.FULL if allows else Level.EXISTS,
            relation=self.mostly(self.chance.choice([ANY, self.relation]), Relation),
            purpose=self.mostly(self.chance.choice([ANY, group, self.purpose]), self.book.purposes),
            conditions=frozenset(self.chance.sample(list(Condition), k=self.chance.choice([0, 1, 1, 2]))),
            allows=allows,
            duties=(),
            sources=("S1",),
            line=1,
        )

    def rows(self) -> list[Grant]:
        return [self.row(place) for place in range(self.chance.randint(6, 14))]

    def question(self) -> Question:
        field = self.mostly(self.field, self.book.fields.values())
        usual = Action.SEND if field.channel else Action.READ
        facts = {condition: self.chance.choice([True, True, False, None]) for condition in Condition}
        heirs = [role for role in self.book.roles.values() if role.closure & {one.id for one in self.roles}]
        pairs = [(scope, role.id) for role in heirs for scope in role.scopes]
        return Question(
            roles=frozenset(self.chance.sample(pairs, k=self.chance.randint(1, 3))),
            field=field.name,
            action=usual if field.channel else self.mostly(usual, [Action.WRITE]),
            relation=self.mostly(self.relation, Relation),
            purpose=self.mostly(self.purpose, self.book.purposes),
            facts={condition: fact for condition, fact in facts.items() if fact is not None},
        )


SEEDS = st.integers(min_value=0, max_value=2**63)


def test_the_plan_answers_like_stock_casbin_on_two_thousand_made_up_questions(book: RuleBook) -> None:
    levels: Counter[Level] = Counter()
    met: Counter[str] = Counter()

    @UNSHRUNK
    @given(SEEDS)
    def compare(seed: int) -> None:
        corner = Corner(seed, book)
        made_up = with_grants(book, corner.rows())
        plan = compile_plan(made_up)
        questions = [corner.question() for _ in range(QUESTIONS)]
        asked = {f"asker{number}": question for number, question in enumerate(questions)}
        held = {
            place: roles for asker, question in asked.items() for place, roles in question.held(asker).items()
        }
        enforcer = reference(made_up, held)
        for asker, question in asked.items():
            verdict = question.to_plan(plan)
            assert verdict.level == question.to_casbin(enforcer, asker), question
            levels[verdict.level] += 1
            holding = [made_up.grants[rule] for rule in verdict.denied_by]
            allowed = any(made_up.grants[rule].allows for rule in verdict.rules)
            met["deny over allow"] += bool(holding) and allowed
            met["deny by an unknown fact"] += allowed and any(
                row.conditions - question.facts.keys() for row in holding
            )

    compare()
    assert levels.total() >= 2_000
    assert min(levels[level] for level in Level) >= 50, "the questions hardly reach some level"
    assert min(met["deny over allow"], met["deny by an unknown fact"]) >= 80, met


def test_the_plan_answers_like_stock_casbin_under_the_real_rules(book: RuleBook) -> None:
    plan = compile_plan(book)

    @UNSHRUNK
    @given(SEEDS)
    def compare(seed: int) -> None:
        question = Corner(seed, book).question()
        assert question.to_plan(plan).level == question.to_casbin(reference(book, question.held()))

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


# --- pitfalls


def test_a_misspelt_effect_would_open_casbin_and_is_why_the_book_is_strict(book: RuleBook) -> None:
    asked = Question(
        frozenset({(Scope.PORTFOLIO, Role("clinician")), (Scope.PORTFOLIO, Role("agent"))}),
        FieldName("blood_pressure"),
        Action.READ,
        Relation.ASSIGNED,
        Purpose("service.health"),
        {Condition.CONSENT: True, Condition.UNDER_18: False},
    )
    enforcer = reference(book, asked.held())
    assert asked.to_casbin(enforcer) is Level.MASKED
    row = next(row for row in enforcer.get_policy() if row[9] == "S-AG-05")
    row[7] = "Deny"
    assert asked.to_casbin(enforcer) is Level.FULL


def test_an_empty_policy_hides_everything(book: RuleBook) -> None:
    plan = compile_plan(with_grants(book, []))
    asked = plan.verdict(
        frozenset({(Scope.ORG, Role("crm"))}),
        FieldName("name"),
        Action.READ,
        Relation.SELF,
        Purpose("personal.access"),
        dict.fromkeys(Condition, True),
    )
    assert (asked.level, asked.rules) == (Level.HIDDEN, ())


def test_asking_about_strangers_leaves_no_role_behind(book: RuleBook) -> None:
    held = HeldRoles(book, {("stf_1", "portfolio:p1"): [Role("agent")]})
    before = len(held._held)
    for number in range(2_000):
        assert not held.has_link(f"stranger{number}", "agent", f"portfolio:{number}")
        assert held.get_roles(f"stranger{number}", "org") == []
    assert len(held._held) == before
    assert held.get_roles("stf_1", "portfolio:p1") == ["agent"]


def test_a_role_is_held_only_where_it_is_declared_and_brings_what_it_inherits(book: RuleBook) -> None:
    held = HeldRoles(
        book,
        {
            ("mem_1", "household:h1"): [Role("primary_account"), Role("agent"), Role("wizard")],
            ("stf_1", "org"): [Role("agent")],
        },
    )
    assert held.get_roles("mem_1", "household:h1") == ["adult_member", "primary_account"]
    assert held.get_roles("stf_1", "org") == []
    held.clear()
    assert held.has_link("mem_1", "adult_member", "household:h1")


def test_two_distributions_of_casbin_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_twin_distributions()
    assert providers(["pycasbin", "SQLAlchemy"]) == ("pycasbin",)
    assert providers(["PyCasbin", "casbin"]) == ("casbin", "pycasbin")
    monkeypatch.setattr("policies.distributions.providers", lambda: ("casbin", "pycasbin"))
    with pytest.raises(TwinDistributionsError, match="casbin, pycasbin"):
        refuse_twin_distributions()


def test_an_unknown_word_is_hidden_even_where_a_wildcard_row_would_let_casbin_in(book: RuleBook) -> None:
    asked = Question(
        frozenset(), FieldName("mobile"), Action.READ, Relation.SELF, Purpose("world.domination"), {}
    )
    assert asked.to_casbin(reference(book, {})) is Level.FULL
    assert asked.to_plan(compile_plan(book)) is NO_RULE
