"""The decision table of ``standing.toml``, row by row, and what every answer has in common."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path

import pytest
from consent_story import (
    BIRTHS,
    DAY,
    START,
    actor_of,
    book_of_rules,
    grant,
    instant,
    notices,
    story,
    subject_of,
)

from consent.rules import Question, Standing, hidden, hidden_categories, standing, standings, state_of
from policies.reasons import Reason

CASES = tomllib.loads(Path(__file__).with_name("standing.toml").read_text("utf-8"))["case"]
BOOK = book_of_rules()


def question_of(person: str, ask: dict[str, str]) -> Question:
    return Question(
        subject_id=subject_of(person),
        purpose=ask["purpose"],
        category=ask["category"],
        recipient=ask.get("to", ""),
        viewer=actor_of(ask.get("viewer", "stranger"), person),
        now=instant(ask.get("at", "5")),
        birth=BIRTHS[person],
        processor=ask.get("by", ""),
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['person']}: {case['why']}")
def test_the_table(case: dict[str, object]) -> None:
    question = question_of(case["person"], case["ask"])
    published = notices(case.get("notices", ()))
    answer = standing(story(case["person"], case["story"]), question, BOOK, published)
    told = f"yes {answer.reason.value}" if answer.permits else answer.reason.value
    assert told == case["expect"]
    if "duties" in case:
        assert answer.duties == tuple(case["duties"])


def test_the_table_says_every_reason_that_a_standing_can_give() -> None:
    told = {case["expect"].removeprefix("yes ") for case in CASES}
    source = "".join(
        (Path(__file__).parents[2] / "consent" / name).read_text("utf-8")
        for name in ("rules.py", "weighing.py", "recipients.py")
    )
    given = {reason.value for reason in Reason if f"Reason.{reason.name}" in source}
    assert given - told == set()


def test_a_standing_has_no_truth_value() -> None:
    with pytest.raises(TypeError, match="no truth value"):
        bool(Standing(permits=True, reason=Reason.CONSENT_GIVEN))


def test_events_of_somebody_else_change_nothing() -> None:
    ask = question_of("adult", {"purpose": "marketing.direct", "category": "outreach.sms"})
    foreign = grant("teen", "self", "marketing.direct", ["outreach.sms"], START)
    assert standing(foreign, ask, BOOK).reason is Reason.NO_CONSENT


def test_an_event_recorded_before_it_occurred_does_not_count() -> None:
    ask = question_of("adult", {"purpose": "marketing.direct", "category": "outreach.sms"})
    forged = [
        e._replace(recorded_at=e.occurred_at - 1)
        for e in story("adult", ["0 self consents marketing.direct outreach.sms"])
    ]
    assert standing(forged, ask, BOOK).reason is Reason.NO_CONSENT


def test_a_notice_that_was_shown_after_the_tick_informed_nobody() -> None:
    ask = question_of("adult", {"purpose": "marketing.direct", "category": "outreach.sms"})
    served, *rest = story("adult", ["0 self consents marketing.direct outreach.sms"])
    late = served._replace(occurred_at=served.occurred_at + 1, recorded_at=served.recorded_at + 1)
    assert standing([late, *rest], ask, BOOK).reason is Reason.NO_CONSENT


def test_a_grant_from_the_future_does_not_count_yet() -> None:
    log = story("adult", ["6 self consents marketing.direct outreach.sms"])
    answer = standing(
        log, question_of("adult", {"purpose": "marketing.direct", "category": "outreach.sms"}), BOOK
    )
    assert (answer.reason, answer.valid_until) == (Reason.NO_CONSENT, instant("6"))


def test_a_withdrawal_binds_even_when_this_machines_clock_lags() -> None:
    log = story(
        "adult", ["0 self consents marketing.direct outreach.sms", "5+1ms self withdraws marketing.direct"]
    )
    live = question_of("adult", {"purpose": "marketing.direct", "category": "outreach.sms"})
    assert standing(log, live, BOOK).reason is Reason.WITHDRAWN


def test_the_answer_for_a_past_instant_stays_what_it_was() -> None:
    log = story(
        "adult", ["0 self consents marketing.direct outreach.sms", "5+1ms self withdraws marketing.direct"]
    )
    live = question_of("adult", {"purpose": "marketing.direct", "category": "outreach.sms"})
    past = live._replace(known_at=live.now)
    assert standing(log, past, BOOK).permits is True


def test_hidden_alone_knows_the_person_and_the_tree() -> None:
    log = story("adult", ["1 self hides content father"])
    now = instant("5")
    assert hidden(log, "content.history", "mem_father", now) is True
    assert hidden(log, "content.history", "mem_mother", now) is False
    assert hidden(log, "purchase.history", "mem_father", now) is False
    assert hidden(log, "content.history", subject_of("adult"), now) is False
    assert hidden((), "content.history", "mem_father", now) is False


def test_a_single_consent_tells_its_own_state() -> None:
    log = story(
        "adult",
        [
            "0 self consents marketing.direct outreach.sms",
            "1 self withdraws marketing.direct",
            "2 self consents marketing.direct outreach.sms",
        ],
    )
    ask = question_of("adult", {"purpose": "marketing.direct", "category": "outreach.sms"})
    assert state_of(log, "con_0001", ask, BOOK) is Reason.WITHDRAWN
    assert state_of(log, "con_0003", ask, BOOK) is Reason.CONSENT_GIVEN
    assert state_of(log, "con_0009", ask, BOOK) is Reason.NO_CONSENT


def test_a_permit_says_until_when_it_holds() -> None:
    log = story("adult", ["0 self consents service.health health.record"])
    answer = standing(
        log, question_of("adult", {"purpose": "service.health", "category": "health.record"}), BOOK
    )
    assert answer.valid_until == START + 60_000 + 180 * DAY
    assert answer.consent_id == "con_0001"
    assert len(answer.event_ids) == 3


def test_a_late_recorded_refusal_beats_what_was_agreed_before_it_was_recorded() -> None:
    log = list(story("adult", ["1 self consents marketing.direct outreach.sms"]))
    (letter,) = story("adult", ["0 self refuses marketing"])
    log.append(letter._replace(recorded_at=instant("2")))
    ask = question_of("adult", {"purpose": "marketing.direct", "category": "outreach.sms"})
    assert standing(log, ask, BOOK).reason is Reason.REFUSED_BY_PERSON


def test_nothing_is_hidden_from_the_guardian_of_a_child_and_only_of_a_child() -> None:
    for person, seen in (("child", frozenset()), ("teen", frozenset({"content.history"}))):
        log = story(person, ["0 mother becomes_guardian", "1 self hides content everybody"])
        asked = ("content.history", "purchase.history")
        now, birth = instant("5"), BIRTHS[person]
        assert hidden_categories(log, asked, "mem_mother", now, birth) == seen
        assert hidden_categories(log, asked, "mem_father", now, birth) == {"content.history"}
        assert hidden_categories(log, asked, "mem_mother", now, None) == {"content.history"}


def test_several_questions_get_the_answers_that_each_would_get() -> None:
    log = story(
        "adult",
        ["0 self consents marketing.direct outreach.sms", "0 self ticks analytics.usage content.history"],
    )
    asks = [
        question_of("adult", {"purpose": purpose, "category": category, "at": at})
        for purpose in ("marketing.direct", "analytics.usage")
        for category in ("outreach.sms", "content.history")
        for at in ("0", "5", "500")
    ]
    assert standings(log, asks, BOOK) == [standing(log, ask, BOOK) for ask in asks]


def test_a_guardians_consent_is_good_until_the_child_turns_14_at_most() -> None:
    log = story("almost_14", ["0 mother becomes_guardian", "1 mother consents service.health health.record"])
    answer = standing(
        log, question_of("almost_14", {"purpose": "service.health", "category": "health.record"}), BOOK
    )
    assert (answer.permits, answer.valid_until) == (True, instant("10"))


def test_where_only_consent_will_do_a_basis_row_is_no_way_round() -> None:
    ask = question_of("adult", {"purpose": "service.delivery", "category": "contact.address"})
    stricter = dataclasses.replace(BOOK.purposes[ask.purpose], needs_consent=True)
    book = dataclasses.replace(BOOK, purposes={**BOOK.purposes, ask.purpose: stricter})
    assert standing((), ask, BOOK).reason is Reason.LEGAL_BASIS
    assert standing((), ask, book).reason is Reason.NO_CONSENT
