"""The officers' page for access that needs a person's judgement: emergencies after, minors' data before.

Only compliance officers. The reasons of emergencies are opened after the entry that says so is committed,
and the members it was about see that entry. Nobody judges what concerns their own reading.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request, Response

from audit import ledger
from governance.acting import On
from governance.api import access
from governance.api.oversight import compliance_officer, judged
from governance.approvalrecords import Asked
from governance.approving import ApprovalEndedError, NoSuchApprovalError
from governance.explaining import short
from governance.identity import Caller
from governance.ladder import field_title, listed, purpose_title
from governance.lifting import Lift
from governance.pages import caller_of, form_of, language, page_route, render, see_other
from governance.problems import Problem, ProblemError
from governance.reviewing import LONGEST_NOTE, Figures, Judgement, WaitingReview
from governance.wiring import Service
from policies.identifiers import Prefix, pattern
from policies.terms import Action

_HERE: Final = "/console/access-reviews"


router = APIRouter(prefix="/console", route_class=page_route(compliance_officer), include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Wish:
    """Access to a minor's data that staff ask for, as an officer reads it."""

    id: str
    who: str
    subject: str
    fields: str
    purpose: str
    writes: bool
    until: int
    agreed: bool
    own: bool


@dataclass(frozen=True, slots=True)
class _Page:
    reviews: list[WaitingReview]
    figures: Figures
    lifts: list[Lift]
    wishes: list[Wish]


@router.get("/access-reviews")
async def waiting(request: Request, done: Annotated[str, Query(max_length=60)] = "") -> Response:
    """Show the accesses that wait for a judgement, with their reasons, and what is asked for."""
    service, caller, spoken = access.service_of(request), caller_of(request), language(request)
    page = await access.in_store(request, lambda: _page(service, caller, request, spoken))
    return render(
        request,
        "access_reviews.html",
        caller=caller,
        page=page,
        done=bool(done),
        longest=LONGEST_NOTE,
        short=short,
    )


def _page(service: Service, caller: Caller, request: Request, spoken: str) -> _Page:
    request_id, now, room = access.request_id_of(request), service.clock(), service.log.oversight
    reviews, _ = room.reviews.waiting(caller, request_id, now)
    lifts = room.lifting.waiting(caller, request_id, now)
    with service.database.reading() as tx:
        asked = service.approving.uncleared(tx, service.clock())
        names = ledger.names_of(tx, [one.subject_id for one in asked])
    wishes = [_wish(service, one, names, caller, spoken) for one in asked]
    return _Page(reviews, room.reviews.figures(now), lifts, wishes)


def _wish(service: Service, asked: Asked, names: Mapping[str, bytes], caller: Caller, spoken: str) -> Wish:
    book = service.rules.book
    return Wish(
        asked.id,
        asked.who or asked.actor_id,
        short(names[asked.subject_id].hex()) if asked.subject_id in names else "",
        listed([field_title(field, book, spoken) for field in asked.fields], spoken),
        purpose_title(asked.purpose, book, spoken),
        asked.act is Action.WRITE,
        asked.expires_at,
        asked.decided_by is not None,
        asked.actor_id == caller.actor_id,
    )


@router.post("/access-reviews/{review_id}")
async def judge(
    request: Request, review_id: Annotated[str, Path(pattern=pattern(Prefix.REVIEW))]
) -> Response:
    """Judge an access, or claim it to work on it alone; then show what is left."""
    service, caller = access.service_of(request), caller_of(request)
    desk, request_id, now = service.log.oversight.reviews, access.request_id_of(request), service.clock()
    form = await form_of(request)
    if form.get("judgement") == "claim":
        await judged(request, lambda: desk.claim(caller, review_id, request_id, now))
        return see_other(f"{_HERE}?done={review_id}")
    judgement = next((one for one in Judgement if one == form.get("judgement")), None)
    note = form.get("note", "").strip()
    if judgement is None or not note or len(note) > LONGEST_NOTE:
        raise ProblemError(Problem.INVALID_REQUEST)
    await judged(request, lambda: desk.decide(caller, review_id, judgement, note, request_id, now))
    return see_other(f"{_HERE}?done={review_id}")


@router.post("/limit-lifts/{lift_id}")
async def lift(request: Request, lift_id: Annotated[str, Path(pattern=pattern(Prefix.LIFT))]) -> Response:
    """Grant or refuse a higher limit; then show what is left."""
    service, caller = access.service_of(request), caller_of(request)
    answer = (await form_of(request)).get("answer")
    if answer not in ("grant", "refuse"):
        raise ProblemError(Problem.INVALID_REQUEST)
    desk, request_id, now = service.log.oversight.lifting, access.request_id_of(request), service.clock()
    grant = answer == "grant"
    await judged(request, lambda: desk.decide(caller, lift_id, grant=grant, request_id=request_id, now=now))
    return see_other(f"{_HERE}?done={lift_id}")


@router.post("/approvals/{approval_id}")
async def clear(
    request: Request, approval_id: Annotated[str, Path(pattern=pattern(Prefix.APPROVAL))]
) -> Response:
    """Say yes or no to access by staff to a minor's data; then show what is left."""
    service, caller = access.service_of(request), caller_of(request)
    answer = (await form_of(request)).get("answer")
    if answer not in ("approve", "refuse"):
        raise ProblemError(Problem.INVALID_REQUEST)
    on = On(caller, caller.actor_id, access.request_id_of(request))
    try:
        await access.in_store(
            request,
            lambda: service.approving.clear(
                on, approval_id, approve=answer == "approve", now=service.clock()
            ),
        )
    except NoSuchApprovalError:
        raise ProblemError(Problem.NOT_FOUND) from None
    except ApprovalEndedError:
        raise ProblemError(Problem.CONFLICT) from None
    return see_other(f"{_HERE}?done={approval_id}")
