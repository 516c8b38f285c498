"""After a no, nobody is asked again for thirty days."""

from __future__ import annotations

import pytest
from consent_story import DAY, START, book_of_rules, event, grant, story
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.events import EventKind
from consent.prompting import NEVER, quiet_until

BOOK = book_of_rules()
NO = ["refuses", "withdraws", "revokes", "objects", "restricts", "invents"]


def quiet(log: tuple[str, ...] | list[str], purpose: str = "marketing.direct", now: int = START) -> int:
    return quiet_until(story("adult", log), "mem_adult", purpose, now, BOOK.limits)


def test_who_never_said_no_may_be_asked() -> None:
    assert quiet([]) == 0
    assert quiet(["0 self consents marketing.direct outreach.sms", "1 self defers marketing.direct"]) == 0


@pytest.mark.parametrize("kind", [EventKind.SHARED, EventKind.UNSHARED, EventKind.HIDDEN, EventKind.UNHIDDEN])
def test_who_shares_or_hides_something_or_ends_that_has_said_no_to_nothing(kind: EventKind) -> None:
    words = {"purpose": "marketing.direct", "categories": frozenset({"outreach.sms"}), "viewer": "mem_teen"}
    log = [event("adult", "self", kind, START, **words)]
    assert quiet_until(log, "mem_adult", "marketing.direct", START, BOOK.limits) == 0


@pytest.mark.parametrize("no", NO)
def test_each_kind_of_no_buys_thirty_days_of_quiet(no: str) -> None:
    assert quiet([f"3 self {no} marketing.direct"]) == START + 33 * DAY


@pytest.mark.parametrize(
    ("said", "asked", "is_quiet"),
    [
        ("marketing.direct", "marketing.direct", True),
        ("marketing", "marketing.direct", True),
        ("everything", "marketing.direct", True),
        ("marketing.direct", "marketing", True),
        ("marketing.profiled", "marketing.direct", False),
        ("service.health", "marketing.direct", False),
    ],
)
def test_a_no_is_about_its_purpose_and_all_above_and_below(said: str, asked: str, *, is_quiet: bool) -> None:
    assert (quiet([f"3 self refuses {said}"], asked) > 0) is is_quiet


def test_an_erased_person_is_never_asked_again() -> None:
    assert quiet(["1 self erases everything"]) == NEVER
    # No column of the database, and no program that calls us, holds a later instant.
    assert NEVER == 9_223_372_036_854_775_807


def test_the_no_of_somebody_else_silences_nobody() -> None:
    others = [event("teen", "self", EventKind.REFUSED, START)]
    assert quiet_until(others, "mem_adult", "marketing.direct", START, BOOK.limits) == 0


@settings(max_examples=100, deadline=None, database=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 3)), min_size=1, max_size=5), st.integers(0, 90))
def test_inside_the_quiet_time_there_is_no_prompt_and_after_it_there_is(
    noes: list[tuple[int, int]], day: int
) -> None:
    log = grant("adult", "self", "marketing.direct", ["outreach.sms"], START, number=99)
    for number, (occurred, lag) in enumerate(noes):
        at = START + occurred * DAY
        no = event("adult", "self", EventKind.REFUSED, at, number, purpose="marketing.direct")
        log.append(no._replace(recorded_at=at + lag * DAY))
    now = START + day * DAY
    inside = any(day < occurred + lag + 30 for occurred, lag in noes)
    assert (now < quiet_until(log, "mem_adult", "marketing.direct", now, BOOK.limits)) is inside
