"""Who may write through a channel at all, asked before there is a message."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest
from test_decision import BOOK, DELIVERY, DIRECT, NO, SENDER, YES, facts, plan, said, told

from governance.decision import decide_fields
from governance.grounds import FieldDecision
from policies.plan import compile_plan
from policies.terms import Action, Relation, SubjectKind


def asked(channel: str, purpose: str = DIRECT, **more: object) -> FieldDecision:
    known = facts(**{"relation": Relation.NONE, "roles": SENDER, **more})
    (one,) = decide_fields(BOOK, plan(), Action.SEND, (channel,), purpose, known)
    return one


@pytest.mark.parametrize(
    ("channel", "more", "expected"),
    [
        ("channel.email", {}, "show rule_allows"),
        ("channel.email", {"purpose": DELIVERY}, "show rule_allows"),
        ("channel.sms", {}, "hide role_may_not_send"),
        ("channel.sms", {"standings": said("channel.sms", YES)}, "show consent_given"),
        ("channel.sms", {"standings": said("channel.sms", NO)}, "hide withdrawn"),
        ("channel.wecom", {}, "hide role_may_not_send"),
        ("channel.app_push", {"age": 17}, "hide minor_protected"),
        ("channel.app_push", {"age": 18}, "show rule_allows"),
        ("channel.email", {"kind": SubjectKind.HOUSEHOLD}, "hide recipient_unavailable"),
        ("channel.email", {"usable": False}, "hide facts_unavailable"),
        ("channel.email", {"purpose": "analytics.usage"}, "hide unknown_purpose"),
        ("channel.pigeon", {}, "hide unknown_field"),
        ("mobile", {}, "hide unknown_field"),
    ],
)
def test_a_channel_is_open_as_for_a_clean_message_and_no_reason_speaks_of_a_text(
    channel: str, more: dict[str, object], expected: str
) -> None:
    assert told(asked(channel, **more)) == expected


def test_an_open_channel_names_the_row_and_the_consent_it_rests_on() -> None:
    one = asked("channel.sms", standings=said("channel.sms", YES))
    assert (one.field, one.rules, one.consent) == ("channel.sms", ("S-01",), "con_1")


def test_a_closed_channel_names_the_row_that_forbids_and_owes_nothing() -> None:
    one = asked("channel.app_push", age=17)
    assert (one.field, one.rules, one.duties, one.consent) == ("channel.app_push", ("D-15",), (), None)


def test_an_open_channel_says_each_duty_of_its_rows_once() -> None:
    open_to_all = replace(BOOK.grants["S-02"], duties=("log=high",))
    open_to_some = replace(BOOK.grants["S-02"], id="S-04", duties=("optout=required", "log=high"))
    rows = {**BOOK.grants, "S-02": open_to_all, "S-04": open_to_some}
    book = replace(BOOK, grants=MappingProxyType(rows))
    known = facts(relation=Relation.NONE, roles=SENDER)
    (one,) = decide_fields(book, compile_plan(book), Action.SEND, ("channel.email",), DIRECT, known)
    assert one.rules == ("S-02", "S-04")
    assert one.duties == ("log=high", "optout=required")


def test_each_channel_gets_its_own_answer_in_order() -> None:
    known = facts(relation=Relation.NONE, roles=SENDER)
    both = decide_fields(BOOK, plan(), Action.SEND, ("channel.sms", "channel.email"), DIRECT, known)
    assert [told(one) for one in both] == ["hide role_may_not_send", "show rule_allows"]
