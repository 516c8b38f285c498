"""AuthZEN 1.0 over HTTP: evaluations one by one and in batches, and requests for access that was denied.

Bodies become questions, questions go to whoever decides, decisions become JSON. A denial is a 200; every
kind of bad request is a 400, and the header ``X-Request-ID`` comes back (``governance.door`` sees to both).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Final, NamedTuple

from fastapi import APIRouter, Path, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from governance import authzen, evaluating, strictjson
from governance.api import access
from governance.api.questions import DEEPEST, BatchForm, QuestionForm, RequestForm, whole
from governance.approving import NoSuchApprovalError, UnfitApprovalError
from governance.asking import Answer, Ask, Broken, NotYours, Reply, Unrecorded
from governance.authzen import Body, Question
from governance.door import route_for
from governance.evaluating import Evaluated, Foreign
from governance.identity import Caller, Scope
from governance.problems import Problem, ProblemError
from governance.requesting import Desk, Wish, template_of
from policies.identifiers import Prefix, new_id
from policies.reasons import Reason

router = APIRouter(prefix="/access/v1", route_class=route_for(access.api_caller), tags=["authzen"])

_PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "subject": ("type", "id"),
    "action": ("name",),
    "resource": ("type", "id"),
}
_ENDS_WITH: Final = {"deny_on_first_deny": False, "permit_on_first_permit": True}


def admitted(request: Request, scope: Scope) -> Caller:
    """Return the caller if its key has the scope; a body that is nested too deeply goes no further."""
    caller = access.caller_of(request)
    access.require(caller, scope)
    if strictjson.depth_of(request._json) > DEEPEST:  # noqa: SLF001 - where the door put it
        raise ProblemError(Problem.TOO_DEEP)
    return caller


class _Way(NamedTuple):
    """A question and where it goes: to the gate, or to the further types of resources."""

    question: Question
    to: Ask | Foreign


class _Round:
    """The questions of one call on their way to decisions."""

    def __init__(self, request: Request, caller: Caller) -> None:
        self._request = request
        self._caller = caller
        self._service = access.service_of(request)
        self._book = self._service.rules.book
        self._spoken = access.language(request)

    def way(self, question: Question) -> _Way | Problem:
        """Return where a question goes; whoever asks about somebody else's doings needs leave to."""
        behalf = authzen.for_another(self._caller, question.subject)
        if behalf and Scope.ON_BEHALF not in self._caller.scopes:
            return Problem.OUT_OF_SCOPE
        if not question.about_households:
            return _Way(question, Foreign(question, new_id(Prefix.DECISION)))
        found = authzen.ask_of(self._book, self._caller, question, access.request_id_of(self._request))
        if isinstance(found, Reason):
            return _Way(question, Foreign(question, new_id(Prefix.DECISION), found))
        return _Way(question, found)

    async def decide(self, ways: Sequence[_Way | Problem]) -> list[Body | Problem]:
        """Return a decision for each, in order: one batch for the gate, one transaction for the others."""
        asks = [one.to for one in ways if isinstance(one, _Way) and isinstance(one.to, Ask)]
        others = [one.to for one in ways if isinstance(one, _Way) and isinstance(one.to, Foreign)]
        request_id, now = access.request_id_of(self._request), self._service.clock()
        replies = iter(await access.collector_of(self._request).read(asks) if asks else ())
        evaluated = await access.in_store(
            self._request,
            lambda: evaluating.evaluate(self._service, self._caller, others, request_id, now),
        )
        if isinstance(evaluated, Unrecorded):
            raise access.not_recorded(evaluated)
        judged = iter(evaluated)
        return [
            one
            if isinstance(one, Problem)
            else self._of_gate(one.question, one.to, next(replies))
            if isinstance(one.to, Ask)
            else self._of_rules(one.to, next(judged))
            for one in ways
        ]

    def _of_gate(self, question: Question, ask: Ask, reply: Reply) -> Body | Problem:
        match reply:
            case Answer():
                told = authzen.answer(question, reply, self._spoken)
                return told if told["decision"] else self._offered(told, question, reply)
            case NotYours():
                return authzen.not_yours(ask.decision_id, self._spoken)
            case Broken():
                return Problem.INTERNAL
            case Unrecorded():
                raise access.not_recorded(reply)

    def _of_rules(self, one: Foreign, found: Evaluated) -> Body:
        judged = found.judged
        if one.why is not None or judged.reason is Reason.NOT_AVAILABLE:
            return authzen.not_yours(one.decision_id, self._spoken, judged.reason)
        return authzen.answer_of_rules(
            one.decision_id,
            judged.reason,
            found.recorded,
            judged.duties,
            self._spoken,
            allowed=judged.allowed,
        )

    def _offered(self, told: Body, question: Question, answer: Answer) -> Body:
        """Add how to ask for approval to a denial that an approval would lift, where there is such a desk."""
        template, desk = template_of(answer.fields[0].remedies), _desk(self._request, self._caller)
        if template is not None and desk is not None:
            offer = desk.offer(question, answer.decision_id, template, self._service.clock())
            told["context"] = {**_object(told["context"]), **offer}
        return told


def _object(value: object) -> dict[str, object]:
    assert isinstance(value, dict)
    return value


# --- evaluations


@router.post("/evaluation", operation_id="evaluate", summary="AuthZEN access evaluation")
async def evaluate(request: Request, form: QuestionForm) -> Response:
    """Answer one AuthZEN access evaluation; a denial is a 200 too."""
    return await _single(request, admitted(request, Scope.CHECKS), whole(form))


async def _single(request: Request, caller: Caller, question: Question) -> Response:
    round_ = _Round(request, caller)
    told = (await round_.decide([round_.way(question)]))[0]
    if isinstance(told, Problem):
        raise ProblemError(told)
    return access.as_json(told)


@router.post("/evaluations", operation_id="evaluate_many", summary="AuthZEN access evaluations")
async def evaluate_many(request: Request, form: BatchForm) -> Response:
    """Answer up to 100 AuthZEN access evaluations with shared defaults; all, or up to the deciding one."""
    caller = admitted(request, Scope.CHECKS)
    if not form.evaluations:
        plain = form.model_dump(include={*_PARTS, "context"})
        try:
            single = whole(QuestionForm.model_validate(plain))
        except ValidationError as error:
            faults = [{**one, "loc": ("body", *one["loc"])} for one in error.errors(include_input=False)]
            raise RequestValidationError(faults) from None
        return await _single(request, caller, single)
    round_ = _Round(request, caller)
    ways = [_item(round_, form, item) for item in form.evaluations]
    told = [_in_place(one, access.language(request)) for one in await round_.decide(ways)]
    semantic = form.options.evaluations_semantic if form.options is not None else None
    if semantic in _ENDS_WITH:
        # All are decided and recorded in one batch; what comes after the deciding one is not told.
        last = next((i for i, one in enumerate(told) if one["decision"] is _ENDS_WITH[semantic]), len(told))
        told = told[: last + 1]
    return access.as_json({"evaluations": told})


def _item(round_: _Round, form: BatchForm, item: object) -> _Way | Problem:
    """Return where one item of a batch goes, or what is wrong with it."""
    if not isinstance(item, dict):
        return Problem.INVALID_REQUEST
    given = {name: _merged(item.get(name), getattr(form, name), _PARTS[name]) for name in _PARTS}
    given["context"] = item.get("context") if item.get("context") is not None else form.context
    try:
        return round_.way(whole(QuestionForm.model_validate(given)))
    except ValidationError:
        return Problem.INVALID_REQUEST


def _merged(own: object, default: dict[str, object] | None, required: tuple[str, ...]) -> object:
    """Return an item's own entity as a whole; of the default it takes no more than a required part."""
    if own is None:
        return default
    if not isinstance(own, dict):
        return own
    missing = {name: (default or {}).get(name) for name in required if own.get(name) is None}
    return {**own, **missing}


def _in_place(told: Body | Problem, spoken: str) -> Body:
    if not isinstance(told, Problem):
        return told
    status = Problem.EMPTY_BODY.status if told is Problem.INVALID_REQUEST else told.status
    error = {"status": status, "code": told.value, "message": told.sentence(spoken)}
    return {"decision": False, "context": {"error": error}}


# --- access requests


def _desk(request: Request, caller: Caller) -> Desk | None:
    """Return the desk that offers requests; none for a key with which no approval could be asked for."""
    service = access.service_of(request)
    if service.approvals is None:
        return None
    if Scope.CONSENTS not in caller.scopes:
        return None
    return Desk(service.ring.cursor_key, caller, service.settings.public_url)


@router.post("/requests", operation_id="request_access", summary="AuthZEN access request")
async def request_access(request: Request, form: RequestForm) -> Response:
    """Ask for the approval that would lift a denial; the denial offers this where it would help."""
    caller = admitted(request, Scope.CONSENTS)  # as at /v1/approvals: asking is more than checking
    service, desk = access.service_of(request), _desk(request, caller)
    approvals = service.approvals
    if desk is None or approvals is None:
        raise ProblemError(Problem.NOT_FOUND)
    question = whole(form)
    way = _Round(request, caller).way(question)
    if isinstance(way, Problem):
        raise ProblemError(way)
    now = service.clock()
    template = desk.template(question, form.denial.evaluation_id, form.denial.binding_token, now)
    if template is None or not isinstance(way.to, Ask):
        raise ProblemError(
            Problem.INVALID_REQUEST, errors=[{"pointer": "/denial/binding_token", "code": "no_such_denial"}]
        )
    ask = way.to
    wish = Wish(
        caller,
        ask.acting,
        ask.action,
        ask.subject,
        ask.fields[0],
        ask.purpose,
        template,
        form.denial.evaluation_id,
        ask.request_id,
    )
    once = await access.once_of(request)
    try:
        task = await access.in_store(request, lambda: approvals.open_approval(wish, now, once))
    except (NoSuchApprovalError, UnfitApprovalError):
        raise ProblemError(Problem.NOT_FOUND) from None
    return access.as_json(desk.told(task), 201)


@router.get("/requests/{task_id}", operation_id="get_access_request", summary="AuthZEN access request task")
async def get_access_request(
    request: Request, task_id: Annotated[str, Path(pattern=r"^[a-z]{2,4}_[0-9a-f-]{36}$")]
) -> Response:
    """Tell the caller who opened it how an access request stands."""
    caller = access.caller_of(request)
    access.require(caller, Scope.CONSENTS)
    service, desk = access.service_of(request), _desk(request, caller)
    approvals = service.approvals
    if desk is None or approvals is None:
        raise ProblemError(Problem.NOT_FOUND)
    task = await access.in_store(request, lambda: approvals.approval(caller, task_id, service.clock()))
    if task is None:
        raise ProblemError(Problem.NOT_FOUND)
    return access.as_json(desk.told(task))
