"""The member's own surface: the subject comes only from the session, never from a parameter."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request, Response

from consent.listing import Consent
from consent.sharing import Hide
from governance.accesses import Access, of_member
from governance.acting import NoSuchConsentError, On
from governance.api import access
from governance.api.consentforms import HideForm
from governance.api.consents import consent_body, receipt_of, wants_receipt
from governance.api.forms import NothingForm
from governance.cursors import Cursors
from governance.door import route_for
from governance.problems import Problem, ProblemError
from governance.showing import UnfitConsentError
from governance.times import rfc3339
from governance.wardship import consents_of
from policies.identifiers import Prefix, pattern
from policies.reasons import Reason
from policies.terms import SubjectId

router = APIRouter(prefix="/v1/me", route_class=route_for(access.signed_in_member), tags=["members"])
_LIMIT: Final = r"^(?:[1-9][0-9]?|1[0-9]{2}|200)$"
"""A number from 1 to 200 in its one spelling; ``+1``, ``1_0`` and ``1.0`` are others."""


def on_of(request: Request) -> On:
    """Return who acts: the member of the session."""
    caller = access.caller_of(request)
    return On(caller, caller.actor_id, access.request_id_of(request))


@router.get("/accesses", operation_id="my_accesses", summary="Who looked at my data, or was refused")
async def accesses(
    request: Request,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[str, Query(pattern=_LIMIT)] = "50",
) -> Response:
    """Return reads, writes and messages about the member, newest first, blocked attempts included."""
    service = access.service_of(request)
    caller = access.caller_of(request)
    cursors = Cursors(service.ring.cursor_key, f"accesses:{caller.actor_id}")
    before = None if cursor is None else cursors.read(cursor)
    if cursor is not None and before is None:
        raise ProblemError(Problem.INVALID_REQUEST, errors=[{"pointer": "/cursor", "code": "unknown_cursor"}])
    found, more = await access.in_store(
        request, lambda: of_member(service, SubjectId(caller.actor_id), before, int(limit))
    )
    spoken = access.language(request)
    return access.as_json(
        {
            "data": [_access_body(one, spoken) for one in found],
            "next_cursor": cursors.make(found[-1].index) if more else None,
            "has_more": more,
        }
    )


def _access_body(one: Access, spoken: str) -> dict[str, object]:
    return {
        "receipt": one.index,
        "decision_id": one.decision_id or None,
        "at": rfc3339(one.at),
        "action": one.action,
        "who": one.who,
        "on_behalf_of": one.on_behalf_of,
        "automatic": one.automatic,
        "purpose": one.purpose or None,
        "blocked": one.blocked,
        "fields": [
            {"field": field, "effect": effect.value, "reasons": access.say(reasons, spoken)}
            for field, effect, reasons in one.fields
        ],
        "reasons": access.say(one.reasons, spoken),
    }


@router.get("/consents", operation_id="my_consents", summary="My consents and how each stands")
async def consents(
    request: Request, subject: Annotated[str | None, Query(pattern=pattern(Prefix.MEMBER))] = None
) -> Response:
    """Return the member's own consents, newest first, or those about a ward that its guardian may see."""
    service = access.service_of(request)
    on = on_of(request)

    def look() -> tuple[tuple[Consent, Reason], ...]:
        if subject is None or subject == on.member:
            return service.consenting.of_member(SubjectId(on.member), service.clock())
        return service.keeper.attempt(lambda: consents_of(service, on, SubjectId(subject), service.clock()))

    try:
        mine = await access.in_store(request, look)
    except NoSuchConsentError:
        raise ProblemError(Problem.NOT_FOUND) from None
    spoken = access.language(request)
    return access.as_json(
        {
            "data": [consent_body(consent, state, spoken) for consent, state in mine],
            "next_cursor": None,
            "has_more": False,
        }
    )


@router.get("/consents/{consent_id}", operation_id="show_my_consent", summary="One consent, or its receipt")
async def consent(
    request: Request, consent_id: Annotated[str, Path(pattern=pattern(Prefix.CONSENT))]
) -> Response:
    """Return how a consent stands, or with ``Accept: application/ld+json`` its signed receipt."""
    service = access.service_of(request)
    on = on_of(request)
    if wants_receipt(request):
        return await receipt_of(request, on, consent_id)
    try:
        one, state = await access.in_store(
            request, lambda: service.consenting.show(on, consent_id, service.clock())
        )
    except NoSuchConsentError:
        raise ProblemError(Problem.NOT_FOUND) from None
    return access.as_json(consent_body(one, state, access.language(request)))


@router.post("/consents/{consent_id}/withdraw", operation_id="withdraw_my_consent", summary="Withdraw")
async def withdraw(
    request: Request, _form: NothingForm, consent_id: Annotated[str, Path(pattern=pattern(Prefix.CONSENT))]
) -> Response:
    """Withdraw; one call, nothing else needed."""
    service = access.service_of(request)
    on = on_of(request)
    try:
        since = await access.in_store(
            request, lambda: service.consenting.withdraw(on, consent_id, service.clock())
        )
    except NoSuchConsentError:
        raise ProblemError(Problem.NOT_FOUND) from None
    return access.as_json({"consent_id": consent_id, "status": "withdrawn", "withdrawn_at": rfc3339(since)})


@router.post("/hides", operation_id="hide_my_records", summary="Hide a category of mine, or show it again")
async def hide(request: Request, form: HideForm) -> Response:
    """Hide from one of the family or from everybody; others see what they would see were there nothing.

    The same 404 for a viewer who is nobody and one who is no relative; what is hidden can always be shown.
    """
    service = access.service_of(request)
    on = on_of(request)
    try:
        switch = await access.in_store(
            request,
            lambda: service.sharing.hide(
                on, form.category, form.viewer or "", hidden=form.hidden, now=service.clock()
            ),
        )
    except NoSuchConsentError:
        raise ProblemError(Problem.NOT_FOUND) from None
    except UnfitConsentError:
        raise ProblemError(
            Problem.INVALID_REQUEST, errors=[{"pointer": "/category", "code": "not_hideable"}]
        ) from None
    return access.as_json({**hide_body(switch), "hidden": form.hidden})


def hide_body(one: Hide) -> dict[str, object]:
    """Return one switch that hides as a body; a viewer that is null means everybody."""
    return {"category": one.category, "viewer": one.viewer or None, "since": rfc3339(one.since)}
