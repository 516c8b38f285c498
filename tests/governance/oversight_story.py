"""Staff who read, officers who judge, and rules under which two people are many."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Final

import happenings
from living import Living

from governance import world
from governance.asking import Answer, Ask
from policies.archive import book_of, pack, spelt, texts_of
from policies.book import packaged_rules
from policies.identifiers import Prefix
from policies.terms import ActorId

SECOND: Final = world.Office("second_officer", Prefix.STAFF, "合规官 吴方", world.OFFICER.roles)
AGENT: Final = ActorId(world.WANG_MIN.id)
OFFICER: Final = happenings.office_acts(world.OFFICER).caller
OTHER: Final = happenings.office_acts(SECOND).caller
PEOPLE: Final = (world.ZHANG_LI, world.LI_QIANG, world.GRANDMOTHER)
_WIDE: Final = "soft_hour = 40\nhard_hour = 80\nsoft_day = {}\nhard_day = {}"
_FEW: Final = "soft_hour = 1\nhard_hour = 2\nsoft_day = 2\nhard_day = 3"
NARROW_FOR_DOCTORS: Final = ((_WIDE.format(120, 240), _FEW),)
TOLD_SOON: Final = ((_WIDE.format(150, 300), "soft_hour = 1\nhard_hour = 9\nsoft_day = 9\nhard_day = 19"),)
"""An officer is told of an agent's second person in an hour; nobody is stopped."""
NARROW: Final = ((_WIDE.format(150, 300), _FEW),)
"""An agent may see two people in an hour and three in a day; the second is told of."""


@functools.cache
def _rules(changes: tuple[tuple[str, str], ...]) -> tuple[bytes, str]:
    texts = texts_of(pack(packaged_rules()))
    for found, written in changes:
        (name,) = [one for one in ("oversight.toml", "grants.csv") if found in texts[one]]
        texts[name] = texts[name].replace(found, written)
    archive = spelt(texts)
    return archive, book_of(archive).fingerprint


def under(house: Living, *changes: tuple[str, str]) -> None:
    """Put rules in force whose grants and oversight differ from the packaged ones by these replacements."""
    house.service.desk.establish(*_rules(changes), "test", house.clock())


def asked(about: world.Person | world.Home, *fields: str, who: str = AGENT, **how: Any) -> Ask:
    """Return what somebody asks to read through the CRM for a delivery."""
    how.setdefault("purpose", "service.delivery")
    return happenings.reading(who, about.id, *(fields or ("name",)), **how)


def effects(house: Living, *asks: Ask) -> list[str]:
    """Return the first field's effect of each answer, with the last reason where something is hidden."""
    return [_told(reply) for reply in house.service.gate.read(asks, house.clock())]


def _told(reply: object) -> str:
    assert isinstance(reply, Answer)
    first = reply.fields[0]
    return (
        first.effect.value if first.value is not None else f"{first.effect.value} {first.reasons[-1].value}"
    )


def queue(house: Living) -> list[Sequence[Any]]:
    """Return every review: its triggers, its state, its reader."""
    return house.sql("SELECT triggers, state, actor_id FROM access_review ORDER BY created_at, id")


def scan(house: Living, **how: Any) -> dict[str, int]:
    """Let the scanner go through what is new; return how often each trigger held."""
    done = house.service.log.oversight.scanning.run(house.clock(), **how)
    return {one.value: count for one, count in done.triggers.items()}
