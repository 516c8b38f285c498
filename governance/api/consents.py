"""Consents over HTTP: ticked, confirmed, withdrawn; for services that pass on what a member does."""

from __future__ import annotations

from fastapi import APIRouter, Path, Request, Response

from consent.confirmation import NotConfirmed
from consent.listing import Consent, Terms
from consent.registry import SubjectClosedError
from governance.api import access
from governance.api.forms import CodeForm, ConsentForm, WithdrawForm
from governance.consenting import NoGatewayError, NoSuchConsentError, On, UnfitConsentError
from governance.door import route_for
from governance.identity import Caller, Scope
from governance.problems import Problem, ProblemError
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
        ticked = await access.in_store(
            request,
            lambda: service.consenting.tick(acting, SubjectId(form.subject), terms, service.clock(), once),
        )
    except KeyReusedError:
        raise ProblemError(Problem.KEY_REUSED) from None
    except NoSuchConsentError:
        raise ProblemError(Problem.NOT_FOUND) from None
    except (UnfitConsentError, SubjectClosedError):
        raise ProblemError(Problem.CONFLICT) from None
    except NoGatewayError:
        raise ProblemError(Problem.NO_GATEWAY) from None
    return access.as_json(
        {
            "consent_id": ticked.consent_id,
            "status": "ticked",
            "confirm_by": rfc3339(ticked.confirm_by),
            "digits": ticked.digits,
        },
        201,
    )


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


@router.get("/{consent_id}", operation_id="show_consent", summary="One consent and how it stands")
async def show(request: Request, consent_id: str = _CONSENT) -> Response:
    """Return a consent by its id, for services that keep consents for members."""
    service = access.service_of(request)
    access.require(access.caller_of(request), Scope.CONSENTS)
    try:
        consent, state = await access.in_store(
            request, lambda: service.consenting.show(None, consent_id, service.clock())
        )
    except NoSuchConsentError:
        raise ProblemError(Problem.NOT_FOUND) from None
    return access.as_json(consent_body(consent, state, access.language(request)))


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
