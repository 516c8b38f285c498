"""Approvals over HTTP: services ask for a child or for staff, children ask themselves, guardians answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final

from fastapi import APIRouter, Path, Request, Response

from governance.acting import On
from governance.api import access
from governance.api.forms import (
    ActApprovalForm,
    AnyApprovalForm,
    AnyOwnApprovalForm,
    ApprovalCancelForm,
    ApprovalDecisionForm,
    ApprovalUseForm,
    NothingForm,
    OwnActApprovalForm,
)
from governance.approvalrecords import Asked, HostAct
from governance.approving import ApprovalEndedError, NoSuchApprovalError, UnfitApprovalError
from governance.door import route_for
from governance.identity import Scope
from governance.problems import Problem, ProblemError
from governance.times import rfc3339
from policies.identifiers import Prefix, pattern
from policies.terms import Action, ActorId, FieldName, Purpose, SubjectId

router = APIRouter(prefix="/v1/approvals", route_class=route_for(access.api_caller), tags=["approvals"])
mine = APIRouter(prefix="/v1/me/approvals", route_class=route_for(access.signed_in_member), tags=["members"])
Faults = list[dict[str, str]]
_UNFIT: Final[Faults] = [{"pointer": "/fields", "code": "not_approvable"}]
_UNFIT_ACT: Final[Faults] = [{"pointer": "/action", "code": "not_approvable"}]
ApprovalId = Annotated[str, Path(pattern=pattern(Prefix.APPROVAL))]


def approval_body(asked: Asked) -> dict[str, object]:
    """Return one approval as a body."""
    return {
        "approval_id": asked.id,
        "subject": asked.subject_id,
        "asked_for": asked.who if asked.by_staff else "self",
        "action": asked.act.value,
        "fields": list(asked.fields),
        "purpose": asked.purpose or None,
        "resource": asked.resource or None,
        "state": asked.state.value,
        "asked_at": rfc3339(asked.asked_at),
        "expires_at": rfc3339(asked.expires_at),
        "decided_at": None if asked.decided_at is None else rfc3339(asked.decided_at),
        "waits_for": _waits_for(asked),
    }


def _waits_for(asked: Asked) -> list[str]:
    if asked.state.value != "pending":
        return []
    waits = ["guardian"] if asked.decided_by is None else []
    return [*waits, "officer"] if asked.by_staff and asked.cleared_by is None else waits


async def _done(
    request: Request, work: Callable[[], Asked], status: int = 200, unfit: Faults = _UNFIT
) -> Response:
    try:
        asked = await access.in_store(request, work)
    except UnfitApprovalError:
        raise ProblemError(Problem.INVALID_REQUEST, errors=unfit) from None
    except NoSuchApprovalError:
        raise ProblemError(Problem.NOT_FOUND) from None
    except ApprovalEndedError:
        raise ProblemError(Problem.CONFLICT) from None
    return access.as_json(approval_body(asked), status)


@router.post("", operation_id="ask_approval", summary="Ask for a guardian's approval")
async def ask(request: Request, form: AnyApprovalForm) -> Response:
    """Ask for a child's own act, here or in the calling application, or for staff.

    The same 404 for unknown and not theirs.
    """
    service, caller = access.service_of(request), access.caller_of(request)
    access.require(caller, Scope.CONSENTS)
    acting = access.acting(caller, form.on_behalf_of)
    on = On(caller, acting, access.request_id_of(request))
    if isinstance(form, ActApprovalForm):
        return await _act(request, on, form.subject, form.action, form.resource)
    return await _done(
        request,
        lambda: service.approving.open(
            on,
            SubjectId(form.subject),
            acting,
            Action(form.action),
            map(FieldName, form.fields),
            Purpose(form.purpose),
            service.clock(),
        ),
        201,
    )


async def _act(request: Request, on: On, subject: str, action: str, resource: str) -> Response:
    service = access.service_of(request)
    if subject != on.member:
        raise ProblemError(Problem.NOT_FOUND)  # nobody acts for a child in an application but the child
    return await _done(
        request,
        lambda: service.approving.open_act(
            on, SubjectId(subject), HostAct(action), resource, service.clock()
        ),
        201,
        _UNFIT_ACT,
    )


def _service_on(request: Request, on_behalf_of: str) -> On:
    caller = access.caller_of(request)
    access.require(caller, Scope.CONSENTS)
    return On(caller, access.acting(caller, on_behalf_of), access.request_id_of(request))


@router.get(
    "/{approval_id}", operation_id="show_approval", summary="How an approval that you asked for stands"
)
async def show(request: Request, approval_id: ApprovalId) -> Response:
    """Return an approval that the calling application asked for; the same 404 for all others."""
    service, caller = access.service_of(request), access.caller_of(request)
    access.require(caller, Scope.CONSENTS)
    return await _done(
        request, lambda: service.approving.asked_by(caller.actor_id, approval_id, service.clock())
    )


@router.post("/{approval_id}/use", operation_id="use_approval", summary="Use an approval, once")
async def use(request: Request, form: ApprovalUseForm, approval_id: ApprovalId) -> Response:
    """Use it for exactly the act and the thing that were approved; a second time is refused."""
    service, on = access.service_of(request), _service_on(request, form.on_behalf_of)
    return await _done(
        request,
        lambda: service.approving.use(on, approval_id, HostAct(form.action), form.resource, service.clock()),
    )


@router.post("/{approval_id}/cancel", operation_id="cancel_approval", summary="Take a request back")
async def cancel(request: Request, form: ApprovalCancelForm, approval_id: ApprovalId) -> Response:
    """Take back what this application asked for this person, as long as it was not used."""
    service, on = access.service_of(request), _service_on(request, form.on_behalf_of)
    return await _done(request, lambda: service.approving.cancel(on, approval_id, service.clock()))


def _on(request: Request) -> On:
    caller = access.caller_of(request)
    return On(caller, caller.actor_id, access.request_id_of(request))


@mine.post("", operation_id="ask_my_approval", summary="Ask my guardian")
async def ask_mine(request: Request, form: AnyOwnApprovalForm) -> Response:
    """Ask for what I may not write alone; asking again while it waits is the same request."""
    service, on = access.service_of(request), _on(request)
    if isinstance(form, OwnActApprovalForm):
        return await _act(request, on, on.member, form.action, form.resource)
    return await _done(
        request,
        lambda: service.approving.open(
            on,
            SubjectId(on.member),
            on.member,
            Action.WRITE,
            map(FieldName, form.fields),
            Purpose(form.purpose),
            service.clock(),
        ),
        201,
    )


@mine.get("", operation_id="my_approvals", summary="What I asked for, and what my wards wait for")
async def listed(request: Request) -> Response:
    """Return my own requests and those about my wards, newest first."""
    service, member = access.service_of(request), ActorId(access.caller_of(request).actor_id)
    found = await access.in_store(request, lambda: service.approving.of_person(member, service.clock()))
    return access.as_json(
        {"data": [approval_body(one) for one in found], "next_cursor": None, "has_more": False}
    )


@mine.post("/{approval_id}/decision", operation_id="decide_approval", summary="Say yes or no as a guardian")
async def decide(
    request: Request,
    form: ApprovalDecisionForm,
    approval_id: ApprovalId,
) -> Response:
    """Answer; one no ends it, and nobody but a guardian on record may answer."""
    service, on = access.service_of(request), _on(request)
    return await _done(
        request,
        lambda: service.approving.decide(on, approval_id, approve=form.approve, now=service.clock()),
    )


@mine.post("/{approval_id}/cancel", operation_id="cancel_my_approval", summary="Take my request back")
async def cancel_mine(request: Request, _form: NothingForm, approval_id: ApprovalId) -> Response:
    """Take back what I asked for myself, as long as it was not used."""
    service, on = access.service_of(request), _on(request)
    return await _done(request, lambda: service.approving.cancel(on, approval_id, service.clock()))
