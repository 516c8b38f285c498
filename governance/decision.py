"""What is decided: facts in, decision out. No clock, no database, no HTTP.

Promises one decision per field with its reasons; that what no rule allows is hidden; that a fact which
could not be collected hides; that a hidden field and an absent one get the same answer; and that the
law's floor for children under 14 holds whatever the rule file says (个人信息保护法 第二十八条、
第三十一条). A decision has no truth value: whoever writes ``if decision:`` gets an error, not a leak.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from consent.rules import Standing
from governance.grounds import Facts, FieldDecision, Lift, SendDecision
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
    ScreeningOutcome,
    ScreeningPurpose,
    SubjectKind,
)

_CHILD: Final = 14
_ADULT: Final = 18
_ORDER: Final = {effect: level for level, effect in EFFECT_OF_LEVEL.items()}
_FAMILY: Final = frozenset({Relation.SELF, Relation.WARD, Relation.CORESIDENT})


_PLAIN: Final = Lift()


def decide_fields(
    book: RuleBook, plan: Plan, action: Action, fields: tuple[FieldName, ...], purpose: Purpose, facts: Facts
) -> tuple[FieldDecision, ...]:
    """Decide each field that somebody asks to read or write, or channel that somebody asks to send by."""
    if action is Action.SEND:
        return tuple(_decide_channel(book, plan, channel, purpose, facts) for channel in fields)
    return tuple(_decide_field(book, plan, action, field, purpose, facts) for field in fields)


def _decide_channel(
    book: RuleBook, plan: Plan, channel: FieldName, purpose: Purpose, facts: Facts
) -> FieldDecision:
    """Decide whether role and standing let somebody write through a channel, as if a message were clean.

    No text is screened and no slot of the day is looked at, so no reason speaks of them: whoever is let
    through here still needs a permit for each message.
    """
    entry = book.fields.get(channel)
    if entry is None or entry.channel is None:
        return _hide(channel, Reason.UNKNOWN_FIELD)
    sent = decide_send(book, plan, channel, purpose, facts, ScreeningOutcome.ALLOW, slots_left=1)
    reasons = tuple(reason for reason in sent.reasons if reason is not Reason.CONTENT_CLEAN)
    if sent.outcome is not Outcome.ADMIT:
        return FieldDecision(channel, Effect.HIDE, reasons, rules=sent.rules)
    duties = (duty for rule in sent.rules if book.grants[rule].allows for duty in book.grants[rule].duties)
    return FieldDecision(
        channel,
        Effect.SHOW,
        reasons,
        rules=sent.rules,
        duties=tuple(dict.fromkeys(duties)),
        consent=sent.consent,
    )


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
    # An approval or an emergency counts only where it opens more than there would be without it: else the
    # approval is not used up, and the emergency is not on record as the ground of what consent allows.
    best = _decide_with(_PLAIN, book, plan, action, entry, purpose, facts)
    for lift in _lifts(action, field, facts):
        further = _decide_with(lift, book, plan, action, entry, purpose, facts)
        if _gain(further) > _gain(best):
            best = further
    return best._replace(valid_until=_earliest(best.valid_until, facts.changes_at))


def _earliest(*ends: int | None) -> int | None:
    return min((end for end in ends if end is not None), default=None)


def _gain(decision: FieldDecision) -> tuple[Level, bool]:
    """Order decisions by how much they tell; that there is nothing is told as well."""
    return _ORDER[decision.effect], Reason.NOT_AVAILABLE in decision.reasons


def _lifts(action: Action, field: FieldName, facts: Facts) -> list[Lift]:
    """Return what may be tried beside rule and consent, the least first."""
    approval = facts.approvals.get(field)
    lifts = [] if approval is None else [Lift(approval)]
    if facts.emergency and action is Action.READ:
        lifts += [Lift(emergency=True), *(Lift(approval, emergency=True) for _ in lifts)]
    return lifts


def _decide_with(
    lift: Lift,
    book: RuleBook,
    plan: Plan,
    action: Action,
    entry: FieldEntry,
    purpose: Purpose,
    facts: Facts,
) -> FieldDecision:
    field = entry.name
    standing = facts.standings.get(entry.category)
    conditions = conditions_of(book, entry.category, purpose, facts, lift)
    hidden = entry.category in facts.hidden
    # First as if nothing were hidden: someone who may not look anyway must not learn of the hiding.
    verdict = plan.verdict(facts.roles, field, action, facts.relation, purpose, conditions)
    # What an emergency opens rests on another ground than consent. The floor is about consent, so it holds
    # for everything but the rows for emergencies.
    broken = lift.emergency and _rests_on(Condition.EMERGENCY, book, verdict)
    protected = _protected_child(facts, standing) and not broken
    if verdict.level is Level.HIDDEN or protected:
        return _withheld(entry, verdict, standing, protected, shared=entry.category in facts.shared)
    if _is_stored_only(entry.category, facts, standing) and not broken:
        return _hide(field, Reason.RESTRICTED)
    # Before hiding and absence are looked at: who may see nobody else for now learns neither. Where life is
    # at stake nobody is stopped; every such read is judged by two people afterwards.
    if action is Action.READ and _has_seen_enough(facts) and not broken:
        return _hide(field, Reason.BULK_LIMIT)
    if hidden:
        verdict = plan.verdict(
            facts.roles, field, action, facts.relation, purpose, conditions | {Condition.HIDDEN: True}
        )
    absent = action is Action.READ and facts.present is not None and field not in facts.present
    if verdict.level is Level.HIDDEN or absent:
        return _hide(field, Reason.NOT_AVAILABLE, *((Reason.EMERGENCY_ACCESS,) if broken else ()))
    if action is Action.WRITE and not _collectable(entry, purpose, facts, standing):
        return _hide(field, Reason.NO_BASIS_TO_COLLECT)
    decision = _allowed(field, verdict, facts.relation, standing, lift)
    ends = [decision.valid_until, lift.approval and lift.approval.until]
    ends += [facts.ticket] if _rests_on(Condition.TICKET, book, verdict) else []
    ends += [facts.shared.get(entry.category)] if _rests_on(Condition.SHARED, book, verdict) else []
    return decision._replace(valid_until=_earliest(*ends))


def _rests_on(condition: Condition, book: RuleBook, verdict: Verdict) -> bool:
    """Say whether an allow row with this condition reaches the level by itself."""
    applied = [book.grants[rule] for rule in verdict.rules if rule in book.grants]
    return any(condition in grant.conditions and grant.level >= verdict.level for grant in applied)


def conditions_of(
    book: RuleBook, category: Category, purpose: Purpose, facts: Facts, lift: Lift = _PLAIN
) -> dict[Condition, bool]:
    """Return the named facts. What is missing is unknown, and unknown never opens anything."""
    standing = facts.standings.get(category)
    conditions = {
        Condition.HIDDEN: False,
        Condition.SHARED: category in facts.shared,
        Condition.PROFILED: book.purposes[purpose].profiled,
        Condition.TICKET: facts.ticket is not None,
        Condition.EMERGENCY: lift.emergency,
    }
    if facts.same_gender_asked is not None:
        conditions[Condition.SAME_GENDER_ASKED] = facts.same_gender_asked
    if facts.other_gender is not None:
        conditions[Condition.OTHER_GENDER] = facts.other_gender
    if standing is not None:
        conditions[Condition.CONSENT] = standing.permits
    age = facts.age
    if age is not None:
        conditions[Condition.UNDER_14] = age < _CHILD
        conditions[Condition.UNDER_18] = age < _ADULT
        # A guardian needs no approval for what the ward may not do alone.
        conditions[Condition.UNAPPROVED] = age < _ADULT and facts.relation is not Relation.WARD
    elif facts.kind is SubjectKind.HOUSEHOLD:
        conditions |= {Condition.UNDER_14: False, Condition.UNDER_18: False, Condition.UNAPPROVED: False}
    if lift.approval is not None:
        conditions[Condition.UNAPPROVED] = False
    return conditions


def _protected_child(facts: Facts, standing: Standing | None) -> bool:
    """Say whether the law's floor withholds: a child, an outsider, and no guardian's consent."""
    if facts.kind is not SubjectKind.MEMBER or facts.relation in _FAMILY:
        return False
    child = facts.age is None or facts.age < _CHILD
    return child and (standing is None or not standing.permits)


def _is_stored_only(category: Category, facts: Facts, standing: Standing | None) -> bool:
    """Say whether a restriction withholds: from everybody but the person, unless agreed to again since."""
    if facts.relation is Relation.SELF or category not in facts.restricted:
        return False
    return standing is None or not standing.permits


def _has_seen_enough(facts: Facts) -> bool:
    """Say whether the reader's limit for different people is used up (mission S23)."""
    return facts.allowance is not None and facts.allowance.spent


def _collectable(entry: FieldEntry, purpose: Purpose, facts: Facts, standing: Standing | None) -> bool:
    """Say whether a value may be taken in: for a declared purpose, by the person or with a basis."""
    if facts.relation in _FAMILY:
        return True
    return purpose in entry.collected_for and standing is not None and standing.permits


def _withheld(
    entry: FieldEntry, verdict: Verdict, standing: Standing | None, protected: bool, *, shared: bool
) -> FieldDecision:
    duties: tuple[str, ...] = ()
    waiting_for = {condition for _, conditions in verdict.unmet for condition in conditions}
    if verdict.denied_by and verdict.level is Level.HIDDEN and Condition.CONSENT not in waiting_for:
        reason = Reason.DENIED_BY_RULE
    elif Condition.SHARED in waiting_for and not shared:
        # The same whatever was agreed: that others were named is not for this viewer to know.
        reason = Reason.NOT_SHARED
    elif standing is not None and not standing.permits and (protected or Condition.CONSENT in waiting_for):
        reason = standing.reason
        duties = standing.duties
    elif verdict.denied_by:
        reason = Reason.DENIED_BY_RULE
    else:
        reason = Reason.NO_RULE
    curable = reason is Reason.DENIED_BY_RULE and not protected
    return FieldDecision(
        entry.name,
        Effect.HIDE,
        (reason,),
        rules=verdict.denied_by,
        duties=duties,
        unmet=verdict.unmet,
        remedies=verdict.remedies if curable else (),
    )


def _allowed(
    field: FieldName, verdict: Verdict, relation: Relation, standing: Standing | None, lift: Lift
) -> FieldDecision:
    reasons = [Reason.RULE_ALLOWS]
    consent = None
    valid_until = None
    duties = verdict.duties
    if lift.emergency:
        reasons = [Reason.EMERGENCY_ACCESS]
    elif relation is Relation.SELF:
        reasons = [Reason.OWN_DATA]
    elif standing is not None and standing.permits:
        reasons = [standing.reason]
        consent = standing.consent_id
        valid_until = standing.valid_until
        duties = tuple(dict.fromkeys((*duties, *standing.duties)))
    if lift.approval is not None:
        reasons.append(Reason.APPROVED)
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
        approval=None if lift.approval is None else lift.approval.id,
        remedies=verdict.remedies,
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
    conditions = conditions_of(book, entry.category, purpose, facts)
    verdict = plan.verdict(facts.roles, channel, Action.SEND, facts.relation, purpose, conditions)
    refusals: list[Reason] = []
    if verdict.level is not Level.FULL:
        refusals.append(_why_not_sent(verdict, standing, conditions))
    elif _is_stored_only(entry.category, facts, standing):
        refusals.append(Reason.RESTRICTED)
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
