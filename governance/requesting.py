"""Access requests: from a denial that an approval would lift to the approval that somebody is asked for.

Promises that a request can only be made for what this service has denied, to the same caller, for the
same question and for a few minutes: the denial carries a token bound to all four, and nothing is kept
meanwhile. Who approves, and what an approval changes, is not decided here: ``Approvals`` opens the task,
and where there is none nothing is offered.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Final, NamedTuple, Protocol

from governance.authzen import Body, Entity, Question, canonical
from governance.cursors import Tokens
from governance.identity import Caller
from governance.replay import Once
from governance.times import rfc3339
from policies.terms import Action, ActorId, FieldName, Purpose, SubjectId

PATH: Final = "/access/v1/requests"
OFFERED_MS: Final = 15 * 60_000
"""How long a denial may be answered with a request; later the question is simply asked again."""

_APPROVAL: Final = "approval"


class Wish(NamedTuple):
    """What somebody asks an approval for: the denied question in our words.

    ``template`` is the rule's word for who approves: ``guardian`` or ``minor_access``. ``evaluation_id`` is
    the denied decision, with which the approval shares a story in the log.
    """

    caller: Caller
    acting: ActorId
    action: Action
    subject: SubjectId
    field: FieldName
    purpose: Purpose
    template: str
    evaluation_id: str
    request_id: str


class Task(NamedTuple):
    """An approval that is asked for. ``status`` is ``pending``, ``approved``, ``denied`` or ``expired``."""

    id: str
    status: str
    expires_at: int | None = None


class Approvals(Protocol):
    """The desk at which approvals are opened."""

    def open_approval(self, wish: Wish, now: int, _once: Once | None = None) -> Task:
        """Record that an approval is asked for and return its task; a repeated request is the same task."""
        ...

    def approval(self, caller: Caller, task_id: str, now: int) -> Task | None:
        """Return a task that this caller opened, or None."""
        ...


def template_of(remedies: Iterable[str]) -> str | None:
    """Return who would have to approve, if approval is what would lift a denial, and nothing else."""
    names = {name: value for name, _, value in (remedy.partition("=") for remedy in remedies)}
    return names.get(_APPROVAL) if names.keys() == {_APPROVAL} else None


class Desk:
    """Offers requests with denials and knows its own offers again. One per caller."""

    def __init__(self, key: bytes, caller: Caller, public_url: str) -> None:
        self._tokens = Tokens(key, f"access-request:{caller.actor_id}")
        self._base = public_url + PATH

    def offer(self, question: Question, evaluation_id: str, template: str, now: int) -> Body:
        """Return what a denial carries so that its receiver can ask for approval."""
        expires = now + OFFERED_MS
        token = self._tokens.write(_binding(question, evaluation_id, template, expires))
        request = {
            "endpoint": self._base,
            "template": template,
            "expires_at": rfc3339(expires),
            "binding_token": token,
        }
        return {"evaluation_id": evaluation_id, "access_request": request}

    def template(self, question: Question, evaluation_id: str, token: str, now: int) -> str | None:
        """Return the template of an offer made to this caller for this question, None if there is none."""
        said = self._tokens.said(token)
        if said is None:
            return None
        template, expires, _, _ = json.loads(said)
        if said != _binding(question, evaluation_id, template, expires) or now >= expires:
            return None
        return str(template)

    def told(self, task: Task) -> Body:
        """Return a task as its opener sees it; an approval is never a decision, so one asks again."""
        body: Body = {"id": task.id, "status": task.status, "status_endpoint": f"{self._base}/{task.id}"}
        if task.expires_at is not None:
            body["expires_at"] = rfc3339(task.expires_at)
        told: Body = {"task": body}
        if task.status == "approved":
            told["result"] = {"mode": "reevaluate"}
        return told


def _binding(question: Question, evaluation_id: str, template: str, expires: int) -> bytes:
    # Of the context only the purpose decides; what a caller adds for people must not break the binding.
    purpose = {"purpose": question.context.get("purpose")}
    bound = question._replace(context=purpose, subject=_bare(question.subject))
    said = [template, expires, evaluation_id, hashlib.sha256(canonical(bound)).hexdigest()]
    return json.dumps(said, separators=(",", ":")).encode()


def _bare(entity: Entity) -> Entity:
    return Entity(entity.type, entity.id)
