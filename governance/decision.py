"""What is decided: facts in, decision out. No clock, no database, no HTTP.

Promises one decision per field with its reasons; that what no rule allows is hidden; that a fact which
could not be collected hides; that a hidden field and an absent one get the same answer; and that the
law's floor for children under 14 holds whatever the rule file says (个人信息保护法 第二十八条、
第三十一条). A decision has no truth value: whoever writes ``if decision:`` gets an error, not a leak.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple, NoReturn

from consent.rules import Standing
from policies.book import RuleBook
from policies.entries import FieldEntry
from policies.plan import Plan, Verdict
from policies.reasons import Reason
from policies.terms import (
    EFFECT_OF_LEVEL,
    Action,
    Category,
    Condition,
    Effect,
    FieldName,
    Level,
    Outcome,
    Purpose,
    Relation,
    Role,
    RuleId,
    Scope,
    ScreeningOutcome,
    ScreeningPurpose,
    SubjectKind,
)

_CHILD: Final = 14
_ADULT: Final = 18
_FAMILY: Final = frozenset({Relation.SELF, Relation.WARD, Relation.CORESIDENT})


class Facts(NamedTuple):
    """Everything that one decision about one subject may look at.

    ``kind`` is None for a subject that does not exist or is closed. ``age`` is in full years, None when it is
    not known. ``present`` names the fields that
    have a value, None where we do not hold the values (checks). ``usable`` is False when a fact could
    not be collected; everything is then hidden.
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

    def __bool__(self) -> NoReturn:
        raise TypeError("a decision has no truth value; look at its effect")


class SendDecision(NamedTuple):
    """What happens to one message for one recipient, and why."""

    outcome: Outcome
    reasons: tuple[Reason, ...]
    rules: tuple[RuleId, ...] = ()
    consent: str | None = None

    def __bool__(self) -> NoReturn:
        raise TypeError("a decision has no truth value; look at its outcome")


def decide_fields(
    book: RuleBook, plan: Plan, action: Action, fields: tuple[FieldName, ...], purpose: Purpose, facts: Facts
) -> tuple[FieldDecision, ...]:
    """Decide each field that somebody asks to read or write."""
    return tuple(_decide_field(book, plan, action, field, purpose, facts) for field in fields)


def _hide(field: FieldName, *reasons: Reason) -> FieldDecision:
    return FieldDecision(field, Effect.HIDE, reasons)


def _decide_field(
    book: RuleBook, plan: Plan, action: Action, field: FieldName, purpose: Purpose, facts: Facts
) -> FieldDecision:
    entry = book.fields.get(field)
    if entry is None or entry.subject is not facts.kind or entry.channel is not None:
        return _hide(field, Reason.UNKNOWN_FIELD)
    if purpose not in book.purposes:
        return _hide(field, Reason.UNKNOWN_PURPOSE)
    if not facts.usable:
        return _hide(field, Reason.FACTS_UNAVAILABLE)
    standing = facts.standings.get(entry.category)
    conditions = _conditions(book, purpose, facts, standing)
    hidden = entry.category in facts.hidden
    # First as if nothing were hidden: someone who may not look anyway must not learn of the hiding.
    verdict = plan.verdict(facts.roles, field, action, facts.relation, purpose, conditions)
    protected = _protected_child(facts, standing)
    if verdict.level is Level.HIDDEN or protected:
        return _withheld(entry, verdict, standing, protected)
    if hidden:
        verdict = plan.verdict(
            facts.roles, field, action, facts.relation, purpose, conditions | {Condition.HIDDEN: True}
        )
    absent = action is Action.READ and facts.present is not None and field not in facts.present
    if verdict.level is Level.HIDDEN or absent:
        return _hide(field, Reason.NOT_AVAILABLE)
    if action is Action.WRITE and not _collectable(entry, purpose, facts, standing):
        return _hide(field, Reason.NO_BASIS_TO_COLLECT)
    return _allowed(field, verdict, facts.relation, standing)


def _conditions(
    book: RuleBook, purpose: Purpose, facts: Facts, standing: Standing | None
) -> dict[Condition, bool]:
    """Return the named facts. What is missing is unknown, and unknown never opens anything."""
    conditions = {
        Condition.HIDDEN: False,
        Condition.PROFILED: book.purposes[purpose].profiled,
        Condition.TICKET: False,
    }
    if standing is not None:
        conditions[Condition.CONSENT] = standing.permits
    age = facts.age
    if age is not None:
        conditions[Condition.UNDER_14] = age < _CHILD
        conditions[Condition.UNDER_18] = age < _ADULT
        # Nobody has approved anything yet: approvals of guardians and officers are not on record. A
        # guardian needs none for what the ward may not do alone.
        conditions[Condition.UNAPPROVED] = age < _ADULT and facts.relation is not Relation.WARD
    elif facts.kind is SubjectKind.HOUSEHOLD:
        conditions |= {Condition.UNDER_14: False, Condition.UNDER_18: False, Condition.UNAPPROVED: False}
    return conditions


def _protected_child(facts: Facts, standing: Standing | None) -> bool:
    """Say whether the law's floor withholds: a child, an outsider, and no guardian's consent."""
    if facts.kind is not SubjectKind.MEMBER or facts.relation in _FAMILY:
        return False
    child = facts.age is None or facts.age < _CHILD
    return child and (standing is None or not standing.permits)


def _collectable(entry: FieldEntry, purpose: Purpose, facts: Facts, standing: Standing | None) -> bool:
    """Say whether a value may be taken in: for a declared purpose, by the person or with a basis."""
    if facts.relation in _FAMILY:
        return True
    return purpose in entry.collected_for and standing is not None and standing.permits


def _withheld(
    entry: FieldEntry, verdict: Verdict, standing: Standing | None, protected: bool
) -> FieldDecision:
    duties: tuple[str, ...] = ()
    waiting_for = {condition for _, conditions in verdict.unmet for condition in conditions}
    if verdict.denied_by and verdict.level is Level.HIDDEN and Condition.CONSENT not in waiting_for:
        reason = Reason.DENIED_BY_RULE
    elif standing is not None and not standing.permits and (protected or Condition.CONSENT in waiting_for):
        reason = standing.reason
        duties = standing.duties
    elif verdict.denied_by:
        reason = Reason.DENIED_BY_RULE
    else:
        reason = Reason.NO_RULE
    return FieldDecision(
        entry.name, Effect.HIDE, (reason,), rules=verdict.denied_by, duties=duties, unmet=verdict.unmet
    )


def _allowed(
    field: FieldName, verdict: Verdict, relation: Relation, standing: Standing | None
) -> FieldDecision:
    reasons = [Reason.RULE_ALLOWS]
    consent = None
    valid_until = None
    duties = verdict.duties
    if relation is Relation.SELF:
        reasons = [Reason.OWN_DATA]
    elif standing is not None and standing.permits:
        reasons = [standing.reason]
        consent = standing.consent_id
        valid_until = standing.valid_until
        duties = tuple(dict.fromkeys((*duties, *standing.duties)))
    if verdict.level is Level.MASKED:
        reasons.append(Reason.MASKED_BY_RULE)
    elif verdict.level is Level.EXISTS:
        reasons.append(Reason.EXISTENCE_ONLY)
    return FieldDecision(
        field,
        EFFECT_OF_LEVEL[verdict.level],
        tuple(reasons),
        rules=verdict.rules,
        duties=duties,
        consent=consent,
        unmet=verdict.unmet,
        valid_until=valid_until,
    )


def decide_send(
    book: RuleBook,
    plan: Plan,
    channel: FieldName,
    purpose: Purpose,
    facts: Facts,
    screened: ScreeningOutcome,
    slots_left: int,
) -> SendDecision:
    """Decide one message to one recipient; every reason is told, the gravest sets the outcome.

    ``screened`` is the screening outcome for this recipient's audience; ``slots_left`` how many
    promotional messages the recipient may still get today.
    """
    entry = book.fields.get(channel)
    terms = book.purposes.get(purpose)
    if entry is None or entry.channel is None or facts.kind is not SubjectKind.MEMBER:
        return SendDecision(Outcome.REFUSE, (Reason.RECIPIENT_UNAVAILABLE,))
    if terms is None or terms.screening is None:
        return SendDecision(Outcome.REFUSE, (Reason.UNKNOWN_PURPOSE,))
    if not facts.usable:
        return SendDecision(Outcome.REFUSE, (Reason.FACTS_UNAVAILABLE,))
    standing = facts.standings.get(entry.category)
    conditions = _conditions(book, purpose, facts, standing)
    verdict = plan.verdict(facts.roles, channel, Action.SEND, facts.relation, purpose, conditions)
    refusals: list[Reason] = []
    if verdict.level is not Level.FULL:
        refusals.append(_why_not_sent(verdict, standing, conditions))
    if screened is ScreeningOutcome.BLOCK:
        refusals.append(Reason.CONTENT_BLOCKED)
    if terms.screening is ScreeningPurpose.MARKETING and slots_left <= 0:
        refusals.append(Reason.DAILY_CAP)
    consent = standing.consent_id if standing is not None and standing.permits else None
    if refusals:
        return SendDecision(Outcome.REFUSE, tuple(refusals), rules=verdict.denied_by)
    if screened is ScreeningOutcome.REVIEW:
        return SendDecision(Outcome.HOLD, (Reason.CONTENT_NEEDS_REVIEW,), verdict.rules, consent)
    basis = standing.reason if standing is not None and standing.permits else Reason.RULE_ALLOWS
    return SendDecision(Outcome.ADMIT, (basis, Reason.CONTENT_CLEAN), verdict.rules, consent)


def _why_not_sent(
    verdict: Verdict, standing: Standing | None, conditions: Mapping[Condition, bool]
) -> Reason:
    if verdict.denied_by:
        minor = conditions.get(Condition.UNDER_18, True)
        return Reason.MINOR_PROTECTED if minor else Reason.DENIED_BY_RULE
    if standing is not None and not standing.permits:
        return standing.reason
    return Reason.ROLE_MAY_NOT_SEND
