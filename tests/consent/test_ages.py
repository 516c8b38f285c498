"""Property P17: a year of age is reached on the day after the birthday, in Shanghai, 29 February included."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from consent.ages import age_on, next_transition, reached_at

thorough = settings(max_examples=200, deadline=None, database=None)
births = st.one_of(
    st.dates(date(2005, 1, 1), date(2020, 12, 31)),
    st.sampled_from(
        [date(2008, 2, 29), date(2012, 2, 29), date(2011, 2, 28), date(2011, 12, 31), date(2012, 1, 1)]
    ),
)


@thorough
@given(births, st.integers(0, 24), st.integers(0, 86_399_999))
def test_p17_a_year_is_reached_on_the_day_after_the_birthday(birth: date, years: int, into_day: int) -> None:
    last = date(birth.year + years + 1, 1, 1) - timedelta(days=1)
    birthday = next(
        day
        for day in (
            date(birth.year + years, birth.month, birth.day - back)
            for back in (0, 1)
            if _exists(birth, years, back)
        )
        if day <= last
    )
    midnight = (birthday - date(1970, 1, 1)).days * 86_400_000 - 8 * 3_600_000
    on_birthday, day_after = midnight + into_day, midnight + 86_400_000 + into_day
    assert age_on(birth, on_birthday) == max(years - 1, 0)
    assert age_on(birth, day_after) == years
    assert reached_at(birth, years) == midnight + 86_400_000


def _exists(birth: date, years: int, back: int) -> bool:
    try:
        date(birth.year + years, birth.month, birth.day - back)
    except ValueError:
        return False
    return True


@thorough
@given(births)
def test_p17_the_next_transition_is_14_then_18_then_none(birth: date) -> None:
    fourteen, eighteen = reached_at(birth, 14), reached_at(birth, 18)
    assert next_transition(birth, fourteen - 1) == fourteen
    assert next_transition(birth, fourteen) == eighteen
    assert next_transition(birth, eighteen - 1) == eighteen
    assert next_transition(birth, eighteen) is None
    assert (age_on(birth, fourteen - 1), age_on(birth, fourteen)) == (13, 14)


def test_nobody_is_younger_than_nothing() -> None:
    assert age_on(date(2030, 1, 1), 0) == 0
