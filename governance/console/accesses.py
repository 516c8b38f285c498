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
from governance.approvalrecords import Asked
from governance.approving import OFFICE, ApprovalEndedError, NoSuchApprovalError
from governance.emergencies import (
    LONGEST_NOTE,
    Judgement,
    NoSuchReviewError,
    ReviewClosedError,
    WaitingReview,
)
from governance.explaining import short
from governance.identity import Caller
from governance.ladder import field_title, listed, purpose_title
from governance.pages import caller_of, form_of, language, page_route, render, see_other
from governance.problems import Problem, ProblemError
from governance.wiring import Service
from policies.identifiers import Prefix, pattern
from policies.terms import Action

_HERE: Final = "/console/access-reviews"


async def compliance_officer(request: Request) -> Caller:
    """Authenticate a compliance officer; for everybody else there is no such page."""
    return await access.signed_in_office(request, frozenset({OFFICE}))


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


@router.get("/access-reviews")
async def waiting(request: Request, done: Annotated[str, Query(max_length=60)] = "") -> Response:
    """Show the emergencies that wait for a judgement, with their reasons, and the access asked for."""
    service, caller, spoken = access.service_of(request), caller_of(request), language(request)
    reviews, wishes = await access.in_store(request, lambda: _both(service, caller, request, spoken))
    return render(
        request,
        "access_reviews.html",
        caller=caller,
        reviews=reviews,
        wishes=wishes,
        done=bool(done),
        longest=LONGEST_NOTE,
        short=short,
    )


def _both(
    service: Service, caller: Caller, request: Request, spoken: str
) -> tuple[list[WaitingReview], list[Wish]]:
    policy = service.rules.book.fingerprint
    request_id = access.request_id_of(request)
    reviews = service.emergencies.waiting(caller, request_id, policy, service.clock())
    with service.database.reading() as tx:
        asked = service.approving.uncleared(tx, service.clock())
        names = ledger.names_of(tx, [one.subject_id for one in asked])
    return reviews, [_wish(service, one, names, caller, spoken) for one in asked]


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
    """Close a review with a judgement and a note; then show what is left."""
    service, caller = access.service_of(request), caller_of(request)
    form = await form_of(request)
    judgement = next((one for one in Judgement if one == form.get("judgement")), None)
    note = form.get("note", "").strip()
    if judgement is None or not note or len(note) > LONGEST_NOTE:
        raise ProblemError(Problem.INVALID_REQUEST)
    try:
        await access.in_store(
            request,
            lambda: service.emergencies.close(
                caller,
                review_id,
                judgement,
                note,
                request_id=access.request_id_of(request),
                policy=service.rules.book.fingerprint,
                now=service.clock(),
            ),
        )
    except NoSuchReviewError:
        raise ProblemError(Problem.NOT_FOUND) from None
    except ReviewClosedError:
        raise ProblemError(Problem.CONFLICT) from None
    return see_other(f"{_HERE}?done={review_id}")


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
