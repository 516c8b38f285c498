"""Withdrawing everywhere over HTTP: a member, a service that passes it on, a gateway that received a text."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from governance.acting import NoSuchConsentError, On
from governance.api import access
from governance.api.consentforms import OwnWithdrawAllForm, WithdrawAllForm
from governance.api.consents import on
from governance.api.forms import InboundTextForm
from governance.api.members import on_of
from governance.door import route_for
from governance.identity import Scope
from governance.problems import Problem, ProblemError
from governance.showing import UnfitConsentError
from governance.times import rfc3339
from policies.terms import SubjectId

services = APIRouter(prefix="/v1", route_class=route_for(access.api_caller), tags=["consents"])
mine = APIRouter(prefix="/v1/me", route_class=route_for(access.signed_in_member), tags=["members"])


@mine.post("/consents/withdraw", operation_id="withdraw_all_of_mine", summary="Withdraw everywhere")
async def withdraw_mine(request: Request, form: OwnWithdrawAllForm) -> Response:
    """Withdraw everything, or all for one purpose; one call, no code, effective when this answers."""
    return await _everywhere(request, on_of(request), form.subject, form.purpose)


@services.post("/consents/withdraw", operation_id="withdraw_all", summary="Withdraw everywhere for a member")
async def withdraw_all(request: Request, form: WithdrawAllForm) -> Response:
    """Pass on that a member withdraws everything, or all for one purpose."""
    return await _everywhere(request, on(request, form.on_behalf_of), form.subject, form.purpose)


async def _everywhere(request: Request, who: On, subject: str | None, purpose: str | None) -> Response:
    service = access.service_of(request)

    def end() -> int:
        if subject is None or subject == who.member:
            return service.opting_out.everywhere(who, purpose or "", service.clock())
        return service.opting_out.for_ward(who, SubjectId(subject), purpose or "", service.clock())

    try:
        since = await access.in_store(request, end)
    except NoSuchConsentError:
        raise ProblemError(Problem.NOT_FOUND) from None
    except UnfitConsentError:
        raise ProblemError(
            Problem.INVALID_REQUEST, errors=[{"pointer": "/purpose", "code": "unknown_purpose"}]
        ) from None
    return access.as_json({"purpose": purpose, "status": "withdrawn", "withdrawn_at": rfc3339(since)})


@services.post("/inbound/sms", operation_id="inbound_text", summary="A text message that somebody sent to us")
async def inbound(request: Request, form: InboundTextForm) -> Response:
    """Take an opt-out word (TD, 退订, R …) at its word; the answer is the same for every number and text."""
    caller = access.caller_of(request)
    access.require(caller, Scope.INBOUND)
    service = access.service_of(request)
    request_id = access.request_id_of(request)
    await access.in_store(
        request,
        lambda: service.opting_out.by_text(caller, form.sender, form.text, request_id, service.clock()),
    )
    return access.as_json({"status": "received"})
