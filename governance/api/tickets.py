"""Service tickets over HTTP: opened and closed by the service that keeps them; here is only their term."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from governance.api import access
from governance.api.forms import TicketCloseForm, TicketForm
from governance.door import route_for
from governance.identity import Scope
from governance.lifecycle import By
from governance.moving import UnknownPartyError
from governance.problems import Problem, ProblemError
from governance.times import rfc3339
from policies.terms import ActorId, SubjectId

router = APIRouter(prefix="/v1/tickets", route_class=route_for(access.api_caller), tags=["tickets"])
_HOUR_MS = 3600 * 1000


def _by(request: Request) -> By:
    caller = access.caller_of(request)
    access.require(caller, Scope.GRAPH)
    return By(caller.actor_id, access.request_id_of(request))


@router.post("", operation_id="open_ticket", summary="Open a ticket of an assigned subject, for some hours")
async def open_ticket(request: Request, form: TicketForm) -> Response:
    """Open a ticket, or give an open one a new term; the same 404 for unknown and not assigned."""
    service, by = access.service_of(request), _by(request)
    now = service.clock()
    until = now + form.hours * _HOUR_MS

    def work() -> None:
        with service.database.transaction() as tx:
            service.lifecycle.open_ticket(tx, SubjectId(form.subject), ActorId(form.staff), now, until, by)
            tx.commit()

    try:
        await access.in_store(request, work)
    except UnknownPartyError:
        raise ProblemError(Problem.NOT_FOUND) from None
    body = {"subject": form.subject, "staff": form.staff, "state": "open", "ends_at": rfc3339(until)}
    return access.as_json(body, 201)


@router.post("/close", operation_id="close_ticket", summary="Close a ticket")
async def close_ticket(request: Request, form: TicketCloseForm) -> Response:
    """Close a ticket; from then on it opens nothing, on every replica."""
    service, by = access.service_of(request), _by(request)

    def work() -> None:
        with service.database.transaction() as tx:
            service.lifecycle.close_ticket(
                tx, SubjectId(form.subject), ActorId(form.staff), service.clock(), by
            )
            tx.commit()

    try:
        await access.in_store(request, work)
    except UnknownPartyError:
        raise ProblemError(Problem.NOT_FOUND) from None
    return access.as_json({"subject": form.subject, "staff": form.staff, "state": "closed"})
