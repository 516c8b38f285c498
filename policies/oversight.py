"""Which accesses are put before a person, and how many people one reader may see: from ``oversight.toml``.

Pure. Every trigger has exactly one row, so that none is switched off by being forgotten. A share is drawn in
parts per thousand; what is grave is never drawn but always looked at. Windows slide: an hour is the last 60
minutes. Working hours are those of one zone on the working days of a calendar; a year that nobody
has entered counts Monday to Friday (个人信息保护法 第五十一条; mission S22, S23).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from policies.deadlines import CalendarGapError, Deadlines
from policies.rulefile import Entry, Fault, Schema, read_entries
from policies.terms import Purpose, Role
from policies.triggers import TRIGGERS, Trigger

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
MINUTE_MS: Final = 60_000
WHOLE: Final = 1000
"""Parts per thousand that are all."""
KINDS: Final = ("staff", "service")
"""Whom a row may name instead of a role: everybody of that kind without a row for a role."""
GRAVE: Final = frozenset({Trigger.BREAK_GLASS, Trigger.MASS_READ})
"""What is always looked at."""

_SCHEMAS: Final = {
    "hours": Schema(frozenset({"utc_offset", "from_hour", "until_hour", "calendar", "source"})),
    "desk": Schema(frozenset({"lease_minutes", "lift_hours", "lift_times", "source"})),
    "trigger": Schema(
        frozenset({"id", "active", "per_mille", "due_days", "two_people", "source"}), frozenset({"minutes"})
    ),
    "sample": Schema(frozenset({"per_mille", "source"}), frozenset({"role", "purpose"})),
    "bulk": Schema(
        frozenset({"soft_hour", "hard_hour", "soft_day", "hard_day", "source"}), frozenset({"role", "kind"})
    ),
}
_TIMED: Final = frozenset({Trigger.DENIED_THEN_PERMITTED})
_LONGEST_MINUTES: Final = 24 * 60
_LONGEST_DAYS: Final = 90
_FARTHEST: Final = 14
_MOST: Final = 1_000_000
_FRIDAY: Final = 4


class Watch(NamedTuple):
    """What is said of one trigger; ``minutes`` is how far it looks back, 0 where it does not."""

    active: bool
    per_mille: int
    due_days: int
    two_people: bool
    minutes: int


class Hours(NamedTuple):
    """Working hours, ``[from_hour, until_hour)`` in a zone given in hours, on the days of a calendar."""

    utc_offset: int
    from_hour: int
    until_hour: int
    calendar: str


class Desk(NamedTuple):
    """For how long a review is one officer's, and for how long and how far a limit may be lifted."""

    lease_minutes: int
    lift_hours: int
    lift_times: int


class Sample(NamedTuple):
    """How many in a thousand accesses are drawn; empty: of every role, for every purpose."""

    role: str
    purpose: str
    per_mille: int


class Ceiling(NamedTuple):
    """How many different people one reader may see in an hour, or in a day.

    Over ``soft`` a person is told, over ``hard`` nothing is shown.
    """

    soft: int
    hard: int


class Bulk(NamedTuple):
    """Both windows of one reader."""

    hour: Ceiling
    day: Ceiling


_ALWAYS: Final = Hours(8, 0, 24, "cn")
_DESK: Final = Desk(15, 24, 5)


@dataclass(frozen=True, slots=True)
class Oversight:
    """All of it."""

    hours: Hours = _ALWAYS
    desk: Desk = _DESK
    watches: Mapping[Trigger, Watch] = field(default_factory=lambda: MappingProxyType({}))
    samples: tuple[Sample, ...] = ()
    bulk: Mapping[str, Bulk] = field(default_factory=lambda: MappingProxyType({}))

    def limit_of(self, roles: Collection[str], kind: str) -> Bulk | None:
        """Return the limit of a reader: the widest of its roles' rows, else that of its kind (``staff``).

        None only where the rules know no limits at all.
        """
        rows = [self.bulk[role] for role in sorted(roles) if role in self.bulk]
        if not rows:
            return self.bulk.get(kind)
        return Bulk(_widest([row.hour for row in rows]), _widest([row.day for row in rows]))

    def sample_rate(self, roles: Collection[str], purpose: str) -> int:
        """Return how many in a thousand are drawn of an access: the highest rate of the rows that fit."""
        fits = (
            row.per_mille
            for row in self.samples
            if row.role in ("", *roles) and (not row.purpose or _within(purpose, row.purpose))
        )
        return max(fits, default=0)

    def at_work(self, deadlines: Deadlines, at: int) -> bool:
        """Say whether an instant (milliseconds) lies in working hours."""
        zone = timedelta(hours=self.hours.utc_offset)
        local = datetime.fromtimestamp(at / 1000, UTC) + zone
        if not self.hours.from_hour <= local.hour < self.hours.until_hour:
            return False
        return _working_day(deadlines, self.hours.calendar, local.date())


NO_OVERSIGHT: Final = Oversight()
"""For rules about other things than households: nothing is drawn, nothing is limited."""


def _widest(some: Sequence[Ceiling]) -> Ceiling:
    return Ceiling(max(one.soft for one in some), max(one.hard for one in some))


def _within(purpose: str, group: str) -> bool:
    return purpose == group or purpose.startswith(f"{group}.")


def _working_day(deadlines: Deadlines, calendar: str, day: date) -> bool:
    try:
        return deadlines.working_day(calendar, day)
    except CalendarGapError:
        return day.weekday() <= _FRIDAY


def read_oversight(
    path: Path,
    roles: Collection[Role],
    purposes: Collection[Purpose],
    calendars: Collection[str],
    faults: list[Fault],
) -> Oversight:
    """Read the file; every role, purpose and calendar in it must be declared."""
    tables = read_entries(path, _SCHEMAS, faults)
    aims = {*purposes, *(purpose.rpartition(".")[0] for purpose in purposes)} - {""}
    for entries in tables.values():
        for entry in entries:
            entry.text("source")
            _refuse_unknown(entry, "role", roles)
            _refuse_unknown(entry, "purpose", aims)
            _refuse_unknown(entry, "calendar", calendars)
    return Oversight(
        _hours(_only(tables["hours"])),
        _desk(_only(tables["desk"])),
        _watches(path.name, tables["trigger"], faults),
        _samples(tables["sample"]),
        _bulk(path.name, tables["bulk"], faults),
    )


def _refuse_unknown(entry: Entry, key: str, known: Collection[str]) -> None:
    if key in entry.values and (word := entry.word(key)) and word not in known:
        entry.fault(key, f"unknown {key} {word!r}")


def _only(entries: tuple[Entry, ...]) -> Entry | None:
    for entry in entries[1:]:
        entry.fault("", f"a second [[{entry.kind}]]; there is one")
    return entries[0] if entries else None


def _hours(entry: Entry | None) -> Hours:
    if entry is None:
        return NO_OVERSIGHT.hours
    begin, end = entry.number("from_hour", 0, 23), entry.number("until_hour", 1, 24)
    if end <= begin:
        entry.fault("until_hour", "working hours end after they begin")
    return Hours(entry.number("utc_offset", -_FARTHEST, _FARTHEST), begin, end, entry.word("calendar"))


def _desk(entry: Entry | None) -> Desk:
    if entry is None:
        return NO_OVERSIGHT.desk
    return Desk(
        entry.number("lease_minutes", 1, _LONGEST_MINUTES),
        entry.number("lift_hours", 1, 24 * 7),
        entry.number("lift_times", 2, 100),
    )


def _watches(file: str, entries: tuple[Entry, ...], faults: list[Fault]) -> Mapping[Trigger, Watch]:
    found: dict[Trigger, Watch] = {}
    for entry in entries:
        word = entry.word("id")
        trigger = TRIGGERS.get(word)
        if trigger is None:
            entry.fault("id", f"unknown trigger {word!r}; known: {', '.join(TRIGGERS)}")
            continue
        if trigger in found:
            entry.fault("id", f"a second row for {word!r}")
        found[trigger] = _watch(entry, trigger)
    forgotten = [trigger.value for trigger in Trigger if entries and trigger not in found]
    faults.extend(Fault(file, 1, f"no [[trigger]] with id {one!r}") for one in forgotten)
    return MappingProxyType(found)


def _watch(entry: Entry, trigger: Trigger) -> Watch:
    active, share = entry.flag("active"), entry.number("per_mille", 1, WHOLE)
    if trigger in GRAVE and (not active or share != WHOLE):
        key = "per_mille" if active else "active"
        entry.fault(key, f"{trigger.value} is always looked at: active and {WHOLE} per mille")
    if trigger in _TIMED and "minutes" not in entry.values:
        entry.fault("", f"{trigger.value} needs minutes: how far it looks back")
    if trigger not in _TIMED and "minutes" in entry.values:
        entry.fault("minutes", f"{trigger.value} looks back over no minutes of its own")
    return Watch(
        active,
        share,
        entry.number("due_days", 1, _LONGEST_DAYS),
        entry.flag("two_people"),
        entry.number("minutes", 1, _LONGEST_MINUTES) if trigger in _TIMED else 0,
    )


def _samples(entries: tuple[Entry, ...]) -> tuple[Sample, ...]:
    found: dict[tuple[str, str], Sample] = {}
    for entry in entries:
        key = (entry.word("role"), entry.word("purpose"))
        if key in found:
            entry.fault("", "a second row for this role and purpose")
        found[key] = Sample(*key, entry.number("per_mille", 1, WHOLE))
    return tuple(found.values())


def _bulk(file: str, entries: tuple[Entry, ...], faults: list[Fault]) -> Mapping[str, Bulk]:
    found: dict[str, Bulk] = {}
    for entry in entries:
        role, kind = entry.word("role"), entry.word("kind")
        if bool(role) == bool(kind):
            entry.fault("", "a [[bulk]] row names a role or a kind, one of the two")
        if kind and kind not in KINDS:
            entry.fault("kind", f"kind must be one of {', '.join(KINDS)}, not {kind!r}")
        if (role or kind) in found:
            entry.fault("role" if role else "kind", f"a second row for {role or kind!r}")
        bulk = Bulk(_ceiling(entry, "hour"), _ceiling(entry, "day"))
        if bulk.day.hard < bulk.hour.hard:
            entry.fault("hard_day", "a day cannot hold fewer than an hour of it")
        found[role or kind] = bulk
    forgotten = [kind for kind in KINDS if entries and kind not in found]
    faults.extend(Fault(file, 1, f"no [[bulk]] for the kind {one!r}: no limit") for one in forgotten)
    return MappingProxyType(found)


def _ceiling(entry: Entry, window: str) -> Ceiling:
    soft, hard = entry.number(f"soft_{window}", 1, _MOST), entry.number(f"hard_{window}", 1, _MOST)
    if hard <= soft:
        entry.fault(f"hard_{window}", "the hard limit lies above the soft one")
    return Ceiling(soft, hard)
