"""The second walk over HTTP: messages, permits, and the text checks that stand beside it."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from governance.api import access
from governance.api.forms import MessageForm, PermitForm, RedactionForm, ScreeningForm
from governance.asking import RecipientAnswer, SendAsk, Unrecorded
from governance.door import route_for
from governance.identity import Scope
from governance.problems import Problem, ProblemError
from governance.replay import KeyReusedError
from governance.wiring import Service
from policies.identifiers import Prefix, new_id
from policies.terms import Audience, Channel, Purpose, ScreeningPurpose, SubjectId
from redaction.masking import mask_spans
from redaction.normalise import Unreadable
from redaction.screening import Draft, Verdict

router = APIRouter(prefix="/v1", route_class=route_for(access.api_caller), tags=["messages"])


def _unreadable() -> ProblemError:
    return ProblemError(Problem.INVALID_REQUEST, errors=[{"pointer": "/text", "code": "unreadable"}])


def _screening_body(verdict: Verdict, spoken: str) -> dict[str, object]:
    return {
        "outcome": verdict.outcome.value,
        "findings": [
            {
                "rule": one.rule,
                "category": one.category.value,
                "start": one.start,
                "end": one.end,
                "text": one.text,
                "law": one.law,
                "reason": one.reason_en if spoken == "en" else one.reason_zh,
                "suggestion": one.suggestion,
            }
            for one in verdict.findings
        ],
    }


@router.post("/messages", operation_id="send", summary="Ask leave to send one message to up to 500 members")
async def send(request: Request, form: MessageForm) -> Response:
    """Return admit (with a permit), hold or refuse for each recipient, with all reasons."""
    caller = access.caller_of(request)
    access.require(caller, Scope.MESSAGES)
    if form.sender != caller.actor_id:
        raise ProblemError(Problem.OUT_OF_SCOPE)
    service = access.service_of(request)
    ask = SendAsk(
        caller,
        new_id(Prefix.MESSAGE),
        Channel(form.channel),
        Purpose(form.purpose),
        form.text,
        tuple(map(SubjectId, dict.fromkeys(form.recipients))),
        access.request_id_of(request),
    )
    once = await access.once_of(request)
    try:
        sent = await access.in_store(request, lambda: service.dispatch.send(ask, service.clock(), once))
    except KeyReusedError:
        raise ProblemError(Problem.KEY_REUSED) from None
    except Unreadable:
        raise _unreadable() from None
    if isinstance(sent, Unrecorded):
        raise access.not_recorded(sent)
    spoken = access.language(request)
    return access.as_json(
        {
            "message_id": sent.message_id,
            "screening": _screening_body(sent.screening, spoken),
            "recipients": [
                _recipient_body(one, spoken, _opt_out(service, ask.purpose, one)) for one in sent.recipients
            ],
        }
    )


def _opt_out(service: Service, purpose: Purpose, answer: RecipientAnswer) -> str | None:
    """Return the link with which this recipient ends this purpose, for the ``List-Unsubscribe`` header."""
    entry = service.rules.book.purposes.get(purpose)
    promotes = entry is not None and entry.screening is ScreeningPurpose.MARKETING
    if answer.permit is None or not promotes:
        return None
    return f"{service.settings.public_url}/opt-out/{service.opting_out.links.make(answer.recipient, purpose)}"


def _recipient_body(answer: RecipientAnswer, spoken: str, opt_out: str | None) -> dict[str, object]:
    body: dict[str, object] = {
        "id": answer.recipient,
        "decision_id": answer.decision_id,
        "outcome": answer.outcome.value,
        "reasons": access.say(answer.reasons, spoken),
        "entry_id": answer.entry_id,
        "receipt": answer.receipt,
    }
    if answer.permit is not None:
        body["permit"] = answer.permit
    if opt_out is not None:
        body["opt_out"] = opt_out
    return body


@router.post("/permits/verify", operation_id="verify_permit", summary="Check and use a permit, once")
async def verify_permit(request: Request, form: PermitForm) -> Response:
    """Say whether exactly these bytes may now be handed to exactly this recipient. True at most once."""
    caller = access.caller_of(request)
    access.require(caller, Scope.PERMITS)
    service = access.service_of(request)
    now = service.clock()
    permit = service.permits.read(
        form.permit, text=form.text, recipient=form.recipient, channel=form.channel, now=now
    )
    if permit is None:
        return access.as_json({"valid": False})
    request_id = access.request_id_of(request)
    spent = await access.in_store(
        request, lambda: service.dispatch.use_permit(permit, form.text, caller, request_id, now)
    )
    if isinstance(spent, Unrecorded):
        raise access.not_recorded(spent)
    return access.as_json({"valid": spent})


@router.post("/screenings", operation_id="screen", summary="Screen a text; nothing is sent")
async def screen(request: Request, form: ScreeningForm) -> Response:
    """Return all findings at once, with their places in the text as it was given."""
    access.require(access.caller_of(request), Scope.SCREENINGS)
    draft = Draft(form.text, Channel(form.channel), ScreeningPurpose(form.purpose), Audience(form.audience))
    try:
        verdict = access.service_of(request).rules.screener.screen(draft)
    except Unreadable:
        raise _unreadable() from None
    return access.as_json(_screening_body(verdict, access.language(request)))


@router.post("/redactions", operation_id="redact", summary="Find and mask personal data in a text")
async def redact(request: Request, form: RedactionForm) -> Response:
    """Return what was found and the masked text."""
    access.require(access.caller_of(request), Scope.REDACTIONS)
    try:
        entities = access.service_of(request).finder.find(form.text)
    except Unreadable:
        raise _unreadable() from None
    return access.as_json(
        {
            "entities": [
                {"type": one.type.value, "start": one.start, "end": one.end, "score": round(one.score, 2)}
                for one in entities
            ],
            "masked": mask_spans(form.text, entities),
        }
    )
