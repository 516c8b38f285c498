"""One-time codes at the desk of consents: sent after the commit, answered once, refused after a no.

Promises that a code for a tick that was rolled back reaches nobody; that a wrong guess is counted whatever
happens afterwards; and that a no since the tick closes its code, by desk and by link alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Final

from sqlalchemy import bindparam, or_, select

from audit.entry import Verdict
from consent import confirmation, eventlog, outcome, registry
from consent.confirmation import NotConfirmed
from consent.listing import Consent
from consent.outbox import CodeMessage, CodeSender, NotSentError
from governance import announcing, subjects
from governance.acting import NoSuchConsentError, On, existing, log_act
from governance.announcing import Told
from governance.database import Database
from governance.identity import Caller
from governance.records import RelationRow
from governance.rulekeeping import RuleKeeper
from governance.subjects import Hold
from policies.book import RuleBook
from policies.identifiers import Prefix
from policies.terms import ActorId, SubjectId
from policies.transaction import Transaction

BirthOf = Callable[[Transaction, SubjectId], date | None]
MOST_OPEN: Final = 5
"""For how many ticks of one actor codes may be waited for at a time: a stolen session sends no more."""

_relation = RelationRow.__table__
_ABOUT: Final = (
    select(_relation.c.subject_id)
    .where(
        _relation.c.actor_id == bindparam("actor"),
        or_(_relation.c.ends_at.is_(None), _relation.c.ends_at > bindparam("since")),
    )
    .distinct()
)


class NoGatewayError(Exception):
    """No gateway for one-time codes is configured, so nothing that needs a code can be recorded."""


class TooManyCodesError(Exception):
    """As many codes as may go out for one tick, or to one person at a time, have gone out."""


class NotWaitingError(Exception):
    """No answer is waited for: confirmed, too late, denied since, or every try is used up."""


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


class Codes:
    """The part of the desk that sends codes and takes answers to them."""

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

    def send_again(self, on: On, consent_id: str, now: int) -> Ticked:
        """Send a new code for a tick; it gives neither more time nor more tries, and the old one is void.

        Raises:
            NotWaitingError: no code is waited for.
            TooManyCodesError: as many as may have gone out.
        """
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
            consent = existing(tx, consent_id)
            ticked = ticked_of(book, consent)
            if (
                consent.confirmed_at is not None
                or now >= ticked.confirm_by
                or not confirmation.has_tries(tx, consent_id, book.limits)
                or self._is_closed(tx, consent, book, now)
            ):
                raise NotWaitingError
            code = confirmation.open_challenge(tx, consent, book.limits, self._pepper)
            if code is None:
                raise TooManyCodesError
            self._note(tx, "consent.code_asked", on, consent, now)
            tx.commit()
            return ticked, self._message(consent, code, ticked, now)

    def _is_closed(self, tx: Transaction, consent: Consent, book: RuleBook, now: int) -> bool:
        """Say whether a no since the tick closed its code. The caller holds the subject."""
        subject = SubjectId(consent.subject_id)
        events = eventlog.events_of(tx, [subject])[subject]
        return outcome.is_closed(events, consent, self._birth_of(tx, subject), now, book)

    def _refuse_flood(self, tx: Transaction, actor_id: str, book: RuleBook, now: int) -> None:
        """Refuse one more code while as many as may be are waited for by the same actor.

        The caller holds the actor's row, so that parallel ticks about several people count one another.
        """
        since = now - book.limits.code_minutes * 60_000
        about = [row[0] for row in tx.rows(_ABOUT, {"actor": actor_id, "since": since})]
        if confirmation.codes_out(tx, about, actor_id, now) >= MOST_OPEN:
            raise TooManyCodesError

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
            book = self._keeper.in_force(tx).rules.book
            consent = existing(tx, consent_id)
            if consent.actor_id != on.member:
                # Nobody else can confirm it, so nobody else may use up its tries either.
                raise NoSuchConsentError
            subjects.change(tx, [SubjectId(consent.subject_id)])
            answer = confirmation.answer(
                tx, consent_id, on.member, code, limits=book.limits, pepper=self._pepper, now=now
            )
            if isinstance(answer, NotConfirmed) or self._is_closed(tx, consent, book, now):
                self._note(tx, "consent.code_refused", on, consent, now, Verdict.DENY)
                tx.commit()  # the try counts, and a right code that came after a no is used up
                return NotConfirmed()
            confirmed = registry.confirm(tx, answer, now, method=method)
            entry = self._note(tx, "consent.confirmed", on, confirmed, now)
            announcing.announce(tx, [announcing.of_consent(Told.CONFIRMED, confirmed, entry, now)])
            tx.commit()
            return confirmed

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


def ticked_of(book: RuleBook, consent: Consent) -> Ticked:
    """Return what a tick waits for."""
    confirm_by = consent.ticked_at + book.limits.code_minutes * 60_000
    return Ticked(consent.consent_id, confirm_by, confirmation.digits_for(consent))
