"""What a decision stands on, and the decision: the facts about one subject, what is said of each field.

A decision has no truth value: whoever writes ``if decision:`` gets an error, not a leak.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, NoReturn

from consent.rules import Standing
from policies.reasons import Reason
from policies.terms import (
    Category,
    Effect,
    FieldName,
    Outcome,
    Relation,
    Role,
    RuleId,
    Scope,
    SubjectKind,
)


class Approved(NamedTuple):
    """An approval on record, and when it ends."""

    id: str
    until: int


class Allowance(NamedTuple):
    """Whether a reader has already seen as many people as it may, and from when there is room again.

    ``retry_at`` is in milliseconds, None while there is room now.
    """

    spent: bool
    retry_at: int | None = None

    def __bool__(self) -> NoReturn:
        raise TypeError("an allowance has no truth value; look at whether it is spent")


class Facts(NamedTuple):
    """Everything that one decision about one subject may look at.

    ``kind`` is None for a subject that does not exist or is closed. ``age`` is in full years, None when it is
    not known. ``present`` names the fields that have a value, None where we do not hold the values (checks).
    ``usable`` is False when a fact could not be collected; everything is then hidden. ``ticket`` is when the
    ticket open with the actor ends. ``approvals`` maps the fields that an approval on record covers for
    exactly this actor, act and purpose, ``shared`` the categories that the subject shares with this actor for
    this purpose to the end of that (None: no end), ``restricted`` those that may only be stored.
    ``changes_at`` is an instant before which time alone changes nothing between the two (None: never); where
    the subject is a minor it lies no more than a day ahead, so that no answer tells a birthday.
    ``emergency``: whoever asks gave a reason why life or health is at stake. ``allowance`` is the reader's,
    None where nobody counts whom it sees. What is None is not known.
    """

    kind: SubjectKind | None
    relation: Relation
    roles: frozenset[tuple[Scope, Role]]
    age: int | None
    standings: Mapping[Category, Standing]
    hidden: frozenset[Category]
    present: frozenset[FieldName] | None
    now: int
    usable: bool = True
    ticket: int | None = None
    approvals: Mapping[FieldName, Approved] = MappingProxyType({})
    same_gender_asked: bool | None = None
    other_gender: bool | None = None
    emergency: bool = False
    shared: Mapping[Category, int | None] = MappingProxyType({})
    restricted: frozenset[Category] = frozenset()
    changes_at: int | None = None
    allowance: Allowance | None = None

    @property
    def known(self) -> bool:
        """Whether the asking party may know that the subject exists."""
        in_office = any(scope is Scope.ORG for scope, _ in self.roles)
        return self.kind is not None and (self.relation is not Relation.NONE or in_office)


class FieldDecision(NamedTuple):
    """What happens to one field, why, and which rules and consent stand behind it."""

    field: FieldName
    effect: Effect
    reasons: tuple[Reason, ...]
    rules: tuple[RuleId, ...] = ()
    duties: tuple[str, ...] = ()
    consent: str | None = None
    unmet: tuple[tuple[RuleId, tuple[str, ...]], ...] = ()
    valid_until: int | None = None
    approval: str | None = None
    remedies: tuple[str, ...] = ()
    """What would lift the rules that forbid more, such as ``approval=guardian``; empty if nothing would."""

    def __bool__(self) -> NoReturn:
        raise TypeError("a decision has no truth value; look at its effect")


class Lift(NamedTuple):
    """What may open more than rule and consent alone: an approval on record, a declared emergency."""

    approval: Approved | None = None
    emergency: bool = False


class SendDecision(NamedTuple):
    """What happens to one message for one recipient, and why."""

    outcome: Outcome
    reasons: tuple[Reason, ...]
    rules: tuple[RuleId, ...] = ()
    consent: str | None = None

    def __bool__(self) -> NoReturn:
        raise TypeError("a decision has no truth value; look at its outcome")
