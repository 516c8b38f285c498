"""Consent as people and services carry it out: tick, confirm, withdraw, hide.

Promises that as what somebody acts (the person, a guardian, the primary account) follows from the
relation on record and is never claimed; that a withdrawal is one call that needs no code, no approval and
no reason (个人信息保护法 第十五条); and that the change, the epoch and the log entry commit together: a
read that starts after the answer sees it, on every replica.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from audit.entry import Verdict
from consent import confirmation, registry
from consent.confirmation import NotConfirmed
from consent.events import Capacity
from consent.listing import Consent, Terms
from consent.outbox import CodeMessage, CodeSender, NotSentError
from governance import announcing, replay, subjects
from governance.acting import NoSuchConsentError, On, actor_for, existing, log_act, own
from governance.announcing import Told
from governance.database import Database
from governance.givingout import GivenOut, gathered
from governance.identity import Caller
from governance.replay import Once
from governance.rulekeeping import RuleKeeper
from governance.showing import (
    AskedTooSoonError,
    Prompt,
    UnfitConsentError,
    asked_from,
    locale_of,
    refuse_unfit,
    shown_to,
)
from governance.subjects import Hold
from policies.book import RuleBook
from policies.identifiers import Prefix
from policies.reasons import Reason
from policies.terms import ActorId, SubjectId
from policies.transaction import Transaction

BirthOf = Callable[[Transaction, SubjectId], date | None]


class NoGatewayError(Exception):
    """No gateway for one-time codes is configured, so nothing that needs a code can be recorded."""


class TooManyCodesError(Exception):
    """As many codes as may go out for one tick have gone out."""


@dataclass(frozen=True, slots=True)
class Ticked:
    """A consent that waits for its code until ``confirm_by`` (milliseconds)."""

    consent_id: str
    confirm_by: int
    digits: int


class CodeNotSentError(Exception):
    """The tick is recorded, but its code did not go out; a new one may be asked for."""

    def __init__(self, ticked: Ticked) -> None:
        super().__init__("the code did not go out")
        self.ticked = ticked


_AT_ONCE: Final = Prompt()


class Consenting:
    """The desk in front of the consent registry."""

    def __init__(
        self,
        database: Database,
        keeper: RuleKeeper,
        pepper: bytes,
        sender: CodeSender | None,
        birth_of: BirthOf,
    ) -> None:
        self._database = database
        self._keeper = keeper
        self._pepper = pepper
        self._sender = sender
        self._birth_of = birth_of

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
        """
        if self._sender is None:
            raise NoGatewayError
        ticked, message = self._keeper.attempt(lambda: self._tick(on, subject, terms, now, once, prompt))
        if message is not None:
            self._hand_over(on, ticked, message, now)
        return ticked

    def send_again(self, on: On, consent_id: str, now: int) -> Ticked:
        """Send a new code for a tick; it gives neither more time nor more tries, and the old one is void."""
        if self._sender is None:
            raise NoGatewayError
        ticked, message = self._keeper.attempt(lambda: self._renew(on, consent_id, now))
        self._hand_over(on, ticked, message, now)
        return ticked

    def _renew(self, on: On, consent_id: str, now: int) -> tuple[Ticked, CodeMessage]:
        with self._database.transaction() as tx:
            book = self._keeper.in_force(tx).rules.book
            consent = existing(tx, consent_id)
            if consent.actor_id != on.member:
                raise NoSuchConsentError
            subjects.rows_of(tx, [SubjectId(consent.subject_id)], Hold.CHANGE)
            ticked = _ticked(book, consent)
            if consent.confirmed_at is not None or now >= ticked.confirm_by:
                raise UnfitConsentError
            code = confirmation.open_challenge(tx, consent, book.limits, self._pepper)
            if code is None:
                raise TooManyCodesError
            self._note(tx, "consent.code_asked", on, consent, now)
            tx.commit()
            return ticked, self._message(consent, code, ticked, now)

    def _message(self, consent: Consent, code: str, ticked: Ticked, now: int) -> CodeMessage:
        link = confirmation.link_of(self._pepper, consent.consent_id, code)
        minutes = (ticked.confirm_by - now) // 60_000
        return CodeMessage(consent.actor_id, consent.consent_id, code, link, minutes)

    def _hand_over(self, on: On, ticked: Ticked, message: CodeMessage, now: int) -> None:
        """Send a code after its commit: one for a consent that was rolled back must not reach anybody."""
        assert self._sender is not None, "asked before anything was recorded"
        try:
            self._sender.send(message)
        except NotSentError:
            self._sent(on, ticked.consent_id, now, taken=False)
            raise CodeNotSentError(ticked) from None
        self._sent(on, ticked.consent_id, now, taken=True)

    def _sent(self, on: On, consent_id: str, now: int, *, taken: bool) -> None:
        with self._database.transaction() as tx:
            consent = existing(tx, consent_id)
            subjects.rows_of(tx, [SubjectId(consent.subject_id)], Hold.CHANGE)
            if taken:
                registry.code_sent(tx, consent, now)
            act, verdict = (
                ("consent.code_sent", Verdict.PERMIT) if taken else ("consent.code_unsent", Verdict.ERROR)
            )
            self._note(tx, act, on, consent, now, verdict)
            tx.commit()

    def _tick(
        self, on: On, subject: SubjectId, terms: Terms, now: int, once: Once | None, prompt: Prompt
    ) -> tuple[Ticked, CodeMessage | None]:
        with self._database.transaction() as tx:
            book = self._keeper.in_force(tx).rules.book
            refuse_unfit(book, terms)
            actor = actor_for(tx, on, subject, now)
            subjects.change(tx, [subject])
            earlier = replay.earlier(tx, on.caller.actor_id, once, now)
            if earlier is not None:
                before = existing(tx, earlier)
                if before.code_sent_at is None:
                    raise CodeNotSentError(_ticked(book, before))
                return _ticked(book, before), None
            actor = shown_to(actor, locale_of(tx, terms, now), prompt)
            if prompt.served is None:
                if until := self._hushed(tx, on, subject, terms.purpose, prompt, book, now):
                    tx.commit()
                    raise AskedTooSoonError(until)
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
        ticked = _ticked(book, consent)
        return ticked, self._message(consent, code, ticked, now)

    def confirm(self, on: On, consent_id: str, code: str, now: int) -> Consent | NotConfirmed:
        """Try the code. A wrong guess is counted whatever happens afterwards."""
        return self._keeper.attempt(lambda: self._confirm(on, consent_id, code, now, "one_time_code"))

    def confirm_by_link(self, token: str, request_id: str, now: int) -> Consent | NotConfirmed:
        """Try the link of a mail: whoever holds it is whom the mail was sent to, the actor of the tick."""
        read = confirmation.read_link(self._pepper, token)
        if read is None:
            return NotConfirmed()  # not ours: no try is counted, whatever consent it names
        consent_id, code = read

        def attempt() -> Consent | NotConfirmed:
            with self._database.reading() as tx:
                giver = ActorId(existing(tx, consent_id).actor_id)
            on = On(Caller(giver, Prefix.MEMBER), giver, request_id)
            return self._confirm(on, consent_id, code, now, "email_link")

        return self._keeper.attempt(attempt)

    def _confirm(self, on: On, consent_id: str, code: str, now: int, method: str) -> Consent | NotConfirmed:
        with self._database.transaction() as tx:
            limits = self._keeper.in_force(tx).rules.book.limits
            consent = existing(tx, consent_id)
            if consent.actor_id != on.member:
                # Nobody else can confirm it, so nobody else may use up its tries either.
                raise NoSuchConsentError
            subjects.change(tx, [SubjectId(consent.subject_id)])
            answer = confirmation.answer(
                tx, consent_id, on.member, code, limits=limits, pepper=self._pepper, now=now
            )
            if isinstance(answer, NotConfirmed):
                self._note(tx, "consent.code_refused", on, consent, now, Verdict.DENY)
                tx.commit()
                return answer
            confirmed = registry.confirm(tx, answer, now, method=method)
            entry = self._note(tx, "consent.confirmed", on, confirmed, now)
            announcing.announce(tx, [announcing.of_consent(Told.CONFIRMED, confirmed, entry, now)])
            tx.commit()
            return confirmed

    def withdraw(self, on: On, consent_id: str, now: int) -> int:
        """Withdraw; always accepted. Returns the instant since which the consent is withdrawn."""
        with self._database.transaction() as tx:
            consent = own(tx, on, consent_id, now)
            subject = SubjectId(consent.subject_id)
            subjects.change(tx, [subject])
            actor = actor_for(tx, on, subject, now)
            ended = existing(tx, consent_id).withdrawn_at is not None
            since = registry.withdraw(tx, subject, consent_id, actor, now)
            entry = self._note(tx, "consent.withdrawn", on, consent, now)
            if not ended:  # others need to hear of the end once, however often it is said
                kind = Told.REVOKED if actor.capacity is Capacity.GUARDIAN else Told.WITHDRAWN
                announcing.announce(tx, [announcing.of_consent(kind, consent, entry, since)])
            tx.commit()
            return since

    def show(self, on: On, consent_id: str, now: int) -> tuple[Consent, Reason]:
        """Return one consent and how it stands, to whoever gave it or may withdraw it."""

        def look() -> tuple[Consent, Reason]:
            with self._database.reading() as tx:
                consent = own(tx, on, consent_id, now)
                listed = self._listed(tx, SubjectId(consent.subject_id), now)
                return next(pair for pair in listed if pair[0] == consent)

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
        until = asked_from(tx, book, subject, purpose, now)
        if until <= now:
            return 0
        policy = book.fingerprint
        log_act(tx, "consent.not_asked", on, subject, now, dec=Verdict.DENY, policy=policy, purpose=purpose)
        return until

    def _note(
        self,
        tx: Transaction,
        act: str,
        on: On | None,
        consent: Consent,
        now: int,
        dec: Verdict = Verdict.PERMIT,
    ) -> int:
        subject, policy = SubjectId(consent.subject_id), self._keeper.fingerprint(tx)
        what = {"resource": consent.consent_id, "purpose": consent.terms.purpose}
        return log_act(tx, act, on, subject, now, dec=dec, policy=policy, **what)


def _ticked(book: RuleBook, consent: Consent) -> Ticked:
    confirm_by = consent.ticked_at + book.limits.code_minutes * 60_000
    return Ticked(consent.consent_id, confirm_by, confirmation.digits_for(consent))
