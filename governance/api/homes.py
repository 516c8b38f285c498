"""Households as members live in them: see, invite, join, leave, remove, hand over; by session only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import APIRouter, Path, Request, Response

from governance.acting import On
from governance.api import access
from governance.api.forms import AcceptForm, HandoverForm, InvitationForm, LeaveForm, NothingForm
from governance.door import route_for
from governance.homes import CodeGoneError, GuardianNeededError, Homes, LivesElsewhereError, Offer
from governance.moving import NotNowError, UnknownPartyError
from governance.problems import Problem, ProblemError
from governance.times import rfc3339
from policies.identifiers import Prefix, pattern
from policies.terms import HouseholdId, MemberId, Role

router = APIRouter(prefix="/v1/me", route_class=route_for(access.signed_in_member), tags=["members"])
Household = Annotated[str, Path(pattern=pattern(Prefix.HOUSEHOLD))]
Member = Annotated[str, Path(pattern=pattern(Prefix.MEMBER))]
OfferId = Annotated[str, Path(pattern=pattern(Prefix.INVITATION))]
_T = TypeVar("_T")


async def _done(request: Request, work: Callable[[Homes, On, int], _T]) -> _T:
    service, caller = access.service_of(request), access.caller_of(request)
    on = On(caller, caller.actor_id, access.request_id_of(request))
    try:
        return await access.in_store(request, lambda: work(service.homes, on, service.clock()))
    except UnknownPartyError:
        raise ProblemError(Problem.NOT_FOUND) from None
    except CodeGoneError:
        raise ProblemError(Problem.CODE_REFUSED) from None
    except GuardianNeededError:
        raise ProblemError(Problem.GUARDIAN_NEEDED) from None
    except LivesElsewhereError:
        raise ProblemError(Problem.LIVES_ELSEWHERE) from None
    except NotNowError:
        raise ProblemError(Problem.CONFLICT) from None


def _ward(member: str | None) -> MemberId | None:
    return None if member is None else MemberId(member)


def _offer_body(offer: Offer) -> dict[str, object]:
    body: dict[str, object] = {
        "offer_id": offer.id,
        "household": offer.household,
        "role": offer.role,
        "expires_at": rfc3339(offer.expires_at),
    }
    return {**body, "code": offer.code} if offer.code else body


@router.get(
    "/households", operation_id="my_households", summary="Where I live, with whom, and what I am offered"
)
async def mine(request: Request) -> Response:
    """Return my households with who lives there, and roles that are offered to me."""
    homes, offers = await _done(request, lambda desk, on, now: desk.mine(MemberId(on.member), now))
    data = [
        {
            "household": home.household,
            "residents": [{"member": one, "roles": list(roles)} for one, roles in home.residents],
        }
        for home in homes
    ]
    body = {"data": data, "offers": [_offer_body(one) for one in offers]}
    return access.as_json({**body, "next_cursor": None, "has_more": False})


@router.post(
    "/households/{household_id}/invitations", operation_id="invite", summary="Invite somebody to live here"
)
async def invite(request: Request, form: InvitationForm, household_id: Household) -> Response:
    """Make a single-use code, shown once, to be passed on by hand; it names nobody."""
    household, role = HouseholdId(household_id), Role(form.role)
    offer = await _done(request, lambda desk, on, now: desk.invite(on, household, role, now))
    return access.as_json(_offer_body(offer), 201)


@router.post("/invitations/accept", operation_id="accept_invitation", summary="Join a household by its code")
async def accept(request: Request, form: AcceptForm) -> Response:
    """Join, or let a ward join; every code that does not let in gets the same 410."""
    ward = _ward(form.member)
    household = await _done(request, lambda desk, on, now: desk.accept(on, form.code, ward, now))
    return access.as_json({"household": household, "state": "joined"})


@router.post("/households/{household_id}/leave", operation_id="leave_household", summary="Leave a household")
async def leave(request: Request, form: LeaveForm, household_id: Household) -> Response:
    """Leave at once, or let a guardian take a ward out; own consents, data and guardianship stay.

    A child under 14 does not leave alone; nobody else is ever asked or kept.
    """
    household, ward = HouseholdId(household_id), _ward(form.member)
    await _done(request, lambda desk, on, now: desk.leave(on, household, ward, now))
    return access.as_json({"household": household, "state": "left"})


@router.post(
    "/households/{household_id}/members/{member_id}/remove",
    operation_id="remove_member",
    summary="End another adult's sharing in my household",
)
async def remove(
    request: Request, _form: NothingForm, household_id: Household, member_id: Member
) -> Response:
    """End it as the primary account; the person's data stays theirs, and their consents stand."""
    household, member = HouseholdId(household_id), MemberId(member_id)
    await _done(request, lambda desk, on, now: desk.remove(on, household, member, now))
    return access.as_json({"household": household, "member": member, "state": "left"})


@router.post(
    "/households/{household_id}/handover", operation_id="offer_role", summary="Offer my role to a successor"
)
async def hand_over(request: Request, form: HandoverForm, household_id: Household) -> Response:
    """Offer the role of the primary account; nothing changes until the successor accepts."""
    household, successor = HouseholdId(household_id), MemberId(form.successor)
    offer = await _done(request, lambda desk, on, now: desk.offer_role(on, household, successor, now))
    return access.as_json(_offer_body(offer), 201)


@router.post(
    "/households/{household_id}/primary",
    operation_id="claim_role",
    summary="Become the primary account where there is none",
)
async def claim_role(request: Request, _form: NothingForm, household_id: Household) -> Response:
    """Take the role that nobody has, as an adult who lives there; a role that somebody has gets 409."""
    household = HouseholdId(household_id)
    await _done(request, lambda desk, on, now: desk.claim_role(on, household, now))
    return access.as_json({"household": household, "role": "primary_account"})


@router.post("/offers/{offer_id}/accept", operation_id="take_role", summary="Become the primary account")
async def take_role(request: Request, _form: NothingForm, offer_id: OfferId) -> Response:
    """Accept the role that was offered to me by name."""
    household = await _done(request, lambda desk, on, now: desk.take_role(on, offer_id, now))
    return access.as_json({"household": household, "role": "primary_account"})


@router.post("/offers/{offer_id}/cancel", operation_id="cancel_offer", summary="Take back, or turn down")
async def cancel(request: Request, _form: NothingForm, offer_id: OfferId) -> Response:
    """Take back an invitation or an offer of mine, or turn down one that was made to me."""
    await _done(request, lambda desk, on, now: desk.cancel(on, offer_id, now))
    return access.as_json({"offer_id": offer_id, "state": "cancelled"})
