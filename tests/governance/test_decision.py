"""The pure decision, rule by rule, over a handful of rows made up for it: who gets what, and told why."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import pytest

from consent.rules import Standing
from governance.decision import decide_fields, decide_send
from governance.grounds import Facts, FieldDecision, SendDecision
from policies.book import load_book, packaged_rules
from policies.entries import ANY, Grant
from policies.plan import Plan, compile_plan
from policies.reasons import Reason
from policies.terms import (
    Action,
    Effect,
    Level,
    Outcome,
    Relation,
    Role,
    RuleId,
    Scope,
    ScreeningOutcome,
    SubjectKind,
)

NOW, LATER = 1_000, 9_000
YES = Standing(
    permits=True,
    reason=Reason.CONSENT_GIVEN,
    consent_id="con_1",
    valid_until=LATER,
    duties=("choice=non_personal", "optout=required"),
)
NO = Standing(permits=False, reason=Reason.WITHDRAWN, duties=("service=unchanged", "delete=due"))
AGENT = frozenset({(Scope.PORTFOLIO, Role("agent"))})
SENDER = frozenset({(Scope.ORG, Role("sender"))})
DELIVERY, PROFILED, DIRECT = "service.delivery", "marketing.profiled", "marketing.direct"

# id, object, action, level, relation, purpose, conditions, allows, duties
ROWS = (
    ("A-01", "name", "read", Level.FULL, "*", "*", "", True, "log=high"),
    ("A-02", "mobile", "read", Level.MASKED, "*", "*", "", True, ""),
    ("A-03", "email", "read", Level.EXISTS, "*", "*", "", True, ""),
    ("D-03", "email", "read", Level.MASKED, "*", "*", "", False, ""),
    ("A-04", "blood_pressure", "read", Level.FULL, "*", "*", "consent", True, "log=high;choice=non_personal"),
    ("A-05", "viewing_history", "read", Level.FULL, "*", "*", "", True, ""),
    ("D-05", "viewing_history", "read", Level.EXISTS, "*", "*", "hidden", False, ""),
    ("A-06", "location", "read", Level.FULL, "*", "*", "", True, ""),
    ("D-06", "location", "read", Level.EXISTS, "*", "*", "under_14", False, ""),
    ("A-07", "bank_card", "read", Level.FULL, "*", "*", "", True, ""),
    ("D-07", "bank_card", "read", Level.EXISTS, "*", "*", "under_18", False, ""),
    ("A-08", "id_card", "read", Level.FULL, "*", "*", "", True, ""),
    ("D-08", "id_card", "read", Level.EXISTS, "*", "*", "unapproved", False, ""),
    ("A-09", "allergies", "read", Level.FULL, "*", "*", "", True, ""),
    ("D-09", "allergies", "read", Level.EXISTS, "*", "*", "profiled", False, ""),
    ("D-10", "allergies", "read", Level.EXISTS, "*", "*", "ticket", False, ""),
    ("A-10", "birth_date", "read", Level.FULL, "*", "*", "ticket", True, ""),
    ("A-11", "purchase_history", "read", Level.FULL, "*", "*", "consent", True, ""),
    ("D-11", "purchase_history", "read", Level.EXISTS, "*", "*", "under_18", False, ""),
    ("A-12", "name", "write", Level.FULL, "*", "*", "", True, ""),
    ("A-13", "address", "read", Level.FULL, "*", "*", "", True, ""),
    ("D-13", "address", "read", Level.EXISTS, "*", "*", "unapproved", False, ""),
    ("D-14", "address", "read", Level.EXISTS, "*", "*", "under_14", False, ""),
    ("D-16", "address", "read", Level.EXISTS, "*", "*", "under_18", False, ""),
    ("S-01", "channel.sms", "send", Level.FULL, "*", "*", "consent", True, ""),
    ("S-02", "channel.email", "send", Level.FULL, "*", "*", "", True, ""),
    ("S-03", "channel.app_push", "send", Level.FULL, "*", "*", "", True, ""),
    ("D-15", "channel.app_push", "send", Level.EXISTS, "*", "*", "under_18", False, ""),
)


def row(line: int, cells: tuple[object, ...]) -> Grant:
    id_, object_, action, level, relation, purpose, conditions, allows, duties = cells
    return Grant(
        id=RuleId(str(id_)),
        role=ANY,
        scope=ANY,
        object=str(object_),
        action=str(action),
        level=level,
        relation=str(relation),
        purpose=str(purpose),
        conditions=frozenset(str(conditions).split()),
        allows=bool(allows),
        duties=tuple(filter(None, str(duties).split(";"))),
        sources=("S1",),
        line=line,
    )


BOOK = replace(
    load_book(packaged_rules()),
    grants=MappingProxyType({str(cells[0]): row(line, cells) for line, cells in enumerate(ROWS)}),
)


@functools.cache
def plan() -> Plan:
    return compile_plan(BOOK)


def facts(**more: object) -> Facts:
    """An adult whom an assigned agent asks about; every field is filled, nothing is agreed or hidden."""
    known: dict[str, object] = {
        "kind": SubjectKind.MEMBER,
        "relation": Relation.ASSIGNED,
        "roles": AGENT,
        "age": 40,
        "standings": {},
        "hidden": frozenset(),
        "present": frozenset(BOOK.fields),
        "now": NOW,
    }
    return Facts(**{**known, **more})


def said(field: str, standing: Standing) -> Mapping[str, Standing]:
    return {BOOK.fields[field].category: standing}


def decide(field: str, known: Facts, purpose: str = DELIVERY, action: Action = Action.READ) -> FieldDecision:
    (one,) = decide_fields(BOOK, plan(), action, (field,), purpose, known)
    return one


def told(one: FieldDecision) -> str:
    return " ".join([one.effect.value, *(reason.value for reason in one.reasons)])


@pytest.mark.parametrize(
    ("field", "more", "purpose", "expected"),
    [
        ("name", {}, DELIVERY, "show rule_allows"),
        ("mobile", {}, DELIVERY, "mask rule_allows masked_by_rule"),
        ("email", {}, DELIVERY, "exists rule_allows existence_only"),
        ("wish", {}, DELIVERY, "hide unknown_field"),
        ("address", {}, DELIVERY, "hide unknown_field"),
        ("channel.sms", {}, DELIVERY, "hide unknown_field"),
        ("name", {"kind": None}, DELIVERY, "hide unknown_field"),
        ("name", {}, "service.witchcraft", "hide unknown_purpose"),
        ("name", {"usable": False}, DELIVERY, "hide facts_unavailable"),
        ("birth_date", {}, DELIVERY, "hide no_rule"),
        ("name", {"present": frozenset()}, DELIVERY, "hide not_available"),
        ("name", {"present": None}, DELIVERY, "show rule_allows"),
        ("name", {"relation": Relation.SELF}, DELIVERY, "show own_data"),
        ("allergies", {}, DELIVERY, "show rule_allows"),
        ("allergies", {}, PROFILED, "hide denied_by_rule"),
    ],
)
def test_who_gets_what(field: str, more: dict[str, object], purpose: str, expected: str) -> None:
    assert told(decide(field, facts(**more), purpose)) == expected


@pytest.mark.parametrize(
    ("field", "age", "relation", "expected"),
    [
        ("location", 13, Relation.WARD, "hide denied_by_rule"),
        ("location", 14, Relation.WARD, "show rule_allows"),
        ("bank_card", 17, Relation.WARD, "hide denied_by_rule"),
        ("bank_card", 18, Relation.WARD, "show rule_allows"),
        ("bank_card", None, Relation.WARD, "hide denied_by_rule"),
        ("id_card", 17, Relation.ASSIGNED, "hide denied_by_rule"),
        ("id_card", 18, Relation.ASSIGNED, "show rule_allows"),
        ("id_card", 17, Relation.WARD, "show rule_allows"),
        ("id_card", 17, Relation.SELF, "hide denied_by_rule"),
        # The law's floor for children, whatever the rows say.
        ("name", 13, Relation.ASSIGNED, "hide no_rule"),
        ("name", None, Relation.ASSIGNED, "hide no_rule"),
        ("name", 14, Relation.ASSIGNED, "show rule_allows"),
        ("name", 13, Relation.NONE, "hide no_rule"),
        ("name", 13, Relation.SELF, "show own_data"),
        ("name", 13, Relation.WARD, "show rule_allows"),
        ("name", 13, Relation.CORESIDENT, "show rule_allows"),
    ],
)
def test_what_depends_on_the_age(field: str, age: int | None, relation: Relation, expected: str) -> None:
    assert told(decide(field, facts(age=age, relation=relation))) == expected


def test_a_household_has_no_age_and_is_no_child() -> None:
    home = facts(kind=SubjectKind.HOUSEHOLD, age=None)
    assert told(decide("address", home)) == "show rule_allows"


def test_a_consent_opens_is_named_and_brings_its_duties_and_its_end() -> None:
    one = decide("blood_pressure", facts(standings=said("blood_pressure", YES)))
    assert told(one) == "show consent_given"
    assert (one.consent, one.valid_until, one.rules) == ("con_1", LATER, ("A-04",))
    assert one.duties == ("log=high", "choice=non_personal", "optout=required")


def test_to_the_person_the_own_data_are_shown_as_such_without_a_consent() -> None:
    one = decide("blood_pressure", facts(relation=Relation.SELF, standings=said("blood_pressure", YES)))
    assert (told(one), one.consent, one.valid_until) == ("show own_data", None, None)
    assert one.duties == ("log=high", "choice=non_personal")


def test_a_refusal_of_the_person_is_told_with_what_it_obliges_to() -> None:
    one = decide("blood_pressure", facts(standings=said("blood_pressure", NO)))
    assert told(one) == "hide withdrawn"
    assert one.duties == ("service=unchanged", "delete=due")
    assert one.unmet == (("A-04", ("consent",)),)
    assert (one.rules, one.consent) == ((), None)


def test_where_the_row_asks_for_no_consent_a_refusal_takes_nothing_away() -> None:
    one = decide("name", facts(standings=said("name", NO)))
    assert (told(one), one.consent, one.duties) == ("show rule_allows", None, ("log=high",))


def test_a_standing_that_nobody_knows_opens_nothing() -> None:
    assert told(decide("blood_pressure", facts())) == "hide no_rule"


def test_for_a_child_an_outsider_needs_the_guardians_consent_even_where_no_row_does() -> None:
    guarded = YES._replace(reason=Reason.GUARDIAN_CONSENT)
    assert told(decide("name", facts(age=13, standings=said("name", guarded)))) == "show guardian_consent"
    refused = decide("name", facts(age=13, standings=said("name", NO)))
    assert (told(refused), refused.duties) == ("hide withdrawn", NO.duties)
    # A row that would have held back an adult's data as well is named as it would be there.
    assert told(decide("birth_date", facts(age=13, standings=said("birth_date", YES)))) == "hide no_rule"


def test_a_refusal_of_the_person_is_told_only_where_consent_was_asked_for() -> None:
    assert told(decide("birth_date", facts(standings=said("birth_date", NO)))) == "hide no_rule"
    # A row that only lowers the level is not what keeps a child's data from an outsider.
    child = facts(age=13, standings=said("email", NO))
    assert told(decide("email", child)) == "hide withdrawn"


def test_a_row_that_forbids_is_told_unless_consent_was_missing_anyway() -> None:
    minor = facts(age=16, relation=Relation.WARD)
    forbidden = decide("bank_card", minor)
    assert (told(forbidden), forbidden.rules, forbidden.duties) == ("hide denied_by_rule", ("D-07",), ())
    known = minor._replace(standings=said("purchase_history", NO))
    assert told(decide("purchase_history", known)) == "hide withdrawn"
    agreed = minor._replace(standings=said("purchase_history", YES))
    assert told(decide("purchase_history", agreed)) == "hide denied_by_rule"
    unknown = decide("purchase_history", minor)
    assert (told(unknown), unknown.rules) == ("hide denied_by_rule", ("D-11",))
    # Both a row that forbids and the law's floor: the row is told.
    child = facts(age=13, standings=said("location", NO))
    assert told(decide("location", child)) == "hide denied_by_rule"


def test_what_is_hidden_looks_like_what_is_absent_and_hides_nothing_from_who_may_not_look() -> None:
    hidden = frozenset(BOOK.fields[name].category for name in ("viewing_history", "bank_card"))
    one = decide("viewing_history", facts(hidden=hidden))
    assert one == decide("viewing_history", facts(present=frozenset()))
    assert told(one) == "hide not_available"
    assert told(decide("viewing_history", facts())) == "show rule_allows"
    minor = facts(age=16, relation=Relation.WARD)
    assert decide("bank_card", minor._replace(hidden=hidden)) == decide("bank_card", minor)


def test_a_row_that_does_not_mind_hiding_shows() -> None:
    hidden = frozenset({BOOK.fields["name"].category})
    assert told(decide("name", facts(hidden=hidden))) == "show rule_allows"


@pytest.mark.parametrize(
    ("relation", "purpose", "standing", "effect"),
    [
        (Relation.ASSIGNED, DELIVERY, YES, "show consent_given"),
        (Relation.ASSIGNED, DELIVERY, NO, "hide no_basis_to_collect"),
        (Relation.ASSIGNED, DELIVERY, None, "hide no_basis_to_collect"),
        (Relation.ASSIGNED, DIRECT, YES, "hide no_basis_to_collect"),
        (Relation.SELF, DIRECT, None, "show own_data"),
        (Relation.WARD, DIRECT, None, "show rule_allows"),
        (Relation.CORESIDENT, DIRECT, None, "show rule_allows"),
        (Relation.NONE, DIRECT, None, "hide no_basis_to_collect"),
    ],
)
def test_nothing_is_collected_without_a_basis(
    relation: Relation, purpose: str, standing: Standing | None, effect: str
) -> None:
    standings = {} if standing is None else said("name", standing)
    known = facts(relation=relation, standings=standings, present=frozenset())
    assert told(decide("name", known, purpose, Action.WRITE)) == effect


def test_each_field_gets_its_own_decision_in_order() -> None:
    both = decide_fields(BOOK, plan(), Action.READ, ("mobile", "name"), DELIVERY, facts())
    assert [one.field for one in both] == ["mobile", "name"]


@pytest.mark.parametrize(
    ("more", "known"),
    [
        ({}, True),
        ({"kind": None}, False),
        ({"relation": Relation.NONE}, False),
        ({"relation": Relation.NONE, "roles": SENDER}, True),
        ({"relation": Relation.NONE, "roles": SENDER | AGENT}, True),
        ({"relation": Relation.NONE, "roles": frozenset()}, False),
        ({"relation": Relation.NONE, "roles": SENDER, "kind": None}, False),
    ],
)
def test_who_may_know_that_somebody_exists(more: dict[str, object], *, known: bool) -> None:
    assert facts(**more).known is known


def send(
    channel: str = "channel.email",
    purpose: str = DIRECT,
    screened: ScreeningOutcome = ScreeningOutcome.ALLOW,
    slots: int = 1,
    **more: object,
) -> SendDecision:
    known = facts(relation=Relation.NONE, roles=SENDER, **more)
    return decide_send(BOOK, plan(), channel, purpose, known, screened, slots)


def heard(one: SendDecision) -> str:
    return " ".join([one.outcome.value, *(reason.value for reason in one.reasons)])


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({}, "admit rule_allows content_clean"),
        ({"channel": "channel.pigeon"}, "refuse recipient_unavailable"),
        ({"channel": "mobile"}, "refuse recipient_unavailable"),
        ({"kind": SubjectKind.HOUSEHOLD}, "refuse recipient_unavailable"),
        ({"kind": None}, "refuse recipient_unavailable"),
        ({"purpose": "marketing.psychic"}, "refuse unknown_purpose"),
        ({"purpose": "analytics.usage"}, "refuse unknown_purpose"),
        ({"usable": False}, "refuse facts_unavailable"),
        ({"screened": ScreeningOutcome.BLOCK}, "refuse content_blocked"),
        ({"screened": ScreeningOutcome.REVIEW}, "hold content_needs_review"),
        ({"slots": 0}, "refuse daily_cap"),
        ({"slots": -1}, "refuse daily_cap"),
        ({"slots": 0, "purpose": DELIVERY}, "admit rule_allows content_clean"),
        ({"slots": 0, "screened": ScreeningOutcome.BLOCK}, "refuse content_blocked daily_cap"),
        ({"slots": 0, "screened": ScreeningOutcome.REVIEW}, "refuse daily_cap"),
        ({"channel": "channel.sms"}, "refuse role_may_not_send"),
        ({"channel": "channel.wecom"}, "refuse role_may_not_send"),
        ({"channel": "channel.app_push", "age": 17}, "refuse minor_protected"),
        ({"channel": "channel.app_push", "age": None}, "refuse minor_protected"),
        ({"channel": "channel.app_push", "age": 18}, "admit rule_allows content_clean"),
    ],
)
def test_what_becomes_of_a_message(how: dict[str, object], expected: str) -> None:
    assert heard(send(**how)) == expected


def test_a_message_rests_on_a_consent_where_the_row_asks_for_one() -> None:
    yes = send("channel.sms", standings=said("channel.sms", YES))
    assert (heard(yes), yes.consent, yes.rules) == ("admit consent_given content_clean", "con_1", ("S-01",))
    no = send("channel.sms", standings=said("channel.sms", NO))
    assert (heard(no), no.consent, no.rules) == ("refuse withdrawn", None, ())
    held = send("channel.sms", screened=ScreeningOutcome.REVIEW, standings=said("channel.sms", YES))
    assert (held.outcome, held.consent, held.rules) == (Outcome.HOLD, "con_1", ("S-01",))
    elsewhere = send("channel.wecom", standings=said("channel.wecom", YES))
    assert heard(elsewhere) == "refuse role_may_not_send"
    unneeded = send("channel.email", standings=said("channel.email", NO))
    assert (heard(unneeded), unneeded.consent) == ("admit rule_allows content_clean", None)


def test_a_refused_message_names_the_row_that_forbids_it() -> None:
    assert send("channel.app_push", age=17).rules == ("D-15",)


def test_an_adult_whom_a_row_forbids_is_told_so() -> None:
    rows = {**BOOK.grants, "D-15": replace(BOOK.grants["D-15"], conditions=frozenset())}
    stricter = replace(BOOK, grants=MappingProxyType(rows))
    known = facts(relation=Relation.NONE, roles=SENDER)
    for age, reason in ((18, Reason.DENIED_BY_RULE), (17, Reason.MINOR_PROTECTED)):
        one = decide_send(
            stricter,
            compile_plan(stricter),
            "channel.app_push",
            DIRECT,
            known._replace(age=age),
            ScreeningOutcome.ALLOW,
            1,
        )
        assert one.reasons == (reason,)


def test_no_decision_is_a_truth_value() -> None:
    for decision in (decide("name", facts()), send()):
        with pytest.raises(TypeError, match="no truth value"):
            bool(decision)
    assert decide("name", facts()).effect is Effect.SHOW
