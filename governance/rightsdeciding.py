"""The officers' side of rights requests: the queue, and what is decided.

Promises that only identified requests are decided; that a denial, and another birth date, need a second
officer, who is not the one who proposed it; that an erasure under a legal hold destroys nothing and
restricts to storage instead (个人信息保护法 第四十七条第二款); and that the details are read only after the
entry that says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from audit import ledger
from audit.entry import Actor as LogActor
from audit.entry import ActorType, Entry, Kind, Party, Verdict
from governance import announcing, objecting, rightsrecords, subjects
from governance.acting import On
from governance.announcing import Told
from governance.asking import Answer, Ask, WriteAsk
from governance.database import Database
from governance.erasing import Erasing, Order
from governance.gate import Gate
from governance.holds import HeldError
from governance.rights import NoSuchRequestError, RequestClosedError, Rights, entry_of_step
from governance.rightsrecords import REFUSALS, WAITING, Extension, Refusal, Request, Right, Status
from governance.rightswishes import BIRTH
from governance.rulekeeping import RuleKeeper
from policies.deadlines import days_left
from policies.identifiers import Prefix, new_id
from policies.terms import Action, ActorId, Effect, FieldName, Purpose
from policies.transaction import Transaction

CORRECTING: Final = Purpose("account.manage")


class Step(StrEnum):
    """What an officer can do with a request."""

    FULFIL = "fulfil"
    DENY = "deny"
    RETURN = "return"
    EXTEND = "extend"


class NotAllowedError(Exception):
    """This officer may not take this step: the second look needs a second person, or no such step exists."""


class NotFulfillableError(Exception):
    """The rules do not let the correction pass; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """One request as an officer reads it; ``who`` is the pseudonym in hex."""

    request: Request
    who: str
    days_left: int
    detail: Mapping[str, object]
    own_proposal: bool


class RightsDeciding:
    """The officers' desk. Stateless."""

    def __init__(
        self,
        database: Database,
        keeper: RuleKeeper,
        rights: Rights,
        erasing: Erasing,
        gate: Gate,
    ) -> None:
        self._database = database
        self._keeper = keeper
        self._rights = rights
        self._erasing = erasing
        self._gate = gate

    def queue(self, on: On, now: int) -> list[Waiting]:
        """Return what waits, the most urgent first; that it was read is on record before.

        Raises:
            NotAssuredError: the log could not be signed, and a correction may say anything, health included.
        """
        with self._database.transaction() as tx:
            waiting = rightsrecords.queue(tx)
            names = ledger.pseudonyms(tx, sorted({one.subject_id for one in waiting}))
            about = tuple(dict.fromkeys(names[one.subject_id] for one in waiting))
            receipt = ledger.append(tx, [self._reading(tx, on, about, now)])[0]
            tx.commit()
        if any(one.kind is Right.RECTIFICATION for one in waiting):
            self._gate.await_gravest(receipt.index, receipt.entry_id)
        with self._database.reading() as tx:
            return [
                Waiting(
                    one,
                    names[one.subject_id].hex(),
                    days_left(one.due_at, now),
                    self._rights.detail(tx, one),
                    own_proposal=one.proposed_by == on.caller.actor_id,
                )
                for one in waiting
            ]

    def decide(
        self,
        on: On,
        request_id: str,
        step: Step,
        now: int,
        refusal: Refusal | None = None,
        extension: Extension | None = None,
    ) -> Status:
        """Take one step: fulfil, propose a denial or agree to it, send a proposal back, extend with a reason.

        Raises:
            NoSuchRequestError: there is no such request.
            RequestClosedError: it does not wait, or nobody knows yet who asks.
            NotAllowedError: the step is not this officer's.
            HeldError: a legal hold stands; the person is restricted to storage, the request goes on waiting.
            NotFulfillableError: the rules refuse the correction.
        """
        if step is Step.FULFIL:
            request = self._look(request_id)
            if request.kind is Right.RECTIFICATION:
                return self._rectify(on, request, now)
            return self._erase(on, request, now)
        with self._database.transaction() as tx:
            request = self._held(tx, request_id)
            if step is Step.EXTEND:
                act, settled = "rights.extended", self._extended(tx, request, extension, now)
            else:
                act, settled = self._step(on, request, step, refusal, now)
            if settled.state is Status.DENIED and settled.kind is Right.ERASURE:
                self._erasing.call_off(settled.subject_id, settled.id, now)
                objecting.let_go(tx, settled, now)
            rightsrecords.settle(tx, settled)
            ledger.append(tx, [entry_of_step(tx, self._keeper, act, on, settled, now)])
            tx.commit()
        return settled.state

    def _extended(self, tx: Transaction, request: Request, why: Extension | None, now: int) -> Request:
        """Return the request with its later deadline and why, which the person reads (GDPR Art. 12(3))."""
        book = self._keeper.in_force(tx).rules.book
        until = book.deadlines.stretched(request.regime, request.asked_at)
        if why is None or until is None or until <= request.due_at or now >= request.due_at:
            raise NotAllowedError
        return replace(request, due_at=until, extension=why.value)

    def is_certified(self, request_id: str) -> bool:
        """Say whether an erasure was carried out under this id."""
        with self._database.reading() as tx:
            return rightsrecords.issued(tx, request_id) is not None

    def certificate(self, request_id: str) -> bytes:
        """Return the certificate of an erasure, whoever asked for it; it names nobody.

        Raises:
            NoSuchRequestError: no erasure was carried out under this id.
        """
        with self._database.reading() as tx:
            found = rightsrecords.issued(tx, request_id)
        if found is None:
            raise NoSuchRequestError
        return found.body

    def _step(
        self, on: On, request: Request, step: Step, refusal: Refusal | None, now: int
    ) -> tuple[str, Request]:
        officer = on.caller.actor_id
        if step is Step.RETURN:
            if request.proposed_by in (None, officer):
                raise NotAllowedError
            act = "rights.returned" if request.refusal else "rights.correction_returned"
            return act, replace(request, proposed_by=None, refusal="")
        if not request.refusal:
            if refusal is None:
                raise NotAllowedError
            return "rights.denial_proposed", replace(request, proposed_by=officer, refusal=refusal.value)
        if request.proposed_by == officer:
            raise NotAllowedError
        denied = replace(request, state=Status.DENIED, decided_by=officer, decided_at=now)
        assert denied.refusal in REFUSALS, "a proposal always names its reason"
        return "rights.denied", denied

    def _erase(self, on: On, request: Request, now: int) -> Status:
        order = Order(Party(ActorType.STAFF, on.caller.actor_id), request.id, on.request_id)
        try:
            with self._database.transaction() as tx:
                self._erasing.erase(
                    tx,
                    request.subject_id,
                    order,
                    now,
                    lambda: _waiting(rightsrecords.one(tx, request.id)),
                )
                tx.commit()
        except HeldError:
            self._restrict(on, request, now)
            raise
        return Status.FULFILLED

    def _restrict(self, on: On, request: Request, now: int) -> None:
        with self._database.transaction() as tx:
            held = self._held(tx, request.id)
            anew = objecting.hold_back(tx, held, on.caller.actor_id, now)
            entry = entry_of_step(tx, self._keeper, "rights.held", on, held, now, Verdict.DENY)
            position = ledger.append(tx, [entry])[0].index
            if anew:
                told = announcing.of_subject(Told.RESTRICTED, held.subject_id, position, now)
                announcing.announce(tx, [told])
            tx.commit()

    def _rectify(self, on: On, request: Request, now: int) -> Status:
        """Write what is to be corrected; a birth date needs two officers: it decides what the law protects.

        The person may not write the birth date, so the officers do (个人信息保护法 第四十六条第二款).
        """
        if request.proposed_by == on.caller.actor_id and not request.refusal:
            raise NotAllowedError
        with self._database.transaction() as tx:
            names = ledger.pseudonyms(tx, [request.subject_id])
            about = (names[request.subject_id],)
            ledger.append(tx, [self._reading(tx, on, about, now, request.id)])
            tx.commit()
        with self._database.reading() as tx:
            values = self._rights.detail(tx, request)["values"]
        assert isinstance(values, dict), "a rectification was examined when it was asked for"
        asked = {FieldName(name): str(text) for name, text in values.items()}
        birth = {name: asked.pop(name) for name in (BIRTH,) if name in asked}
        if asked:
            self._write(on, request, request.actor_id, asked, now)
        if birth and (request.refusal or request.proposed_by is None):
            return self._propose(on, request, now)
        if birth:
            self._write(on, request, on.caller.actor_id, birth, now)
        with self._database.transaction() as tx:
            held = self._held(tx, request.id)
            settled = replace(held, state=Status.FULFILLED, decided_by=on.caller.actor_id, decided_at=now)
            rightsrecords.settle(tx, settled)
            ledger.append(tx, [entry_of_step(tx, self._keeper, "rights.fulfilled", on, settled, now)])
            tx.commit()
        return settled.state

    def _propose(self, on: On, request: Request, now: int) -> Status:
        """Note that this officer has verified the birth date; it is entered when another one agrees."""
        with self._database.transaction() as tx:
            held = self._held(tx, request.id)
            proposed = replace(held, proposed_by=on.caller.actor_id, refusal="")
            rightsrecords.settle(tx, proposed)
            act = "rights.correction_proposed"
            ledger.append(tx, [entry_of_step(tx, self._keeper, act, on, proposed, now)])
            tx.commit()
        return proposed.state

    def _write(
        self, on: On, request: Request, who: ActorId, values: Mapping[FieldName, str], now: int
    ) -> None:
        # Written like anything else: decided, sealed and recorded by the gate, in a transaction of its own.
        # A crash before the next one leaves the request waiting, and writing the same again changes nothing.
        ask = Ask(
            on.caller,
            who,
            Action.WRITE,
            request.subject_id,
            tuple(values),
            CORRECTING,
            on.request_id,
            new_id(Prefix.DECISION),
            reveal=False,
        )
        reply = self._gate.write(WriteAsk(ask, values), now)
        if not isinstance(reply, Answer) or any(one.effect is not Effect.SHOW for one in reply.fields):
            raise NotFulfillableError

    def _look(self, request_id: str) -> Request:
        with self._database.reading() as tx:
            return _waiting(rightsrecords.one(tx, request_id))

    def _held(self, tx: Transaction, request_id: str) -> Request:
        subjects.change(tx, [_waiting(rightsrecords.one(tx, request_id)).subject_id])
        return _waiting(rightsrecords.one(tx, request_id))

    def _reading(
        self, tx: Transaction, on: On, about: tuple[bytes, ...], now: int, resource: str = ""
    ) -> Entry:
        return Entry(
            t=now,
            kind=Kind.AUDIT,
            act="rights.read",
            dec=Verdict.PERMIT,
            actor=LogActor(Party(ActorType.STAFF, on.caller.actor_id), tuple(sorted(on.caller.roles))),
            subjects=about,
            resource=resource,
            purpose="audit.review",
            policy=self._keeper.fingerprint(tx),
            request=on.request_id,
        )


def _waiting(request: Request | None) -> Request:
    if request is None:
        raise NoSuchRequestError
    if request.state.value not in WAITING or not request.known_by:
        raise RequestClosedError
    return request
