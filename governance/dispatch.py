"""The gate's second walk: every outbound message, and the one use of each permit.

Promises, in this order and visibly: recipients are held exclusively, so that two senders cannot both
take the last slot of a day; role, consent, cadence and the screened text are decided together by a pure
function; the entry with the text's SHA-256 is committed; and only then is a permit signed. At delivery
the permit is spent and consent is looked at again, so a withdrawal in between still counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from sqlalchemy import bindparam, insert, select

from audit import ledger
from audit.entry import Entry
from audit.sequencing import Recorded
from governance import cadence, facts, replay, testimony
from governance.asking import RecipientAnswer, SendAsk, Unrecorded
from governance.database import Database, OpenTransaction
from governance.decision import decide_send
from governance.gate import CANNOT_RECORD, known_of, names_of
from governance.grounds import Facts, SendDecision
from governance.identity import Caller
from governance.opening import Opening
from governance.permits import Permit, PermitDesk
from governance.records import Message, PermitUse, Review
from governance.replay import Once
from governance.rulekeeping import InForce, RuleKeeper, Rules, RulesUnavailableError
from governance.subjects import Hold
from governance.vault import Found, Vault
from policies.identifiers import Prefix, new_id
from policies.reasons import REASONS
from policies.terms import (
    Action,
    ActorId,
    Audience,
    FieldName,
    Outcome,
    ScreeningOutcome,
    ScreeningPurpose,
    SubjectId,
)
from policies.transaction import Transaction
from redaction.entities import Unfinished
from redaction.screening import Draft, Screener, Verdict

_MINOR_AGE: Final = 18
_ELDER_AGE: Final = 60
_ADD_MESSAGE: Final = insert(Message.__table__)
_ADD_REVIEW: Final = insert(Review.__table__)
_use = PermitUse.__table__
_USED: Final = select(_use.c.permit_id).where(_use.c.permit_id == bindparam("permit"))
_USE: Final = insert(_use)


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a message: its gravest screening, and each recipient's answer."""

    message_id: str
    screening: Verdict
    recipients: tuple[RecipientAnswer, ...]


class Dispatch:
    """All leave to send. One per process."""

    def __init__(
        self, database: Database, keeper: RuleKeeper, vault: Vault, opening: Opening, permits: PermitDesk
    ) -> None:
        self._database = database
        self._keeper = keeper
        self._vault = vault
        self._opening = opening
        self._permits = permits

    def send(self, ask: SendAsk, now: int, once: Once | None = None) -> Sent | Unrecorded:
        """Decide, record and then permit one message for each recipient.

        Raises:
            KeyReusedError: the idempotency key belongs to a different message.
        """
        try:
            return self._keeper.attempt(lambda: self._send(ask, now, once))
        except RulesUnavailableError:
            return Unrecorded(no_rules=True)

    def _send(self, ask: SendAsk, now: int, once: Once | None) -> Sent | Unrecorded:
        try:
            with self._database.transaction() as tx:
                found = self._vault.find(tx, set(ask.recipients), (), Hold.CHANGE)
                force = self._keeper.in_force(tx)
                rules = force.rules
                screened = _Screened(rules, ask)
                known = self._facts(tx, rules, found, ask, now)
                earlier = replay.earlier(tx, ask.caller.actor_id, once, now)
                if earlier is not None:
                    return self._again(tx, rules, ask, earlier, screened, known, now)
                replay.remember(tx, ask.caller.actor_id, once, ask.message_id, now)
                taken = cadence.taken(tx, ask.recipients, now)
                decisions = [
                    _decide(rules, ask, fact, screened.outcome(audience_of(fact)), taken.get(one, 0))
                    for one, fact in zip(ask.recipients, known, strict=True)
                ]
                decided = list(zip(ask.recipients, known, decisions, strict=True))
                if screened.purpose is ScreeningPurpose.MARKETING:
                    admitted = [one for one, _, what in decided if what.outcome is Outcome.ADMIT]
                    cadence.take(tx, {one: taken.get(one, 0) for one in admitted}, ask.message_id, now)
                self._keep(tx, ask, decisions, screened.rules(), now)
                names = names_of(tx, [*ask.recipients, ask.caller.actor_id])
                entries = [
                    testimony.of_message(
                        ask, one, fact, what, screened.rules(), names, rules.book.fingerprint
                    )
                    for one, fact, what in decided
                ]
                recorded = ledger.record(
                    tx, entries + _rehearse(force, ask, decided, screened, taken, entries)
                )
                # A crash before the next line: no slot, no entry. After it: an entry, no permit was signed.
                tx.commit()
        except RulesUnavailableError:
            raise
        except CANNOT_RECORD:
            return Unrecorded()
        answers = tuple(
            self._answer(rules, ask, one, entry.decision, what, placed, now)
            for (one, _, what), entry, placed in zip(decided, entries, recorded, strict=False)
        )
        return Sent(ask.message_id, screened.gravest(), answers)

    def _again(
        self,
        tx: OpenTransaction,
        rules: Rules,
        ask: SendAsk,
        message_id: str,
        screened: _Screened,
        known: Sequence[Facts],
        now: int,
    ) -> Sent:
        """Tell once more what was decided when the message first came, from the log."""
        for fact in known:
            screened.outcome(audience_of(fact))
        names = {name: one for one, name in names_of(tx, ask.recipients).items()}
        ledger.integrate(tx, now)  # what was said the first time may still be waiting for its place
        found = ledger.entries_of(tx, message_id)
        tx.commit()  # a place that was rolled back would be somebody else's by the time it is told
        answers = []
        for index, entry in found:
            recipient = names.get(entry.subjects[0]) if entry.subjects else None
            if entry.message is None or recipient is None:
                continue
            reasons = tuple(REASONS[code] for code in entry.why)
            what = SendDecision(entry.message.outcome, reasons)
            again = ask._replace(message_id=message_id)
            answers.append(
                self._answer(
                    rules,
                    again,
                    SubjectId(recipient),
                    entry.decision,
                    what,
                    Recorded(entry.id, index),
                    entry.t,
                )
            )
        return Sent(message_id, screened.gravest(), tuple(answers))

    def _facts(self, tx: Transaction, rules: Rules, found: Found, ask: SendAsk, now: int) -> list[Facts]:
        wanted = [
            facts.Wanted(one, ask.caller.actor_id, ask.purpose, (_channel(ask),), Action.SEND)
            for one in ask.recipients
        ]
        about = known_of(found, self._opening, rules.book, now)
        return facts.collect(tx, rules.book, wanted, about, now)

    def _keep(
        self,
        tx: Transaction,
        ask: SendAsk,
        decisions: Sequence[SendDecision],
        rules: Sequence[str],
        now: int,
    ) -> None:
        """Keep the message by its digest; one that a person must judge waits with its text sealed."""
        message = {
            "id": ask.message_id,
            "sender_id": ask.caller.actor_id,
            "channel": ask.channel.value,
            "purpose": ask.purpose,
            "text_sha256": sha256(ask.text.encode()).digest(),
            "created_at": now,
        }
        tx.run(_ADD_MESSAGE, message)
        held = sum(what.outcome is Outcome.HOLD for what in decisions)
        if not held:
            return
        review = new_id(Prefix.REVIEW)
        waiting = {
            "id": review,
            "message_id": ask.message_id,
            "sender_id": ask.caller.actor_id,
            "recipients": held,
            "rules": " ".join(rules),
            "text": self._opening.seal_alone(tx, review, "review", ask.text, now).cell,
            "state": "waiting",
            "created_at": now,
        }
        tx.run(_ADD_REVIEW, waiting)

    def _answer(
        self,
        rules: Rules,
        ask: SendAsk,
        recipient: SubjectId,
        decision_id: str,
        what: SendDecision,
        recorded: Recorded,
        now: int,
    ) -> RecipientAnswer:
        permit = None
        if what.outcome is Outcome.ADMIT:
            permit = self._permits.sign(
                Permit(
                    permit_id(ask.message_id, recipient),
                    ask.message_id,
                    ask.caller.actor_id,
                    recipient,
                    ask.channel,
                    ask.purpose,
                    sha256(ask.text.encode()).hexdigest(),
                    now + rules.book.limits.permit_seconds * 1000,
                    recorded.entry_id,
                )
            )
        return RecipientAnswer(
            recipient,
            decision_id,
            what.outcome,
            what.reasons,
            recorded.entry_id,
            recorded.index,
            permit,
        )

    def use_permit(
        self, permit: Permit, text: str, caller: Caller, request_id: str, now: int
    ) -> bool | Unrecorded:
        """Spend a permit that was read and fits; False if it was used or consent is gone meanwhile."""
        sender = Caller(ActorId(permit.sender_id), Prefix.SERVICE)
        ask = SendAsk(
            sender,
            permit.message_id,
            permit.channel,
            permit.purpose,
            text,
            (permit.recipient,),
            request_id,
        )
        try:
            return self._keeper.attempt(lambda: self._use(permit, ask, caller, now))
        except RulesUnavailableError:
            return Unrecorded(no_rules=True)

    def _use(self, permit: Permit, ask: SendAsk, caller: Caller, now: int) -> bool | Unrecorded:
        try:
            with self._database.transaction() as tx:
                found = self._vault.find(tx, {permit.recipient}, (), Hold.CHANGE)
                rules = self._keeper.in_force(tx).rules
                fact = self._facts(tx, rules, found, ask, now)[0]
                # The text was screened and the slot is held since the permit was given (hence one less
                # taken); role and consent may have ended since.
                what = _decide(rules, ask, fact, ScreeningOutcome.ALLOW, taken=-1)
                fresh = not tx.rows(_USED, {"permit": permit.id})
                spent = fresh and what.outcome is Outcome.ADMIT
                if spent:
                    tx.run(_USE, {"permit_id": permit.id, "used_at": now})
                names = names_of(tx, [permit.recipient, caller.actor_id])
                entry = testimony.of_delivery(
                    permit, caller.actor_id, fact, spent=spent, names=names, request_id=ask.request_id
                )
                ledger.record(tx, [entry])
                tx.commit()
        except RulesUnavailableError:
            raise
        except CANNOT_RECORD:
            return Unrecorded()
        return spent


def _rehearse(
    force: InForce,
    ask: SendAsk,
    decided: Sequence[tuple[SubjectId, Facts, SendDecision]],
    screened: _Screened,
    taken: Mapping[SubjectId, int],
    entries: Sequence[Entry],
) -> list[Entry]:
    """Return an entry for each recipient for whom rehearsed rules would have decided differently.

    The text is not screened anew: what is rehearsed here is who may write to whom for what.
    """
    found = []
    for book, plan in force.rehearsals:
        for (one, fact, was), entry in zip(decided, entries, strict=True):
            left = book.limits.promotions_per_member_per_day - taken.get(one, 0)
            outcome = screened.outcome(audience_of(fact))
            other = decide_send(book, plan, _channel(ask), ask.purpose, fact, outcome, left)
            if other.outcome is not was.outcome:
                found.append(testimony.of_rehearsed_message(entry, other, book.fingerprint))
    return found


def _decide(rules: Rules, ask: SendAsk, fact: Facts, screened: ScreeningOutcome, taken: int) -> SendDecision:
    left = rules.book.limits.promotions_per_member_per_day - taken
    return decide_send(rules.book, rules.plan, _channel(ask), ask.purpose, fact, screened, left)


def permit_id(message_id: str, recipient: SubjectId) -> str:
    """Return the one id of the permit for a message and recipient, however often it is signed."""
    return Prefix.PERMIT + sha256(f"{message_id} {recipient}".encode()).hexdigest()[:32]


class _Screened:
    """The screenings of one message, one per audience, made when first asked for."""

    def __init__(self, rules: Rules, ask: SendAsk) -> None:
        terms = rules.book.purposes.get(ask.purpose)
        # An unknown purpose is refused anyway; it is screened by the stricter set.
        self.purpose = (terms.screening if terms is not None else None) or ScreeningPurpose.MARKETING
        self._screener: Screener = rules.screener
        self._ask = ask
        self._verdicts: dict[Audience, Verdict] = {}

    def outcome(self, audience: Audience) -> ScreeningOutcome:
        """Return the outcome for one audience."""
        verdict = self._verdicts.get(audience)
        if verdict is None:
            draft = Draft(self._ask.text, self._ask.channel, self.purpose, audience)
            try:
                verdict = self._screener.screen(draft)
            except Unfinished:
                # A search that was cut short has found nothing, which is not the same as nothing there.
                verdict = Verdict(ScreeningOutcome.REVIEW, ())
            self._verdicts[audience] = verdict
        return verdict.outcome

    def gravest(self) -> Verdict:
        """Return the gravest verdict among the audiences that were met."""
        order = list(ScreeningOutcome)
        return max(self._verdicts.values(), key=lambda verdict: order.index(verdict.outcome))

    def rules(self) -> tuple[str, ...]:
        """Return the ids of all rules that found something, for any audience."""
        found = (finding.rule for verdict in self._verdicts.values() for finding in verdict.findings)
        return tuple(dict.fromkeys(found))


def audience_of(fact: Facts) -> Audience:
    """Return the audience that a recipient belongs to, by age; unknown ages are plain members."""
    age = fact.age
    if age is None:
        return Audience.MEMBER
    if age < _MINOR_AGE:
        return Audience.MINOR
    return Audience.ELDER if age >= _ELDER_AGE else Audience.ADULT


def _channel(ask: SendAsk) -> FieldName:
    return FieldName(f"channel.{ask.channel}")
