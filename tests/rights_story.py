"""What tests of rights, erasure and retention share: asking, deciding, looking at what is left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import happenings
from living import Living

from governance import world
from governance.acting import On
from governance.identity import Caller
from governance.rights import Opened
from governance.rightsdeciding import Step
from governance.rightsrecords import Extension, Refusal, Right, Status
from governance.rightswishes import Wish
from governance.world import Office, Person
from policies.identifiers import Prefix, new_id
from policies.terms import ActorId, SubjectId

SECOND = Office("second_officer", Prefix.STAFF, "合规官二", world.OFFICER.roles)
"""A second compliance officer."""
OFFICER, SECOND_OFFICER = happenings.office_acts(world.OFFICER), happenings.office_acts(SECOND)


def passed_on(person: Person) -> On:
    """Return the CRM acting for a member."""
    caller = Caller(ActorId(world.CRM.id), Prefix.SERVICE)
    return On(caller, ActorId(person.id), new_id(Prefix.REQUEST))


def ask(
    house: Living,
    kind: Right,
    person: Person = world.ZHANG_LI,
    *,
    by: On | None = None,
    about: Person | None = None,
    evidence: str = "",
    regime: str = "pipl",
    **detail: Any,
) -> Opened:
    on = by or happenings.person_acts(person)
    wish = Wish(kind, regime, detail, evidence)
    return house.service.rights.open(on, SubjectId((about or person).id), wish, house.clock())


def decide(
    house: Living,
    request: str,
    step: Step,
    refusal: Refusal | None = None,
    *,
    by: On = OFFICER,
    extension: Extension | None = None,
) -> Status:
    return house.service.deciding.decide(by, request, step, house.clock(), refusal, extension)


def erase(house: Living, person: Person = world.ZHANG_LI) -> str:
    """Let a member ask for erasure through the CRM, and an officer fulfil it; return the request's id."""
    request = ask(house, Right.ERASURE, person, by=passed_on(person), evidence="counter-2026-11").request.id
    assert decide(house, request, Step.FULFIL) is Status.FULFILLED
    return request


def hold(house: Living, subject: str, days: int = 30) -> str:
    now = house.clock()
    return house.service.holds.place(
        OFFICER.caller,
        SubjectId(subject),
        "诉讼（2026）沪01民初1号",
        now + days * 86_400_000,
        now,
        request_id="req",
    )


def count(house: Living, table: str, where: str) -> int:
    found: int = house.sql(f"SELECT count(*) FROM {table} WHERE {where}")[0][0]
    return found


def left_of(house: Living, person: Person) -> Mapping[str, int]:
    """Return how many rows of each kind still lead to a person."""
    who = f"'{person.id}'"
    return {
        "cell": count(house, "cell", f"subject_id = {who}"),
        "held_cell": count(house, "held_cell", f"subject_id = {who}"),
        "data_key": count(house, "data_key", f"owner_id = {who}"),
        "index_token": count(house, "index_token", f"subject_id = {who}"),
        "subject_pseudonym": count(house, "subject_pseudonym", f"subject_id = {who}"),
        "session": count(house, "session", f"actor_id = {who}"),
        "rights_request": count(house, "rights_request", f"subject_id = {who}"),
        "approval": count(house, "approval", f"subject_id = {who}"),
        "invitation": count(house, "invitation", f"member_id = {who}"),
        "transition": count(house, "transition", f"subject_id = {who}"),
    }
