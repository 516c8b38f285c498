"""The first walk over HTTP: reads, checks, filters and collection, for services."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from governance import documents
from governance.api import access
from governance.api.forms import (
    AskForm,
    AskOrCheckForm,
    CheckForm,
    FieldsForm,
    FilterForm,
    LookupForm,
    ReadForm,
)
from governance.asking import Answer, Ask, NotYours, Reply, WriteAsk
from governance.door import route_for
from governance.identity import Caller, Scope
from governance.problems import Problem, ProblemError
from governance.times import rfc3339
from policies.identifiers import Prefix, new_id, pattern
from policies.reasons import Reason
from policies.terms import Action, Effect, FieldName, Purpose, SubjectId
from redaction.masking import mask

router = APIRouter(prefix="/v1", route_class=route_for(access.api_caller), tags=["reads"])


def _ask(
    caller: Caller, form: AskForm | FilterForm, fields: Sequence[str], request: Request, *, reveal: bool
) -> Ask:
    prefix = Prefix.MEMBER if form.subject.type == "member" else Prefix.HOUSEHOLD
    if not form.subject.id.startswith(prefix):
        raise ProblemError(Problem.INVALID_REQUEST, errors=[{"pointer": "/subject/id", "code": "wrong_type"}])
    return Ask(
        caller,
        access.acting(caller, form.on_behalf_of),
        Action.READ,
        SubjectId(form.subject.id),
        tuple(FieldName(field) for field in dict.fromkeys(fields)),
        Purpose(form.purpose),
        access.request_id_of(request),
        new_id(Prefix.DECISION),
        reveal,
    )


@router.post("/reads", operation_id="read", summary="Read fields of a member or household")
async def read(request: Request, form: ReadForm) -> Response:
    """Return each field shown, masked, admitted to exist or hidden, with its reasons."""
    caller = access.caller_of(request)
    access.require(caller, Scope.READS)
    ask = _ask(caller, form, form.fields, request, reveal=True)
    if form.emergency is not None:
        ask = ask._replace(emergency=form.emergency.reason)
    answer = access.answered((await access.collector_of(request).read([ask]))[0])
    spoken = access.language(request)
    body = access.answer_body(answer, spoken)
    if answer.shows_nothing:
        raise ProblemError(Problem.WITHHELD, extra=body, retry_after=_wait(request, answer))
    return access.as_json(body)


def _wait(request: Request, answer: Answer) -> int | None:
    """Return in how many whole seconds a limit has room again, at least one; None where no limit spoke."""
    if answer.retry_at is None:
        return None
    return max(1, -(-(answer.retry_at - access.service_of(request).clock()) // 1000))


@router.post("/checks", operation_id="check", summary="Decide without data, one ask or up to 100")
async def check(request: Request, form: AskOrCheckForm) -> Response:
    """Return decisions and duties, never values. Whatever is decided, the status is 200."""
    caller = access.caller_of(request)
    access.require(caller, Scope.CHECKS)
    forms = form.checks if isinstance(form, CheckForm) else [form]
    asks = [_ask(caller, one, one.fields, request, reveal=False) for one in forms]
    replies = await access.collector_of(request).read(asks)
    spoken = access.language(request)
    bodies = [_check_body(ask, reply, spoken) for ask, reply in zip(asks, replies, strict=True)]
    return access.as_json({"checks": bodies} if isinstance(form, CheckForm) else bodies[0])


def _check_body(ask: Ask, reply: Reply, spoken: str) -> dict[str, object]:
    if isinstance(reply, NotYours):
        # No 404 here: a batch is answered as a whole. Unknown and not yours still look the same.
        hidden = {"effect": Effect.HIDE.value, "reasons": access.say([Reason.NOT_AVAILABLE], spoken)}
        return {
            "decision_id": ask.decision_id,
            "fields": [{"field": field, **hidden} for field in ask.fields],
            "duties": [],
            "valid_until": None,
        }
    answer = access.answered(reply)
    until = None if answer.valid_until is None else rfc3339(answer.valid_until)
    return {**access.answer_body(answer, spoken), "valid_until": until}


@router.post("/lookups", operation_id="look_up", summary="Find the member with a mobile number")
async def look_up(request: Request, form: LookupForm) -> Response:
    """Return the member's id if the caller may know it; the same 404 for nobody and for not yours."""
    caller = access.caller_of(request)
    access.require(caller, Scope.LOOKUPS)
    acting = access.acting(caller, form.on_behalf_of)
    gate = access.service_of(request).gate
    subject = await access.in_store(request, lambda: gate.bearer_of(form.mobile))
    ask = Ask(
        caller,
        acting,
        Action.READ,
        subject,
        (FieldName("mobile"),),
        Purpose(form.purpose),
        access.request_id_of(request),
        new_id(Prefix.DECISION),
        reveal=False,
    )
    answer = access.answered((await access.collector_of(request).read([ask]))[0])
    if answer.shows_nothing:
        raise ProblemError(Problem.NOT_FOUND)
    return access.as_json(
        {
            "decision_id": answer.decision_id,
            "entry_id": answer.entry_id,
            "receipt": answer.receipt,
            "subject": {"type": "member", "id": subject},
        }
    )


@router.post("/filters", operation_id="filter", summary="Filter a document of yours")
async def filter_document(request: Request, form: FilterForm) -> Response:
    """Return the document with each mapped value shown, masked or removed."""
    caller = access.caller_of(request)
    access.require(caller, Scope.CHECKS)
    paths = documents.parse_mapping(form.mapping, form.document)
    fields = list(dict.fromkeys(form.mapping.values()))
    reply = (await access.collector_of(request).read([_ask(caller, form, fields, request, reveal=False)]))[0]
    answer = access.answered(reply)
    decided = {field.field: field for field in answer.fields}

    def treat(field: str, value: str) -> str | None:
        one = decided[FieldName(field)]
        if one.effect is Effect.SHOW:
            return value
        return mask(one.form, value) if one.effect is Effect.MASK else None

    filtered = documents.treat(form.document, paths, treat)
    return access.as_json({**access.answer_body(answer, access.language(request)), "document": filtered})


async def _write(request: Request, subject: str, form: FieldsForm) -> Response:
    caller = access.caller_of(request)
    access.require(caller, Scope.WRITES)
    service = access.service_of(request)
    ask = Ask(
        caller,
        access.acting(caller, form.on_behalf_of),
        Action.WRITE,
        SubjectId(subject),
        tuple(FieldName(field) for field in form.values),
        Purpose(form.purpose),
        access.request_id_of(request),
        new_id(Prefix.DECISION),
        reveal=False,
    )
    values = {FieldName(field): value for field, value in form.values.items()}
    documents.examine_values(values)
    reply = await access.in_store(request, lambda: service.gate.write(WriteAsk(ask, values), service.clock()))
    answer: Answer = access.answered(reply)
    body = access.answer_body(answer, access.language(request))
    if any(field.effect is not Effect.SHOW for field in answer.fields):
        raise ProblemError(Problem.WITHHELD, extra=body)
    return access.as_json(body)


@router.put(
    "/members/{member_id}/fields", operation_id="put_member_fields", summary="Store values of a member"
)
async def put_member_fields(
    request: Request, form: FieldsForm, member_id: Annotated[str, Path(pattern=pattern(Prefix.MEMBER))]
) -> Response:
    """Store all values or none; refused without a basis for collecting."""
    return await _write(request, member_id, form)


@router.put(
    "/households/{household_id}/fields",
    operation_id="put_household_fields",
    summary="Store values of a household",
)
async def put_household_fields(
    request: Request, form: FieldsForm, household_id: Annotated[str, Path(pattern=pattern(Prefix.HOUSEHOLD))]
) -> Response:
    """Store all values or none; the primary account manages shared data."""
    return await _write(request, household_id, form)
