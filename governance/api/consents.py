"""Consents over HTTP: shown, ticked, confirmed, refused, withdrawn; services pass on what a member does."""

from __future__ import annotations

import re
from collections.abc import Awaitable
from typing import Annotated, Final, TypeVar

from fastapi import APIRouter, Header, Path, Request, Response

from consent.confirmation import NotConfirmed
from consent.listing import Consent, Terms
from consent.notices import Misfit
from consent.prompting import NEVER
from consent.receipts import RetiredTermsError
from consent.registry import OtherTermsError, SubjectClosedError, TickedAlreadyError, UnknownConsentError
from governance.acting import NoSuchConsentError, On
from governance.api import access
from governance.api.consentforms import (
    CodeAgainForm,
    CodeForm,
    ConsentForm,
    PromptForm,
    RefuseForm,
    ServedForm,
    WithdrawForm,
)
from governance.codes import CodeNotSentError, NoGatewayError, NotWaitingError, Ticked, TooManyCodesError
from governance.door import route_for
from governance.identity import Caller, Scope
from governance.problems import Problem, ProblemError
from governance.receipting import MEDIA_TYPE
from governance.replay import KeyReusedError
from governance.showing import AskedTooSoonError, MisfitNoticeError, Prompt, UnfitConsentError
from governance.times import rfc3339
from policies.identifiers import Prefix, pattern
from policies.reasons import Reason
from policies.terms import SubjectId

router = APIRouter(prefix="/v1/consents", route_class=route_for(access.api_caller), tags=["consents"])
_CONSENT = Path(pattern=pattern(Prefix.CONSENT))
_MISFITS: Final = {
    Misfit.UNKNOWN: Problem.NOTICE_UNKNOWN,
    Misfit.OTHER_TERMS: Problem.NOTICE_DIFFERS,
    Misfit.NOT_IN_FORCE: Problem.NOTICE_NOT_IN_FORCE,
}
_NOT_THIS: Final = re.compile(r"q=0(\.0{0,3})?")
_PROBLEMS: Final[dict[type[BaseException], Problem]] = {
    KeyReusedError: Problem.KEY_REUSED,
    NoSuchConsentError: Problem.NOT_FOUND,
    UnknownConsentError: Problem.NOT_FOUND,
    OtherTermsError: Problem.NOTICE_DIFFERS,
    TickedAlreadyError: Problem.CONFLICT,
    SubjectClosedError: Problem.CONFLICT,
    NotWaitingError: Problem.CONFLICT,
    NoGatewayError: Problem.NO_GATEWAY,
    TooManyCodesError: Problem.TOO_OFTEN,
}
"""What stands for an error that says no more than its name; the nearest class counts."""
_T = TypeVar("_T")


def on(request: Request, member: str | None) -> On:
    """Return who acts: a service for the member it names."""
    caller: Caller = access.caller_of(request)
    access.require(caller, Scope.CONSENTS)
    if member is None:
        raise ProblemError(Problem.INVALID_REQUEST, errors=[{"pointer": "/on_behalf_of", "code": "missing"}])
    return On(caller, access.acting(caller, member), access.request_id_of(request))


def _for_itself(request: Request) -> On:
    caller = access.caller_of(request)
    access.require(caller, Scope.CONSENTS)
    return On(caller, caller.actor_id, access.request_id_of(request))


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


async def _asked(work: Awaitable[_T]) -> _T:
    """Wait for what asks somebody for consent, or raise the problem that stands for why not."""
    try:
        return await work
    except tuple(_PROBLEMS) as error:
        raise ProblemError(next(_PROBLEMS[one] for one in type(error).__mro__ if one in _PROBLEMS)) from None
    except UnfitConsentError as error:
        faults = [{"pointer": f"/{member}", "code": code} for member, code in error.faults]
        raise ProblemError(Problem.INVALID_REQUEST, errors=faults) from None
    except MisfitNoticeError as error:
        raise ProblemError(_MISFITS[error.misfit]) from None
    except AskedTooSoonError as error:
        raise ProblemError(Problem.ASKED_TOO_SOON, extra={"not_before": _not_before(error.until)}) from None
    except CodeNotSentError as error:
        raise ProblemError(Problem.CODE_NOT_SENT, extra=_waiting(error.ticked)) from None


def _not_before(until: int) -> str | None:
    return None if until >= NEVER else rfc3339(until)


def _terms(form: ServedForm) -> Terms:
    return Terms(form.purpose, frozenset(form.categories), "", form.notice)


@router.post("/prompts", operation_id="may_prompt", summary="May this person be asked about this purpose?")
async def prompts(request: Request, form: PromptForm) -> Response:
    """Say whether somebody may be asked now; after a no, not for some weeks, unless they come themselves."""
    service = access.service_of(request)
    acting = on(request, form.on_behalf_of)
    now = service.clock()
    until = await _asked(
        access.in_store(
            request,
            lambda: service.consenting.may_ask_from(acting, SubjectId(form.subject), form.purpose, now),
        )
    )
    return access.as_json(
        {"may_ask": until <= now, "not_before": None if until <= now else _not_before(until)}
    )


@router.post("/served", operation_id="serve_notice", summary="Record that a notice was shown")
async def served(request: Request, form: ServedForm) -> Response:
    """Record which version was shown to whom, in which language; refused soon after a no."""
    service = access.service_of(request)
    acting = on(request, form.on_behalf_of)
    prompt, once = Prompt(form.opened_by_person), await access.once_of(request)
    consent_id = await _asked(
        access.in_store(
            request,
            lambda: service.consenting.serve(
                acting, SubjectId(form.subject), _terms(form), prompt, service.clock(), once
            ),
        )
    )
    return access.as_json({"consent_id": consent_id, "status": "served"}, 201)


@router.post("", operation_id="tick_consent", summary="Record a tick and send the one-time code")
async def tick(request: Request, form: ConsentForm) -> Response:
    """Record that the member was shown the notice and ticked.

    Active after the code; where the purpose has no ``double_confirm``, for data that is not sensitive and
    the controller itself, from the tick on.
    """
    service = access.service_of(request)
    acting = on(request, form.on_behalf_of)
    prompt, once = Prompt(form.opened_by_person, form.served), await access.once_of(request)
    ticked = await _asked(
        access.with_outside(
            lambda: service.consenting.tick(
                acting, SubjectId(form.subject), _terms(form), service.clock(), once, prompt
            )
        )
    )
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
    ticked = await _asked(
        access.with_outside(lambda: service.consenting.send_again(acting, consent_id, service.clock()))
    )
    return access.as_json({"status": "sent", **_waiting(ticked)})


@router.get("/{consent_id}", operation_id="show_consent", summary="One consent, or its signed receipt")
async def show(
    request: Request,
    consent_id: str = _CONSENT,
    on_behalf_of: Annotated[str | None, Header(pattern=pattern(Prefix.MEMBER))] = None,
) -> Response:
    """Return how a consent stands, or with ``Accept: application/ld+json`` its receipt; the log says so.

    For whom the service asks stands in the header ``On-Behalf-Of``: a member's id belongs into no address.
    Without it, the service that keeps consents asks in its own name.
    """
    service = access.service_of(request)
    acting = _for_itself(request) if on_behalf_of is None else on(request, on_behalf_of)
    if wants_receipt(request):
        return await receipt_of(request, acting, consent_id)
    now = service.clock()
    try:
        given = await access.in_store(
            request, lambda: service.consenting.give_out(acting, consent_id, "consent.shown", now)
        )
    except NoSuchConsentError:
        raise ProblemError(Problem.NOT_FOUND) from None
    return _varying(access.as_json(consent_body(*given.standing(now), access.language(request))))


def wants_receipt(request: Request) -> bool:
    """Say whether the caller asks for the receipt, the signed document, instead of a plain answer."""
    accepted = request.headers.get("accept", "")[:256].split(",")
    return any(_asks_for_receipt(one) for one in accepted)


def _asks_for_receipt(accepted: str) -> bool:
    kind, *parameters = (part.strip().lower() for part in accepted.split(";"))
    # A weight of nought means: not this one (RFC 9110, 12.4.2).
    return kind == MEDIA_TYPE and not any(_NOT_THIS.fullmatch(one) for one in parameters)


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


@router.post("/{consent_id}/refuse", operation_id="refuse_consent", summary="Record a no, or not now")
async def refuse(request: Request, form: RefuseForm, consent_id: str = _CONSENT) -> Response:
    """Record that the member said no to what was shown or ticked; nobody asks again for some weeks.

    With ``later`` it is "not now": what is open ends, and an older consent stays as it is.
    """
    service = access.service_of(request)
    acting = on(request, form.on_behalf_of)
    since = await _asked(
        access.in_store(
            request,
            lambda: service.consenting.refuse(acting, consent_id, service.clock(), later=form.later),
        )
    )
    status = "deferred" if form.later else "refused"
    return access.as_json({"consent_id": consent_id, "status": status, f"{status}_at": rfc3339(since)})


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
