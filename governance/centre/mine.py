"""The member's own pages: who looked at my data, and what I agreed to. No scripts, plain forms.

The person is the one of the session, never a parameter. Own accesses and registrations by the system are
counted and left out unless asked for; blocked attempts are always in. Withdrawing is one button.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request, Response

from consent.listing import GIVEN, Consent
from consent.outbox import DevelopmentOutbox
from governance.accesses import Access, of_member
from governance.acting import NoSuchConsentError, On
from governance.api import access
from governance.centre.telling import Telling, category_titles, notice_of, tell
from governance.cursors import Cursors
from governance.ladder import purpose_title
from governance.languages import saying
from governance.pages import caller_of, language, page_route, render, see_other
from governance.problems import Problem, ProblemError
from governance.times import local
from governance.wiring import Service
from policies.identifiers import Prefix, pattern
from policies.reasons import Reason
from policies.terms import SubjectId

_PAGE: Final = 200
_WEEK_MS: Final = 7 * 24 * 3600 * 1000
_REGISTERED: Final = ("member.", "guardian.", "assignment.", "household.", "actor.", "profile.")

router = APIRouter(prefix="/centre", route_class=page_route(access.signed_in_member), include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Day:
    """One day's accesses, alike ones told once with their number."""

    at: int
    tellings: list[Telling]


@dataclass(frozen=True, slots=True)
class Summary:
    """The last seven days in two numbers; ``least`` when there are more than the page looked at."""

    asked: int
    blocked: int
    least: bool


@router.get("")
async def accesses(
    request: Request,
    everything: Annotated[str, Query(max_length=1)] = "",
    before: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """Show who looked at the member's data, blocked attempts included."""
    service, caller, spoken = access.service_of(request), caller_of(request), language(request)
    member = SubjectId(caller.actor_id)
    cursors = Cursors(service.ring.cursor_key, f"centre:{member}")
    end = None if before is None else cursors.read(before)
    if before is not None and end is None:
        raise ProblemError(Problem.NOT_FOUND)
    found, more = await access.in_store(request, lambda: of_member(service, member, end, _PAGE))
    shown = found if everything else [one for one in found if _by_others(one)]
    return render(
        request,
        "accesses.html",
        caller=caller,
        summary=_summary(found, service.clock(), more=more) if before is None else None,
        days=_days(service, shown, spoken),
        left_out=len(found) - len(shown),
        everything=bool(everything),
        older=cursors.make(found[-1].index) if more else None,
    )


def _by_others(one: Access) -> bool:
    return not one.own and not one.action.startswith(_REGISTERED)


def _summary(found: Sequence[Access], now: int, *, more: bool) -> Summary:
    week = [one for one in found if one.at > now - _WEEK_MS]
    others = [one for one in week if _by_others(one)]
    blocked = sum(one.blocked for one in others)
    return Summary(len(others), blocked, least=more and len(week) == len(found))


def _days(service: Service, shown: Sequence[Access], spoken: str) -> list[Day]:
    days = []
    for _, group in groupby(shown, key=lambda one: local(one.at).date()):
        tellings: list[Telling] = []
        for one in group:
            telling = tell(one, service.rules.book, spoken)
            if tellings and tellings[-1].alike(telling):
                tellings[-1] = tellings[-1].and_earlier(telling)
            else:
                tellings.append(telling)
        days.append(Day(tellings[0].at, tellings))
    return days


@dataclass(frozen=True, slots=True)
class Agreement:
    """One consent as its giver reads it."""

    id: str
    purpose: str
    categories: str
    notice: str
    active: bool
    waiting: bool
    state: str
    since: int
    until: int | None
    ended: int | None


@router.get("/consents")
async def consents(request: Request, done: Annotated[str, Query(max_length=60)] = "") -> Response:
    """Show the member's consents, those that hold first."""
    service, caller, spoken = access.service_of(request), caller_of(request), language(request)
    member = SubjectId(caller.actor_id)
    mine = await access.in_store(request, lambda: service.consenting.of_member(member, service.clock()))
    agreements = [_agreement(consent, state, service, spoken) for consent, state in mine]
    return render(
        request,
        "consents.html",
        caller=caller,
        active=[one for one in agreements if one.active or one.waiting],
        ended=[one for one in agreements if not (one.active or one.waiting)],
        done=next((one for one in agreements if one.id == done and one.ended is not None), None),
    )


def _agreement(consent: Consent, state: Reason, service: Service, spoken: str) -> Agreement:
    book, say = service.rules.book, saying(spoken)
    return Agreement(
        consent.consent_id,
        purpose_title(consent.terms.purpose, book, spoken),
        category_titles(consent.terms.categories, book, spoken),
        notice_of(consent.terms.notice),
        state in GIVEN,
        state is Reason.UNCONFIRMED,
        say("有效") if state in GIVEN else state.sentence(spoken),
        consent.confirmed_at or consent.ticked_at,
        consent.expires_at,
        consent.withdrawn_at,
    )


@router.get("/outbox")
async def outbox(request: Request) -> Response:
    """Show the codes that were sent to the member, in development only, where no gateway takes them away."""
    service, caller = access.service_of(request), caller_of(request)
    if not isinstance(service.sender, DevelopmentOutbox):
        raise ProblemError(Problem.NOT_FOUND)
    mine = [one for one in service.sender.messages() if one.actor_id == caller.actor_id]
    return render(request, "outbox.html", caller=caller, messages=mine)


@router.post("/consents/{consent_id}/withdraw")
async def withdraw(
    request: Request, consent_id: Annotated[str, Path(pattern=pattern(Prefix.CONSENT))]
) -> Response:
    """Withdraw, at once; then show the list again."""
    service, caller = access.service_of(request), caller_of(request)
    on = On(caller, caller.actor_id, access.request_id_of(request))
    try:
        await access.in_store(request, lambda: service.consenting.withdraw(on, consent_id, service.clock()))
    except NoSuchConsentError:
        raise ProblemError(Problem.NOT_FOUND) from None
    return see_other(f"/centre/consents?done={consent_id}")
