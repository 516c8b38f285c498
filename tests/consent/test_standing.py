"""The decision table of ``standing.toml``, row by row, and what every answer has in common."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from consent_story import BIRTHS, DAY, START, actor_of, book_of_rules, grant, instant, story, subject_of

from consent.rules import Question, Standing, hidden, standing, state_of
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
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['person']}: {case['why']}")
def test_the_table(case: dict[str, object]) -> None:
    answer = standing(story(case["person"], case["story"]), question_of(case["person"], case["ask"]), BOOK)
    told = f"yes {answer.reason.value}" if answer.permits else answer.reason.value
    assert told == case["expect"]


def test_the_table_says_every_reason_that_a_standing_can_give() -> None:
    told = {case["expect"].removeprefix("yes ") for case in CASES}
    source = "".join(
        (Path(__file__).parents[2] / "consent" / name).read_text("utf-8")
        for name in ("rules.py", "weighing.py")
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
    past = Question(
        **{field: getattr(live, field) for field in live.__slots__ if field != "known_at"}, known_at=live.now
    )
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
