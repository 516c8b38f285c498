"""What other services are told: webhooks and their deliveries, and the same events for those that pull."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request, Response

from governance import announcing
from governance.announcing import Told
from governance.api import access
from governance.api.forms import NothingForm, ReplayForm, WebhookForm
from governance.cursors import Cursors
from governance.door import route_for
from governance.egress import ForbiddenTargetError
from governance.identity import Caller, Scope
from governance.problems import Problem, ProblemError
from governance.times import rfc3339
from governance.webhooks import Delivery, Endpoint, NoSuchWebhookError, NotActiveError
from policies.identifiers import Prefix, pattern

router = APIRouter(prefix="/v1", route_class=route_for(access.api_caller), tags=["events"])
_WEBHOOK: Final = Path(pattern=pattern(Prefix.WEBHOOK))
_LIMIT: Final = r"^(?:[1-9][0-9]?|1[0-9]{2}|200)$"
_CURSOR: Final = Query(max_length=200)


def _caller(request: Request) -> Caller:
    caller = access.caller_of(request)
    access.require(caller, Scope.EVENTS)
    return caller


def _when(at: int | None) -> str | None:
    return None if at is None else rfc3339(at)


def _endpoint_body(one: Endpoint) -> dict[str, object]:
    return {
        "webhook_id": one.id,
        "url": one.url,
        "events": list(one.kinds),
        "state": one.state,
        "created_at": rfc3339(one.created_at),
        "ended_at": _when(one.ended_at),
    }


@router.post("/webhooks", operation_id="register_webhook", summary="Be told of changes at an address")
async def register(request: Request, form: WebhookForm) -> Response:
    """Register an address; the answer is the only one that ever shows the signing secret."""
    service = access.service_of(request)
    caller = _caller(request)
    kinds = frozenset(map(Told, form.events))
    try:
        made, secret = await access.in_store(
            request,
            lambda: service.webhooks.register(
                caller, form.url, kinds, service.clock(), access.request_id_of(request)
            ),
        )
    except ForbiddenTargetError as error:
        raise ProblemError(
            Problem.INVALID_REQUEST, errors=[{"pointer": "/url", "code": error.word}]
        ) from None
    except NotActiveError:
        raise ProblemError(Problem.CONFLICT) from None
    return access.as_json({**_endpoint_body(made), "secret": secret}, 201)


@router.get("/webhooks", operation_id="webhooks", summary="My webhooks")
async def webhooks(request: Request) -> Response:
    """Return the caller's webhooks, ended ones included, without their secrets."""
    service = access.service_of(request)
    caller = _caller(request)
    mine = await access.in_store(request, lambda: service.webhooks.of(caller))
    return access.as_json(
        {"data": [_endpoint_body(one) for one in mine], "next_cursor": None, "has_more": False}
    )


@router.post("/webhooks/{webhook_id}/end", operation_id="end_webhook", summary="End a webhook")
async def end(request: Request, _form: NothingForm, webhook_id: str = _WEBHOOK) -> Response:
    """End a webhook; it stays on record, and nothing goes to it any more."""
    service = access.service_of(request)
    caller = _caller(request)
    try:
        await access.in_store(
            request,
            lambda: service.webhooks.end(caller, webhook_id, service.clock(), access.request_id_of(request)),
        )
    except NoSuchWebhookError:
        raise ProblemError(Problem.NOT_FOUND) from None
    return access.as_json({"webhook_id": webhook_id, "state": "ended"})


@router.post("/webhooks/{webhook_id}/secret", operation_id="renew_webhook_secret", summary="A new secret")
async def renew(request: Request, _form: NothingForm, webhook_id: str = _WEBHOOK) -> Response:
    """Make a new signing secret, shown once; the one before signs beside it for a day."""
    service = access.service_of(request)
    caller = _caller(request)
    try:
        secret = await access.in_store(
            request,
            lambda: service.webhooks.renew(
                caller, webhook_id, service.clock(), access.request_id_of(request)
            ),
        )
    except NoSuchWebhookError:
        raise ProblemError(Problem.NOT_FOUND) from None
    except NotActiveError:
        raise ProblemError(Problem.CONFLICT) from None
    return access.as_json({"webhook_id": webhook_id, "secret": secret}, 201)


@router.post("/webhooks/{webhook_id}/replay", operation_id="replay_webhook", summary="Deliver again")
async def replay(request: Request, form: ReplayForm, webhook_id: str = _WEBHOOK) -> Response:
    """Deliver everything again from one event on, under the ids it had."""
    service = access.service_of(request)
    caller = _caller(request)
    try:
        await access.in_store(
            request,
            lambda: service.webhooks.replay(
                caller, webhook_id, form.event_id, service.clock(), access.request_id_of(request)
            ),
        )
    except NoSuchWebhookError:
        raise ProblemError(Problem.NOT_FOUND) from None
    except NotActiveError:
        raise ProblemError(Problem.CONFLICT) from None
    return access.as_json({"webhook_id": webhook_id, "replayed_from": form.event_id}, 202)


@router.get("/webhooks/{webhook_id}/deliveries", operation_id="webhook_deliveries", summary="What arrived")
async def deliveries(
    request: Request,
    webhook_id: Annotated[str, _WEBHOOK],
    cursor: Annotated[str | None, _CURSOR] = None,
    limit: Annotated[str, Query(pattern=_LIMIT)] = "50",
) -> Response:
    """Return what became of each event at this address, newest first."""
    service = access.service_of(request)
    caller = _caller(request)
    cursors = Cursors(service.ring.cursor_key, f"deliveries:{webhook_id}")
    before = _read(cursors, cursor, "/cursor")
    try:
        found, more = await access.in_store(
            request, lambda: service.webhooks.deliveries(caller, webhook_id, before, int(limit))
        )
    except NoSuchWebhookError:
        raise ProblemError(Problem.NOT_FOUND) from None
    return access.as_json(
        {
            "data": [_delivery_body(one) for one in found],
            "next_cursor": cursors.make(found[-1].position) if more else None,
            "has_more": more,
        }
    )


def _delivery_body(one: Delivery) -> dict[str, object]:
    return {
        "event_id": one.event_id,
        "type": one.kind,
        "state": one.state,
        "attempts": one.attempts,
        "last_at": _when(one.last_at),
        "last_result": one.last_result or None,
        "next_at": rfc3339(one.next_at) if one.state == "waiting" else None,
        "acknowledged_at": _when(one.acknowledged_at),
        "incident_at": _when(one.incident_at),
    }


@router.get("/events", operation_id="events", summary="What happened, for those that pull")
async def events(
    request: Request,
    after: Annotated[str | None, _CURSOR] = None,
    limit: Annotated[str, Query(pattern=_LIMIT)] = "50",
) -> Response:
    """Return what the caller may know, oldest first; giving a cursor back acknowledges all before it."""
    service = access.service_of(request)
    caller = _caller(request)
    cursors = Cursors(service.ring.cursor_key, f"events:{caller.actor_id}")
    position = _read(cursors, after, "/after")
    found = await access.in_store(
        request, lambda: service.webhooks.pull(caller, position, int(limit), service.clock())
    )
    return access.as_json(
        {
            "data": [announcing.document(one) for one in found.told],
            "next_cursor": cursors.make(found.position) if found.position >= 0 else None,
            "has_more": found.more,
        }
    )


def _read(cursors: Cursors, cursor: str | None, pointer: str) -> int | None:
    position = None if cursor is None else cursors.read(cursor)
    if cursor is not None and position is None:
        raise ProblemError(Problem.INVALID_REQUEST, errors=[{"pointer": pointer, "code": "unknown_cursor"}])
    return position
