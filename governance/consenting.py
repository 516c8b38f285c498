"""Consent as people and services carry it out: tick, confirm, withdraw, hide.

Promises that as what somebody acts (the person, a guardian, the primary account) follows from the
relation on record and is never claimed; that a withdrawal is one call that needs no code, no approval and
no reason (个人信息保护法 第十五条); and that the change, the epoch and the log entry commit together: a
read that starts after the answer sees it, on every replica.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from audit.entry import Verdict
from consent import confirmation, eventlog, outcome, registry
from consent.events import Capacity, Event, EventKind
from consent.listing import Consent, Terms
from consent.outbox import CodeMessage, CodeSender
from consent.weighing import DENIAL_REASONS
from governance import announcing, replay, subjects
from governance.acting import NoSuchConsentError, On, actor_for, existing, log_act, own
from governance.announcing import Told
from governance.codes import CodeNotSentError, Codes, NoGatewayError, NotWaitingError, Ticked, ticked_of
from governance.givingout import GivenOut, gathered
from governance.replay import Once
from governance.rulekeeping import RulesUnavailableError
from governance.showing import (
    AskedTooSoonError,
    Prompt,
    asked_from,
    locale_of,
    refuse_unfit,
    shown_to,
)
from governance.subjects import Hold
from policies.book import RuleBook
from policies.identifiers import Prefix
from policies.reasons import Reason
from policies.terms import SubjectId
from policies.transaction import Transaction

_ENDS: Final = frozenset({EventKind.WITHDRAWN, EventKind.REVOKED})
BookOf = Callable[[Transaction], RuleBook | None]
"""Gives the rules that a transaction goes by, or None where none can be used."""
_AT_ONCE: Final = Prompt()


class Consenting(Codes):
    """The desk in front of the consent registry."""

    def with_sender(self, sender: CodeSender) -> Consenting:
        """Return the same desk with another gateway for its codes."""
        return Consenting(self._database, self._keeper, self._pepper, sender, self._birth_of)

    def may_ask_from(self, on: On, subject: SubjectId, purpose: str, now: int) -> int:
        """Return the instant from which the person may be asked about a purpose; in the past: at once."""

        def look() -> int:
            with self._database.reading() as tx:
                actor_for(tx, on, subject, now)
                book = self._keeper.in_force(tx).rules.book
                refuse_unfit(book, Terms(purpose, frozenset(), "", ""))
                return asked_from(tx, book, subject, purpose, now)

        return self._keeper.attempt(look)

    def serve(
        self, on: On, subject: SubjectId, terms: Terms, prompt: Prompt, now: int, once: Once | None = None
    ) -> str:
        """Record that a notice was shown, and return the id of the consent that it may lead to."""
        return self._keeper.attempt(lambda: self._serve(on, subject, terms, prompt, now, once))

    def _serve(
        self, on: On, subject: SubjectId, terms: Terms, prompt: Prompt, now: int, once: Once | None
    ) -> str:
        with self._database.transaction() as tx:
            book = self._keeper.in_force(tx).rules.book
            refuse_unfit(book, terms)
            actor = actor_for(tx, on, subject, now)
            subjects.change(tx, [subject])
            earlier = replay.earlier(tx, on.caller.actor_id, once, now)
            if earlier is not None:
                return earlier
            actor = shown_to(actor, locale_of(tx, terms, now), prompt)
            if until := self._hushed(tx, on, subject, terms.purpose, prompt, book, now):
                tx.commit()  # that somebody wanted to ask stays on record
                raise AskedTooSoonError(until)
            consent_id = registry.serve(tx, subject, terms, actor, now)
            replay.remember(tx, on.caller.actor_id, once, consent_id, now)
            what = {"resource": consent_id, "purpose": terms.purpose, "policy": book.fingerprint}
            log_act(tx, "consent.served", on, subject, now, dec=Verdict.PERMIT, **what)
            tx.commit()
        return consent_id

    def tick(
        self,
        on: On,
        subject: SubjectId,
        terms: Terms,
        now: int,
        once: Once | None = None,
        prompt: Prompt = _AT_ONCE,
    ) -> Ticked:
        """Record that the box below the notice was ticked, and send the one-time code.

        Raises:
            CodeNotSentError: it is recorded, but the gateway did not take the code.
            TooManyCodesError: this actor has not answered the codes of several other ticks.
        """
        if self._sender is None:
            raise NoGatewayError
        ticked, message = self._keeper.attempt(lambda: self._tick(on, subject, terms, now, once, prompt))
        if message is not None:
            self._hand_over(on, ticked, message, now)
        return ticked

    def _tick(
        self, on: On, subject: SubjectId, terms: Terms, now: int, once: Once | None, prompt: Prompt
    ) -> tuple[Ticked, CodeMessage | None]:
        with self._database.transaction() as tx:
            book = self._keeper.in_force(tx).rules.book
            refuse_unfit(book, terms)
            actor = actor_for(tx, on, subject, now)
            subjects.rows_of(tx, {subject, SubjectId(on.member)}, Hold.CHANGE)
            subjects.change(tx, [subject])
            earlier = replay.earlier(tx, on.caller.actor_id, once, now)
            if earlier is not None:
                before = existing(tx, earlier)
                if before.code_sent_at is None:
                    raise CodeNotSentError(ticked_of(book, before))
                return ticked_of(book, before), None
            actor = shown_to(actor, locale_of(tx, terms, now), prompt)
            if until := self._hushed(tx, on, subject, terms.purpose, prompt, book, now):
                tx.commit()
                raise AskedTooSoonError(until)
            self._refuse_flood(tx, on.member, book, now)
            if prompt.served is None:
                consent_id = registry.serve_and_tick(tx, subject, terms, actor, now)
            else:
                consent_id = prompt.served
                registry.tick(tx, subject, consent_id, terms, actor, now)
            consent = existing(tx, consent_id)
            code = confirmation.open_challenge(tx, consent, book.limits, self._pepper)
            assert code is not None, "a consent that was just ticked has no used code"
            replay.remember(tx, on.caller.actor_id, once, consent_id, now)
            self._note(tx, "consent.ticked", on, consent, now)
            tx.commit()
        ticked = ticked_of(book, consent)
        return ticked, self._message(consent, code, ticked, now)

    def withdraw(self, on: On, consent_id: str, now: int) -> int:
        """Withdraw; always accepted. Returns the instant since which the consent is withdrawn.

        Raises:
            NoSuchConsentError: there is none, or whoever acts has no say about it, as a guardian has none
                about what somebody agreed to at 14 or later, alone.
        """
        return self._even_without_rules(lambda book: self._withdraw(on, consent_id, now, book))

    def _withdraw(self, on: On, consent_id: str, now: int, book: BookOf) -> int:
        with self._database.transaction() as tx:
            consent = own(tx, on, consent_id, now)
            subject = SubjectId(consent.subject_id)
            subjects.change(tx, [subject])
            actor = actor_for(tx, on, subject, now)
            rules = book(tx)
            before = self._noes_to(tx, consent, rules, now)
            since = registry.withdraw(tx, subject, consent_id, actor, now)
            counts = any(one.actor_id == actor.id for one in self._noes_to(tx, consent, rules, now))
            if not counts and consent.actor_id != on.member:
                if rules is None:
                    raise RulesUnavailableError("no_rules")
                raise NoSuchConsentError  # the fold would pass it over: nothing must say that it ended
            entry = self._note(tx, "consent.withdrawn", on, consent, now)
            if counts and not any(one.kind in _ENDS for one in before):
                # Others need to hear of the end once, however often it is said.
                kind = Told.REVOKED if actor.capacity is Capacity.GUARDIAN else Told.WITHDRAWN
                announcing.announce(tx, [announcing.of_consent(kind, consent, entry, since)])
            tx.commit()
            return since

    def refuse(self, on: On, consent_id: str, now: int, *, later: bool) -> int:
        """Record a no, or "not now", to what was shown or ticked; return since when it stands. Needs no code.

        Said again, nothing is told again, and the first instant comes back.

        Raises:
            NoSuchConsentError: nothing was shown to this member under that id.
            NotWaitingError: it has been confirmed; what is confirmed is withdrawn.
        """
        return self._even_without_rules(lambda book: self._refuse(on, consent_id, now, book, later=later))

    def _refuse(self, on: On, consent_id: str, now: int, book: BookOf, *, later: bool) -> int:
        with self._database.transaction() as tx:
            asked = registry.asked_of(tx, consent_id)
            if asked is None or asked.consent.actor_id != on.member:
                raise NoSuchConsentError
            subject = SubjectId(asked.consent.subject_id)
            subjects.change(tx, [subject])
            actor = actor_for(tx, on, subject, now)
            asked = registry.asked_of(tx, consent_id)
            assert asked is not None, "events are never deleted"
            consent = asked.consent
            if consent.confirmed_at is not None:
                raise NotWaitingError
            kind = EventKind.DEFERRED if later else EventKind.REFUSED
            said = [one for one in asked.answers if one.kind == kind]
            if said and (later or not registry.is_worth_repeating(said, now)):
                return said[0].occurred_at
            record = registry.defer if later else registry.refuse
            since = record(tx, subject, consent.terms, actor, now, consent_id=consent_id)
            entry = self._note(tx, "consent.deferred" if later else "consent.refused", on, consent, now)
            if not later and not said and self._noes_to(tx, consent, book(tx), now):
                announcing.announce(tx, [announcing.of_consent(Told.REFUSED, consent, entry, since)])
            tx.commit()
            return said[0].occurred_at if said else since

    def _noes_to(self, tx: Transaction, consent: Consent, book: RuleBook | None, now: int) -> list[Event]:
        """Return the noes to this consent that count. Only what a guardian said needs rules and an age."""
        subject = SubjectId(consent.subject_id)
        events = eventlog.events_of(tx, [subject])[subject]
        said = [e for e in events if e.consent_id == consent.consent_id and e.kind in DENIAL_REASONS]
        if all(one.capacity != Capacity.GUARDIAN for one in said):
            return said
        if book is None:
            by_guardian = consent.capacity == Capacity.GUARDIAN
            return [one for one in said if by_guardian or one.capacity != Capacity.GUARDIAN]
        return outcome.noes_to(events, consent, self._birth_of(tx, subject), now, book)

    def _even_without_rules(self, walk: Callable[[BookOf], int]) -> int:
        """Run what says no with the rules in force; where they cannot be used, without any."""
        try:
            return self._keeper.attempt(lambda: walk(lambda tx: self._keeper.in_force(tx).rules.book))
        except RulesUnavailableError:
            return walk(lambda _tx: None)

    def show(self, on: On, consent_id: str, now: int) -> tuple[Consent, Reason]:
        """Return one consent and how it stands, to whoever gave it or may withdraw it."""

        def look() -> tuple[Consent, Reason]:
            with self._database.reading() as tx:
                consent = own(tx, on, consent_id, now)
                listed = self._listed(tx, SubjectId(consent.subject_id), now)
                return next(pair for pair in listed if pair[0].consent_id == consent_id)

        return self._keeper.attempt(look)

    def give_out(self, on: On | None, consent_id: str, act: str, now: int) -> GivenOut:
        """Return a consent to whoever may have it (None: the operator); the log says so before it leaves.

        A service that keeps consents, asking in its own name, may have each of them.
        """
        return self._keeper.attempt(lambda: self._give_out(on, consent_id, act, now))

    def _give_out(self, on: On | None, consent_id: str, act: str, now: int) -> GivenOut:
        with self._database.transaction() as tx:
            book = self._keeper.in_force(tx).rules.book
            consent = (
                existing(tx, consent_id) if on is None or on.for_itself else own(tx, on, consent_id, now)
            )
            subject = SubjectId(consent.subject_id)
            subjects.rows_of(tx, [subject], Hold.DECIDE)
            found = gathered(tx, consent, self._birth_of(tx, subject), book)
            index = self._note(tx, act, on, consent, now)
            tx.commit()
            return replace(found, log_index=index)

    def of_member(self, member: SubjectId, now: int) -> tuple[tuple[Consent, Reason], ...]:
        """Return the member's own consents, newest first, each with how it stands."""

        def look() -> tuple[tuple[Consent, Reason], ...]:
            with self._database.reading() as tx:
                return tuple(reversed(self._listed(tx, member, now)))

        return self._keeper.attempt(look)

    def _listed(self, tx: Transaction, member: SubjectId, now: int) -> tuple[tuple[Consent, Reason], ...]:
        book = self._keeper.in_force(tx).rules.book
        return registry.consents_of(tx, member, self._birth_of(tx, member), now, book)

    def _hushed(
        self,
        tx: Transaction,
        on: On,
        subject: SubjectId,
        purpose: str,
        prompt: Prompt,
        book: RuleBook,
        now: int,
    ) -> int:
        """Return until when this must not be asked, with an entry that says so; 0 if it may.

        Whoever came by themselves is not being asked: a signed-in member always did.
        """
        if prompt.opened or on.caller.kind is Prefix.MEMBER:
            return 0
        until = asked_from(tx, book, subject, purpose, now, prompt.served)
        if until <= now:
            return 0
        policy = book.fingerprint
        log_act(tx, "consent.not_asked", on, subject, now, dec=Verdict.DENY, policy=policy, purpose=purpose)
        return until
