"""What an answer cites: the article, the events that carry it, and the instant until which it holds."""

from __future__ import annotations

import dataclasses

import pytest
from consent_story import (
    DAY,
    START,
    event,
    grant,
    instant,
    story,
)
from test_standing import BOOK, question_of

from consent.rules import Standing, hidden_categories, standing, state_of
from policies.reasons import Reason


def test_each_permit_names_the_article_it_rests_on() -> None:
    own = standing(
        story("adult", ["0 self consents service.health health.record"]),
        question_of("adult", {"purpose": "service.health", "category": "health.record"}),
        BOOK,
    )
    assert own.basis == "个人信息保护法 第十三条第一款第一项"
    guardians = story(
        "child", ["0 mother becomes_guardian", "1 mother consents service.health health.record"]
    )
    ask = question_of("child", {"purpose": "service.health", "category": "health.record"})
    answer = standing(guardians, ask, BOOK)
    assert answer.basis == "个人信息保护法 第三十一条第一款"
    assert answer.event_ids == (
        "evt_0002_served",
        "evt_0002_ticked",
        "evt_0002_confirmed",
        "evt_0001_guardian_linked",
    )
    law = question_of("adult", {"purpose": "service.delivery", "category": "contact.address"})
    assert standing((), law, BOOK) == Standing(
        permits=True, reason=Reason.LEGAL_BASIS, basis="个人信息保护法 第十三条第一款第二项"
    )
    assert standing((), law, BOOK).consent_id == ""


def test_both_signatures_carry_a_permit_for_a_teenagers_finance() -> None:
    log = story(
        "teen",
        [
            "0 mother becomes_guardian",
            "1 self consents service.household finance.account",
            "2 mother consents service.household finance.account",
        ],
    )
    ask = question_of("teen", {"purpose": "service.household", "category": "finance.account"})
    answer = standing(log, ask, BOOK)
    assert len(answer.event_ids) == 7
    assert (answer.consent_id, answer.valid_until) == ("con_0002", instant("1+1m") + 180 * DAY)
    waiting = standing(log[:4], ask, BOOK)
    assert (waiting.reason, waiting.valid_until) == (Reason.GUARDIAN_REQUIRED, instant("1+1m") + 180 * DAY)
    assert waiting.event_ids == ("evt_0002_ticked",)


def test_the_state_of_a_consent_knows_unknown_words_and_closed_people() -> None:
    log = story("adult", ["0 self consents marketing.direct outreach.sms", "1 service erases everything"])
    ask = question_of("adult", {"purpose": "marketing.direct", "category": "outreach.sms"})
    assert state_of(log, "con_0001", ask, BOOK) is Reason.SUBJECT_CLOSED
    assert state_of(log[:3], "con_0001", ask, BOOK) is Reason.CONSENT_GIVEN
    assert state_of(log, "con_0001", ask._replace(purpose="no.such"), BOOK) is Reason.UNKNOWN_PURPOSE
    assert state_of(log[:3], "con_0001", ask._replace(category="no.such"), BOOK) is Reason.NO_CONSENT


def test_of_a_consent_that_was_ticked_twice_the_sound_tick_is_told() -> None:
    first = grant("adult", "self", "marketing.direct", ["outreach.sms"], START, number=1)
    again = grant("adult", "self", "marketing.direct", ["outreach.sms"], START + DAY, number=2)
    again = [e._replace(consent_id="con_0001") for e in again]
    (no,) = story("adult", ["0+5m self withdraws marketing.direct"])
    ask = question_of("adult", {"purpose": "marketing.direct", "category": "outreach.sms"})
    assert state_of([*first, no, *again], "con_0001", ask, BOOK) is Reason.CONSENT_GIVEN
    assert state_of([*first, no, *again[:2]], "con_0001", ask, BOOK) is Reason.UNCONFIRMED
    assert state_of([*first, *again[:2]], "con_0001", ask, BOOK) is Reason.CONSENT_GIVEN
    assert state_of([*first[:2], no], "con_0001", ask, BOOK) is Reason.WITHDRAWN
    (unheard_of,) = story("adult", ["1 self invents marketing"])
    assert state_of([*first, unheard_of], "con_0001", ask, BOOK) is Reason.FACTS_UNAVAILABLE


def test_a_parent_that_is_declared_against_the_dots_counts_as_above() -> None:
    history = dataclasses.replace(BOOK.categories["content.history"], parent="location.precise")
    book = dataclasses.replace(BOOK, categories={**BOOK.categories, "content.history": history})
    log = story(
        "adult", ["0 self ticks analytics.usage content.history", "1 self refuses everything location"]
    )
    log = [
        e._replace(categories=frozenset({"location"}) if e.kind == "refused" else e.categories) for e in log
    ]
    ask = question_of("adult", {"purpose": "analytics.usage", "category": "content.history"})
    assert standing(log, ask, BOOK).permits is True
    assert standing(log, ask, book).reason is Reason.REFUSED_BY_PERSON


@pytest.mark.parametrize(("name", "screening"), [("promo.new", "marketing"), ("marketing.new", None)])
def test_what_sells_is_known_by_its_screening_or_by_its_name(name: str, screening: str | None) -> None:
    like = BOOK.purposes["marketing.profiled"]
    kind = None if screening is None else like.screening
    book = dataclasses.replace(
        BOOK, purposes={**BOOK.purposes, name: dataclasses.replace(like, id=name, screening=kind)}
    )
    ask = question_of("teen", {"purpose": name, "category": "outreach.sms"})
    assert standing((), ask, book).reason is Reason.MINOR_PROTECTED


def test_a_closed_person_is_told_by_the_first_erasure_and_until_nothing() -> None:
    log = story("adult", ["3 service erases everything", "2 service erases everything"])
    ask = question_of("adult", {"purpose": "marketing.direct", "category": "outreach.sms"})
    assert standing(log, ask, BOOK).event_ids == ("evt_0002_erased",)
    child = question_of("almost_14", {"purpose": "marketing.direct", "category": "outreach.sms"})
    closed = standing(story("almost_14", ["1 service erases everything"]), child, BOOK)
    assert closed.valid_until == instant("10")


@pytest.mark.parametrize(("first", "second"), [(1, 2), (2, 1)])
def test_the_longest_consent_is_cited_in_any_order(first: int, second: int) -> None:
    shorter = grant("adult", "self", "marketing.direct", ["outreach.sms"], START, number=first)
    longer = grant("adult", "self", "marketing.direct", ["outreach.sms"], START + DAY, number=second)
    ask = question_of("adult", {"purpose": "marketing.direct", "category": "outreach.sms"})
    for log in ([*shorter, *longer], [*longer, *shorter]):
        answer = standing(log, ask, BOOK)
        assert answer.consent_id == f"con_000{second}"
        assert answer.valid_until == START + DAY + 60_000 + 365 * DAY


def test_ties_are_cited_alike_in_any_order() -> None:
    ask = question_of("adult", {"purpose": "marketing.direct", "category": "outreach.sms"})
    twins = [grant("adult", "self", "marketing.direct", ["outreach.sms"], START, number=n) for n in (1, 2)]
    noes = [event("adult", "self", kind, START, number=3) for kind in ("refused", "withdrawn")]
    ends = [event("adult", "service", "erased", START, number=n) for n in (4, 5)]
    for one, other in (twins, [noes[:1], noes[1:]], [ends[:1], ends[1:]]):
        assert standing([*one, *other], ask, BOOK) == standing([*other, *one], ask, BOOK)


def test_the_first_notice_and_the_first_code_carry_the_consent() -> None:
    served, tick, code = grant("adult", "self", "marketing.direct", ["outreach.sms"], START, number=1)
    early = served._replace(event_id="evt_early", occurred_at=START - DAY, recorded_at=START - DAY)
    late = code._replace(event_id="evt_late", occurred_at=START + 120_000, recorded_at=START + 120_000)
    ask = question_of("adult", {"purpose": "marketing.direct", "category": "outreach.sms"})
    answer = standing([served, late, tick, early, code], ask, BOOK)
    assert answer.event_ids == ("evt_early", tick.event_id, code.event_id)
    assert answer.valid_until == START + 60_000 + 365 * DAY


def test_the_newest_cause_of_a_refusal_is_cited() -> None:
    log = story(
        "adult",
        [
            "0 self consents marketing.direct outreach.sms",
            "1 self withdraws marketing",
            "3 self refuses marketing.direct",
            "2 self withdraws marketing.direct",
        ],
    )
    ask = question_of("adult", {"purpose": "marketing.direct", "category": "outreach.sms"})
    answer = standing(log, ask, BOOK)
    assert (answer.reason, answer.event_ids) == (Reason.REFUSED_BY_PERSON, ("evt_0003_refused",))
    assert state_of(log, "con_0001", ask, BOOK) is Reason.REFUSED_BY_PERSON
    assert answer.valid_until == START + 60_000 + 365 * DAY


def test_an_own_expiry_of_tick_or_code_ends_a_consent_earlier() -> None:
    ask = question_of("adult", {"purpose": "marketing.direct", "category": "outreach.sms"})
    for third in (1, 2):
        log = grant("adult", "self", "marketing.direct", ["outreach.sms"], START)
        log[third] = log[third]._replace(expires_at=START + 7 * DAY)
        assert standing(log, ask, BOOK).valid_until == START + 7 * DAY


def test_of_two_guardianships_the_older_one_is_cited() -> None:
    log = story("child", ["0 mother becomes_guardian", "1 mother consents service.health health.record"])
    older = log[0]._replace(event_id="evt_older", occurred_at=START - DAY, recorded_at=START - DAY)
    ask = question_of("child", {"purpose": "service.health", "category": "health.record"})
    assert standing([*log, older], ask, BOOK).event_ids[-1] == "evt_older"
    assert (
        hidden_categories(story("adult", ["1 self defers everything"]), ["content"], "x", START, None)
        == set()
    )


@pytest.mark.parametrize(
    "kind",
    ["served", "code_sent", "deferred", "unhidden", "guardian_linked", "guardian_ended", "joined", "left"],
)
def test_what_is_no_denial_leaves_a_consent_alone(kind: str) -> None:
    log = grant("adult", "self", "marketing.direct", ["outreach.sms"], START)
    log.append(event("adult", "self", kind, START + DAY, number=9))
    ask = question_of("adult", {"purpose": "marketing.direct", "category": "outreach.sms"})
    assert standing(log, ask, BOOK).permits is True
    code = event("adult", "self", "code_sent", instant("6"), number=9)
    assert standing([code], ask, BOOK).valid_until == instant("6")


@pytest.mark.parametrize("other", [{"actor_id": "mem_somebody"}, {"capacity": "self"}])
def test_only_the_primary_accounts_own_joining_lends_it_a_say(other: dict[str, str]) -> None:
    log = story("adult", ["0 primary becomes_primary home", "1 primary consents service.household household"])
    ask = question_of("adult", {"purpose": "service.household", "category": "household"})
    assert standing(log, ask, BOOK).permits is True
    assert standing([log[0]._replace(**other), *log[1:]], ask, BOOK).reason is Reason.NO_AUTHORITY


def test_of_two_links_of_one_instant_the_same_is_cited_in_any_order() -> None:
    log = story("child", ["0 mother becomes_guardian", "1 mother consents service.health health.record"])
    twin = log[0]._replace(event_id="evt_0000_twin")
    ask = question_of("child", {"purpose": "service.health", "category": "health.record"})
    for events in ([*log, twin], [twin, *log]):
        assert standing(events, ask, BOOK).event_ids[-1] == "evt_0000_twin"


def test_a_refusal_rests_on_no_article() -> None:
    ask = question_of("adult", {"purpose": "marketing.direct", "category": "outreach.sms"})
    assert standing((), ask, BOOK)._asdict() == {
        "permits": False,
        "reason": Reason.NO_CONSENT,
        "consent_id": "",
        "event_ids": (),
        "basis": "",
        "valid_until": None,
        "duties": (),
    }


@pytest.mark.parametrize("capacity", ["guardian", "primary", "service"])
def test_the_person_consents_as_the_person_or_not_at_all(capacity: str) -> None:
    links = ["0 self becomes_guardian", "0 self becomes_primary home"]
    log = story("adult", [*links, "1 self ticks service.household household"])
    ask = question_of("adult", {"purpose": "service.household", "category": "household"})
    assert standing(log, ask, BOOK).permits is True
    posing = [e._replace(capacity=capacity) for e in log]
    assert standing(posing, ask, BOOK).reason is Reason.NO_AUTHORITY


def test_a_child_is_not_its_own_guardian_whatever_it_claims_to_be() -> None:
    log = story("child", ["0 self becomes_guardian", "1 self consents service.health health.record"])
    posing = [e._replace(capacity="guardian") for e in log]
    ask = question_of("child", {"purpose": "service.health", "category": "health.record"})
    assert standing(posing, ask, BOOK).reason is Reason.NO_AUTHORITY


def test_a_primary_account_consents_as_one_or_not_at_all() -> None:
    log = story("adult", ["0 primary becomes_primary home", "1 primary consents service.household household"])
    posing = [log[0], *(e._replace(capacity="service") for e in log[1:])]
    ask = question_of("adult", {"purpose": "service.household", "category": "household"})
    assert standing(posing, ask, BOOK).reason is Reason.NO_AUTHORITY


def test_what_has_expired_changes_no_more() -> None:
    log = story("adult", ["0 self consents service.health health.record"])
    ask = question_of("adult", {"purpose": "service.health", "category": "health.record", "at": "180+1m"})
    assert standing(log, ask, BOOK)[:2] == (False, Reason.EXPIRED)
    assert standing(log, ask, BOOK).valid_until is None


def test_a_consent_without_a_code_is_carried_by_notice_and_tick() -> None:
    log = story("adult", ["0 self ticks analytics.usage content.history"])
    ask = question_of("adult", {"purpose": "analytics.usage", "category": "content.history"})
    assert standing(log, ask, BOOK).event_ids == ("evt_0001_served", "evt_0001_ticked")
