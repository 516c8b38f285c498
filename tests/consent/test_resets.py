"""The reset at 14 and 18 is awaited from the day on until it is recorded, for whoever was here before."""

from __future__ import annotations

from datetime import date

import pytest
from consent_story import DAY, event

from consent.ages import reached_at
from consent.events import Event
from consent.resets import RECORDER, awaits_reset

BIRTH = date(2010, 3, 1)
AT_14, AT_18 = reached_at(BIRTH, 14), reached_at(BIRTH, 18)
EARLY = event("teen", "self", "refused", AT_14 - 100 * DAY, number=1)


def reset(at: int) -> Event:
    hidden = event("teen", "self", "hidden", at, number=2)
    return hidden._replace(actor_id=RECORDER, capacity="service")


@pytest.mark.parametrize(
    ("events", "now", "awaited"),
    [
        ([EARLY], AT_14 - 1, False),
        ([EARLY], AT_14, True),
        ([EARLY], AT_14 + 300 * DAY, True),
        ([EARLY, reset(AT_14)], AT_14, False),
        ([EARLY, reset(AT_14 - 1)], AT_14, True),  # of an earlier day: not this reset
        ([EARLY, reset(AT_14)], AT_18, True),
        ([EARLY, reset(AT_14), reset(AT_18 + DAY)], AT_18 + DAY, False),
        ([event("teen", "self", "refused", AT_14, number=4)], AT_14 + 30 * DAY, False),  # came on the day
        ([], AT_14 + 30 * DAY - 1, True),  # in the first days nobody is asked for a proof
        ([], AT_14 + 30 * DAY, False),
        ([event("teen", "self", "hidden", AT_14 + DAY, number=3)], AT_14 + 2 * DAY, True),  # the person's own
    ],
)
def test_the_reset_is_awaited_until_it_is_recorded(events: list[Event], now: int, awaited: bool) -> None:
    assert awaits_reset(events, BIRTH, now) is awaited


def test_without_a_birth_date_there_is_no_day_to_wait_for() -> None:
    assert not awaits_reset([EARLY], None, AT_18)


def test_resets_on_record_name_their_recorder_for_ever() -> None:
    assert RECORDER == "lifecycle"
