"""Oversight over HTTP: officers read, claim and judge accesses; readers ask for a higher limit.

For everybody but compliance officers there is no queue here. What a list shows is on record first. Members
have no part in limits: they are not counted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final, TypeVar

from fastapi import APIRouter, Path, Query, Request, Response

from governance.api import access
from governance.api.forms import NothingForm
from governance.api.oversightforms import JudgementForm, LiftDecisionForm, LiftForm
from governance.approving import OFFICE
from governance.cursors import Tokens
from governance.door import route_for
from governance.identity import Caller, Scope
from governance.lifting import LiftDecidedError, NoSuchLiftError, UnfitLiftError
from governance.problems import Problem, ProblemError
from governance.reviewing import (
    MOST,
    START,
    Figures,
    Judgement,
    NoSuchReviewError,
    Position,
    ReviewClaimedError,
    ReviewClosedError,
    WaitingReview,
)
from governance.times import rfc3339
from policies.identifiers import Prefix, pattern
from policies.terms import ActorId

_T = TypeVar("_T")
_REVIEW: Final = Path(pattern=pattern(Prefix.REVIEW))
_LIFT: Final = Path(pattern=pattern(Prefix.LIFT))


async def compliance_officer(request: Request) -> Caller:
    """Authenticate a compliance officer; for everybody else there is nothing here."""
    return await access.signed_in_office(request, frozenset({OFFICE}))


async def counted_reader(request: Request) -> Caller:
    """Authenticate a service by its key or staff by their session; a member finds nothing here."""
    caller = await access.anybody(request)
    if caller.kind is Prefix.MEMBER:
        raise ProblemError(Problem.NOT_FOUND)
    return caller


reviews = APIRouter(prefix="/v1/reviews", route_class=route_for(compliance_officer), tags=["oversight"])
lifts = APIRouter(prefix="/v1/limits/lifts", route_class=route_for(compliance_officer), tags=["oversight"])
asking = APIRouter(prefix="/v1/limits", route_class=route_for(counted_reader), tags=["oversight"])


async def judged(request: Request, work: Callable[[], _T]) -> _T:
    """Run a step of the desk; what it refuses becomes a problem."""
    try:
        return await access.in_store(request, work)
    except (NoSuchReviewError, NoSuchLiftError):
        raise ProblemError(Problem.NOT_FOUND) from None
    except (ReviewClosedError, LiftDecidedError):
        raise ProblemError(Problem.CONFLICT) from None
    except ReviewClaimedError as claimed:
        raise ProblemError(Problem.CLAIMED, extra={"until": rfc3339(claimed.until)}) from None
    except UnfitLiftError:
        faults = [{"pointer": "/people_per_hour", "code": "outside_what_may_be_granted"}]
        raise ProblemError(Problem.INVALID_REQUEST, errors=faults) from None


@reviews.get("", operation_id="list_reviews", summary="Accesses that wait for an officer, due first")
async def list_reviews(
    request: Request,
    kind: Annotated[str, Query(pattern="^access$")],  # noqa: ARG001 - says which queue, once there are more
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = MOST,
) -> Response:
    """Return a page of open reviews with their reasons, and the figures of all of them."""
    service, caller = access.service_of(request), access.caller_of(request)
    tokens = Tokens(service.ring.cursor_key, f"reviews:{caller.actor_id}")
    after = _position(tokens, cursor)
    desk, now = service.log.oversight.reviews, service.clock()
    found, further = await access.in_store(
        request, lambda: desk.waiting(caller, access.request_id_of(request), now, after, limit)
    )
    figures = await access.in_store(request, lambda: desk.figures(now))
    spoken = access.language(request)
    return access.as_json(
        {
            "data": [_review_body(one, spoken) for one in found],
            "next_cursor": None
            if further is None
            else tokens.write(f"{further.due_at}|{further.id}".encode()),
            "has_more": further is not None,
            "figures": figures_body(figures),
        }
    )


def _position(tokens: Tokens, cursor: str | None) -> Position:
    if cursor is None:
        return START
    said = tokens.said(cursor)
    if said is None:
        raise ProblemError(Problem.INVALID_REQUEST, errors=[{"pointer": "/cursor", "code": "unknown"}])
    due, _, review = said.decode().partition("|")
    return Position(int(due), review)


def _review_body(one: WaitingReview, spoken: str) -> dict[str, object]:
    return {
        "review_id": one.id,
        "kind": one.kind,
        "decision_id": one.decision_id,
        "reader": one.actor,
        "subject": one.subject,
        "at": rfc3339(one.at),
        "triggers": [{"code": why.value, "text": why.sentence(spoken)} for why in one.triggers],
        "reason": one.reason or None,
        "state": one.state,
        "due_at": rfc3339(one.due_at),
        "two_people": one.two_people,
        "own": one.own,
        "claimed_until": None if one.claimed_until is None else rfc3339(one.claimed_until),
        "claimed_by_you": one.mine,
    }


def figures_body(figures: Figures) -> dict[str, object]:
    """Return the figures with their shares; a share of nothing is None."""
    return {
        **figures._asdict(),
        "coverage": _share(figures.sampled_reviewed, figures.sampled),
        "agreement": _share(figures.agreed, figures.by_two),
    }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


@reviews.post("/{review_id}/claim", operation_id="claim_review", summary="Work on a review alone")
async def claim(request: Request, _form: NothingForm, review_id: Annotated[str, _REVIEW]) -> Response:
    """Make the review the officer's until the lease ends; again renews it."""
    service, caller = access.service_of(request), access.caller_of(request)
    desk, now = service.log.oversight.reviews, service.clock()
    until = await judged(request, lambda: desk.claim(caller, review_id, access.request_id_of(request), now))
    return access.as_json({"review_id": review_id, "claimed_until": rfc3339(until)})


@reviews.post("/{review_id}/decision", operation_id="decide_review", summary="Judge an access")
async def decide(request: Request, form: JudgementForm, review_id: Annotated[str, _REVIEW]) -> Response:
    """Take the officer's opinion; the state says whether a second officer must look."""
    service, caller = access.service_of(request), access.caller_of(request)
    desk, now = service.log.oversight.reviews, service.clock()
    judgement, request_id = Judgement(form.verdict), access.request_id_of(request)
    state = await judged(
        request, lambda: desk.decide(caller, review_id, judgement, form.note, request_id, now)
    )
    return access.as_json({"review_id": review_id, "state": state})


@asking.post("/lifts", operation_id="ask_for_limit", summary="Ask for a higher limit for some hours")
async def ask(request: Request, form: LiftForm) -> Response:
    """Ask for oneself or for a colleague; an officer who is neither decides. A service needs `on_behalf`."""
    service, caller = access.service_of(request), access.caller_of(request)
    reader, request_id = ActorId(form.reader or caller.actor_id), access.request_id_of(request)
    if caller.kind is Prefix.SERVICE and reader != caller.actor_id:
        access.require(caller, Scope.ON_BEHALF)
    lift = await judged(
        request,
        lambda: service.log.oversight.lifting.ask(
            caller,
            reader,
            form.people_per_hour,
            form.people_per_day,
            form.hours,
            form.reason,
            request_id,
            service.clock(),
        ),
    )
    return access.as_json({"lift_id": lift, "state": "waiting"}, 201)


@lifts.get("", operation_id="list_lifts", summary="Higher limits that readers ask for")
async def list_lifts(request: Request) -> Response:
    """Return what waits, the oldest first."""
    service, caller = access.service_of(request), access.caller_of(request)
    desk = service.log.oversight.lifting
    found = await access.in_store(
        request, lambda: desk.waiting(caller, access.request_id_of(request), service.clock())
    )
    return access.as_json(
        {
            "data": [
                {
                    "lift_id": one.id,
                    "reader": one.actor,
                    "people_per_hour": one.per_hour,
                    "people_per_day": one.per_day,
                    "hours": one.hours,
                    "reason": one.reason,
                    "asked_at": rfc3339(one.asked_at),
                    "own": one.own,
                }
                for one in found
            ]
        }
    )


@lifts.post("/{lift_id}/decision", operation_id="decide_lift", summary="Grant or refuse a higher limit")
async def decide_lift(request: Request, form: LiftDecisionForm, lift_id: Annotated[str, _LIFT]) -> Response:
    """Grant it from now for the hours that were asked for, or refuse it."""
    service, caller = access.service_of(request), access.caller_of(request)
    desk, request_id = service.log.oversight.lifting, access.request_id_of(request)
    grant = form.decision == "grant"
    until = await judged(
        request,
        lambda: desk.decide(caller, lift_id, grant=grant, request_id=request_id, now=service.clock()),
    )
    ends = None if until is None else rfc3339(until)
    return access.as_json({"lift_id": lift_id, "state": "granted" if grant else "refused", "ends_at": ends})
