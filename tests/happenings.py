"""What can happen to the seeded world before somebody asks; each by its name in the tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from living import DAY, MINUTE, Living

from governance import world
from governance.consenting import On
from governance.identity import Caller
from governance.world import Person
from policies.identifiers import Prefix, new_id
from policies.terms import ActorId, MemberId, Role, SubjectId

NOBODY: Final = "mem_019a0000-0000-7d47-8433-b18122cd4e5d"
"""A well-formed member id that nobody has."""


def person_acts(person: Person) -> On:
    """Return a member acting in person."""
    return On(Caller(ActorId(person.id), Prefix.MEMBER), ActorId(person.id), new_id(Prefix.REQUEST))


def consent_of(house: Living, person: Person, purpose: str) -> str:
    mine = house.service.consenting.of_member(SubjectId(person.id), house.clock())
    return next(consent.consent_id for consent, _ in mine if consent.terms.purpose == purpose)


def withdraw(house: Living, person: Person, purpose: str) -> None:
    house.service.consenting.withdraw(person_acts(person), consent_of(house, person, purpose), house.clock())


def hide(house: Living, person: Person, category: str, viewer: str = "", *, hidden: bool = True) -> None:
    house.service.consenting.hide(person_acts(person), category, viewer, hidden=hidden, now=house.clock())
    house.clock.advance(1)


def _end_guardian(house: Living) -> None:
    with house.service.database.transaction() as tx:
        house.service.lifecycle.end_guardian(
            tx, MemberId(world.XIAO_MAN.id), MemberId(world.ZHANG_LI.id), house.clock()
        )
        tx.commit()


def _end_assignment(house: Living) -> None:
    with house.service.database.transaction() as tx:
        house.service.lifecycle.end_assignment(
            tx, SubjectId(world.ZHANG_LI.id), ActorId(world.WANG_MIN.id), house.clock()
        )
        tx.commit()


def _assign_for_a_minute(house: Living) -> None:
    now = house.clock()
    with house.service.database.transaction() as tx:
        house.service.lifecycle.assign(
            tx,
            SubjectId(world.XIAO_MAN.id),
            ActorId(world.WANG_MIN.id),
            Role("agent"),
            now,
            now + MINUTE,
        )
        tx.commit()


def _retire(house: Living) -> None:
    with house.service.database.transaction() as tx:
        house.service.lifecycle.retire_actor(tx, ActorId(world.WANG_MIN.id), house.clock())
        tx.commit()


HAPPENINGS: Final[Mapping[str, Callable[[Living], None]]] = {
    "end_guardian": _end_guardian,
    "end_assignment": _end_assignment,
    "assign_xiao_man_for_a_minute": _assign_for_a_minute,
    "retire_wang_min": _retire,
    "withdraw_care": lambda house: withdraw(house, world.GRANDMOTHER, "family.care"),
    "withdraw_health": lambda house: withdraw(house, world.GRANDMOTHER, "service.health"),
    "hide_content": lambda house: hide(house, world.LI_QIANG, "content.history"),
    "unhide_content": lambda house: hide(house, world.LI_QIANG, "content.history", hidden=False),
    "hide_content_from_zhang_li": lambda house: hide(
        house, world.LI_QIANG, "content.history", world.ZHANG_LI.id
    ),
    "a_minute_passes": lambda house: house.clock.advance(MINUTE),
    "181_days_pass": lambda house: house.clock.advance(181 * DAY),
}
