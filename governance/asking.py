"""What goes into the gate and what comes out of it: values, never exceptions.

A refusal is a value until the router turns it into a problem document: a refusal that travelled as an
exception would take its own log entry down with the rollback.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

from governance.identity import Caller
from policies.reasons import Reason
from policies.terms import (
    Action,
    ActorId,
    Channel,
    Effect,
    EntityType,
    FieldName,
    Outcome,
    Purpose,
    RuleId,
    SubjectId,
)


class Ask(NamedTuple):
    """One question about one subject: may this be done with these fields for this purpose?

    ``acting`` is whom the decision is about: the caller, or the person the calling service acts for.
    With ``reveal`` the allowed values are opened after the commit; without it the answer is the
    decision alone, for services that hold the data themselves. ``emergency`` is the reason why life or
    health is at stake, empty where nobody says so; it never stands in the log.
    """

    caller: Caller
    acting: ActorId
    action: Action
    subject: SubjectId
    fields: tuple[FieldName, ...]
    purpose: Purpose
    request_id: str
    decision_id: str
    reveal: bool
    emergency: str = ""


class FieldAnswer(NamedTuple):
    """One field of an answer. ``value`` is set for ``show`` and ``mask`` only.

    ``form`` is how the rules that decided mask the field, for a caller that holds the value itself.
    ``remedies`` is what would lift the rules that forbid more, such as ``approval=guardian``.
    """

    field: FieldName
    effect: Effect
    reasons: tuple[Reason, ...]
    rules: tuple[RuleId, ...]
    value: str | None = None
    form: EntityType | None = None
    remedies: tuple[str, ...] = ()


class Answer(NamedTuple):
    """The decision, recorded by the entry ``entry_id``, and whatever it allows to be shown.

    ``receipt`` is the entry's index in the log, None where it has yet to be given one.
    """

    decision_id: str
    entry_id: str
    receipt: int | None
    fields: tuple[FieldAnswer, ...]
    duties: tuple[str, ...]
    valid_until: int | None
    retry_at: int | None = None
    """From when a field that a limit withheld can be asked for again; None where no limit did."""

    def __bool__(self) -> NoReturn:
        raise TypeError("an answer has no truth value; look at its fields")

    @property
    def shows_nothing(self) -> bool:
        """Whether every field is hidden."""
        return all(field.effect is Effect.HIDE for field in self.fields)


@dataclass(frozen=True, slots=True)
class NotYours:
    """There is no such subject, or the asking party may not know of it. The two look alike."""


@dataclass(frozen=True, slots=True)
class Unrecorded:
    """The decision could not be committed to the log, so there is none and nothing was opened.

    ``no_rules``: it was not even made, because the rules in force could not be loaded.
    """

    no_rules: bool = False


@dataclass(frozen=True, slots=True)
class Broken:
    """A value that may be shown did not open; the failure is in the log, the cause is not told."""


Reply = Answer | NotYours | Unrecorded | Broken


class WriteAsk(NamedTuple):
    """Values that somebody wants to store: all of them or none."""

    ask: Ask
    values: Mapping[FieldName, str]


class SendAsk(NamedTuple):
    """One message to many recipients."""

    caller: Caller
    message_id: str
    channel: Channel
    purpose: Purpose
    text: str
    recipients: tuple[SubjectId, ...]
    request_id: str


class RecipientAnswer(NamedTuple):
    """What becomes of the message for one recipient; ``permit`` is set when it is admitted."""

    recipient: SubjectId
    decision_id: str
    outcome: Outcome
    reasons: tuple[Reason, ...]
    entry_id: str
    receipt: int | None
    permit: str | None = None
