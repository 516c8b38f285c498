"""A person's rights under the law, from the asking to the answer.

Promises that nobody is served unidentified (a session, evidence that a service vouches for, or a one-time
code); that objection, restriction, access and explanation take effect at once and need nobody's approval
(个人信息保护法 第四十四条、第四十五条、第二十四条第三款); that rectification and erasure are decided by an
officer, and a denial by two; and that each step commits with its log entry.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from audit import ledger
from audit.entry import Actor as LogActor
from audit.entry import Entry, Kind, Verdict
from consent import confirmation, registry
from consent.confirmation import NotConfirmed
from consent.events import Capacity
from consent.listing import Consent, Terms
from consent.outbox import CodeMessage, CodeSender
from consent.weighing import confirm_before
from governance import announcing, objecting, replay, rightsrecords, subjects
from governance.acting import On
from governance.announcing import Told
from governance.codes import NoGatewayError
from governance.database import Database, OpenTransaction
from governance.erasureledger import ErasureLedger
from governance.opening import Opening
from governance.replay import Once
from governance.rightsrecords import ENTITY, FOR_OFFICERS, Request, Right, Status
from governance.rightswishes import Wish, examine
from governance.rulekeeping import RuleKeeper
from governance.speaking import Speaks, speaks
from governance.testimony import party
from policies.book import RuleBook
from policies.identifiers import Prefix, new_id
from policies.terms import ActorId, Relation, SubjectId, SubjectKind
from policies.transaction import Transaction

LAWS: Final = ("pipl", "gdpr")
"""The regimes a request can name; which deadline each has is rule data (calendar.toml)."""


_TOLD: Final = {Right.OBJECTION: Told.OBJECTED, Right.RESTRICTION: Told.RESTRICTED}


class NoSuchRequestError(Exception):
    """There is no such request or person, or it is not this caller's."""


class RequestClosedError(Exception):
    """The request was decided, taken back or has expired."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A request on record; ``digits`` is the length of the code that was sent, 0 where none was needed."""

    request: Request
    digits: int


class Erased(NamedTuple):
    """What still stands of a request once the person is erased: that it was fulfilled, and when."""

    id: str
    at: int


class Rights:
    """The desk where people ask. Stateless."""

    def __init__(
        self,
        database: Database,
        keeper: RuleKeeper,
        opening: Opening,
        pepper: bytes,
        sender: CodeSender | None,
        erasures: ErasureLedger,
    ) -> None:
        self._erasures = erasures
        self._database = database
        self._keeper = keeper
        self._opening = opening
        self._pepper = pepper
        self._sender = sender

    def open(self, on: On, subject: SubjectId, wish: Wish, now: int, once: Once | None = None) -> Opened:
        """Take a request. An erasure that waits already is the same one; a second service follows it.

        Raises:
            NoSuchRequestError: the subject is unknown, or not this person's to speak for.
            UnfitRequestError: something in the wish is missing, unknown or unexpected.
            NoGatewayError: a code is needed and nobody could bring it.
        """
        opened, message = self._keeper.attempt(lambda: self._open(on, subject, wish, now, once))
        if message is not None and self._sender is not None:
            self._sender.send(message)  # after the commit: see Consenting.tick
        return opened

    def _open(
        self, on: On, subject: SubjectId, wish: Wish, now: int, once: Once | None
    ) -> tuple[Opened, CodeMessage | None]:
        with self._database.transaction() as tx:
            book = self._keeper.in_force(tx).rules.book
            by, speaker = self._speaker(tx, on, subject, wish.evidence, now)
            if "decision_id" in wish.detail:
                ledger.integrate(tx, now)  # the decision may still be waiting for its place
            examine(tx, book, subject, wish, speaker, on.member)
            self._entitle(tx, book, subject, wish.kind, wish.detail, by, now)
            session = on.caller.kind is Prefix.MEMBER
            known_by = "session" if session else "evidence" if wish.evidence else ""
            earlier = self._earlier(tx, on, subject, wish, once, now)
            if earlier is not None and (known_by or not earlier.known_by):
                if earlier.via == on.caller.actor_id or session:
                    return Opened(earlier, 0), None
                follower = rightsrecords.follow(tx, earlier, on.caller.actor_id, now)
                replay.remember(tx, on.caller.actor_id, once, follower.id, now)
                self._log(tx, "rights.requested", on, follower, now)
                tx.commit()
                return Opened(follower, 0), None
            due = book.deadlines.promised(wish.regime, now)
            request_id = new_id(Prefix.RIGHT)
            text = json.dumps(dict(wish.detail), ensure_ascii=False, sort_keys=True)
            request = Request(
                subject_id=subject,
                id=request_id,
                kind=wish.kind,
                regime=wish.regime,
                state=Status.IN_PROGRESS,
                actor_id=on.member,
                via=on.caller.actor_id,
                known_by=known_by,
                detail=self._opening.seal_alone(tx, request_id, ENTITY, text, now).cell,
                asked_at=now,
                verify_by=None if known_by else confirm_before(now, book.limits),
                due_at=due.at,
                exact=due.exact,
            )
            message, digits = None, 0
            if known_by:
                request = self._act(tx, request, wish.detail, by, now)
            else:
                if self._sender is None:
                    raise NoGatewayError
                asking = _as_consent(request, by.capacity)
                code = confirmation.open_challenge(tx, asking, book.limits, self._pepper)
                assert code is not None, "a request that was just made has no used code"
                message = CodeMessage(on.member, request_id, code)
                digits = confirmation.digits_for(asking)
            rightsrecords.add(tx, request)
            replay.remember(tx, on.caller.actor_id, once, request_id, now)
            self._tell(tx, request, wish.detail, self._log(tx, "rights.requested", on, request, now), now)
            tx.commit()
        return Opened(request, digits), message

    def verify(self, on: On, request_id: str, code: str, now: int) -> Request | NotConfirmed:
        """Try the code of a request; from the right one on, the person counts as identified."""
        return self._keeper.attempt(lambda: self._verify(on, request_id, code, now))

    def _verify(self, on: On, request_id: str, code: str, now: int) -> Request | NotConfirmed:
        with self._database.transaction() as tx:
            request = self._own(tx, on, request_id)
            if request.actor_id != on.member:
                raise NoSuchRequestError
            by, _ = self._speaker(tx, on, request.subject_id, "one_time_code", now)
            book = self._keeper.in_force(tx).rules.book
            request = self._own(tx, on, request_id)  # again, now that it is held
            detail = self.detail(tx, request)
            self._entitle(tx, book, request.subject_id, request.kind, detail, by, now)
            found = confirmation.answer(
                tx, request_id, on.member, code, limits=book.limits, pepper=self._pepper, now=now
            )
            if isinstance(found, NotConfirmed) or request.state not in (Status.OPEN, Status.IN_PROGRESS):
                self._log(tx, "rights.code_refused", on, request, now, Verdict.DENY)
                tx.commit()
                return NotConfirmed()
            identified = self._act(tx, replace(request, known_by="code"), detail, by, now)
            rightsrecords.settle(tx, identified)
            self._tell(tx, identified, detail, self._log(tx, "rights.identified", on, identified, now), now)
            tx.commit()
        return identified

    def revoke(self, on: On, request_id: str, now: int) -> Request:
        """Take a request back that has not been decided, or the objection or restriction that it led to.

        Raises:
            NoSuchRequestError: the request is unknown, or not this person's.
            RequestClosedError: it was decided, or somebody else said what it led to.
            ErasureLedgerError: an order that it led to cannot be called off; then it is not taken back.
        """
        with self._database.transaction() as tx:
            subjects.change(tx, [self._own(tx, on, request_id).subject_id])
            request = self._own(tx, on, request_id)
            if objecting.is_in_force(request):
                self._take_back(tx, on, request, now)
            elif request.status(now).value not in rightsrecords.WAITING:
                raise RequestClosedError
            if request.kind is Right.ERASURE:
                self._erasures.call_off(request.subject_id, request.id, now)
                objecting.let_go(tx, request, now)
            revoked = replace(request, state=Status.REVOKED, decided_at=now)
            rightsrecords.settle(tx, revoked)
            self._log(tx, "rights.revoked", on, revoked, now)
            tx.commit()
        return revoked

    def _take_back(self, tx: Transaction, on: On, request: Request, now: int) -> None:
        by, _ = self._speaker(tx, on, request.subject_id, "", now)
        try:
            registry.take_back(tx, request.subject_id, request.id, by, now)
        except registry.UnknownConsentError:
            raise RequestClosedError from None

    def show(self, on: On, request_id: str) -> Request:
        """Return one request of this person's, or one that this service passed on, erased or not."""
        with self._database.reading() as tx:
            via = on.caller.actor_id
            return rightsrecords.followed(tx, request_id, via) or self._own(tx, on, request_id)

    def erased(self, on: On, request_id: str) -> Erased | None:
        """Return what still stands of an erasure that this service passed on; None where there is none."""
        with self._database.reading() as tx:
            found = rightsrecords.certificate(tx, request_id, on.caller.actor_id)
        return None if found is None else Erased(request_id, found.made_at)

    def of_member(self, member: SubjectId) -> list[Request]:
        """Return what was asked about a member and what the member asked for a ward, newest first."""
        with self._database.reading() as tx:
            return rightsrecords.of_member(tx, member)

    def speaks(self, subject: SubjectId, who: ActorId, now: int) -> Speaks | None:
        """Say as what somebody speaks for a member now; None for everybody else."""
        with self._database.reading() as tx:
            return speaks(tx, self._opening, subject, who, now)

    def certificate(self, on: On, request_id: str) -> bytes:
        """Return the certificate of an erasure that this service passed on."""
        with self._database.reading() as tx:
            found = rightsrecords.certificate(tx, request_id, on.caller.actor_id)
        if found is None:
            raise NoSuchRequestError
        return found.body

    def detail(self, tx: Transaction, request: Request) -> Mapping[str, object]:
        """Open what was asked for in detail: for the desk itself, or after the entry that says who reads."""
        text = self._opening.open_alone(tx, request.id, ENTITY, request.detail)
        found: Mapping[str, object] = json.loads(text)
        return found

    def _act(
        self,
        tx: Transaction,
        request: Request,
        detail: Mapping[str, object],
        by: registry.Actor,
        now: int,
    ) -> Request:
        """Do what needs nobody's approval; the rest waits for an officer."""
        if request.kind in FOR_OFFICERS:
            return request
        objecting.say(tx, request, str(detail.get("purpose", "")), by, now)
        return replace(request, state=Status.FULFILLED, decided_at=now)

    def _speaker(
        self, tx: Transaction, on: On, subject: SubjectId, evidence: str, now: int
    ) -> tuple[registry.Actor, Speaks]:
        """Say as what the member speaks, and hold the subject: the person, or a guardian until 18."""
        known = subjects.change(tx, [subject])
        if subject not in known or not known[subject].active or known[subject].kind is not SubjectKind.MEMBER:
            raise NoSuchRequestError
        found = speaks(tx, self._opening, subject, on.member, now)
        if found is None:
            raise NoSuchRequestError
        via = "session" if on.caller.kind is Prefix.MEMBER else str(on.caller.actor_id)
        said = {"request": on.request_id, "via": via} | ({"evidence": evidence} if evidence else {})
        return registry.Actor(on.member, found.capacity, said), found

    def _earlier(
        self, tx: Transaction, on: On, subject: SubjectId, wish: Wish, once: Once | None, now: int
    ) -> Request | None:
        """Return what this very call led to before, or an erasure that waits already."""
        known = replay.earlier(tx, on.caller.actor_id, once, now)
        if known is not None:
            return rightsrecords.one(tx, known) or rightsrecords.followed(tx, known, on.caller.actor_id)
        return rightsrecords.same(tx, subject, wish.kind) if wish.kind is Right.ERASURE else None

    def _entitle(
        self,
        tx: Transaction,
        book: RuleBook,
        subject: SubjectId,
        kind: Right,
        detail: Mapping[str, object],
        by: registry.Actor,
        now: int,
    ) -> None:
        """Refuse what would be recorded and count for nothing."""
        if kind not in objecting.NOES or by.capacity is not Capacity.GUARDIAN:
            return
        birth = self._opening.birth_of(tx, subject)
        if not objecting.guardian_may(str(detail.get("purpose", "")), birth, book, now):
            raise NoSuchRequestError

    def _own(self, tx: Transaction, on: On, request_id: str) -> Request:
        request = rightsrecords.one(tx, request_id)
        if request is None:
            raise NoSuchRequestError
        session = on.caller.kind is Prefix.MEMBER
        mine = on.member in (request.actor_id, request.subject_id) if session else False
        if not mine and request.via != on.caller.actor_id:
            raise NoSuchRequestError
        return request

    def _log(
        self,
        tx: OpenTransaction,
        act: str,
        on: On,
        request: Request,
        now: int,
        dec: Verdict = Verdict.PERMIT,
    ) -> int:
        return ledger.append(tx, [entry_of_step(tx, self._keeper, act, on, request, now, dec)])[0].index

    def _tell(
        self, tx: Transaction, request: Request, detail: Mapping[str, object], position: int, now: int
    ) -> None:
        kind = _TOLD.get(request.kind)
        if kind is not None and request.state is Status.FULFILLED:
            purpose = str(detail.get("purpose", ""))
            told = announcing.of_subject(kind, request.subject_id, position, now, purpose)
            announcing.announce(tx, [told])


def entry_of_step(
    tx: Transaction,
    keeper: RuleKeeper,
    act: str,
    on: On,
    request: Request,
    now: int,
    dec: Verdict = Verdict.PERMIT,
) -> Entry:
    """Return the entry of one step of a request: the person acts as itself, anybody else as its guardian."""
    people = {request.subject_id, *([on.member] if on.member.startswith(Prefix.MEMBER) else [])}
    names = ledger.pseudonyms(tx, people)
    caller, person = party(on.caller.actor_id, names), party(on.member, names)
    relation = Relation.SELF if str(on.member) == request.subject_id else Relation.WARD
    return Entry(
        t=now,
        kind=Kind.CHANGE,
        act=act,
        dec=dec,
        actor=LogActor(
            caller,
            relation=relation.value if on.member.startswith(Prefix.MEMBER) else "",
            on_behalf_of=None if person == caller else person,
        ),
        subjects=(names[request.subject_id],),
        resource=request.id,
        why=(request.kind.value, *((request.refusal,) if request.refusal else ())),
        purpose="legal.compliance",
        policy=keeper.fingerprint(tx),
        request=on.request_id,
    )


def _as_consent(request: Request, capacity: Capacity) -> Consent:
    """Return what the code is bound to: codes of requests and of consents are one machinery."""
    terms = Terms(f"rights.{request.kind}", frozenset(), "", "")
    return Consent(
        consent_id=request.id,
        subject_id=request.subject_id,
        terms=terms,
        actor_id=request.actor_id,
        capacity=capacity,
        ticked_at=request.asked_at,
        confirmed_at=None,
        expires_at=None,
        withdrawn_at=None,
    )
