"""Evaluations about what a rule book declares beside households: the same plan, recorded before told.

Promises that a decision rests on the book's own facts, on attributes that the book lets a caller state,
and, for members, staff and services, on the roles they hold in the database, never on roles a caller
claims; that nothing is answered before the entry that says so is committed; and that what others call
their people and things stands in the log as a keyed digest only, which nobody can find by guessing.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple, NoReturn

from sqlalchemy import bindparam, select

from audit import ledger
from audit.entry import Actor, Entry, FieldOutcome, Kind, Party, Verdict
from audit.sequencing import Recorded
from governance import testimony
from governance.asking import Unrecorded
from governance.authzen import ACTORS, Entity, Question, actor_of, canonical, for_another
from governance.gate import CANNOT_RECORD, names_of
from governance.identity import Caller
from governance.records import Actor as ActorRow
from governance.rulekeeping import Rules, RulesUnavailableError
from governance.wiring import Service
from policies.plan import NO_PURPOSE
from policies.reasons import Reason
from policies.resources import Named
from policies.terms import Effect, Level, Relation, Role, RuleId, Scope
from policies.transaction import Transaction

_actor = ActorRow.__table__
_OFFICES: Final = select(_actor.c.id, _actor.c.roles).where(
    _actor.c.id.in_(bindparam("actors", expanding=True)), _actor.c.state == "active"
)
_MOST_RULES: Final = 12


class Foreign(NamedTuple):
    """A question that the gate does not answer. ``why``: the reason it is denied for without the rules."""

    question: Question
    decision_id: str
    why: Reason | None = None


class Judged(NamedTuple):
    """What the rules say about a question."""

    allowed: bool
    reason: Reason
    rules: tuple[RuleId, ...] = ()
    duties: tuple[str, ...] = ()

    def __bool__(self) -> NoReturn:
        raise TypeError("a judgement has no truth value; look at what it allows")


class Evaluated(NamedTuple):
    """A judgement and its entry in the log."""

    judged: Judged
    recorded: Recorded


_UNKNOWN: Final = Judged(allowed=False, reason=Reason.NOT_AVAILABLE)


def judge(tx: Transaction, rules: Rules, questions: Sequence[Question]) -> list[Judged]:
    """Return what the rules say about each question, in order; nothing is recorded."""
    ours = {actor for one in questions if (actor := actor_of(one.subject)) is not None}
    offices: Mapping[str, str] = dict(tx.rows(_OFFICES, {"actors": sorted(ours)})) if ours else {}  # type: ignore[arg-type]
    return [_judge(rules, one, offices) for one in questions]


def _judge(rules: Rules, question: Question, offices: Mapping[str, str]) -> Judged:
    subject, declared = question.subject, rules.book.resources
    if question.resource.type not in declared.types:
        return _UNKNOWN
    asking = _named(subject)
    if subject.type in ACTORS:
        if subject.id not in offices:
            return _UNKNOWN
        roles = frozenset((Scope.ORG, Role(role)) for role in offices[subject.id].split())
    elif subject.type in declared.subject_types:
        roles = declared.roles_of(asking)
    else:
        return _UNKNOWN
    facts = declared.facts(asking, _named(question.resource), question.action_properties, question.context)
    thing = f"type:{question.resource.type}"
    verdict = rules.plan.verdict(roles, thing, question.action, Relation.NONE, NO_PURPOSE, facts)
    if verdict.level is Level.FULL:
        return Judged(True, Reason.RULE_ALLOWS, verdict.rules, verdict.duties)  # noqa: FBT003 - the field's name says it
    reason = Reason.DENIED_BY_RULE if verdict.denied_by else Reason.NO_RULE
    return Judged(allowed=False, reason=reason, rules=verdict.denied_by)


def _named(entity: Entity) -> Named:
    return Named(entity.type, entity.id, entity.properties)


def evaluate(
    service: Service, caller: Caller, asked: Sequence[Foreign], request_id: str, now: int
) -> list[Evaluated] | Unrecorded:
    """Judge, record and then answer each question, in order, in one transaction."""
    if not asked:
        return []
    try:
        return service.keeper.attempt(lambda: _evaluate(service, caller, asked, request_id, now))
    except RulesUnavailableError:
        return Unrecorded(no_rules=True)
    except CANNOT_RECORD:
        return Unrecorded()


def _evaluate(
    service: Service, caller: Caller, asked: Sequence[Foreign], request_id: str, now: int
) -> list[Evaluated]:
    with service.database.transaction() as tx:
        rules = service.keeper.in_force(tx).rules
        open_ones = [one.question for one in asked if one.why is None]
        said = iter(judge(tx, rules, open_ones))
        judged = [next(said) if one.why is None else Judged(allowed=False, reason=one.why) for one in asked]
        names = names_of(tx, people(caller, (one.question.subject for one in asked)))
        writer = _Writer(service, rules, caller, request_id, names, now)
        entries = [writer.entry(one, what) for one, what in zip(asked, judged, strict=True)]
        recorded = ledger.record(tx, entries)
        # A crash before the next line: no entry, no answer. After it: an entry, and nobody was told.
        tx.commit()
    return [Evaluated(what, one) for what, one in zip(judged, recorded, strict=True)]


def people(caller: Caller, subjects: Iterable[Entity]) -> set[str]:
    """Return everybody of ours whom an entry may name as somebody who acts."""
    return {str(caller.actor_id), *(str(one) for one in map(actor_of, subjects) if one is not None)}


def behalf(caller: Caller, subject: Entity, names: testimony.Pseudonyms) -> Party | None:
    """Return for whom the caller asked, if that is one of ours and not the caller."""
    actor = actor_of(subject) if for_another(caller, subject) else None
    return None if actor is None else testimony.party(actor, names)


def digest(service: Service, question: Question) -> str:
    """Return a question's digest under a key of this deployment.

    Keyed, because a plain hash of a question about a mail address is that address for whoever guesses it.
    """
    key = hmac.digest(service.ring.cursor_key, b"question", hashlib.sha256)
    return hmac.digest(key, canonical(question), hashlib.sha256).hex()


class _Writer(NamedTuple):
    service: Service
    rules: Rules
    caller: Caller
    request_id: str
    names: testimony.Pseudonyms
    now: int

    def entry(self, one: Foreign, what: Judged) -> Entry:
        """Return the entry of one evaluation: declared words in clear, everything else as a digest."""
        question, rules = one.question, self.rules
        declared = rules.book.resources.types.get(question.resource.type)
        kind = "?" if declared is None else declared.id
        verb = question.action if declared is not None and declared.admits(question.action) else "?"
        effect = Effect.SHOW if what.allowed else Effect.HIDE
        return Entry(
            t=self.now,
            kind=Kind.DECISION,
            act="evaluate",
            dec=Verdict.PERMIT if what.allowed else Verdict.DENY,
            actor=Actor(
                testimony.party(self.caller.actor_id, self.names),
                on_behalf_of=behalf(self.caller, question.subject, self.names),
            ),
            decision=one.decision_id,
            resource=f"{kind} {verb} {digest(self.service, question)}",
            fields=(FieldOutcome(f"type:{kind}", effect, (what.reason.value,), what.rules[:_MOST_RULES]),),
            policy=rules.book.fingerprint,
            request=self.request_id,
            n=int(what.allowed),
        )
