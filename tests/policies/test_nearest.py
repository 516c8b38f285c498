"""What an officer is told about one question: every row, what it lacked, and which row came nearest."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.book import RuleBook, load_book
from policies.knowledge import implied
from policies.nearest import Explanation, Near, Spoken, explain
from policies.plan import NO_PURPOSE, compile_plan
from policies.questions import Question, goes_with
from policies.terms import Action, Condition, Level, Purpose, Relation, Role, RuleId, Scope

ADULT = {"under_14": False, "under_18": False, "hidden": False, "unapproved": False, "profiled": False}
AGENT = (Scope.PORTFOLIO, Role("agent"))
CRM = (Scope.ORG, Role("crm"))


def told(book: RuleBook, roles: set[tuple[Scope, Role]], *asked: str, **facts: bool) -> Explanation:
    thing, action, relation, purpose = asked
    question = Question(thing, action, Relation(relation), Purpose(purpose))
    return explain(book, compile_plan(book), frozenset(roles), question, ADULT | facts)


def shown(near: Near) -> tuple[object, ...]:
    role = None if near.role is None else near.role[1]
    return near.grant.id, role, near.relation, near.purpose, near.conditions, near.level


TABLE = [
    # who, what is asked, facts, the nearest rows
    ("the consent is missing", {AGENT}, ("name", "read", "assigned", "service.household"), {},
     [("S-AG-01", None, None, None, ("consent",), Level.FULL)]),
    ("the masked form is there, the full one needs a ticket",
     {AGENT}, ("mobile", "read", "assigned", "service.household"), {"consent": True},
     [("S-AG-03", None, None, None, ("ticket",), Level.FULL)]),
    ("the member is somebody else's", set(), ("name", "read", "none", "service.household"), {"consent": True},
     [("S-CR-01", "crm", None, None, (), Level.FULL)]),
    ("nobody allows more than full", {AGENT}, ("name", "read", "assigned", "service.household"),
     {"consent": True}, []),
    ("another purpose is told as a difference, and its consent is not known",
     {CRM}, ("name", "read", "none", "analytics.usage"), {"consent": True},
     [("S-CR-01", None, None, "service.household", ("consent",), Level.FULL),
      ("S-CR-05", None, None, "account.manage", ("consent",), Level.FULL),
      ("H-KIN-01", "adult_member", "coresident", None, (), Level.FULL),
      ("H-KIN-03", "minor_member", "coresident", None, (), Level.FULL)]),
]  # fmt: skip


@pytest.mark.parametrize("row", TABLE, ids=[str(row[0]) for row in TABLE])
def test_the_nearest_rows_are_told_with_what_differs(book: RuleBook, row: tuple[object, ...]) -> None:
    _, roles, asked, facts, expected = row
    found = told(book, roles, *asked, **facts)  # type: ignore[arg-type, misc]
    assert sorted(map(shown, found.nearest), key=str) == sorted(expected, key=str)  # type: ignore[call-overload]


def test_every_row_about_the_question_is_told_with_what_it_lacked(book: RuleBook) -> None:
    found = told(book, {AGENT}, "mobile", "read", "assigned", "service.delivery", consent=True)
    rows = book.grants
    assert found.spoken == (
        Spoken(rows[RuleId("S-AG-02")], applied=True, lacking=()),
        Spoken(rows[RuleId("S-AG-03")], applied=False, lacking=("ticket",)),
        Spoken(rows[RuleId("L-MIN-03")], applied=False, lacking=("unapproved", "under_18")),
    )
    assert found.verdict.level is Level.MASKED


def test_an_allow_row_that_a_deny_row_would_cut_anyway_is_not_told(book: RuleBook) -> None:
    capped = told(
        book, {AGENT}, "name", "read", "assigned", "service.household",
        consent=True, under_18=True, unapproved=True,
    )  # fmt: skip
    assert capped.verdict.denied_by == ("L-MIN-03",)
    assert "S-AG-01" in [row.grant.id for row in capped.spoken if row.applied]
    assert "S-AG-01" not in [near.grant.id for near in capped.nearest]
    secret = told(book, {AGENT}, "chat_messages", "read", "assigned", "service.household", consent=True)
    assert secret.nearest == ()


def test_rows_for_the_person_are_near_to_nobody_else(book: RuleBook) -> None:
    found = told(book, set(), "name", "read", "none", "service.household", consent=True)
    assert {near.grant.id for near in found.nearest} == {"S-CR-01"}
    child = told(book, set(), "allergies", "write", "ward", "service.household")
    assert [shown(near)[0] for near in child.nearest] == ["H-WARD-03"]
    assert child.nearest[0].conditions == (Condition.UNDER_14,)


def test_of_two_rows_of_a_role_the_one_that_carries_the_answer_is_told(book: RuleBook) -> None:
    found = told(book, set(), "mobile", "read", "none", "service.delivery", consent=True)
    assert [shown(near)[:2] for near in found.nearest] == [("S-CR-03", "crm")]


def test_a_profiled_purpose_is_not_a_condition_that_can_be_met(book: RuleBook) -> None:
    row = replace(book.grants[RuleId("S-SE-01")], conditions=frozenset({Condition.PROFILED}))
    rows = MappingProxyType({row.id: row})
    found = told(replace(book, grants=rows), {(Scope.ORG, Role("sender"))}, "channel.sms", "send", "none",
                 "marketing.direct")  # fmt: skip
    assert found.nearest == ()


def test_unknown_words_are_explained_as_nothing(book: RuleBook) -> None:
    found = told(book, {AGENT}, "shoe_size", "read", "assigned", "service.household")
    assert (found.verdict.level, found.spoken, found.nearest) == (Level.HIDDEN, (), ())


def test_further_resources_are_explained_alike() -> None:
    documents = load_book(Path(__file__).parent / "documents")
    question = Question("type:document", "edit", Relation.NONE, NO_PURPOSE)
    held = frozenset({(Scope.ORG, Role("reader"))})
    facts = {"archived": False, "owner": False, "same_department": True}
    found = explain(documents, compile_plan(documents), held, question, facts)
    assert [shown(near)[:2] for near in found.nearest] == [("D-RD-02", None), ("D-ED-01", "editor")]
    archived = explain(documents, compile_plan(documents), held, question, facts | {"archived": True})
    assert archived.nearest == ()


QUIET = settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))


def test_whoever_differs_in_what_is_told_would_be_allowed_more(book: RuleBook) -> None:
    plan = compile_plan(book)
    pairs = [(scope, role.id) for role in book.roles.values() for scope in role.scopes]
    differences: Counter[int] = Counter()

    @QUIET
    @given(
        st.frozensets(st.sampled_from(pairs), max_size=2),
        st.sampled_from(list(book.fields)),
        st.sampled_from(Action),
        st.sampled_from(Relation),
        st.sampled_from(list(book.purposes)),
        st.dictionaries(st.sampled_from(["consent", "ticket", "emergency"]), st.booleans()),
    )
    def ask(roles, field, action, relation, purpose, known) -> None:
        question = Question(field, action, relation, purpose)
        facts = ADULT | known | {"profiled": book.purposes[purpose].profiled}
        found = explain(book, plan, roles, question, facts)
        for near in found.nearest:
            asked = (field, action, near.relation or relation, near.purpose or purpose)
            profiled = {"profiled": book.purposes[near.purpose or purpose].profiled}
            held = frozenset(pair for pair in roles if goes_with(pair[0], asked[2]))
            held |= {near.role} if near.role else frozenset()
            true = dict.fromkeys(implied(near.conditions), True)
            verdict = plan.verdict(held, *asked, facts | profiled | true)
            assert near.grant.id in verdict.rules
            assert verdict.level is near.level > found.verdict.level
            assert near.differences >= 1
            differences[near.differences] += 1

    ask()
    assert len(differences) >= 3, differences
