"""What a person should look at: one leaf, what the log said before, and the rules; nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from audit.entry import Actor, ActorType, Entry, FieldOutcome, Kind, Party, Verdict, decode, encode
from governance.suspecting import RANGE, Context, Seen, lot, suspicions
from policies.book import load_book, packaged_rules
from policies.identifiers import Prefix, new_id
from policies.terms import Effect
from policies.triggers import TRIGGERS, Trigger

BOOK = load_book(packaged_rules())
STAFF = Party(ActorType.STAFF, new_id(Prefix.STAFF))
SERVICE = Party(ActorType.SERVICE, new_id(Prefix.SERVICE))
MEMBER = Party(ActorType.MEMBER, "ab" * 16)
MONDAY_NOON = 1_795_406_400_000 + 4 * 3_600_000
SOFT = BOOK.oversight.limit_of({"agent"}, "staff").hour.soft  # type: ignore[union-attr]
QUIET = Context(BOOK.oversight, True, RANGE - 1, True, Seen(1, False), Seen(1, False))  # noqa: FBT003 - a row
ALL = QUIET._replace(draw=0)


def read(by: Party = STAFF, *why: str, effect: Effect = Effect.SHOW, **other: Any) -> Entry:
    field = FieldOutcome("name", effect, why or ("consent_given",), ("S-AG-01",))
    actor = Actor(SERVICE, ("agent",), "assigned", None if by is SERVICE else by)
    shown = effect is not Effect.HIDE
    entry = Entry(
        t=MONDAY_NOON,
        kind=Kind.DECISION,
        act="read",
        dec=Verdict.PERMIT if shown else Verdict.DENY,
        actor=actor,
        decision=new_id(Prefix.DECISION),
        subjects=(b"s" * 16,),
        fields=(field,),
        purpose="service.delivery",
    )
    return decode(encode(replace(entry, **other)))


def found(entry: Entry, context: Context) -> set[str]:
    return {one.value for one in suspicions(entry, context)}


def test_a_plain_read_at_work_of_somebody_known_is_nobodys_business() -> None:
    assert found(read(), QUIET) == set()


@pytest.mark.parametrize(
    ("entry", "context", "expected"),
    [
        (read(STAFF, "emergency_access"), QUIET, "break_glass"),
        (read(), QUIET._replace(hour=Seen(SOFT + 1, True)), "mass_read"),  # noqa: FBT003 - a row
        (read(), QUIET._replace(day=Seen(151, True)), "mass_read"),  # noqa: FBT003 - a row
        (read(), QUIET._replace(minor=True), "guardian_bypass"),
        (read(), QUIET._replace(kin=True), "self_access"),
        (read(actor=Actor(STAFF, (), "coresident")), QUIET, "self_access"),
        (read(), QUIET._replace(denied=frozenset({"name"})), "denied_then_permitted"),
        (read(), ALL._replace(at_work=False), "out_of_hours"),
        (read(), ALL._replace(met=False), "first_access"),
        (read(SERVICE), QUIET._replace(denied=frozenset({"name"})), "denied_then_permitted"),
    ],
)
def test_each_trigger_holds_for_what_its_sentence_says(entry: Entry, context: Context, expected: str) -> None:
    assert found(entry, context) - {"sampled"} == {expected}


@pytest.mark.parametrize(
    ("entry", "context"),
    [
        (read(STAFF, "guardian_consent"), QUIET._replace(minor=True)),
        (read(STAFF, "consent_given", "approved"), QUIET._replace(minor=True)),
        (read(), QUIET._replace(hour=Seen(SOFT, True))),  # noqa: FBT003 - a row
        (read(), QUIET._replace(hour=Seen(SOFT + 2, True))),  # noqa: FBT003 - a row
        (read(), QUIET._replace(hour=Seen(SOFT + 1, True), mass_told=True)),  # noqa: FBT003 - a row
        (read(), QUIET._replace(denied=frozenset({"mobile"}))),
        (read(SERVICE), ALL._replace(at_work=False, met=False, draw=RANGE // 2)),
        (read(MEMBER), ALL._replace(at_work=False, met=False, kin=True, minor=True)),
        (read(effect=Effect.HIDE), ALL._replace(at_work=False, met=False, kin=True, minor=True)),
        (read(effect=Effect.EXISTS), ALL._replace(at_work=False, met=False, kin=True, minor=True)),
        (read(act="check"), ALL._replace(at_work=False, met=False)),
        (read(), QUIET._replace(at_work=False, met=False)),  # drawn by neither share
    ],
)
def test_what_is_explained_hidden_or_a_members_own_look_is_left_alone(entry: Entry, context: Context) -> None:
    assert found(entry, context) == set()


def test_a_lot_follows_from_the_entry_alone_and_falls_evenly() -> None:
    entries = [new_id(Prefix.ENTRY) for _ in range(4000)]
    lots = [lot(b"k" * 32, one) for one in entries]
    assert lots == [lot(b"k" * 32, one) for one in entries]
    assert lots != [lot(b"K" * 32, one) for one in entries]
    tenth = sum(one < RANGE // 10 for one in lots)
    assert 300 < tenth < 500  # ten standard deviations would be 210 to 590
    drawn = BOOK.oversight.sample_rate({"agent"}, "service.delivery") * (RANGE // 1000)
    assert found(read(), QUIET._replace(draw=drawn)) == set()
    assert found(read(), QUIET._replace(draw=drawn - 1)) == {"sampled"}


def test_every_trigger_is_told_in_both_languages_and_has_its_row() -> None:
    assert set(BOOK.oversight.watches) == set(Trigger)
    assert list(TRIGGERS.values()) == list(Trigger)
    for trigger in Trigger:
        assert trigger.sentence("zh").endswith("。")
        assert trigger.sentence("en").endswith(".")


@pytest.mark.parametrize(
    ("day", "hour", "at_work"),
    [
        ("2026-11-23", 8, True),
        ("2026-11-23", 7, False),
        ("2026-11-23", 20, False),
        ("2026-11-22", 10, False),
        ("2026-10-01", 10, False),
        ("2026-02-28", 10, True),  # a Saturday on which people work
        ("2031-05-05", 10, True),  # no calendar yet: Monday to Friday
        ("2031-05-04", 10, False),
    ],
)
def test_working_hours_are_those_of_the_zone_and_the_calendar(day: str, hour: int, *, at_work: bool) -> None:
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415 - only here

    at = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(hours=hour - 8)
    assert BOOK.oversight.at_work(BOOK.deadlines, round(at.timestamp() * 1000)) is at_work
