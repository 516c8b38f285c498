"""AuthZEN 1.0 in our words: entities become asks, decisions become answers. Pure: no database, no HTTP.

A field is the resource ``{"type": "field", "id": "<member or household>/<field>"}``, the purpose stands in
``context.purpose``; ``{"type": "purpose", "id": "<purpose>", "properties": {"field": …}}`` asks the same.
Promises that ``read`` is true only for what may be shown in full, so that a caller who reads nothing but
``decision`` releases nothing too much; and that what is unknown, misspelt or not the caller's looks alike.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from audit.sequencing import Recorded
from governance.asking import Answer, Ask
from governance.identity import Caller
from governance.times import rfc3339
from policies.book import RuleBook
from policies.entries import OPAQUE
from policies.identifiers import Prefix, kind_of, new_id
from policies.reasons import Reason
from policies.terms import Action, ActorId, Effect, FieldName, Purpose, SubjectId

FIELD: Final = "field"
PURPOSE: Final = "purpose"
ACTORS: Final = {"member": Prefix.MEMBER, "staff": Prefix.STAFF, "service": Prefix.SERVICE}
"""The types of subject that the households know, and how their ids begin."""

NOTHING: Final[Mapping[str, object]] = MappingProxyType({})
_SUBJECTS: Final = frozenset({Prefix.MEMBER, Prefix.HOUSEHOLD})
_UNDECLARED: Final = Purpose("")
"""Stands for a purpose that no rule book declares: what a caller invents is not repeated in the log."""


class Entity(NamedTuple):
    """A subject or a resource. A searched one has an empty id."""

    type: str
    id: str
    properties: Mapping[str, object] = NOTHING


class Question(NamedTuple):
    """One access evaluation. A searched action has an empty name."""

    subject: Entity
    action: str
    resource: Entity
    action_properties: Mapping[str, object] = NOTHING
    context: Mapping[str, object] = NOTHING

    @property
    def about_households(self) -> bool:
        """Whether it is about a field, and not about a further type of resource."""
        return self.resource.type in (FIELD, PURPOSE)


class Deed(NamedTuple):
    """What an action name asks for, and which effects are enough to say yes."""

    action: Action
    enough: frozenset[Effect]


_WHOLE: Final = frozenset({Effect.SHOW})
DEEDS: Final[Mapping[str, Deed]] = {
    "read": Deed(Action.READ, _WHOLE),
    "read.full": Deed(Action.READ, _WHOLE),
    "read.masked": Deed(Action.READ, _WHOLE | {Effect.MASK}),
    "read.exists": Deed(Action.READ, _WHOLE | {Effect.MASK, Effect.EXISTS}),
    "write": Deed(Action.WRITE, _WHOLE),
    "send": Deed(Action.SEND, _WHOLE),
}
"""Every action there is towards a field or a channel."""


def canonical(question: Question) -> bytes:
    """Return the one spelling of a question, for digests."""
    parts = (question.subject, question.action, question.resource, question.action_properties)
    tree = [*(_plain(part) for part in parts), dict(question.context)]
    return json.dumps(tree, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def _plain(part: Entity | str | Mapping[str, object]) -> object:
    if isinstance(part, Entity):
        return [part.type, part.id, dict(part.properties)]
    return part if isinstance(part, str) else dict(part)


def actor_of(subject: Entity) -> ActorId | None:
    """Return the actor that a subject of the households' types names, if its id fits its type."""
    prefix = ACTORS.get(subject.type)
    return ActorId(subject.id) if prefix is not None and kind_of(subject.id) is prefix else None


def for_another(caller: Caller, subject: Entity) -> bool:
    """Say whether somebody of the households' types is asked about who is not the caller."""
    return subject.type in ACTORS and subject.id != caller.actor_id


class Place(NamedTuple):
    """Which field of whom, and what for."""

    subject: SubjectId
    field: FieldName
    purpose: Purpose

    @property
    def id(self) -> str:
        """The id of the field as a resource."""
        return f"{self.subject}/{self.field}"


def place_of(book: RuleBook, resource: Entity, context: Mapping[str, object]) -> Place | Reason:
    """Return the field that a resource names, or why there is none."""
    name, aim = resource.id, context.get("purpose")
    if resource.type == PURPOSE:
        name, aim = _text(resource.properties.get("field")), resource.id
    subject, _, field = name.partition("/")
    if kind_of(subject) not in _SUBJECTS:
        return Reason.NOT_AVAILABLE
    if FieldName(field) not in book.fields:
        return Reason.UNKNOWN_FIELD
    return Place(SubjectId(subject), FieldName(field), purpose_of(book, aim))


def purpose_of(book: RuleBook, word: object) -> Purpose:
    """Return a declared purpose, or the one that stands for all that are none."""
    purpose = Purpose(_text(word))
    return purpose if purpose in book.purposes else _UNDECLARED


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def ask_of(book: RuleBook, caller: Caller, question: Question, request_id: str) -> Ask | Reason:
    """Return the ask that a question about a field is, or why it can only be denied."""
    acting = actor_of(question.subject)
    if acting is None:
        return Reason.NOT_AVAILABLE
    deed = DEEDS.get(question.action)
    if deed is None:
        return Reason.NO_RULE
    place = place_of(book, question.resource, question.context)
    if isinstance(place, Reason):
        return place
    return ask(caller, acting, deed.action, place.subject, (place.field,), place.purpose, request_id)


def ask(
    caller: Caller,
    acting: ActorId,
    action: Action,
    subject: SubjectId,
    fields: tuple[FieldName, ...],
    purpose: Purpose,
    request_id: str,
) -> Ask:
    """Return an ask for the decision alone: no value is opened for AuthZEN."""
    decision_id = new_id(Prefix.DECISION)
    return Ask(caller, acting, action, subject, fields, purpose, request_id, decision_id, reveal=False)


Body = dict[str, object]


def answer(question: Question, given: Answer, spoken: str) -> Body:
    """Return the gate's answer to a question about one field."""
    field = given.fields[0]
    allowed = field.effect in DEEDS[question.action].enough
    context = _context(given.decision_id, field.reasons, spoken)
    context |= {"effect": field.effect.value, "entry_id": given.entry_id, "receipt": given.receipt}
    if allowed:
        duties = list(given.duties)
        if question.action == "read.masked" and field.effect is Effect.MASK:
            duties.append(f"mask={field.form or OPAQUE}")
        if question.action == "send":
            duties.append("permit=/v1/messages")
        context |= _obliging(duties, spoken)
        if given.valid_until is not None:
            context["valid_until"] = rfc3339(given.valid_until)
    return {"decision": allowed, "context": context}


def answer_of_rules(
    decision_id: str,
    reason: Reason,
    recorded: Recorded,
    duties: Iterable[str],
    spoken: str,
    *,
    allowed: bool,
) -> Body:
    """Return the answer to a question about a further type of resource."""
    context = _context(decision_id, [reason], spoken)
    context |= {"entry_id": recorded.entry_id, "receipt": recorded.index}
    if allowed:
        context |= _obliging(duties, spoken)
    return {"decision": allowed, "context": context}


def not_yours(decision_id: str, spoken: str, reason: Reason = Reason.NOT_AVAILABLE) -> Body:
    """Return the one answer about what is unknown, misspelt or not the caller's."""
    context = _context(decision_id, [reason], spoken) | {"effect": Effect.HIDE.value}
    return {"decision": False, "context": context}


def _context(decision_id: str, reasons: Sequence[Reason], spoken: str) -> Body:
    """Return the reasons of a decision: codes for programs, sentences for people in both languages."""
    return {
        "id": decision_id,
        "reasons": [{"code": one.value, "text": one.sentence(spoken)} for one in reasons],
        "reason_user": {
            "zh": "".join(one.zh for one in reasons),
            "en": " ".join(one.en for one in reasons),
        },
    }


_NOTICES: Final = {
    ("subject", "zh"): "有人刚刚查看了您的信息。谁、为什么，见您的查看记录。",
    ("subject", "en"): "Somebody has just looked at your data. Your access record says who and why.",
    ("guardian", "zh"): "有人刚刚查看了您监护的未成年人的信息。",
    ("guardian", "en"): "Somebody has just looked at the data of a minor in your care.",
}
_OBLIGATIONS: Final[Mapping[str, tuple[str, str]]] = {
    "notify": ("notification", "to"),
    "ttl": ("ttl", "seconds"),
    "log": ("log", "level"),
    "optout": ("optout", "offer"),
    "choice": ("choice", "offer"),
    "approval": ("approval", "by"),
    "review": ("review", "when"),
    "mask": ("mask", "form"),
    "permit": ("permit", "endpoint"),
}
"""How a duty is an obligation: its type, and the property that holds its value.

Every duty of a rule book is here, and two of ours: the form in which a masked value may be shown, and
where the permit is got without which no message is handed over.
"""
OBLIGATIONS: Final = tuple(sorted({type_ for type_, _ in _OBLIGATIONS.values()}))
"""Every type of obligation that an answer may carry."""


def _obliging(duties: Iterable[str], spoken: str) -> Body:
    found: list[Body] = []
    for duty in dict.fromkeys(duties):
        name, _, value = duty.partition("=")
        type_, holder = _OBLIGATIONS[name]
        properties: Body = {holder: int(value) if name == "ttl" else value}
        if name == "notify":
            properties |= {"topic": "access", "body": _NOTICES[value, spoken]}
        found.append({"id": duty, "type": type_, "properties": properties})
    return {"obligations": found} if found else {}
