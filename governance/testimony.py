"""Turns decisions into log entries: what was asked, by whom, about whom, and why it ended so.

Promises that people stand in the log as pseudonyms, values not at all, and that each field's reasons
and rules are those the answer carries: the log and the answer cannot tell different stories.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from audit.entry import (
    Actor,
    ActorType,
    Basis,
    Entry,
    FieldOutcome,
    Kind,
    Message,
    Party,
    Verdict,
)
from governance.asking import Ask, SendAsk
from governance.grounds import Facts, FieldDecision, SendDecision
from governance.permits import Permit
from policies.identifiers import Prefix, kind_of, new_id
from policies.reasons import Reason
from policies.terms import Action, Effect, FieldName, Outcome, SubjectId

_MOST_RULES: Final = 12
_CELL_DIGEST: Final = 16
_TYPES: Final = {Prefix.SERVICE: ActorType.SERVICE, Prefix.STAFF: ActorType.STAFF}
_SENT: Final = {Outcome.ADMIT: Verdict.PERMIT, Outcome.HOLD: Verdict.REFUSE, Outcome.REFUSE: Verdict.DENY}

Pseudonyms = Mapping[str, bytes]


def party(actor_id: str, names: Pseudonyms) -> Party:
    """Return an actor as the log knows it: staff and services by id, members by pseudonym."""
    kind = kind_of(actor_id)
    if kind in _TYPES:
        return Party(_TYPES[kind], actor_id)
    return Party(ActorType.MEMBER, names[actor_id].hex())


class Said(NamedTuple):
    """What somebody said about data of one subject: the act, through whom it came, whose word it is.

    An empty ``person``: the caller's own, as the operator's is.
    """

    act: str
    caller: Party
    person: str
    subject: SubjectId
    resource: str = ""
    purpose: str = ""
    request_id: str = ""


def of_own_say(said: Said, names: Pseudonyms, policy: str, now: int, dec: Verdict = Verdict.PERMIT) -> Entry:
    """Return the entry of a consent, a withdrawal, a share or a hiding."""
    person = party(said.person, names) if said.person else said.caller
    return Entry(
        t=now,
        kind=Kind.CHANGE,
        act=said.act,
        dec=dec,
        actor=Actor(said.caller, on_behalf_of=None if person == said.caller else person),
        subjects=(names[said.subject],),
        resource=said.resource,
        purpose=said.purpose,
        policy=policy,
        request=said.request_id,
    )


def _actor(caller_id: str, acting_id: str, facts: Facts, names: Pseudonyms) -> Actor:
    return Actor(
        party(caller_id, names),
        roles=tuple(sorted({str(role) for _, role in facts.roles})),
        relation=facts.relation,
        on_behalf_of=None if acting_id == caller_id else party(acting_id, names),
    )


def _about(subject: SubjectId, names: Pseudonyms) -> tuple[bytes, ...]:
    return (names[subject],)


def of_fields(
    ask: Ask,
    facts: Facts,
    decisions: Sequence[FieldDecision],
    names: Pseudonyms,
    policy: str,
    written: Mapping[FieldName, bytes] | None = None,
) -> Entry:
    """Return the entry of a read, a check or a write. ``written`` maps fields to the new sealed cells.

    It is None where nothing is stored: asking whether one may write or send is a check, not a change.
    """
    shown = sum(decision.effect is not Effect.HIDE for decision in decisions)
    complete = shown == len(decisions) if ask.action is Action.WRITE else shown > 0
    if not facts.known:
        decision_word = Verdict.DENY
    elif not facts.usable:
        decision_word = Verdict.REFUSE
    else:
        decision_word = Verdict.PERMIT if complete else Verdict.DENY
    consents = tuple(dict.fromkeys(one.consent for one in decisions if one.consent))
    approvals = dict.fromkeys(one.approval for one in decisions if one.approval)
    return Entry(
        t=facts.now,
        kind=Kind.DECISION if written is None else Kind.CHANGE,
        act=_act(ask) if written is None else ask.action.value,
        dec=decision_word,
        actor=_actor(ask.caller.actor_id, ask.acting, facts, names),
        decision=ask.decision_id,
        # That an emergency was declared is told even where nothing came of it; the words of the reason never.
        why=(Reason.EMERGENCY_CLAIMED.value,) if ask.emergency else (),
        subjects=_about(ask.subject, names),
        fields=tuple(_outcome(one, written or {}) for one in decisions),
        purpose=ask.purpose,
        basis=Basis(consents) if consents else None,
        policy=policy,
        request=ask.request_id,
        corr=next(iter(approvals), ""),
        n=shown,
    )


def _act(ask: Ask) -> str:
    if ask.action is Action.READ:
        return ask.action.value if ask.reveal else "check"
    return f"check.{ask.action.value}"


def _outcome(decision: FieldDecision, written: Mapping[FieldName, bytes]) -> FieldOutcome:
    cell = written.get(decision.field)
    return FieldOutcome(
        decision.field,
        decision.effect,
        tuple(reason.value for reason in decision.reasons),
        decision.rules[:_MOST_RULES],
        b"" if cell is None else sha256(cell).digest()[:_CELL_DIGEST],
    )


def of_rehearsal(ask: Ask, facts: Facts, decisions: Sequence[FieldDecision], policy: str) -> Entry:
    """Return the entry of what rehearsed rules would have decided; it names nobody but the decision."""
    return Entry(
        t=facts.now,
        kind=Kind.ADMIN,
        act="rules.rehearsed",
        dec=Verdict.PERMIT,
        actor=Actor(Party(ActorType.SYSTEM, "rules")),
        fields=tuple(_outcome(one, {}) for one in decisions),
        purpose=ask.purpose,
        policy=policy,
        request=ask.request_id,
        corr=ask.decision_id,
    )


def of_rehearsed_message(entry: Entry, decision: SendDecision, policy: str) -> Entry:
    """Return the entry of what rehearsed rules would have made of a message; it names no recipient."""
    assert entry.message is not None, "only messages come here"
    return Entry(
        t=entry.t,
        kind=Kind.ADMIN,
        act="rules.rehearsed",
        dec=Verdict.PERMIT,
        actor=Actor(Party(ActorType.SYSTEM, "rules")),
        why=tuple(reason.value for reason in decision.reasons),
        message=entry.message._replace(outcome=decision.outcome, rules=()),
        purpose=entry.purpose,
        policy=policy,
        request=entry.request,
        corr=entry.decision,
    )


def of_failure(ask: Ask, names: Pseudonyms, now: int) -> Entry:
    """Return the entry that says: what was allowed did not open. It follows the decision's own entry."""
    return Entry(
        t=now,
        kind=Kind.OUTCOME,
        act="read.failed",
        dec=Verdict.ERROR,
        actor=Actor(party(ask.caller.actor_id, names)),
        decision=ask.decision_id,
        subjects=_about(ask.subject, names),
        purpose=ask.purpose,
        request=ask.request_id,
        corr=ask.decision_id,
    )


def of_message(
    ask: SendAsk,
    recipient: SubjectId,
    facts: Facts,
    decision: SendDecision,
    findings: Sequence[str],
    names: Pseudonyms,
    policy: str,
) -> Entry:
    """Return the entry of one message to one recipient: the text's SHA-256, never the text."""
    return Entry(
        t=facts.now,
        kind=Kind.DECISION,
        act="send",
        dec=_SENT[decision.outcome],
        actor=_actor(ask.caller.actor_id, ask.caller.actor_id, facts, names),
        decision=new_id(Prefix.DECISION),
        why=tuple(reason.value for reason in decision.reasons),
        subjects=_about(recipient, names),
        message=Message(
            ask.message_id,
            ask.channel,
            sha256(ask.text.encode()).digest(),
            decision.outcome,
            tuple(findings[:_MOST_RULES]),
        ),
        purpose=ask.purpose,
        basis=Basis((decision.consent,)) if decision.consent else None,
        policy=policy,
        request=ask.request_id,
        corr=ask.message_id,
    )


def of_delivery(
    permit: Permit, caller_id: str, facts: Facts, *, spent: bool, names: Pseudonyms, request_id: str
) -> Entry:
    """Return the entry of a permit's use: handed over, or stopped at the last moment."""
    return Entry(
        t=facts.now,
        kind=Kind.OUTCOME,
        act="deliver",
        dec=Verdict.PERMIT if spent else Verdict.DENY,
        actor=Actor(party(caller_id, names)),
        subjects=_about(permit.recipient, names),
        resource=permit.id,
        purpose=permit.purpose,
        request=request_id,
        corr=permit.message_id,
    )
