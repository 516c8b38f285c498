"""The plan against stock Casbin, and the Casbin pitfalls that concern us."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random
from types import MappingProxyType

import casbin
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from policies.book import RuleBook, packaged_rules
from policies.entries import ANY, Grant
from policies.plan import NO_RULE, Plan, compile_plan
from policies.roles import (
    HeldRoles,
    ModelError,
    TwinDistributionsError,
    providers,
    reference,
    reference_level,
    refuse_twin_distributions,
    row_of,
)
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
EXAMPLES, QUESTIONS = 110, 20
UNSHRUNK = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)
"""Shrinking a book of rows takes minutes, and the failing question says enough."""


@dataclass(frozen=True)
class Question:
    roles: frozenset[tuple[Scope, Role]]
    field: FieldName
    action: Action
    relation: Relation
    purpose: Purpose
    facts: Mapping[Condition, bool]

    def to_plan(self, plan: Plan) -> Level:
        return plan.verdict(
            self.roles, self.field, self.action, self.relation, self.purpose, self.facts
        ).level

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


def grants(book: RuleBook) -> st.SearchStrategy[Grant]:
    fields = list(book.fields.values())
    words = sorted({word for field in fields for word in field.objects})
    groups = sorted({purpose.partition(".")[0] for purpose in book.purposes})
    return st.builds(
        Grant,
        id=st.just(RuleId("")),
        role=st.sampled_from([ANY, *book.roles]),
        scope=st.sampled_from([ANY, *Scope]),
        object=st.sampled_from(words),
        action=st.sampled_from([None, *Action, Action.READ, Action.READ]),
        level=st.sampled_from([Level.EXISTS, Level.MASKED, Level.FULL]),
        relation=st.sampled_from([ANY, ANY, *Relation]),
        purpose=st.sampled_from([ANY, ANY, *groups, *book.purposes]),
        conditions=st.frozensets(st.sampled_from(Condition), max_size=2),
        allows=st.sampled_from([True, True, False]),
        duties=st.just(()),
        sources=st.just(("S1",)),
        line=st.just(1),
    )


def as_written(grant: Grant, place: int) -> Grant:
    """Give a generated row what the reader would give it: an act for allow rows, all or nothing for the rest."""
    action = grant.action or (Action.READ if grant.allows else None)
    level = grant.level
    if action is not Action.READ:
        level = Level.FULL if grant.allows else Level.EXISTS
    scope = ANY if grant.role == ANY else grant.scope
    return replace(grant, id=RuleId(f"T-{place:02}"), scope=scope, action=action, level=level)


def aimed(seed: int, book: RuleBook, rows: list[Grant]) -> Question:
    """Ask about one of the rows, so that rows meet, with random facts and other roles beside."""
    chance = Random(seed)
    row = chance.choice(rows)
    field = chance.choice([field for field in book.fields.values() if row.object in field.objects])
    action = Action.SEND if field.channel else chance.choice([Action.READ, Action.READ, Action.WRITE])
    pairs = [(scope, role.id) for role in book.roles.values() for scope in role.scopes]
    fitting = [
        (scope, role)
        for scope, role in pairs
        if row.role in book.roles[role].closure and row.scope in (ANY, scope)
    ]
    facts = {condition: chance.choice([True, False, None]) for condition in Condition}
    if chance.random() < 0.5:
        facts |= dict.fromkeys(row.conditions, True)
    return Question(
        roles=frozenset(chance.sample(pairs, k=2) + chance.sample(fitting, k=min(1, len(fitting)))),
        field=field.name,
        action=action,
        relation=chance.choice([relation for relation in Relation if row.covers_relation(relation)]),
        purpose=chance.choice([purpose for purpose in book.purposes if row.covers_purpose(purpose)]),
        facts={condition: fact for condition, fact in facts.items() if fact is not None},
    )


SEEDS = st.integers(min_value=0, max_value=2**63)


def test_the_plan_answers_like_stock_casbin_on_two_thousand_made_up_questions(book: RuleBook) -> None:
    levels: Counter[Level] = Counter()

    @UNSHRUNK
    @given(st.data())
    def compare(data: st.DataObject) -> None:
        drawn = data.draw(st.lists(grants(book), min_size=1, max_size=12))
        rows = [as_written(grant, place) for place, grant in enumerate(drawn)]
        made_up = with_grants(book, rows)
        plan = compile_plan(made_up)
        seed = data.draw(SEEDS)
        questions = [aimed(seed + number, book, rows) for number in range(QUESTIONS)]
        asked = {f"asker{number}": question for number, question in enumerate(questions)}
        held = {place: roles for asker, question in asked.items() for place, roles in question.held(asker).items()}
        enforcer = reference(made_up, held)
        for asker, question in asked.items():
            level = question.to_plan(plan)
            assert level == question.to_casbin(enforcer, asker), question
            levels[level] += 1

    compare()
    assert levels.total() >= 2_000
    assert set(levels) == set(Level), "the questions never reached some level, so they prove little"


def test_the_plan_answers_like_stock_casbin_under_the_real_rules(book: RuleBook) -> None:
    plan = compile_plan(book)

    @UNSHRUNK
    @given(SEEDS)
    def compare(seed: int) -> None:
        question = aimed(seed, book, list(book.grants.values()))
        assert question.to_plan(plan) == question.to_casbin(reference(book, question.held()))

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
    monkeypatch.setattr("policies.roles.providers", lambda: ("casbin", "pycasbin"))
    with pytest.raises(TwinDistributionsError, match="casbin, pycasbin"):
        refuse_twin_distributions()


def test_an_unknown_word_is_hidden_even_where_a_wildcard_row_would_let_casbin_in(book: RuleBook) -> None:
    asked = Question(
        frozenset(), FieldName("mobile"), Action.READ, Relation.SELF, Purpose("world.domination"), {}
    )
    assert asked.to_casbin(reference(book, {})) is Level.FULL
    assert compile_plan(book).verdict(*vars(asked).values()) is NO_RULE
