"""Turns the lines of a story into consent events, so that rules can be tested as officers would tell them.

A line is ``<day>[+<minutes>m] <who> <verb> [words …]``; see ``standing.toml`` for examples.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from datetime import date
from types import MappingProxyType

from consent.ages import reached_at
from consent.events import Capacity, Event, EventKind
from consent.superseding import NoticeFact, Notices, by_id
from policies.book import RuleBook, packaged_rules, rule_files
from policies.declarations import read_declarations
from policies.rulefile import Fault

START = reached_at(date(2026, 2, 28), 0)
"""Day 0 begins: 2026-03-01 00:00 in Shanghai."""
MINUTE = 60_000
DAY = 86_400_000
NOTICE = "n@1#00"

BIRTHS = {
    "adult": date(1985, 5, 5),
    "teen": date(2010, 5, 5),  # 15 on day 0
    "child": date(2016, 5, 5),  # 9 on day 0
    "infant": date(2024, 5, 5),
    "almost_14": date(2012, 3, 10),  # 14 from day 10 on
    "almost_18": date(2008, 3, 10),  # 18 from day 10 on
    "leap": date(2012, 2, 29),  # 14 exactly from day 0 on
    "unknown": None,
    "household": None,
}
CAPACITIES = {
    "self": Capacity.SELF,
    "mother": Capacity.GUARDIAN,
    "father": Capacity.GUARDIAN,
    "primary": Capacity.PRIMARY,
    "service": Capacity.SERVICE,
    "stranger": Capacity.SELF,
}
VERBS = {
    "ticks": EventKind.TICKED,
    "confirms": EventKind.CONFIRMED,
    "refuses": EventKind.REFUSED,
    "defers": EventKind.DEFERRED,
    "withdraws": EventKind.WITHDRAWN,
    "revokes": EventKind.REVOKED,
    "objects": EventKind.OBJECTED,
    "restricts": EventKind.RESTRICTED,
    "erases": EventKind.ERASED,
    "invents": "a_kind_of_a_later_version",
}
LINKS = {
    "becomes_guardian": EventKind.GUARDIAN_LINKED,
    "ends_guardianship": EventKind.GUARDIAN_ENDED,
    "becomes_primary": EventKind.JOINED,
    "leaves": EventKind.LEFT,
}


def subject_of(person: str) -> str:
    return "hh_home" if person == "household" else f"mem_{person}"


def actor_of(who: str, person: str) -> str:
    if who == "staff":
        return "stf_agent"
    return subject_of(person) if who == "self" else f"mem_{who}"


def instant(when: str) -> int:
    """``3`` is the start of day 3, ``3+9m`` nine minutes later, ``3-1ms`` one millisecond earlier."""
    for sign, unit, size in (("+", "m", MINUTE), ("-", "ms", -1), ("+", "ms", 1)):
        if when.endswith(unit) and sign in when:
            day, _, more = when.removesuffix(unit).partition(sign)
            if more.isdigit():
                return START + int(day) * DAY + int(more) * size
    return START + int(when) * DAY


def event(person: str, who: str, kind: str, at: int, number: int = 0, **more: object) -> Event:
    fields: dict[str, object] = {
        "subject_id": subject_of(person),
        "event_id": f"evt_{number:04}_{kind}",
        "kind": kind,
        "consent_id": "",
        "purpose": "",
        "categories": frozenset(),
        "recipient": "",
        "notice": "",
        "actor_id": actor_of(who, person),
        "capacity": CAPACITIES[who],
        "viewer": "",
        "occurred_at": at,
        "recorded_at": at,
        "expires_at": None,
        "evidence": "{}",
    }
    return Event(**{**fields, **more})


def grant(
    person: str,
    who: str,
    purpose: str,
    categories: Iterable[str],
    at: int,
    *,
    number: int = 0,
    recipient: str = "",
    notice: str = NOTICE,
    confirm_after: int | None = MINUTE,
) -> list[Event]:
    """One act: served and ticked at ``at``, confirmed some time later or not at all."""
    terms = {
        "consent_id": f"con_{number:04}",
        "purpose": purpose,
        "categories": frozenset(categories),
        "recipient": recipient,
        "notice": notice,
    }
    thirds = [event(person, who, kind, at, number, **terms) for kind in (EventKind.SERVED, EventKind.TICKED)]
    if confirm_after is not None:
        thirds.append(event(person, who, EventKind.CONFIRMED, at + confirm_after, number, **terms))
    return thirds


def story(person: str, lines: Iterable[str]) -> tuple[Event, ...]:
    numbers = itertools.count(1)
    return tuple(itertools.chain.from_iterable(_line(person, line, next(numbers)) for line in lines))


def _line(person: str, line: str, number: int) -> list[Event]:
    when, who, verb, *words = line.split()
    at = instant(when)
    recipient = words.pop().removeprefix("to:") if words and words[-1].startswith("to:") else ""
    if verb in ("consents", "ticks"):
        after = MINUTE if verb == "consents" else None
        notice = words.pop().removeprefix("on:") if words[-1].startswith("on:") else NOTICE
        more = {"number": number, "recipient": recipient, "notice": notice, "confirm_after": after}
        return grant(person, who, words[0], words[1:], at, **more)
    if verb == "confirms":
        # "confirms 3 marketing.direct outreach.sms" answers the tick of the story's third line
        tick, purpose, *categories = words
        return grant(
            person, who, purpose, categories, at, number=int(tick), recipient=recipient, confirm_after=0
        )[2:]
    if verb in ("hides", "shows"):
        category, viewer = words
        kind = EventKind.HIDDEN if verb == "hides" else EventKind.UNHIDDEN
        name = "" if viewer == "everybody" else actor_of(viewer, person)
        return [event(person, who, kind, at, number, categories=frozenset({category}), viewer=name)]
    if verb in LINKS:
        return [event(person, who, LINKS[verb], at, number, viewer="hh_home" if words else "")]
    purpose = words[0] if words and words[0] != "everything" else ""
    more = {"purpose": purpose, "categories": frozenset(words[1:]), "recipient": recipient}
    return [event(person, who, VERBS[verb], at, number, **more)]


def notices(lines: Iterable[str]) -> Notices:
    """``n@2 10 material`` is version 2 of notice n, a material change that takes effect on day 10.

    ``by:lab`` names a processor, ``#00`` after the version the digest of its text.
    """
    return by_id(_notice(line) for line in lines)


def _notice(line: str) -> NoticeFact:
    name, when, *words = line.split()
    text, _, digest = name.partition("#")
    key, _, version = text.partition("@")
    named = frozenset(word.removeprefix("by:") for word in words if word.startswith("by:"))
    return NoticeFact(key, int(version), instant(when), "material" in words, digest, named)


def book_of_rules() -> RuleBook:
    """The packaged purposes, categories, bases and limits; no grants and no lexicon."""
    faults: list[Fault] = []
    declared = read_declarations(rule_files(packaged_rules()), faults)
    assert not faults
    return RuleBook(
        fields=MappingProxyType(declared.fields),
        categories=MappingProxyType(declared.categories),
        purposes=MappingProxyType(declared.aims.purposes),
        bases=declared.aims.bases,
        prohibitions=declared.aims.prohibitions,
        age_tiers=declared.age_tiers,
        roles=MappingProxyType({}),
        grants=MappingProxyType({}),
        limits=declared.limits,
        lexicon=(),
        model="",
        fingerprint="",
    )
