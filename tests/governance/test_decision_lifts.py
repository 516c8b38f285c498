"""What opens more than role and consent do, and until when: a share, a ticket, an approval, an emergency."""

from __future__ import annotations

import functools
from dataclasses import replace
from types import MappingProxyType

import pytest
from test_decision import BOOK as PACKAGED
from test_decision import DELIVERY, LATER, NO, YES, facts, row, said, told

from governance.decision import decide_fields
from governance.grounds import Approved, Facts, FieldDecision
from policies.plan import Plan, compile_plan
from policies.terms import Action, Category, Level, Relation

SOON = LATER - 1_000
APPROVAL = Approved("apr_1", SOON)

# id, object, action, level, relation, purpose, conditions, allows, duties
ROWS = (
    # Open to everybody, and to minors with an approval.
    ("A-01", "name", "read", Level.FULL, "*", "*", "", True, ""),
    ("A-02", "id_card", "read", Level.FULL, "*", "*", "", True, ""),
    ("D-02", "id_card", "read", Level.EXISTS, "*", "*", "unapproved", False, "approval=guardian"),
    ("A-03", "bank_card", "read", Level.FULL, "*", "*", "", True, ""),
    ("D-03", "bank_card", "read", Level.FULL, "*", "*", "unapproved", False, "approval=guardian"),
    ("A-04", "chat_messages", "read", Level.FULL, "*", "*", "", True, ""),
    ("A-05", "chat_messages", "read", Level.FULL, "*", "*", "consent", True, ""),
    ("D-04", "chat_messages", "read", Level.EXISTS, "*", "*", "unapproved", False, "approval=guardian"),
    # For emergencies.
    ("E-01", "allergies", "read", Level.FULL, "*", "*", "emergency", True, ""),
    ("A-06", "allergies", "read", Level.FULL, "*", "*", "consent", True, ""),
    ("E-02", "allergies", "write", Level.FULL, "*", "*", "emergency", True, ""),
    ("E-03", "blood_pressure", "read", Level.FULL, "*", "*", "emergency", True, ""),
    ("D-05", "blood_pressure", "read", Level.EXISTS, "*", "*", "unapproved", False, ""),
    # For a ticket: alone, above a masked value, below an open one.
    ("T-01", "birth_date", "read", Level.FULL, "*", "*", "ticket", True, ""),
    ("A-07", "mobile", "read", Level.MASKED, "*", "*", "", True, ""),
    ("T-02", "mobile", "read", Level.FULL, "*", "*", "ticket", True, ""),
    ("A-08", "email", "read", Level.FULL, "*", "*", "", True, ""),
    ("T-03", "email", "read", Level.MASKED, "*", "*", "ticket", True, ""),
    # For a share.
    ("H-01", "purchase_history", "read", Level.FULL, "*", "*", "shared", True, ""),
    ("H-02", "viewing_history", "read", Level.FULL, "*", "*", "shared consent", True, ""),
    # Where a household asks for staff of the member's own gender.
    ("A-09", "location", "read", Level.FULL, "*", "*", "", True, ""),
    ("D-06", "location", "read", Level.EXISTS, "*", "*", "same_gender_asked other_gender", False, ""),
)
BOOK = replace(
    PACKAGED,
    grants=MappingProxyType({str(cells[0]): row(line, cells) for line, cells in enumerate(ROWS)}),
)


@functools.cache
def plan() -> Plan:
    return compile_plan(BOOK)


def decide(field: str, known: Facts, action: Action = Action.READ) -> FieldDecision:
    (one,) = decide_fields(BOOK, plan(), action, (field,), DELIVERY, known)
    return one


def approved(*fields: str) -> dict[str, Approved]:
    return dict.fromkeys(fields, APPROVAL)


def shared(field: str, until: int | None) -> dict[Category, int | None]:
    return {BOOK.fields[field].category: until}


def test_an_approval_opens_what_it_covers_is_named_and_brings_its_end() -> None:
    one = decide("id_card", facts(age=16, approvals=approved("id_card")))
    assert told(one) == "show rule_allows approved"
    assert (one.approval, one.valid_until) == ("apr_1", SOON)


def test_without_an_approval_of_that_very_field_a_minors_data_stay_closed_and_the_remedy_is_named() -> None:
    for approvals in ({}, approved("bank_card")):
        one = decide("id_card", facts(age=16, approvals=approvals))
        assert (told(one), one.approval, one.remedies) == (
            "hide denied_by_rule",
            None,
            ("approval=guardian",),
        )


def test_an_approval_that_opens_nothing_more_is_not_used_up() -> None:
    one = decide("id_card", facts(age=40, approvals=approved("id_card")))
    assert (told(one), one.approval, one.valid_until) == ("show rule_allows", None, None)


def test_an_approval_shows_in_full_what_was_masked_without_it() -> None:
    masked = decide("bank_card", facts(age=16))
    assert (told(masked), masked.remedies) == ("mask rule_allows masked_by_rule", ("approval=guardian",))
    assert told(decide("bank_card", facts(age=16, approvals=approved("bank_card")))) == (
        "show rule_allows approved"
    )


def test_who_has_an_approval_is_told_that_there_is_nothing() -> None:
    empty = facts(age=16, present=frozenset(), approvals=approved("id_card"))
    assert told(decide("id_card", empty)) == "hide not_available"
    assert told(decide("id_card", empty._replace(approvals={}))) == "hide denied_by_rule"


@pytest.mark.parametrize(("ends", "expected"), [(SOON - 1, SOON - 1), (LATER, SOON), (None, SOON)])
def test_what_rests_on_a_consent_and_an_approval_ends_with_the_first_of_them(
    ends: int | None, expected: int
) -> None:
    known = facts(
        age=16,
        standings=said("id_card", YES._replace(valid_until=ends)),
        approvals=approved("id_card"),
    )
    one = decide("id_card", known)
    assert (told(one), one.valid_until) == ("show consent_given approved", expected)


def test_an_approval_does_not_make_a_child_older() -> None:
    child = facts(age=13, approvals=approved("id_card"))
    one = decide("id_card", child)
    assert (told(one), one.approval) == ("hide denied_by_rule", None)


def test_no_approval_is_offered_where_the_person_said_no_or_the_law_protects_a_child() -> None:
    refused = decide("chat_messages", facts(age=16, standings=said("chat_messages", NO)))
    assert (told(refused), refused.remedies) == ("hide withdrawn", ())
    child = decide("id_card", facts(age=13))
    assert (told(child), child.rules, child.remedies) == ("hide denied_by_rule", ("D-02",), ())


def test_an_emergency_opens_the_rows_for_emergencies_and_says_so() -> None:
    one = decide("allergies", facts(emergency=True))
    assert (told(one), one.rules, one.consent) == ("show emergency_access", ("E-01",), None)
    assert told(decide("allergies", facts())) == "hide no_rule"


def test_an_emergency_is_not_on_record_where_consent_opens_as_much() -> None:
    one = decide("allergies", facts(emergency=True, standings=said("allergies", YES)))
    assert (told(one), one.consent, one.valid_until) == ("show consent_given", "con_1", LATER)


def test_an_emergency_is_for_reading_only() -> None:
    helper = facts(emergency=True, relation=Relation.CORESIDENT)
    assert told(decide("allergies", helper, Action.WRITE)) == "hide no_rule"
    assert told(decide("allergies", helper, Action.READ)) == "show emergency_access"


def test_an_emergency_tells_that_there_is_nothing() -> None:
    assert told(decide("allergies", facts(emergency=True, present=frozenset()))) == (
        "hide not_available emergency_access"
    )
    # What was open before is empty for a plainer reason.
    assert told(decide("name", facts(emergency=True, present=frozenset()))) == "hide not_available"


def test_an_emergency_opens_a_childs_data_only_by_the_rows_for_emergencies() -> None:
    child = facts(age=9, emergency=True)
    assert told(decide("allergies", child)) == "show emergency_access"
    assert told(decide("name", child)) == "hide no_rule"
    assert told(decide("allergies", child._replace(emergency=False))) == "hide no_rule"


def test_where_a_row_asks_for_both_an_emergency_and_an_approval_neither_is_enough() -> None:
    minor = facts(age=16)
    both = decide("blood_pressure", minor._replace(emergency=True, approvals=approved("blood_pressure")))
    assert (told(both), both.approval, both.valid_until) == (
        "show emergency_access approved",
        "apr_1",
        SOON,
    )
    for one_of_them in ({"emergency": True}, {"approvals": approved("blood_pressure")}):
        one = decide("blood_pressure", minor._replace(**one_of_them))
        assert (told(one), one.approval) == ("hide denied_by_rule", None)


def test_what_a_ticket_opens_ends_with_the_ticket() -> None:
    one = decide("birth_date", facts(ticket=SOON))
    assert (told(one), one.valid_until) == ("show rule_allows", SOON)
    assert told(decide("birth_date", facts())) == "hide no_rule"


def test_a_ticket_sets_an_end_only_where_it_opens_more() -> None:
    opened = decide("mobile", facts(ticket=SOON))
    assert (told(opened), opened.valid_until) == ("show rule_allows", SOON)
    closed = decide("mobile", facts())
    assert (told(closed), closed.valid_until) == ("mask rule_allows masked_by_rule", None)
    for field in ("name", "email"):
        one = decide(field, facts(ticket=SOON))
        assert (told(one), one.valid_until) == ("show rule_allows", None)


@pytest.mark.parametrize("until", [SOON, None])
def test_what_is_shared_is_open_to_the_end_of_the_share(until: int | None) -> None:
    one = decide("purchase_history", facts(shared=shared("purchase_history", until)))
    assert (told(one), one.rules, one.valid_until) == ("show rule_allows", ("H-01",), until)


def test_a_share_sets_no_end_to_what_is_open_without_it() -> None:
    one = decide("name", facts(shared=shared("name", SOON)))
    assert (told(one), one.valid_until) == ("show rule_allows", None)


def test_what_is_not_shared_is_told_so_whatever_was_agreed() -> None:
    elsewhere = shared("name", SOON)
    for standings in ({}, said("viewing_history", YES), said("viewing_history", NO)):
        one = decide("viewing_history", facts(standings=standings, shared=elsewhere))
        assert (told(one), one.duties, one.valid_until) == ("hide not_shared", (), None)
    known = facts(shared=shared("viewing_history", SOON))
    assert told(decide("viewing_history", known)) == "hide no_rule"
    refused = known._replace(standings=said("viewing_history", NO))
    assert told(decide("viewing_history", refused)) == "hide withdrawn"


@pytest.mark.parametrize(
    ("asked", "other", "expected"),
    [
        (True, True, "hide denied_by_rule"),
        (True, False, "show rule_allows"),
        (True, None, "hide denied_by_rule"),
        (False, True, "show rule_allows"),
        (False, None, "show rule_allows"),
        (None, True, "hide denied_by_rule"),
        (None, None, "hide denied_by_rule"),
    ],
)
def test_where_the_own_gender_is_asked_for_an_unknown_one_counts_as_another(
    asked: bool | None,
    other: bool | None,
    expected: str,
) -> None:
    assert told(decide("location", facts(same_gender_asked=asked, other_gender=other))) == expected
