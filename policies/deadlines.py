"""By when a person's request must be answered: regimes and working days, from ``calendar.toml``.

Pure. Working days are Monday to Friday without the holidays and with the make-up working days of a year.
A year without a calendar never makes a deadline later: ``working_day`` refuses, and ``due`` then counts every
day and says so. What is due on a day is due until its end, and days are days in Asia/Shanghai; where the
law's own zone is another one, the day of asking is the earlier of the two, and so is the end of the last day.
A regime without a zone counts as the westernmost there is: early, never late.
Who asks chooses a regime, and never gets less by it: ``promised`` is the earlier of that one and ``AT_HOME``.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from policies.entries import Title
from policies.rulefile import Entry, Fault, Schema, read_entries, refuse_twins

_TITLES: Final = frozenset({"zh", "en"})
_SCHEMAS: Final = {
    "regime": Schema(
        frozenset({"id", "length", "unit", "calendar", "extension_months", "source"}) | _TITLES,
        frozenset({"utc_offset"}),
    ),
    "year": Schema(frozenset({"calendar", "year", "source", "holidays", "working"})),
}
_LONGEST: Final = 365
_MOST_MONTHS: Final = 12
_FRIDAY: Final = 4
_DAY_MS: Final = 86_400_000
_HOUR_MS: Final = 3_600_000
_SHANGHAI: Final = 8
_FARTHEST: Final = 14
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
AT_HOME: Final = "pipl"
"""What protects everybody whose data is here, whatever else does (个人信息保护法 第三条)."""
_SHORTEST: Final = 15
"""Days for a regime that nobody declared: the shortest that any declared one knows."""


class CalendarGapError(Exception):
    """There is no calendar for a year that the counting reaches."""


class Unit(StrEnum):
    """In what a regime counts."""

    WORKING_DAYS = "working_days"
    DAYS = "days"
    MONTHS = "months"


class Regime(NamedTuple):
    """One law's deadline, by how many months it can be extended, and in which zone its days are (hours)."""

    id: str
    length: int
    unit: Unit
    calendar: str
    extension_months: int
    utc_offset: int
    source: str
    title: Title


class Due(NamedTuple):
    """A deadline: the first instant that is too late. ``exact`` is false where a calendar is missing."""

    at: int
    exact: bool


class Year(NamedTuple):
    """What differs from Monday to Friday in one year."""

    holidays: frozenset[date]
    working: frozenset[date]


@dataclass(frozen=True, slots=True)
class Deadlines:
    """All regimes and calendars of one rule book."""

    regimes: Mapping[str, Regime] = field(default_factory=lambda: MappingProxyType({}))
    years: Mapping[tuple[str, int], Year] = field(default_factory=lambda: MappingProxyType({}))

    def working_day(self, calendar: str, day: date) -> bool:
        """Say whether people work on a day.

        Raises:
            CalendarGapError: nobody has entered that year.
        """
        year = self.years.get((calendar, day.year))
        if year is None:
            raise CalendarGapError
        return day in year.working or (day.weekday() <= _FRIDAY and day not in year.holidays)

    def due(self, regime: str, asked_at: int) -> Due:
        """Return by when one regime wants an answer to a request of this instant.

        The day of asking does not count.
        """
        known = self.regimes.get(regime)
        if known is None:
            return Due(_end_of(_day_of(asked_at) + timedelta(days=_SHORTEST)), exact=False)
        asked, zone = _early_day_of(asked_at, known.utc_offset), known.utc_offset
        if known.unit is Unit.MONTHS:
            return Due(_early_end_of(months_after(asked, known.length), zone), exact=True)
        every_day = _early_end_of(asked + timedelta(days=known.length), zone)
        if known.unit is Unit.DAYS:
            return Due(every_day, exact=True)
        try:
            counted = self._working_days_after(known.calendar, asked, known.length)
        except CalendarGapError:
            return Due(every_day, exact=False)
        return Due(_early_end_of(counted, zone), exact=True)

    def extended(self, regime: str, asked_at: int) -> int | None:
        """Return the extended deadline, None where the regime knows none."""
        known = self.regimes.get(regime)
        if known is None or not known.extension_months or known.unit is not Unit.MONTHS:
            return None
        asked = _early_day_of(asked_at, known.utc_offset)
        return _early_end_of(months_after(asked, known.length + known.extension_months), known.utc_offset)

    def promised(self, regime: str, asked_at: int) -> Due:
        """Return by when we answer: the earlier of the regime that was named and the one at home."""
        return min(self.due(regime, asked_at), self.due(AT_HOME, asked_at))

    def stretched(self, regime: str, asked_at: int) -> int | None:
        """Return until when ``promised`` can be extended; None where one of the two knows no extension."""
        both = [self.extended(one, asked_at) for one in (regime, AT_HOME)]
        known = [one for one in both if one is not None]
        return min(known) if len(known) == len(both) else None

    def inexact(self, now: int) -> tuple[str, ...]:
        """Return the regimes under which a request of now gets an earlier deadline for want of a calendar."""
        return tuple(regime for regime in self.regimes if not self.due(regime, now).exact)

    def _working_days_after(self, calendar: str, day: date, count: int) -> date:
        while count:
            day += timedelta(days=1)
            count -= self.working_day(calendar, day)
        return day


NO_DEADLINES: Final = Deadlines()


def months_after(day: date, months: int) -> date:
    """Return the same day some months later, or that month's last where there is none such."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def days_left(due_at: int, now: int) -> int:
    """Return how many days are left, today counted as none: 0 on the last day, negative when it is over."""
    return _day_of(due_at - 1).toordinal() - _day_of(now).toordinal()


def _day_of(at: int, zone: int = _SHANGHAI) -> date:
    return date.fromordinal(_EPOCH_DAY + (at + zone * _HOUR_MS) // _DAY_MS)


def _end_of(day: date, zone: int = _SHANGHAI) -> int:
    return (day.toordinal() + 1 - _EPOCH_DAY) * _DAY_MS - zone * _HOUR_MS


def _early_day_of(at: int, zone: int) -> date:
    return _day_of(at, min(zone, _SHANGHAI))


def _early_end_of(day: date, zone: int) -> int:
    return _end_of(day, max(zone, _SHANGHAI))


def read_deadlines(path: Path, faults: list[Fault]) -> Deadlines:
    """Read the file; a day outside its year or in both lists is a fault."""
    entries = read_entries(path, _SCHEMAS, faults)
    refuse_twins(entries["regime"], "id")
    years: dict[tuple[str, int], Year] = {}
    for entry in entries["year"]:
        key = (entry.word("calendar"), entry.number("year", 1970, 9999))
        if key in years:
            entry.fault("year", f"a second calendar {key[0]!r} for {key[1]}")
        years[key] = _year(entry, key[1])
    regimes = {}
    for entry in entries["regime"]:
        regime = Regime(
            entry.word("id"),
            entry.number("length", 1, _LONGEST),
            entry.choice("unit", Unit),
            entry.word("calendar"),
            entry.number("extension_months", 0, _MOST_MONTHS),
            entry.number("utc_offset", -_FARTHEST, _FARTHEST),
            entry.text("source"),
            Title(entry.text("zh"), entry.text("en")),
        )
        regimes[regime.id] = regime
        if regime.unit is Unit.WORKING_DAYS and regime.calendar not in {name for name, _ in years}:
            entry.fault("calendar", f"no [[year]] of the calendar {regime.calendar!r}")
    return Deadlines(MappingProxyType(regimes), MappingProxyType(years))


def _year(entry: Entry, year: int) -> Year:
    holidays, working = _days(entry, "holidays", year), _days(entry, "working", year)
    for day in sorted(holidays & working):
        entry.fault("working", f"{day} is a holiday and a working day")
    entry.text("source")
    return Year(holidays, working)


def _days(entry: Entry, key: str, year: int) -> frozenset[date]:
    values = entry.values.get(key)
    found = set()
    for value in values if isinstance(values, list) else ():
        try:
            day = date.fromisoformat(value)
        except (TypeError, ValueError):
            entry.fault(key, f"{key}: {value!r} is not a day such as 2026-01-01")
            continue
        if day.year != year or day in found:
            entry.fault(key, f"{key}: {day} is of another year, or named twice")
        found.add(day)
    if not isinstance(values, list) and key in entry.values:
        entry.fault(key, f"{key} must be a list of days")
    return frozenset(found)
