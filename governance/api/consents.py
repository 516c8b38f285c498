"""Consents over HTTP: ticked, confirmed, withdrawn; for services that pass on what a member does."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Path, Request, Response

from consent.confirmation import NotConfirmed
from consent.listing import Consent, Terms
from consent.receipts import RetiredTermsError
from consent.registry import SubjectClosedError
from governance.acting import On
from governance.api import access
from governance.api.forms import CodeAgainForm, CodeForm, ConsentForm, WithdrawForm
from governance.consenting import (
    CodeNotSentError,
    NoGatewayError,
    NoSuchConsentError,
    Ticked,
    TooManyCodesError,
    UnfitConsentError,
)
from governance.door import route_for
from governance.identity import Caller, Scope
from governance.problems import Problem, ProblemError
from governance.receipting import MEDIA_TYPE
from governance.replay import KeyReusedError
from governance.times import rfc3339
from policies.identifiers import Prefix, pattern
from policies.reasons import Reason
from policies.terms import SubjectId

router = APIRouter(prefix="/v1/consents", route_class=route_for(access.api_caller), tags=["consents"])
_CONSENT = Path(pattern=pattern(Prefix.CONSENT))


def on(request: Request, member: str | None) -> On:
    """Return who acts: a service for the member it names."""
    caller: Caller = access.caller_of(request)
    access.require(caller, Scope.CONSENTS)
    if member is None:
        raise ProblemError(Problem.INVALID_REQUEST, errors=[{"pointer": "/on_behalf_of", "code": "missing"}])
    return On(caller, access.acting(caller, member), access.request_id_of(request))


def consent_body(consent: Consent, state: Reason, spoken: str) -> dict[str, object]:
    """Return one consent as a body."""
    return {
        "consent_id": consent.consent_id,
        "subject": consent.subject_id,
        "purpose": consent.terms.purpose,
        "categories": sorted(consent.terms.categories),
        "notice": consent.terms.notice,
        "state": {"code": state.value, "text": state.sentence(spoken)},
        "ticked_at": rfc3339(consent.ticked_at),
        "confirmed_at": None if consent.confirmed_at is None else rfc3339(consent.confirmed_at),
        "expires_at": None if consent.expires_at is None else rfc3339(consent.expires_at),
        "withdrawn_at": None if consent.withdrawn_at is None else rfc3339(consent.withdrawn_at),
    }


@router.post("", operation_id="tick_consent", summary="Record a tick and send the one-time code")
async def tick(request: Request, form: ConsentForm) -> Response:
    """Record that the member was shown the notice and ticked; active only after the code."""
    service = access.service_of(request)
    acting = on(request, form.on_behalf_of)
    terms = Terms(form.purpose, frozenset(form.categories), "", form.notice)
    once = await access.once_of(request)
    try:
        ticked = await access.with_outside(
            lambda: service.consenting.tick(acting, SubjectId(form.subject), terms, service.clock(), once)
        )
    except KeyReusedError:
        raise ProblemError(Problem.KEY_REUSED) from None
    except NoSuchConsentError:
        raise ProblemError(Problem.NOT_FOUND) from None
    except (UnfitConsentError, SubjectClosedError):
        raise ProblemError(Problem.CONFLICT) from None
    except NoGatewayError:
        raise ProblemError(Problem.NO_GATEWAY) from None
    except CodeNotSentError as error:
        raise ProblemError(Problem.CODE_NOT_SENT, extra=_waiting(error.ticked)) from None
    return access.as_json({"status": "ticked", **_waiting(ticked)}, 201)


def _waiting(ticked: Ticked) -> dict[str, object]:
    return {
        "consent_id": ticked.consent_id,
        "confirm_by": rfc3339(ticked.confirm_by),
        "digits": ticked.digits,
    }


@router.post("/{consent_id}/code", operation_id="send_code_again", summary="Send a new one-time code")
async def send_again(request: Request, form: CodeAgainForm, consent_id: str = _CONSENT) -> Response:
    """Send a new code for a tick; it gives neither more time nor more tries, and voids the old one."""
    service = access.service_of(request)
    acting = on(request, form.on_behalf_of)
    try:
        ticked = await access.with_outside(
            lambda: service.consenting.send_again(acting, consent_id, service.clock())
        )
    except NoSuchConsentError:
        raise ProblemError(Problem.NOT_FOUND) from None
    except UnfitConsentError:
        raise ProblemError(Problem.CONFLICT) from None
    except TooManyCodesError:
        raise ProblemError(Problem.TOO_OFTEN) from None
    except NoGatewayError:
        raise ProblemError(Problem.NO_GATEWAY) from None
    except CodeNotSentError as error:
        raise ProblemError(Problem.CODE_NOT_SENT, extra=_waiting(error.ticked)) from None
    return access.as_json({"status": "sent", **_waiting(ticked)})


@router.get("/{consent_id}", operation_id="show_consent", summary="One consent, or its signed receipt")
async def show(
    request: Request,
    consent_id: str = _CONSENT,
    on_behalf_of: Annotated[str | None, Header(pattern=pattern(Prefix.MEMBER))] = None,
) -> Response:
    """Return how a consent stands, or with ``Accept: application/ld+json`` its receipt; the log says so.

    For whom the service asks stands in the header ``On-Behalf-Of``: a member's id belongs into no address.
    """
    service = access.service_of(request)
    acting = on(request, on_behalf_of)
    if wants_receipt(request):
        return await receipt_of(request, acting, consent_id)
    now = service.clock()
    try:
        given = await access.in_store(
            request, lambda: service.consenting.give_out(acting, consent_id, "consent.shown", now)
        )
    except NoSuchConsentError:
        raise ProblemError(Problem.NOT_FOUND) from None
    return _varying(access.as_json(consent_body(given.consent, given.state(now), access.language(request))))


def wants_receipt(request: Request) -> bool:
    """Say whether the caller asks for the receipt, the signed document, instead of a plain answer."""
    accepted = request.headers.get("accept", "")[:256].split(",")
    return any(one.partition(";")[0].strip().lower() == MEDIA_TYPE for one in accepted)


async def receipt_of(request: Request, acting: On, consent_id: str) -> Response:
    """Return the receipt of a consent, byte for byte as it was signed."""
    service = access.service_of(request)
    try:
        text = await access.in_store(
            request, lambda: service.receipts.give(acting, consent_id, service.clock())
        )
    except NoSuchConsentError:
        raise ProblemError(Problem.NOT_FOUND) from None
    except RetiredTermsError:
        raise ProblemError(Problem.CONFLICT) from None
    return _varying(Response(text, media_type=MEDIA_TYPE))


def _varying(response: Response) -> Response:
    response.headers["vary"] = "accept, accept-language"
    return response


@router.post("/{consent_id}/confirm", operation_id="confirm_consent", summary="Confirm with the code")
async def confirm(request: Request, form: CodeForm, consent_id: str = _CONSENT) -> Response:
    """Make the consent active; any wrong, old or used code gets the same answer."""
    service = access.service_of(request)
    acting = on(request, form.on_behalf_of)
    try:
        done = await access.in_store(
            request, lambda: service.consenting.confirm(acting, consent_id, form.code, service.clock())
        )
    except NoSuchConsentError:
        raise ProblemError(Problem.NOT_FOUND) from None
    if isinstance(done, NotConfirmed):
        raise ProblemError(Problem.CODE_REFUSED)
    return access.as_json({"consent_id": consent_id, "status": "confirmed"})


@router.post("/{consent_id}/withdraw", operation_id="withdraw_consent", summary="Withdraw, in one call")
async def withdraw(request: Request, form: WithdrawForm, consent_id: str = _CONSENT) -> Response:
    """Withdraw; effective when this answers, on every replica."""
    service = access.service_of(request)
    acting = on(request, form.on_behalf_of)
    try:
        since = await access.in_store(
            request, lambda: service.consenting.withdraw(acting, consent_id, service.clock())
        )
    except NoSuchConsentError:
        raise ProblemError(Problem.NOT_FOUND) from None
    return access.as_json({"consent_id": consent_id, "status": "withdrawn", "withdrawn_at": rfc3339(since)})
