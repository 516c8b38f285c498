"""What can happen to the seeded world before somebody asks; each by its name in the tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from living import DAY, MINUTE, Living

from audit.search import parse
from governance import identity, world
from governance.acting import On
from governance.approvalrecords import Asked, HostAct
from governance.asking import Ask
from governance.identity import Caller, Scope
from governance.rightsrecords import Right
from governance.rightswishes import Wish
from governance.world import Office, Person
from policies.identifiers import Prefix, new_id
from policies.terms import (
    Action,
    ActorId,
    FieldName,
    HouseholdId,
    MemberId,
    Purpose,
    Role,
    SubjectId,
)

HOUR: Final = 60 * MINUTE
NOBODY: Final = "mem_019a0000-0000-7d47-8433-b18122cd4e5d"
"""A well-formed member id that nobody has."""


def person_acts(person: Person) -> On:
    """Return a member acting in person."""
    return On(Caller(ActorId(person.id), Prefix.MEMBER), ActorId(person.id), new_id(Prefix.REQUEST))


def office_acts(who: Office, *roles: str) -> On:
    """Return a member of staff acting in an office."""
    caller = Caller(ActorId(who.id), Prefix.STAFF, roles=frozenset(roles or map(str, who.roles)))
    return On(caller, ActorId(who.id), new_id(Prefix.REQUEST))


def consent_of(house: Living, person: Person, purpose: str) -> str:
    mine = house.service.consenting.of_member(SubjectId(person.id), house.clock())
    return next(consent.consent_id for consent, _ in mine if consent.terms.purpose == purpose)


def withdraw(house: Living, person: Person, purpose: str) -> None:
    house.service.consenting.withdraw(person_acts(person), consent_of(house, person, purpose), house.clock())


def hide(house: Living, person: Person, category: str, viewer: str = "", *, hidden: bool = True) -> None:
    house.service.sharing.hide(person_acts(person), category, viewer, hidden=hidden, now=house.clock())
    house.clock.advance(1)


def share(house: Living, owner: Person, viewer: Person, category: str = "health.record") -> str:
    """Share a category with one of the family; return the id of the share."""
    house.clock.advance(1)  # what was withdrawn in the same instant would end it
    given = house.service.sharing.give(person_acts(owner), category, viewer.id, None, house.clock())
    return given.share.share_id


def end_shares(house: Living, owner: Person) -> None:
    """End everything that somebody shares."""
    for one in house.service.sharing.shares(SubjectId(owner.id), house.clock()):
        house.service.sharing.end(person_acts(owner), one.share.share_id, house.clock())


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


def ticket(house: Living, subject: str = world.ZHANG_LI.id, *, hours: int = 1) -> None:
    """Open a ticket of a subject with 王敏."""
    now = house.clock()
    with house.service.database.transaction() as tx:
        house.service.lifecycle.open_ticket(
            tx, SubjectId(subject), ActorId(world.WANG_MIN.id), now, now + hours * HOUR
        )
        tx.commit()


def _close_ticket(house: Living) -> None:
    house.clock.advance(1)
    with house.service.database.transaction() as tx:
        house.service.lifecycle.close_ticket(
            tx, SubjectId(world.ZHANG_LI.id), ActorId(world.WANG_MIN.id), house.clock()
        )
        tx.commit()


def _ask_no_longer(house: Living) -> None:
    with house.service.database.transaction() as tx:
        house.service.lifecycle.ask_same_gender(
            tx, HouseholdId(world.ZHANG_HOME.id), house.clock(), asked=False
        )
        tx.commit()


def forget_gender(house: Living, person: Person) -> None:
    """Take a member's gender out of the vault, past the service."""
    house.sql(f"DELETE FROM cell WHERE subject_id = '{person.id}' AND field IN ('gender', '@gender')")


def _forget_staff_gender(house: Living) -> None:
    house.sql(f"UPDATE actor SET gender = '' WHERE id = '{world.SUN_YUE.id}'")


def reading(who: str, about: str, *fields: str, purpose: str = "service.health", emergency: str = "") -> Ask:
    """Return what somebody asks to read through the CRM."""
    return Ask(
        Caller(ActorId(world.CRM.id), Prefix.SERVICE),
        ActorId(who),
        Action.READ,
        SubjectId(about),
        tuple(map(FieldName, fields)),
        Purpose(purpose),
        new_id(Prefix.REQUEST),
        new_id(Prefix.DECISION),
        reveal=True,
        emergency=emergency,
    )


FALLEN: Final = "老人在家中跌倒，意识不清，需要用药史"


def emergency(house: Living, person: Person = world.ZHANG_LI) -> str:
    """Let 陈医生 read a name in an emergency; return the id of the review."""
    house.service.gate.read(
        [reading(world.DOCTOR_CHEN.id, person.id, "name", emergency=FALLEN)], house.clock()
    )
    found: str = house.sql("SELECT id FROM access_review ORDER BY created_at DESC, id DESC")[0][0]
    return found


def assign(house: Living, person: Person, staff: Office, role: str) -> None:
    with house.service.database.transaction() as tx:
        house.service.lifecycle.assign(tx, SubjectId(person.id), ActorId(staff.id), Role(role), house.clock())
        tx.commit()


def ask_for_access(house: Living, *fields: str) -> Asked:
    """Let the CRM ask that 陈医生, to whom 小满 is assigned now, may read of her."""
    house.clock.advance(1)  # an assignment of the same instant would be the same row
    assign(house, world.XIAO_MAN, world.DOCTOR_CHEN, "clinician")
    doctor = ActorId(world.DOCTOR_CHEN.id)
    return house.service.approving.open(
        On(Caller(ActorId(world.CRM.id), Prefix.SERVICE), doctor, new_id(Prefix.REQUEST)),
        SubjectId(world.XIAO_MAN.id),
        doctor,
        Action.READ,
        map(FieldName, fields or ("name",)),
        Purpose("service.health"),
        house.clock(),
    )


def host_acts(person: Person = world.XIAO_MAN, host: Office = world.CRM) -> On:
    """Return an application that acts for a member."""
    return On(Caller(ActorId(host.id), Prefix.SERVICE), ActorId(person.id), new_id(Prefix.REQUEST))


SHOP: Final = Office("shop", Prefix.SERVICE, "小铺")


def other_key(house: Living) -> str:
    """Return the key of another application with the same scopes."""
    with house.service.database.transaction() as tx:
        house.service.lifecycle.add_actor(tx, ActorId(SHOP.id), SHOP.label, (), house.clock())
        key = identity.issue_key(
            tx, ActorId(SHOP.id), frozenset({Scope.CONSENTS, Scope.ON_BEHALF}), house.clock()
        )
        tx.commit()
    return key


def approved_purchase(house: Living, resource: str = "order-1") -> str:
    """Let the CRM ask for a purchase by 小满 and 张丽 say yes; return the approval's id."""
    desk, now = house.service.approving, house.clock()
    asked = desk.open_act(host_acts(), SubjectId(world.XIAO_MAN.id), HostAct.PURCHASE, resource, now)
    return desk.decide(person_acts(world.ZHANG_LI), asked.id, approve=True, now=now).id


def handed_over(house: Living, old: Person, new: Person) -> None:
    """Let 张家's primary account pass from one to another."""
    desk, home = house.service.homes, HouseholdId(world.ZHANG_HOME.id)
    offer = desk.offer_role(person_acts(old), home, MemberId(new.id), house.clock())
    desk.take_role(person_acts(new), offer.id, house.clock())
    house.clock.advance(1)


def role_offered(house: Living) -> str:
    """Let 张丽 offer 李强 the role of the primary account; return the offer's id."""
    home = HouseholdId(world.ZHANG_HOME.id)
    return house.service.homes.offer_role(
        person_acts(world.ZHANG_LI), home, MemberId(world.LI_QIANG.id), house.clock()
    ).id


def erasure_asked(house: Living) -> str:
    """Let 张丽 ask for erasure through the CRM; return the request's id."""
    on = On(Caller(ActorId(world.CRM.id), Prefix.SERVICE), ActorId(world.ZHANG_LI.id), new_id(Prefix.REQUEST))
    wish = Wish(Right.ERASURE, "pipl", {}, "counter-2026-11")
    return house.service.rights.open(on, SubjectId(world.ZHANG_LI.id), wish, house.clock()).request.id


def held(house: Living) -> str:
    """Set a legal hold on 张丽's data for a month."""
    now = house.clock()
    return house.service.holds.place(
        office_acts(world.OFFICER).caller,
        SubjectId(world.ZHANG_LI.id),
        "诉讼中",
        now + 30 * DAY,
        now,
        request_id=new_id(Prefix.REQUEST),
    )


def limit_asked(house: Living) -> str:
    """Let 王敏 ask to see 100 people an hour for two hours, or find that she has; return the request's id."""
    waiting = f"SELECT id FROM limit_lift WHERE state = 'waiting' AND actor_id = '{world.WANG_MIN.id}'"
    for (lift,) in house.sql(waiting):
        return str(lift)
    desk = house.service.log.oversight.lifting
    caller, who = office_acts(world.WANG_MIN).caller, ActorId(world.WANG_MIN.id)
    return desk.ask(caller, who, 100, 320, 2, "系统迁移核对", new_id(Prefix.REQUEST), house.clock())


HAPPENINGS: Final[Mapping[str, Callable[[Living], None]]] = {
    "end_guardian": _end_guardian,
    "end_assignment": _end_assignment,
    "assign_xiao_man_for_a_minute": _assign_for_a_minute,
    "retire_wang_min": _retire,
    "open_ticket": ticket,
    "close_ticket": _close_ticket,
    "nobody_asks_for_a_gender": _ask_no_longer,
    "the_gender_of_zhang_li_is_not_known": lambda house: forget_gender(house, world.ZHANG_LI),
    "the_gender_of_sun_yue_is_not_known": _forget_staff_gender,
    "withdraw_care": lambda house: withdraw(house, world.GRANDMOTHER, "family.care"),
    "withdraw_health": lambda house: withdraw(house, world.GRANDMOTHER, "service.health"),
    "hide_content": lambda house: hide(house, world.LI_QIANG, "content.history"),
    "unhide_content": lambda house: hide(house, world.LI_QIANG, "content.history", hidden=False),
    "hide_content_from_zhang_li": lambda house: hide(
        house, world.LI_QIANG, "content.history", world.ZHANG_LI.id
    ),
    "end_shares_of_grandmother": lambda house: end_shares(house, world.GRANDMOTHER),
    "share_with_li_qiang": lambda house: share(house, world.GRANDMOTHER, world.LI_QIANG),
    "a_minute_passes": lambda house: house.clock.advance(MINUTE),
    "an_hour_passes": lambda house: house.clock.advance(HOUR),
    "181_days_pass": lambda house: house.clock.advance(181 * DAY),
}


def search_kept(house: Living) -> str:
    """Keep a search of the log for the officer, unless there is one; return its id."""
    officer = ActorId(world.OFFICER.id)
    for one in house.service.log.saved.of(officer):
        return one.id
    return house.service.log.saved.add(officer, "一项检索", parse("decision:deny"), house.clock()).id
