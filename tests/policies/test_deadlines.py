"""Deadlines are exact where a calendar is there, and never later than the law where it is not."""

from __future__ import annotations

import tomllib
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.book import load_book, packaged_rules
from policies.deadlines import CalendarGapError, days_left, months_after, read_deadlines

BOOK = load_book(packaged_rules())
DEADLINES = BOOK.deadlines
SHANGHAI = timedelta(hours=8)


def at(text: str) -> int:
    """Return an instant of Shanghai's wall clock in milliseconds."""
    return int((datetime.fromisoformat(text).replace(tzinfo=UTC) - SHANGHAI).timestamp() * 1000)


CN = {
    # fifteen working days from a Sunday
    "2026-11-22T10:00": "2026-12-12T00:00",
    "2026-11-22T23:59": "2026-12-12T00:00",
    "2026-11-23T00:00": "2026-12-15T00:00",
    # across the Spring Festival: two make-up Saturdays count, nine holidays do not
    "2026-02-09T12:00": "2026-03-07T00:00",
    # across National Day: one make-up Saturday
    "2026-09-24T12:00": "2026-10-23T00:00",
}


@pytest.mark.parametrize(("asked", "due"), CN.items())
def test_fifteen_working_days_end_where_a_calendar_on_the_wall_says(asked: str, due: str) -> None:
    found = DEADLINES.due("pipl", at(asked))
    assert (found.at, found.exact) == (at(due), True)


@pytest.mark.parametrize(
    ("day", "works"),
    [
        ("2026-01-04", True),  # a Sunday that makes up
        ("2026-01-02", False),  # a Friday off
        ("2026-02-14", True),
        ("2026-02-23", False),
        ("2026-11-21", False),
        ("2026-11-23", True),
    ],
)
def test_holidays_and_make_up_days_are_known(day: str, works: bool) -> None:
    assert DEADLINES.working_day("cn", date.fromisoformat(day)) is works


def test_a_year_that_nobody_entered_is_refused_and_never_makes_a_deadline_later() -> None:
    with pytest.raises(CalendarGapError):
        DEADLINES.working_day("cn", date(2027, 1, 4))
    found = DEADLINES.due("pipl", at("2026-12-20T12:00"))
    assert (found.at, found.exact) == (at("2027-01-05T00:00"), False)
    unknown = DEADLINES.due("ccpa", at("2026-12-20T12:00"))
    assert (unknown.at, unknown.exact) == (at("2027-01-05T00:00"), False)


def test_what_lacks_a_calendar_is_told_before_anybody_asks_under_it() -> None:
    assert DEADLINES.inexact(at("2026-11-24T12:00")) == ()
    assert DEADLINES.inexact(at("2026-12-20T12:00")) == ("pipl",)


@given(asked=st.dates(date(2026, 1, 1), date(2026, 12, 31)))
def test_whoever_counts_without_a_calendar_is_early_rather_than_late(asked: date) -> None:
    found = DEADLINES.due("pipl", at(f"{asked}T12:00"))
    every_day = at((asked + timedelta(days=16)).isoformat())
    assert found.at == every_day if not found.exact else found.at > every_day


def test_a_month_is_the_same_day_and_can_be_extended_by_two() -> None:
    asked = at("2026-01-31T09:00")
    assert DEADLINES.due("gdpr", asked).at == at("2026-03-01T00:00")
    assert DEADLINES.extended("gdpr", asked) == at("2026-05-01T00:00")
    assert DEADLINES.extended("pipl", asked) is None
    assert months_after(date(2026, 12, 15), 1) == date(2027, 1, 15)


def test_a_day_that_began_in_shanghai_but_not_in_the_laws_own_zone_is_the_day_before() -> None:
    # Seven in the morning in Shanghai is still the evening before in Lisbon.
    assert DEADLINES.due("gdpr", at("2026-03-11T07:59")).at == at("2026-04-11T00:00")
    assert DEADLINES.due("gdpr", at("2026-03-11T08:00")).at == at("2026-04-12T00:00")
    assert DEADLINES.extended("gdpr", at("2026-03-11T07:59")) == at("2026-06-11T00:00")


@given(now=st.integers(at("2026-01-01T00:00"), at("2026-12-31T00:00")))
def test_who_names_another_law_is_answered_no_later_than_at_home_and_not_put_off(now: int) -> None:
    promised = DEADLINES.promised("gdpr", now)
    assert promised.at == min(DEADLINES.due("gdpr", now).at, DEADLINES.due("pipl", now).at)
    assert DEADLINES.promised("pipl", now) == DEADLINES.due("pipl", now)
    assert DEADLINES.stretched("gdpr", now) is None


def test_the_last_day_has_none_left_and_the_next_is_overdue() -> None:
    due = at("2026-12-12T00:00")
    assert [
        days_left(due, at(now)) for now in ("2026-12-01T08:00", "2026-12-11T23:59", "2026-12-12T00:00")
    ] == [
        10,
        0,
        -1,
    ]


FAULTS = {
    "a day of another year": ('"2026-01-01"', '"2025-01-01"', "of another year"),
    "no day": ('"2026-01-01"', '"2026-13-01"', "is not a day"),
    "a holiday to work on": ('working = ["2026-01-04"', 'working = ["2026-01-01"', "is a holiday and"),
    "a calendar without a year": ('calendar = "cn"\nextension', 'calendar = "xx"\nextension', "no [[year]]"),
    "a unit nobody counts in": ('"working_days"', '"fortnights"', "unit must be one of"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_faulty_calendar_is_told_with_its_line(name: str, tmp_path) -> None:
    old, new, said = FAULTS[name]
    text = (packaged_rules() / "calendar.toml").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "calendar.toml").write_text(text.replace(old, new, 1), encoding="utf-8")
    faults: list = []
    read_deadlines(tmp_path / "calendar.toml", faults)
    assert any(said in str(fault) for fault in faults), faults


def test_every_row_names_where_it_comes_from() -> None:
    document = tomllib.loads((packaged_rules() / "calendar.toml").read_text(encoding="utf-8"))
    assert all(row["source"] for kind in document.values() for row in kind)
