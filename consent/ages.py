"""How old a person is, for the two lines the law draws: 14 and 18.

A year of age is reached on the day *after* the birthday, the protective reading that courts use for 周岁;
who was born on 29 February has the birthday on 28 February in a common year (民法典 第二百零二条: the
month's last day), so the year is reached on 1 March either way. Days are days in Asia/Shanghai, at a fixed
UTC+8: the zone has kept it since 1991 and no instant before that is ever asked about.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from typing import Final

CONSENT_AGE: Final = 14
"""From 14 a person consents alone (个人信息保护法 第三十一条)."""
MAJORITY: Final = 18
"""At 18 guardianship and the protection of minors end (民法典 第十七条)."""

DAY_MS: Final = 86_400_000
_SHANGHAI_MS: Final = 8 * 3_600_000
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()


def age_on(birth: date, now: int) -> int:
    """Return the age in full years at an instant; 0 for a birth date that lies in the future."""
    return _age_on_day(birth, (now + _SHANGHAI_MS) // DAY_MS)


@lru_cache(maxsize=4096)
def _age_on_day(birth: date, day: int) -> int:
    today = date.fromordinal(_EPOCH_DAY + day)
    years = today.year - birth.year - (today <= _birthday(birth, today.year))
    return max(years, 0)


@lru_cache(maxsize=4096)
def reached_at(birth: date, years: int) -> int:
    """Return the instant from which the person has ``years`` full years."""
    day = _birthday(birth, birth.year + years) + timedelta(days=1)
    return (day.toordinal() - _EPOCH_DAY) * DAY_MS - _SHANGHAI_MS


def next_transition(birth: date, now: int) -> int | None:
    """Return the next instant after ``now`` at which the person reaches 14 or 18, or None."""
    for years in (CONSENT_AGE, MAJORITY):
        instant = reached_at(birth, years)
        if instant > now:
            return instant
    return None


def _birthday(birth: date, year: int) -> date:
    try:
        return birth.replace(year=year)
    except ValueError:  # 29 February in a common year
        return date(year, 2, 28)
