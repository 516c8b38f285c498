"""The officers' page for rights requests and legal holds: who asks, for what, how many days are left.

Only compliance officers. That the queue was read is on record before its details are opened; a denial needs
a second officer, and the page offers a step only to whom it is open (the desk checks again).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request, Response

from governance.acting import On
from governance.api import access
from governance.api.oversight import compliance_officer
from governance.erasing import NoSuchMemberError
from governance.explaining import short
from governance.holds import HeldError, NoSuchHoldError, StandingHold
from governance.ladder import field_title
from governance.languages import noted, saying
from governance.pages import caller_of, form_of, language, page_route, render, see_other
from governance.problems import Problem, ProblemError
from governance.rights import NoSuchRequestError, RequestClosedError
from governance.rightsdeciding import NotAllowedError, NotFulfillableError, Step, Waiting
from governance.rightsrecords import EXTENSIONS, REFUSALS, Right
from governance.wiring import Service
from policies.identifiers import Prefix, kind_of, pattern
from policies.terms import SubjectId

_HERE: Final = "/console/rights"
_DAY_MS: Final = 86_400_000
_LONGEST_REASON: Final = 500
_MOST_DAYS: Final = 3650
_KINDS: Final = {
    Right.ACCESS: noted("查阅"),
    Right.PORTABILITY: noted("转移"),
    Right.RECTIFICATION: noted("更正"),
    Right.ERASURE: noted("删除"),
    Right.RESTRICTION: noted("限制处理"),
    Right.OBJECTION: noted("反对处理"),
    Right.EXPLANATION: noted("说明自动化决定"),
}
_KNOWN: Final = {
    "session": noted("已登录本人"),
    "evidence": noted("服务出具的核验凭据"),
    "code": noted("一次性验证码"),
}

router = APIRouter(prefix="/console", route_class=page_route(compliance_officer), include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Line:
    """One request as an officer reads it."""

    id: str
    what: str
    who: str
    law: str
    known_by: str
    since: int
    due: int
    days_left: int
    exact: bool
    changes: tuple[tuple[str, str], ...]
    refusal: str
    own_proposal: bool
    verified: bool
    extensible: bool


def _line(service: Service, one: Waiting, spoken: str) -> Line:
    book, say = service.rules.book, saying(spoken)
    regime = book.deadlines.regimes.get(one.request.regime)
    values = one.detail.get("values")
    changes = sorted(values.items()) if isinstance(values, dict) else []
    title = "" if regime is None else regime.title.en if spoken == "en" else regime.title.zh
    refusal = REFUSALS.get(one.request.refusal)
    return Line(
        one.request.id,
        say(_KINDS[one.request.kind]),
        short(one.who),
        title,
        say(_KNOWN[one.request.known_by]),
        one.request.asked_at,
        one.request.due_at - 1,
        one.days_left,
        one.request.exact,
        tuple((field_title(name, book, spoken), text) for name, text in changes),
        "" if refusal is None else refusal.sentence(spoken),
        one.own_proposal,
        one.request.proposed_by is not None and not one.request.refusal,
        (book.deadlines.stretched(one.request.regime, one.request.asked_at) or 0) > one.request.due_at,
    )


@router.get("/rights")
async def waiting(request: Request, done: Annotated[str, Query(max_length=60)] = "") -> Response:
    """Show the requests that wait, the most urgent first, and the legal holds that stand."""
    service, caller, spoken = access.service_of(request), caller_of(request), language(request)
    on = On(caller, caller.actor_id, access.request_id_of(request))

    def look() -> tuple[list[Waiting], list[StandingHold], bool]:
        return (
            service.deciding.queue(on, service.clock()),
            service.holds.standing(service.clock()),
            kind_of(done) is Prefix.RIGHT and service.deciding.is_certified(done),
        )

    found, holds, certified = await access.in_store(request, look)
    return render(
        request,
        "rights.html",
        caller=caller,
        lines=[_line(service, one, spoken) for one in found],
        refusals=[(code, one.sentence(spoken)) for code, one in REFUSALS.items()],
        extensions=[(code, one.sentence(spoken)) for code, one in EXTENSIONS.items()],
        holds=holds,
        done=bool(done),
        certified=done if certified else "",
        short=short,
        longest=_LONGEST_REASON,
        most=_MOST_DAYS,
    )


@router.get("/rights/{right_id}/certificate")
async def certificate(
    request: Request, right_id: Annotated[str, Path(pattern=pattern(Prefix.RIGHT))]
) -> Response:
    """Return the signed certificate of an erasure: whoever asked in person has no session left."""
    service = access.service_of(request)
    try:
        body = await access.in_store(request, lambda: service.deciding.certificate(right_id))
    except NoSuchRequestError:
        raise ProblemError(Problem.NOT_FOUND) from None
    headers = {"content-disposition": 'attachment; filename="certificate.json"', "cache-control": "no-store"}
    return Response(body, headers=headers, media_type="application/json")


@router.post("/rights/{right_id}")
async def decide(request: Request, right_id: Annotated[str, Path(pattern=pattern(Prefix.RIGHT))]) -> Response:
    """Take one step with a request; then show what is left."""
    service, caller = access.service_of(request), caller_of(request)
    form = await form_of(request)
    step = next((one for one in Step if one == form.get("step")), None)
    if step is None:
        raise ProblemError(Problem.INVALID_REQUEST)
    on = On(caller, caller.actor_id, access.request_id_of(request))
    refusal = REFUSALS.get(form.get("refusal", ""))
    extension = EXTENSIONS.get(form.get("extension", ""))
    try:
        await access.in_store(
            request,
            lambda: service.deciding.decide(on, right_id, step, service.clock(), refusal, extension),
        )
    except NoSuchRequestError:
        raise ProblemError(Problem.NOT_FOUND) from None
    except HeldError:
        raise ProblemError(Problem.UNDER_HOLD) from None
    except (RequestClosedError, NotAllowedError, NotFulfillableError, NoSuchMemberError):
        raise ProblemError(Problem.CONFLICT) from None
    return see_other(f"{_HERE}?done={right_id}")


@router.post("/holds")
async def hold(request: Request) -> Response:
    """Hold a member's or household's data against every deletion, for a reason and a term."""
    service, caller = access.service_of(request), caller_of(request)
    form = await form_of(request)
    subject, reason, days = form.get("subject", ""), form.get("reason", "").strip(), form.get("days", "")
    known = kind_of(subject) in (Prefix.MEMBER, Prefix.HOUSEHOLD)
    numbered = days.isascii() and days.isdigit() and len(days) <= 4 and 0 < int(days) <= _MOST_DAYS  # noqa: PLR2004
    if not known or not reason or len(reason) > _LONGEST_REASON or not numbered:
        raise ProblemError(Problem.INVALID_REQUEST)
    now = service.clock()
    until, request_id = now + int(days) * _DAY_MS, access.request_id_of(request)
    try:
        placed = await access.in_store(
            request,
            lambda: service.holds.place(
                caller, SubjectId(subject), reason, until, now, request_id=request_id
            ),
        )
    except NoSuchHoldError:
        raise ProblemError(Problem.NOT_FOUND) from None
    return see_other(f"{_HERE}?done={placed}")


@router.post("/holds/{hold_id}/lift")
async def lift(request: Request, hold_id: Annotated[str, Path(pattern=pattern(Prefix.HOLD))]) -> Response:
    """End a legal hold before its term."""
    service, caller = access.service_of(request), caller_of(request)
    request_id = access.request_id_of(request)
    try:
        await access.in_store(
            request, lambda: service.holds.lift(caller, hold_id, service.clock(), request_id=request_id)
        )
    except NoSuchHoldError:
        raise ProblemError(Problem.NOT_FOUND) from None
    return see_other(f"{_HERE}?done={hold_id}")
