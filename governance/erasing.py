"""Erasing a member: keys, values, index entries and the name in the log are destroyed, for good.

A household whose last resident is erased is closed with that person, in the same transaction.

Promises that a legal hold is looked for in the same transaction and wins; that the order stands in the list
outside the database, on the disk, before anything is committed, so that neither a crash nor a restored
backup brings the person back (``replay_erasures``); and that what stays as evidence, events and entries,
stays under random names only (个人信息保护法 第四十七条). Never commits, but for the replay.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from sqlalchemy import bindparam, delete, select, update

from audit import ledger
from audit.entry import Actor as LogActor
from audit.entry import ActorType, Entry, Kind, Party, Verdict
from audit.sequencing import Receipt
from consent import confirmation, registry, ties
from consent.events import Capacity
from consent.listing import Consent
from governance import announcing, details, ending, holds, moving, rightsrecords, subjects
from governance.announcing import Told
from governance.approvalrecords import lapse
from governance.database import Database
from governance.erasureledger import Erased, ErasureLedger
from governance.holds import HeldError
from governance.oversightrecords import AccessReview, StaffMember
from governance.records import (
    Actor,
    Approval,
    Invitation,
    LegalHold,
    Link,
    RelationRow,
    Replay,
    RightsRequest,
    SendSlot,
    Session,
    Subject,
    Transition,
)
from governance.rulekeeping import RuleKeeper
from governance.signing import DocumentSigner
from governance.subjects import Hold
from governance.times import rfc3339
from governance.vault import Destroyed, Vault
from policies.identifiers import Prefix
from policies.reasons import Reason
from policies.terms import MemberId, Relation, SubjectId
from policies.transaction import Transaction

TYPE: Final = "erasure-certificate"
"""What a certificate's signature says it is a signature of."""

_subject, _relation, _actor = Subject.__table__, RelationRow.__table__, Actor.__table__
_review, _request, _offer = AccessReview.__table__, RightsRequest.__table__, Invitation.__table__
LAW: Final = "个人信息保护法 第四十七条"
_AT_ONCE: Final = 500
ERASED: Final = "erased"
"""The state of an erased subject. Its row stays: withdrawals of what it agreed to are still accepted."""

_AROUND: Final = select(_relation.c.subject_id, _relation.c.relation).where(
    _relation.c.actor_id == bindparam("member"), _relation.c.subject_id != bindparam("member")
)
_END_ELSEWHERE: Final = (
    update(_relation)
    .where(
        _relation.c.actor_id == bindparam("member"),
        _relation.c.subject_id != bindparam("member"),
        _relation.c.ends_at.is_(None),
    )
    .values(ends_at=bindparam("now"))
)
# Whoever could withdraw for the person still can: a withdrawal is accepted for ever.
_END_HERE: Final = (
    update(_relation)
    .where(
        _relation.c.subject_id == bindparam("member"),
        _relation.c.ends_at.is_(None),
        _relation.c.relation.not_in([Relation.SELF.value, Relation.WARD.value]),
    )
    .values(ends_at=bindparam("now"))
)
_CLOSE: Final = update(_subject).where(_subject.c.id == bindparam("member")).values(state=ERASED, wishes="")
_RETIRE: Final = (
    update(_actor)
    .where(_actor.c.id == bindparam("member"))
    .values(state="ended", label="", roles="", gender="")
)
_REVIEWS: Final = select(_review.c.id).where(_review.c.subject == bindparam("name"))
_REQUESTS: Final = select(_request.c.id).where(_request.c.subject_id == bindparam("member"))
_DROP_REVIEWS: Final = delete(_review).where(_review.c.subject == bindparam("name"))
_DROP_OFFERS: Final = delete(_offer).where(_offer.c.subject_id == bindparam("home"))
_DROPPED: Final = tuple(
    delete(table).where(table.c[column] == bindparam("member"))
    for table, column in (
        (_request, "subject_id"),
        (Approval.__table__, "subject_id"),
        (SendSlot.__table__, "subject_id"),
        (Session.__table__, "actor_id"),
        (StaffMember.__table__, "member_id"),
        (Link.__table__, "actor_id"),
        (Replay.__table__, "actor_id"),
        (Invitation.__table__, "member_id"),
        (Transition.__table__, "subject_id"),
        (LegalHold.__table__, "subject_id"),
    )
)


class Order(NamedTuple):
    """Who orders an erasure, for the log; ``request`` is the request's id and names nobody."""

    party: Party
    request: str
    request_id: str = ""


class _NotWantedError(Exception):
    """The request behind an order was taken back or denied: the erasure was never committed."""


class NoSuchMemberError(Exception):
    """There is no such member, or it was erased before."""


class Erasing:
    """Erases members, in the caller's transaction."""

    def __init__(
        self,
        database: Database,
        keeper: RuleKeeper,
        vault: Vault,
        erasures: ErasureLedger,
        signer: DocumentSigner,
        controller: str,
    ) -> None:
        self._database = database
        self._keeper = keeper
        self._vault = vault
        self._erasures = erasures
        self._signer = signer
        self._controller = controller

    def erase(
        self, tx: Transaction, member: SubjectId, order: Order, now: int, still: Callable[[], object]
    ) -> bytes:
        """Destroy everything that leads to a member; return the certificate. The caller commits next.

        ``still`` is asked once the member is held, and raises when the erasure is not wanted any more.

        Raises:
            NoSuchMemberError: nobody is there to be erased.
            HeldError: a legal hold stands; nothing was changed.
            ErasureLedgerError: the list outside the database cannot be written; nothing may be committed.
        """
        certificate = self._destroy(tx, member, order, now, still)
        # On the disk before the commit that follows: a crash between the two is made good at the start.
        self._erasures.append(Erased(member, order.request, now))
        return certificate

    def replay_erasures(self, now: int) -> int:
        """Erase again whoever was erased before and is here all the same; return how many.

        For every start. A backup may have come back, or a crash may have struck before the commit. An order
        whose request waits here or is unknown is carried out; one that was called off, or whose request was
        closed here, is not: its erasure was never committed. Who is under a legal hold waits for its end.
        """
        again = 0
        for member, request in self._here_again():
            order = Order(Party(ActorType.SYSTEM, "erasures"), request)
            with self._database.transaction() as tx:
                try:
                    self._destroy(tx, member, order, now, partial(_still_wanted, tx, request))
                except (NoSuchMemberError, HeldError, _NotWantedError):
                    continue
                tx.commit()
            again += 1
        return again

    def _here_again(self) -> list[tuple[SubjectId, str]]:
        """Return the orders about active people: a keyed look at some hundred at once, for long lists."""
        ordered = sorted(self._erasures.orders())
        everybody = sorted({member for member, _ in ordered})
        here: set[SubjectId] = set()
        with self._database.reading() as tx:
            for start in range(0, len(everybody), _AT_ONCE):
                known = subjects.rows_of(tx, everybody[start : start + _AT_ONCE], Hold.NONE)
                here |= {one.id for one in known.values() if one.active}
        return [one for one in ordered if one[0] in here]

    def call_off(self, member: SubjectId, request: str, now: int) -> None:
        """Call off an order whose commit failed: the request is about to be closed, in the caller's commit.

        Raises:
            ErasureLedgerError: that cannot be written; then the request may not be closed either.
        """
        self._erasures.call_off(member, request, now)

    def _destroy(
        self, tx: Transaction, member: SubjectId, order: Order, now: int, still: Callable[[], object]
    ) -> bytes:
        around = tx.rows(_AROUND, {"member": member})
        known = subjects.change(tx, {member, *(SubjectId(row[0]) for row in around)})
        if member not in known or not known[member].active:
            raise NoSuchMemberError
        if holds.held(tx, [member, *moving.homes_of(tx, member, now)], now):
            raise HeldError
        still()
        request = rightsrecords.one(tx, order.request)
        about = {"member": member, "now": now}
        deserted = []
        ended: list[Consent] = []
        for held in moving.hold_all(tx, MemberId(member), now):
            moving.move_out(tx, held, MemberId(member), now)
            ended += ending.by_leaving(tx, held, MemberId(member)) if held.primary == MemberId(member) else []
            if len(held.living) == 1:
                deserted.append(SubjectId(held.household))
        for ward in sorted({row[0] for row in around if row[1] == Relation.WARD}):
            ended += ending.given_for(tx, ward, member, Capacity.GUARDIAN)
            ties.end_guardian(tx, ward, member, {"reason": ERASED}, now)
            lapse(tx, SubjectId(ward), member)
        tx.run(_END_ELSEWHERE, about)
        tx.run(_END_HERE, about)
        by = registry.Actor(member, Capacity.SELF, {"request": order.request})
        registry.erase(tx, member, by, now)
        confirmation.forget_codes(tx, member)
        name = ledger.names_of(tx, [member]).get(member, b"")
        owned = (*tx.rows(_REVIEWS, {"name": name}), *tx.rows(_REQUESTS, {"member": member}))
        owners = [str(row[0]) for row in owned]
        details.forget(tx, member)
        destroyed = self._vault.destroy(tx, member, [*owners, *holds.ended(tx, member)])
        for household in deserted:
            destroyed += self._close(tx, household, now)
        tx.run(_DROP_REVIEWS, {"name": name})
        for statement in _DROPPED:
            tx.run(statement, {"member": member})
        tx.run(_RETIRE, {"member": member})
        tx.run(_CLOSE, {"member": member})
        ledger.forget(tx, member)
        document: dict[str, object] = {
            "type": TYPE,
            "version": 1,
            "request": order.request,
            "controller": self._controller,
            "at": rfc3339(now),
            "destroyed": destroyed._asdict(),
            "law": LAW,
        }
        receipt = self._note(tx, order, destroyed, now)
        announcing.announce(tx, [announcing.of_subject(Told.ERASED, member, receipt.index, now)])
        ending.tell(tx, ended, Reason.NO_AUTHORITY, self._keeper.fingerprint(tx), now, order.request_id)
        document["log"] = {"index": receipt.index, "leaf": receipt.leaf_hash.hex()}
        body = self._signer.sign(document)
        rightsrecords.certify(tx, order.request, _passed_on_by(request), body, now)
        return body

    def _close(self, tx: Transaction, household: SubjectId, now: int) -> Destroyed:
        """Close a household whose last resident is erased: its values led to nobody else."""
        details.forget(tx, household)
        destroyed = self._vault.destroy(tx, household, holds.ended(tx, household))
        tx.run(_END_HERE, {"member": household, "now": now})
        for statement in _DROPPED:
            tx.run(statement, {"member": household})
        tx.run(_DROP_OFFERS, {"home": household})
        tx.run(_CLOSE, {"member": household})
        ledger.forget(tx, household)
        return destroyed

    def _note(self, tx: Transaction, order: Order, destroyed: Destroyed, now: int) -> Receipt:
        # Without the person's name in the log: the certificate leads to this entry, and must to no other.
        entry = Entry(
            t=now,
            kind=Kind.CHANGE,
            act="subject.erased",
            dec=Verdict.PERMIT,
            actor=LogActor(order.party),
            resource=order.request,
            purpose="legal.compliance",
            policy=self._keeper.fingerprint(tx),
            request=order.request_id,
            n=sum(destroyed),
        )
        return ledger.append(tx, [entry])[0]


def _passed_on_by(request: rightsrecords.Request | None) -> str:
    """Return the service that may fetch the certificate; a member who asked in person is erased with it."""
    return "" if request is None or request.via.startswith(Prefix.MEMBER) else request.via


def _still_wanted(tx: Transaction, request: str) -> None:
    """Refuse an order whose request was closed here; asked under the member's lock."""
    asked = rightsrecords.one(tx, request)
    if asked is not None and asked.state.value not in rightsrecords.WAITING:
        raise _NotWantedError
