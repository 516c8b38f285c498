"""What a verdict promises: reasons, duties, near misses, fail-closed facts, bounded memory, thread safety."""

from __future__ import annotations

import itertools
from dataclasses import FrozenInstanceError, replace
from types import MappingProxyType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.book import RuleBook
from policies.entries import ANY, Grant
from policies.plan import LADDERS, NO_RULE, PATTERNS, Plan, Verdict, compile_plan
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

AGENT = frozenset({(Scope.PORTFOLIO, Role("agent"))})
MOBILE = FieldName("mobile")
DELIVERY = Purpose("service.delivery")
ADULT = {Condition.UNDER_14: False, Condition.UNDER_18: False, Condition.HIDDEN: False}


@pytest.fixture(scope="module")
def plan(book: RuleBook) -> Plan:
    return compile_plan(book)


def agent_reads_mobile(plan: Plan, **true: bool) -> Verdict:
    facts = ADULT | {Condition(name): value for name, value in true.items()}
    return plan.verdict(AGENT, MOBILE, Action.READ, Relation.ASSIGNED, DELIVERY, facts)


def test_a_verdict_names_every_row_that_applied_and_what_the_next_one_lacks(plan: Plan) -> None:
    assert agent_reads_mobile(plan, consent=True) == Verdict(
        level=Level.MASKED,
        rules=(RuleId("S-AG-02"),),
        duties=(),
        unmet=((RuleId("S-AG-03"), (Condition.TICKET,)),),
        denied_by=(),
    )


def test_nothing_met_names_each_lacking_condition(plan: Plan) -> None:
    verdict = agent_reads_mobile(plan)
    assert verdict.level is Level.HIDDEN
    assert verdict.unmet == (
        (RuleId("S-AG-02"), (Condition.CONSENT,)),
        (RuleId("S-AG-03"), (Condition.CONSENT, Condition.TICKET)),
    )


def test_duties_come_from_the_rows_that_reach_the_level(plan: Plan) -> None:
    verdict = agent_reads_mobile(plan, consent=True, ticket=True)
    assert verdict.level is Level.FULL
    assert verdict.duties == ("log=high", "notify=subject", "ttl=900")


def with_rows(book: RuleBook, *rows: Grant) -> Plan:
    return compile_plan(
        replace(book, grants=MappingProxyType(dict(book.grants) | {row.id: row for row in rows}))
    )


def test_duties_of_rows_below_the_level_fall_away(book: RuleBook) -> None:
    plan = with_rows(book, replace(book.grants[RuleId("S-AG-02")], duties=("choice=non_personal",)))
    assert agent_reads_mobile(plan, consent=True).duties == ("choice=non_personal",)
    assert "choice=non_personal" not in agent_reads_mobile(plan, consent=True, ticket=True).duties


def test_nothing_shown_obliges_to_nothing(book: RuleBook) -> None:
    deny = replace(book.grants[RuleId("S-AG-05")], id=RuleId("T-01"), object="mobile", level=Level.EXISTS)
    verdict = agent_reads_mobile(with_rows(book, deny), consent=True, ticket=True)
    assert (verdict.level, verdict.duties, verdict.denied_by) == (Level.HIDDEN, (), (RuleId("T-01"),))


def test_a_cap_is_named_and_leaves_the_lower_form(plan: Plan) -> None:
    verdict = agent_reads_mobile(plan, consent=True, ticket=True, under_18=True, unapproved=True)
    assert (verdict.level, verdict.denied_by) == (Level.MASKED, (RuleId("L-MIN-03"),))
    assert verdict.rules == (RuleId("S-AG-02"), RuleId("S-AG-03"), RuleId("L-MIN-03"))


def test_a_deny_row_above_the_level_is_told_but_not_blamed(plan: Plan) -> None:
    verdict = agent_reads_mobile(plan, under_18=True, unapproved=True)
    assert (verdict.level, verdict.rules, verdict.denied_by) == (Level.HIDDEN, (RuleId("L-MIN-03"),), ())


def test_a_verdict_has_no_truth_value_and_cannot_be_changed(plan: Plan) -> None:
    verdict = agent_reads_mobile(plan, consent=True)
    with pytest.raises(TypeError):
        bool(verdict)
    with pytest.raises(FrozenInstanceError):
        verdict.level = Level.FULL  # type: ignore[misc]
    with pytest.raises(TypeError):
        bool(NO_RULE)


def test_a_fact_that_is_neither_true_nor_false_is_unknown(plan: Plan) -> None:
    facts: dict[Condition, bool] = ADULT | {Condition.CONSENT: 1}
    verdict = plan.verdict(AGENT, MOBILE, Action.READ, Relation.ASSIGNED, DELIVERY, facts)
    assert verdict.level is Level.HIDDEN


UNKNOWN: list[tuple[str, dict[str, object]]] = [
    ("field", {"field": "shoe_size"}),
    ("purpose", {"purpose": "world.domination"}),
    ("group instead of purpose", {"purpose": "service"}),
    ("relation", {"relation": "neighbour"}),
    ("action", {"action": "burn"}),
    ("channel that is read", {"field": "channel.sms"}),
    ("field that is sent", {"action": Action.SEND}),
]


@pytest.mark.parametrize("change", [row[1] for row in UNKNOWN], ids=[row[0] for row in UNKNOWN])
def test_an_unknown_word_is_hidden_without_a_rule(plan: Plan, change: dict[str, object]) -> None:
    question: dict[str, object] = {
        "roles": AGENT,
        "field": MOBILE,
        "action": Action.READ,
        "relation": Relation.ASSIGNED,
        "purpose": DELIVERY,
        "facts": dict.fromkeys(Condition, True),
    }
    assert plan.verdict(**(question | change)) is NO_RULE  # type: ignore[arg-type]


def test_a_role_that_is_unknown_or_held_in_the_wrong_place_gives_nothing(book: RuleBook) -> None:
    plan = with_rows(book, replace(book.grants[RuleId("S-AG-02")], scope=ANY))
    for roles in ({(Scope.ORG, Role("agent"))}, {(Scope.PORTFOLIO, Role("wizard"))}):
        verdict = plan.verdict(
            frozenset(roles),
            MOBILE,
            Action.READ,
            Relation.ASSIGNED,
            DELIVERY,
            ADULT | {Condition.CONSENT: True},
        )
        assert (verdict.level, verdict.rules) == (Level.HIDDEN, ())


def test_unknown_words_cost_no_memory(book: RuleBook) -> None:
    plan = compile_plan(book)
    agent_reads_mobile(plan, consent=True)
    before = len(plan._ladders)
    for number in range(2_000):
        for roles, field, purpose in (
            (AGENT, f"field{number}", DELIVERY),
            (AGENT, MOBILE, f"purpose{number}"),
            (AGENT | {(Scope.ORG, Role(f"role{number}"))}, MOBILE, DELIVERY),
        ):
            plan.verdict(roles, FieldName(field), Action.READ, Relation.ASSIGNED, Purpose(purpose), {})
    assert len(plan._ladders) == before


def test_known_words_in_any_number_of_combinations_stay_within_the_bound(book: RuleBook) -> None:
    plan = compile_plan(book)
    pairs = [(scope, role.id) for role in book.roles.values() for scope in role.scopes]
    sets = [frozenset(some) for some in itertools.combinations(pairs, 4)]
    for roles, field in itertools.product(sets, book.fields):
        plan.verdict(roles, field, Action.READ, Relation.NONE, DELIVERY, {})
    assert len(sets) * len(book.fields) > LADDERS >= len(plan._ladders)
    assert agent_reads_mobile(plan, consent=True).level is Level.MASKED


def test_fact_patterns_stay_within_the_bound(book: RuleBook) -> None:
    rows = [
        replace(book.grants[RuleId("S-AG-02")], id=RuleId(f"T-{place:02}"), conditions=frozenset({condition}))
        for place, condition in enumerate(Condition)
    ]
    plan = compile_plan(replace(book, grants=MappingProxyType({row.id: row for row in rows})))
    for values in itertools.product((True, False, None), repeat=len(Condition)):
        facts = {name: value for name, value in zip(Condition, values, strict=True) if value is not None}
        verdict = plan.verdict(AGENT, MOBILE, Action.READ, Relation.ASSIGNED, DELIVERY, facts)
        assert verdict.level is (Level.MASKED if True in values else Level.HIDDEN)
    assert max(len(ladder.seen) for ladder in plan._ladders.values()) == PATTERNS


def questions(book: RuleBook) -> st.SearchStrategy[tuple[object, ...]]:
    pairs = [(scope, role.id) for role in book.roles.values() for scope in role.scopes]
    return st.tuples(
        st.frozensets(st.sampled_from(pairs), max_size=3),
        st.sampled_from(list(book.fields)),
        st.sampled_from(Action),
        st.sampled_from(Relation),
        st.sampled_from(list(book.purposes)),
        st.dictionaries(st.sampled_from(Condition), st.booleans(), min_size=3),
    )


QUIET = settings(max_examples=300, deadline=None, database=None, suppress_health_check=list(HealthCheck))


def test_forgetting_a_fact_never_shows_more(book: RuleBook, plan: Plan) -> None:
    risen = 0

    @QUIET
    @given(questions(book))
    def ask(question: tuple[object, ...]) -> None:
        nonlocal risen
        *rest, facts = question
        assert isinstance(facts, dict)
        level = plan.verdict(*rest, facts).level  # type: ignore[arg-type]
        for forgotten in facts:
            kept = {name: value for name, value in facts.items() if name is not forgotten}
            less = plan.verdict(*rest, kept).level  # type: ignore[arg-type]
            assert less <= level
            risen += less < level

    ask()
    assert risen, "no question depended on a fact, so nothing was proved"


def test_another_allow_row_never_lowers_and_another_deny_row_never_raises(book: RuleBook, plan: Plan) -> None:
    def one_more(allows: bool) -> Plan:
        row = Grant(
            id=RuleId("T-01"), role=ANY, scope=ANY, object=ANY, action=Action.READ, level=Level.MASKED,
            relation=ANY, purpose="service", conditions=frozenset({Condition.TICKET}), allows=allows,
            duties=(), sources=("S1",), line=1,
        )  # fmt: skip
        return compile_plan(replace(book, grants=MappingProxyType(dict(book.grants) | {row.id: row})))

    opened, closed = one_more(allows=True), one_more(allows=False)

    @QUIET
    @given(questions(book))
    def ask(question: tuple[object, ...]) -> None:
        level = plan.verdict(*question).level  # type: ignore[arg-type]
        assert closed.verdict(*question).level <= level <= opened.verdict(*question).level  # type: ignore[arg-type]

    ask()


COVERED = [
    ("*", "service.delivery", True),
    ("service", "service.delivery", True),
    ("service.delivery", "service.delivery", True),
    ("service", "services.delivery", False),
    ("service.deliver", "service.delivery", False),
    ("service.delivery", "service", False),
]


@pytest.mark.parametrize(("written", "purpose", "covered"), COVERED)
def test_a_group_covers_what_lies_below_its_dot(
    book: RuleBook, written: str, purpose: str, covered: bool
) -> None:
    row = replace(book.grants[RuleId("S-AG-02")], purpose=written)
    assert row.covers_purpose(Purpose(purpose)) is covered


def crowd(book: RuleBook, number: int) -> RuleBook:
    """Return the book with many more rows for other roles."""
    roles = {
        Role(f"team_{i}"): replace(
            book.roles[Role("agent")], id=Role(f"team_{i}"), closure=frozenset({Role(f"team_{i}")})
        )
        for i in range(number // 10 + 1)
    }
    models = [grant for grant in book.grants.values() if grant.role == "agent"]
    rows = {
        RuleId(f"T-{i}"): replace(models[i % len(models)], id=RuleId(f"T-{i}"), role=f"team_{i // 10}")
        for i in range(number)
    }
    return replace(
        book,
        roles=MappingProxyType(dict(book.roles) | roles),
        grants=MappingProxyType(rows | dict(book.grants)),
    )


def test_ten_thousand_rows_for_others_change_nothing(book: RuleBook, plan: Plan) -> None:
    crowded = compile_plan(crowd(book, 10_000))
    for true in (
        {},
        {"consent": True},
        {"consent": True, "ticket": True},
        {"consent": True, "under_18": True},
    ):
        assert agent_reads_mobile(crowded, **true) == agent_reads_mobile(plan, **true)
