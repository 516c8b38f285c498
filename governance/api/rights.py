"""Rights under the law over HTTP: asked for in person, or passed on by a service that says for whom."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final, TypeVar

import orjson
from fastapi import APIRouter, Path, Query, Request, Response

from consent.confirmation import NotConfirmed
from governance.acting import On
from governance.api import access
from governance.api.consentforms import CodeForm
from governance.api.forms import NothingForm
from governance.api.rightsforms import OwnRightForm, RightForm
from governance.codes import NoGatewayError
from governance.door import route_for
from governance.exporting import NotExportedError, explanation, export
from governance.exportpage import as_page
from governance.identity import Scope
from governance.problems import Problem, ProblemError
from governance.replay import KeyReusedError
from governance.rights import Erased, NoSuchRequestError, Opened, RequestClosedError
from governance.rightsrecords import EXTENSIONS, REFUSALS, Right, Status
from governance.rightsrecords import Request as Asked
from governance.rightswishes import UnfitRequestError, Wish
from governance.times import rfc3339
from policies.deadlines import days_left
from policies.identifiers import Prefix, pattern
from policies.terms import ActorId, SubjectId

mine = APIRouter(prefix="/v1/me", route_class=route_for(access.signed_in_member), tags=["rights"])
router = APIRouter(prefix="/v1/requests", route_class=route_for(access.api_caller), tags=["rights"])
_RIGHT: Final = Path(pattern=pattern(Prefix.RIGHT))
_T = TypeVar("_T")


def _in_person(request: Request) -> On:
    caller = access.caller_of(request)
    return On(caller, caller.actor_id, access.request_id_of(request))


def _passed_on(request: Request, member: str | None = None) -> On:
    caller = access.caller_of(request)
    access.require(caller, Scope.CONSENTS)
    acting = caller.actor_id if member is None else access.acting(caller, member)
    return On(caller, ActorId(acting), access.request_id_of(request))


async def _asked(request: Request, work: Callable[[], _T]) -> _T:
    try:
        return await access.in_store(request, work)
    except KeyReusedError:
        raise ProblemError(Problem.KEY_REUSED) from None
    except NoSuchRequestError:
        raise ProblemError(Problem.NOT_FOUND) from None
    except RequestClosedError:
        raise ProblemError(Problem.CONFLICT) from None
    except UnfitRequestError as unfit:
        raise ProblemError(
            Problem.INVALID_REQUEST, errors=[{"pointer": unfit.pointer, "code": unfit.code}]
        ) from None
    except NoGatewayError:
        raise ProblemError(Problem.NO_GATEWAY) from None
    except NotExportedError as error:
        raise ProblemError(Problem.NOT_FOUND if error.theirs else Problem.CANNOT_RECORD) from None


def _wish(form: OwnRightForm, evidence: str = "") -> Wish:
    detail: dict[str, object] = {
        name: value
        for name in ("values", "purpose", "decision_id")
        if (value := getattr(form, name)) is not None
    }
    return Wish(Right(form.kind), form.regime, detail, evidence)


def _body(asked: Asked, request: Request) -> dict[str, object]:
    now, spoken = access.service_of(request).clock(), access.language(request)
    refusal = REFUSALS.get(asked.refusal) if asked.state is Status.DENIED else None
    extension = EXTENSIONS.get(asked.extension)
    return {
        "request_id": asked.id,
        "kind": asked.kind.value,
        "regime": asked.regime,
        "subject": asked.subject_id,
        "status": asked.status(now).value,
        "reason": asked.reason(now) or None,
        "text": None if refusal is None else refusal.sentence(spoken),
        "received_at": rfc3339(asked.asked_at),
        "expected_by": rfc3339(asked.due_at),
        "days_left": days_left(asked.due_at, now),
        "extended_because": None
        if extension is None
        else {"code": extension.value, "text": extension.sentence(spoken)},
        "identified_by": asked.known_by or None,
    }


def _of_erased(gone: Erased) -> dict[str, object]:
    return {
        "request_id": gone.id,
        "kind": Right.ERASURE.value,
        "status": Status.FULFILLED.value,
        "reason": None,
        "text": None,
        "fulfilled_at": rfc3339(gone.at),
    }


def _opened(opened: Opened, request: Request) -> Response:
    body = _body(opened.request, request)
    return access.as_json({**body, "digits": opened.digits} if opened.digits else body, 201)


async def _told(asked: Asked, on: On, request: Request) -> Response:
    """Return a request; an explanation that was asked for comes along with it."""
    body = _body(asked, request)
    if asked.kind is Right.EXPLANATION and asked.state is Status.FULFILLED:
        service, spoken = access.service_of(request), access.language(request)
        body["explanation"] = await _asked(
            request, lambda: explanation(service, on, asked, spoken, service.clock())
        )
    return access.as_json(body)


async def _exported(request: Request, on: On, subject: SubjectId, form: str) -> Response:
    service, spoken = access.service_of(request), access.language(request)
    document = await _asked(request, lambda: export(service, on, subject, spoken, service.clock()))
    headers = {"content-disposition": f'attachment; filename="export.{form}"', "content-language": spoken}
    if form == "html":
        # Opened from a disk or shown here, the page runs and loads nothing.
        headers["content-security-policy"] = "default-src 'none'; sandbox"
        return Response(as_page(document, spoken), 200, headers, "text/html; charset=utf-8")
    return Response(orjson.dumps(document), 200, headers, "application/json")


async def _exported_for(request: Request, on: On, asked: Asked, form: str) -> Response:
    """Return what an access request gets, for as long as it gets it."""
    if asked.kind not in (Right.ACCESS, Right.PORTABILITY) or asked.state is not Status.FULFILLED:
        raise ProblemError(Problem.CONFLICT)
    if not asked.exports(access.service_of(request).clock()):
        raise ProblemError(Problem.EXPORT_CLOSED)
    return await _exported(request, on, asked.subject_id, form)


_Form = Annotated[str, Query(pattern="^(?:json|html)$")]


@mine.post("/requests", operation_id="ask_for_my_right", summary="Ask for a right of mine, or of my ward's")
async def ask(request: Request, form: OwnRightForm) -> Response:
    """Take a request; what needs nobody's approval is done when this answers."""
    service, on = access.service_of(request), _in_person(request)
    subject = SubjectId(form.subject or on.member)
    once = await access.once_of(request)
    opened = await _asked(
        request, lambda: service.rights.open(on, subject, _wish(form), service.clock(), once)
    )
    return _opened(opened, request)


@mine.get("/requests", operation_id="my_requests", summary="My requests, also for wards, and how each stands")
async def requests(request: Request) -> Response:
    """Return what was asked about the member and what the member asked for a ward, newest first."""
    service, member = access.service_of(request), SubjectId(access.caller_of(request).actor_id)
    found = await access.in_store(request, lambda: service.rights.of_member(member))
    data = [_body(one, request) for one in found]
    return access.as_json({"data": data, "next_cursor": None, "has_more": False})


@mine.get("/requests/{right_id}", operation_id="my_request", summary="One request of mine")
async def show_mine(request: Request, right_id: str = _RIGHT) -> Response:
    """Return one request, with the explanation if that is what was asked for."""
    service, on = access.service_of(request), _in_person(request)
    asked = await _asked(request, lambda: service.rights.show(on, right_id))
    return await _told(asked, on, request)


@mine.post("/requests/{right_id}/revoke", operation_id="revoke_my_request", summary="Take a request back")
async def revoke(request: Request, _form: NothingForm, right_id: str = _RIGHT) -> Response:
    """Take a request back that has not been decided, or the objection or restriction that it led to."""
    service, on = access.service_of(request), _in_person(request)
    asked = await _asked(request, lambda: service.rights.revoke(on, right_id, service.clock()))
    return access.as_json(_body(asked, request))


@mine.get(
    "/requests/{right_id}/export", operation_id="my_request_export", summary="What my access request gets"
)
async def export_asked(
    request: Request, right_id: str = _RIGHT, form: Annotated[_Form, Query(alias="format")] = "json"
) -> Response:
    """Return everything on record about whom an access request of mine is about, for 30 days."""
    service, on = access.service_of(request), _in_person(request)
    asked = await _asked(request, lambda: service.rights.show(on, right_id))
    return await _exported_for(request, on, asked, form)


@mine.get("/export", operation_id="my_export", summary="Everything on record about me")
async def export_mine(request: Request, form: Annotated[_Form, Query(alias="format")] = "json") -> Response:
    """Return everything on record about the member, as JSON or as a page to read."""
    on = _in_person(request)
    return await _exported(request, on, SubjectId(on.member), form)


@router.post("", operation_id="ask_for_right", summary="Pass on what a member asks for")
async def pass_on(request: Request, form: RightForm) -> Response:
    """Take a request for a member; without evidence a one-time code goes to that member first."""
    service, on = access.service_of(request), _passed_on(request, form.on_behalf_of)
    subject = SubjectId(form.subject or form.on_behalf_of)
    once = await access.once_of(request)
    wish = _wish(form, form.evidence or "")
    opened = await _asked(request, lambda: service.rights.open(on, subject, wish, service.clock(), once))
    return _opened(opened, request)


@router.post("/{right_id}/verify", operation_id="verify_request", summary="Identify with the code")
async def verify(request: Request, form: CodeForm, right_id: str = _RIGHT) -> Response:
    """Identify the member; any wrong, old or used code gets the same answer."""
    service, on = access.service_of(request), _passed_on(request, form.on_behalf_of)
    done = await _asked(request, lambda: service.rights.verify(on, right_id, form.code, service.clock()))
    if isinstance(done, NotConfirmed):
        raise ProblemError(Problem.CODE_REFUSED)
    return access.as_json(_body(done, request))


@router.get("/{right_id}", operation_id="request_status", summary="One request that was passed on")
async def show(request: Request, right_id: str = _RIGHT) -> Response:
    """Return one request that this service passed on, also after an erasure has destroyed the rest."""
    service, on = access.service_of(request), _passed_on(request)
    gone = await _asked(request, lambda: service.rights.erased(on, right_id))
    if gone is not None:
        return access.as_json(_of_erased(gone))
    asked = await _asked(request, lambda: service.rights.show(on, right_id))
    return await _told(asked, on, request)


@router.get("/{right_id}/export", operation_id="export_for_request", summary="What an access request gets")
async def export_for(
    request: Request, right_id: str = _RIGHT, form: Annotated[_Form, Query(alias="format")] = "json"
) -> Response:
    """Return everything that the identified person of an access request may see."""
    service, on = access.service_of(request), _passed_on(request)
    asked = await _asked(request, lambda: service.rights.show(on, right_id))
    acting = On(on.caller, access.acting(on.caller, asked.actor_id), on.request_id)
    return await _exported_for(request, acting, asked, form)


@router.get("/{right_id}/certificate", operation_id="erasure_certificate", summary="Proof of an erasure")
async def certificate(request: Request, right_id: str = _RIGHT) -> Response:
    """Return the signed certificate of an erasure that this service passed on."""
    service, on = access.service_of(request), _passed_on(request)
    body = await _asked(request, lambda: service.rights.certificate(on, right_id))
    return Response(body, media_type="application/json")
