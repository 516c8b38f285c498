"""The graph over HTTP, for the services that keep it: households, members, assignments, guardianships.

What ends is given an end and stays on record. The same 404 for unknown and closed; a call that is sent
twice with one Idempotency-Key makes one household or member.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Annotated, Final

from fastapi import APIRouter, Path, Request, Response

from governance import replay
from governance.api import access
from governance.api.forms import (
    AssignmentEndForm,
    AssignmentForm,
    GuardianshipForm,
    NewMemberForm,
    NothingForm,
)
from governance.door import route_for
from governance.identity import Scope
from governance.lifecycle import By
from governance.moving import NotNowError, UnfitPartyError, UnknownPartyError
from governance.problems import Problem, ProblemError
from governance.replay import KeyReusedError, Once
from governance.times import SHANGHAI, local, rfc3339
from policies.identifiers import Prefix, new_id, pattern
from policies.terms import ActorId, HouseholdId, MemberId, Role, SubjectId
from policies.transaction import Transaction

router = APIRouter(prefix="/v1", route_class=route_for(access.api_caller), tags=["graph"])
_DAY_MS: Final = 24 * 3600 * 1000
_OLDEST_YEAR: Final = 1900


def _by(request: Request) -> By:
    caller = access.caller_of(request)
    access.require(caller, Scope.GRAPH)
    return By(caller.actor_id, access.request_id_of(request))


async def _change(
    request: Request, pointer: str, work: Callable[[Transaction, int], None], by: By, once: Once | None = None
) -> str | None:
    """Carry out one change in one transaction; return what an earlier call with the same key made."""
    service = access.service_of(request)
    now = service.clock()

    def commit() -> str | None:
        with service.database.transaction() as tx:
            made = replay.earlier(tx, str(by.actor_id), once, now)
            if made is None:
                work(tx, now)
                tx.commit()
            return made

    try:
        return await access.in_store(request, lambda: service.keeper.attempt(commit))
    except UnknownPartyError:
        raise ProblemError(Problem.NOT_FOUND) from None
    except UnfitPartyError:
        raise _unfit(pointer) from None
    except NotNowError:
        raise ProblemError(Problem.CONFLICT) from None
    except KeyReusedError:
        raise ProblemError(Problem.KEY_REUSED) from None


def _unfit(pointer: str) -> ProblemError:
    return ProblemError(Problem.INVALID_REQUEST, errors=[{"pointer": pointer, "code": "unfit"}])


@router.post("/households", operation_id="add_household", summary="Make an empty household")
async def add_household(request: Request, _form: NothingForm) -> Response:
    """Make a household and return its id."""
    service, by, once = access.service_of(request), _by(request), await access.once_of(request)
    household = HouseholdId(new_id(Prefix.HOUSEHOLD))

    def work(tx: Transaction, now: int) -> None:
        service.lifecycle.add_household(tx, household, now, by)
        replay.remember(tx, str(by.actor_id), once, household, now)

    made = await _change(request, "/", work, by, once)
    return access.as_json({"household_id": made or household}, 201)


@router.post(
    "/households/{household_id}/members",
    operation_id="add_member",
    summary="Make a member who lives in the household",
)
async def add_member(
    request: Request,
    form: NewMemberForm,
    household_id: Annotated[str, Path(pattern=pattern(Prefix.HOUSEHOLD))],
) -> Response:
    """Make a member with the birth date that protects minors from the first moment; return its id."""
    service, by, once = access.service_of(request), _by(request), await access.once_of(request)
    member, birth = MemberId(new_id(Prefix.MEMBER)), _birth(form.birth_date, service.clock())

    def work(tx: Transaction, now: int) -> None:
        household, roles = HouseholdId(household_id), (Role(form.role),)
        service.lifecycle.add_member(tx, member, household, roles, birth, now, by)
        replay.remember(tx, str(by.actor_id), once, member, now)

    made = await _change(request, "/role", work, by, once)
    return access.as_json({"member_id": made or member}, 201)


def _birth(text: str, now: int) -> date:
    try:
        birth = date.fromisoformat(text)
    except ValueError:
        raise _unfit("/birth_date") from None
    if birth.year < _OLDEST_YEAR or birth > local(now).astimezone(SHANGHAI).date():
        raise _unfit("/birth_date")
    return birth


@router.post("/assignments", operation_id="assign", summary="Put a member of staff in charge of a subject")
async def assign(request: Request, form: AssignmentForm) -> Response:
    """Assign, for some days or until it is ended; the same 404 for an unknown subject or member of staff."""
    service, by = access.service_of(request), _by(request)
    until = None if form.days is None else service.clock() + form.days * _DAY_MS

    def work(tx: Transaction, now: int) -> None:
        subject, staff = SubjectId(form.subject), ActorId(form.staff)
        service.lifecycle.assign(tx, subject, staff, Role(form.role), now, until, by)

    await _change(request, "/role", work, by)
    ends = None if until is None else rfc3339(until)
    return access.as_json({**_named(form), "role": form.role, "state": "open", "ends_at": ends}, 201)


@router.post("/assignments/end", operation_id="end_assignment", summary="End an assignment")
async def end_assignment(request: Request, form: AssignmentEndForm) -> Response:
    """End it at once, with the tickets that were open with it."""
    service, by = access.service_of(request), _by(request)

    def work(tx: Transaction, now: int) -> None:
        service.lifecycle.end_assignment(tx, SubjectId(form.subject), ActorId(form.staff), now, by)

    await _change(request, "/", work, by)
    return access.as_json({**_named(form), "state": "ended"})


def _named(form: AssignmentForm | AssignmentEndForm) -> dict[str, str]:
    return {"subject": form.subject, "staff": form.staff}


@router.post("/guardianships", operation_id="link_guardian", summary="Record a verified guardian of a minor")
async def link_guardian(request: Request, form: GuardianshipForm) -> Response:
    """Record who was verified by whom with which document; households and main accounts play no part."""
    service, by = access.service_of(request), _by(request)

    def work(tx: Transaction, now: int) -> None:
        service.lifecycle.refuse_no_staff(tx, ActorId(form.verifier))
        ward, guardian = MemberId(form.ward), MemberId(form.guardian)
        service.lifecycle.link_guardian(tx, ward, guardian, form.evidence, now, by, form.verifier)

    await _change(request, "/ward", work, by)
    return access.as_json({"ward": form.ward, "guardian": form.guardian, "state": "open"}, 201)


@router.post("/guardianships/end", operation_id="end_guardian", summary="End a guardianship")
async def end_guardian(request: Request, form: GuardianshipForm) -> Response:
    """End it; every consent and every unused approval that rested on it stops holding at this commit."""
    service, by = access.service_of(request), _by(request)

    def work(tx: Transaction, now: int) -> None:
        service.lifecycle.refuse_no_staff(tx, ActorId(form.verifier))
        ward, guardian = MemberId(form.ward), MemberId(form.guardian)
        service.lifecycle.end_guardian(tx, ward, guardian, now, by, form.evidence, form.verifier)

    await _change(request, "/ward", work, by)
    return access.as_json({"ward": form.ward, "guardian": form.guardian, "state": "ended"})
