"""Approvals: what a child may not do alone, and what staff may not see of a minor unasked.

Promises that an approval covers exactly one subject, actor, act, purpose and set of fields; that it ends by
itself; that one refusal ends it, however many have agreed; and that each step commits with its log entry,
which both parties find in their own view. A child's own act needs a guardian on record (个人信息保护法
第三十一条第一款). Access by staff needs a guardian and an officer: 未成年人网络保护条例 第三十六条 asks for
the approval of a responsible manager, which no guardian can give. An approved write is used up with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from audit import ledger
from audit.entry import Actor as LogActor
from audit.entry import Entry, Kind, Verdict
from governance import subjects
from governance.acting import On
from governance.approvalrecords import (
    ADD,
    GUARDIANS,
    MINE,
    MOST,
    ONE,
    SAME,
    SAME_OF,
    SET,
    TIES,
    UNCLEARED,
    Asked,
    HostAct,
    State,
    asked_of,
    use_up,
)
from governance.database import Database
from governance.rulekeeping import RuleKeeper
from governance.testimony import party
from policies.book import RuleBook
from policies.identifiers import Prefix, kind_of, new_id
from policies.terms import Action, ActorId, FieldName, Purpose, Relation, SubjectId, SubjectKind
from policies.transaction import Transaction

_HOUR_MS: Final = 3600 * 1000
OFFICE: Final = "compliance_officer"
"""Who says yes for the company, the responsible manager of 未成年人网络保护条例 第三十六条."""


class NoSuchApprovalError(Exception):
    """There is no such approval or subject, or it is not this person's to speak about."""


class UnfitApprovalError(Exception):
    """This is nothing that an approval can be given for."""


class ApprovalEndedError(Exception):
    """It was refused, cancelled or used, or its time is over."""


class _Wish(NamedTuple):
    """What is to be approved: fields for a purpose, or a thing elsewhere; ``asker`` is a service or empty."""

    act: Action | HostAct
    words: str
    purpose: Purpose
    resource: str = ""
    asker: str = ""


class Approving:
    """The desk for approvals. Stateless."""

    def __init__(self, database: Database, keeper: RuleKeeper) -> None:
        self._database = database
        self._keeper = keeper

    def open(
        self,
        on: On,
        subject: SubjectId,
        acting: ActorId,
        action: Action,
        fields: Iterable[FieldName],
        purpose: Purpose,
        now: int,
    ) -> Asked:
        """Ask for an approval; asking again while it waits is the same one.

        ``on`` is who asks, ``acting`` for whose act. Approvals are for what a child writes of its own and
        for what assigned staff read or write of a member. What a child asks is one request, through whichever
        application; what two applications ask for staff are two, so that each can follow its own.

        Raises:
            NoSuchApprovalError: there is no such subject, or the two have nothing to do with each other.
            UnfitApprovalError: this is nothing that an approval is given for, or nobody on record could say
                yes to a child.
        """
        named = tuple(sorted(set(fields)))
        if not named or action is Action.SEND or (str(acting) == subject and action is not Action.WRITE):
            raise UnfitApprovalError
        wish = _Wish(action, " ".join(named), purpose, asker=_asker(on))
        return self._keeper.attempt(lambda: self._open(on, subject, acting, wish, now))

    def open_act(self, on: On, subject: SubjectId, act: HostAct, resource: str, now: int) -> Asked:
        """Ask the guardians to let a child do something in a host application, which asks or is asked.

        ``resource`` is the application's own id of the thing, never words about it. An application that
        asked is the only one that may use the approval.

        Raises:
            UnfitApprovalError: nobody on record could say yes.
        """
        wish = _Wish(act, "", Purpose(""), resource, _asker(on))
        return self._keeper.attempt(lambda: self._open(on, subject, on.member, wish, now))

    def _open(self, on: On, subject: SubjectId, acting: ActorId, wish: _Wish, now: int) -> Asked:
        with self._database.transaction() as tx:
            book = self._keeper.in_force(tx).rules.book
            if isinstance(wish.act, Action):
                _refuse_unfit(book, wish)
            known = subjects.change(tx, [subject])
            ties = {tie for (tie,) in tx.rows(TIES, {"subject": subject, "actor": acting, "now": now})}
            wanted = Relation.SELF if str(acting) == subject else Relation.ASSIGNED
            if subject not in known or not known[subject].active or wanted not in ties:
                raise NoSuchApprovalError
            own = wanted is Relation.SELF
            if own and not tx.rows(GUARDIANS, {"subject": subject, "now": now}):
                raise UnfitApprovalError
            same = {"subject": subject, "actor": acting, "verb": wish.act.value, "words": wish.words}
            same |= {"aim": wish.purpose, "thing": wish.resource, "asker": wish.asker}
            earlier = tx.rows(SAME if own and wish.words else SAME_OF, {**same, "now": now})
            if earlier:
                return asked_of(earlier[0], now)
            approval = new_id(Prefix.APPROVAL)
            row = {
                "subject_id": subject,
                "id": approval,
                "actor_id": acting,
                "act": wish.act.value,
                "fields": wish.words,
                "purpose": wish.purpose,
                "state": State.PENDING.value,
                "asked_at": now,
                "expires_at": now + book.limits.approval_hours * _HOUR_MS,
                "resource": wish.resource,
                "asked_by": wish.asker,
            }
            tx.run(ADD, row)
            asked = self._one(tx, approval, now)
            self._note(tx, "approval.asked", on, asked, now)
            tx.commit()
            return asked

    def use(self, on: On, approval: str, act: HostAct, resource: str, now: int) -> Asked:
        """Let a host application do what was approved, once: this act of this child with this thing.

        Raises:
            NoSuchApprovalError: there is none for exactly this, or another application asked for it.
            ApprovalEndedError: it is not, or no longer, approved.
        """
        with self._database.transaction() as tx:
            asked = self._held(tx, approval, now)
            if asked is None or (asked.act, asked.resource, asked.actor_id) != (act, resource, on.member):
                raise NoSuchApprovalError
            if asked.asked_by not in ("", on.caller.actor_id):
                raise NoSuchApprovalError
            if asked.state is not State.APPROVED:
                raise ApprovalEndedError
            use_up(tx, asked.subject_id, [approval], now)
            self._note(tx, "approval.used", on, asked, now)
            answer = self._one(tx, approval, now)
            tx.commit()
            return answer

    def asked_by(self, service: ActorId, approval: str, now: int) -> Asked:
        """Return an approval that this application asked for.

        Raises:
            NoSuchApprovalError: it asked for no such approval.
        """
        with self._database.reading() as tx:
            asked = self.of_id(tx, approval, now)
        if asked is None or asked.asked_by != service:
            raise NoSuchApprovalError
        return asked

    def decide(self, on: On, approval: str, *, approve: bool, now: int) -> Asked:
        """Let a guardian on record say yes or no. A no counts as long as the approval was not used."""

        def may(tx: Transaction, asked: Asked) -> bool:
            about = {"subject": asked.subject_id, "actor": on.member, "now": now}
            return (Relation.WARD.value,) in [tuple(row) for row in tx.rows(TIES, about)]

        return self._say(on, approval, may, approve=approve, now=now, clears=False)

    def clear(self, on: On, approval: str, *, approve: bool, now: int) -> Asked:
        """Let an officer say yes or no to access by staff; never to the officer's own."""

        def may(_tx: Transaction, asked: Asked) -> bool:
            own = asked.actor_id == on.caller.actor_id
            return OFFICE in on.caller.roles and asked.by_staff and not own

        return self._say(on, approval, may, approve=approve, now=now, clears=True)

    def cancel(self, on: On, approval: str, now: int) -> Asked:
        """Let whoever it was asked for take it back, as long as it was not used.

        Raises:
            NoSuchApprovalError: it is somebody else's, or an application calls that did not ask for it.
            ApprovalEndedError: it was refused, cancelled or used, or its time is over.
        """
        with self._database.transaction() as tx:
            asked = self._held(tx, approval, now)
            if asked is None or asked.actor_id != on.member or _asker(on) not in ("", asked.asked_by):
                raise NoSuchApprovalError
            if asked.state not in (State.PENDING, State.APPROVED):
                raise ApprovalEndedError
            self._set(tx, asked, State.CANCELLED)
            self._note(tx, "approval.cancelled", on, asked, now)
            tx.commit()
            return self._one(tx, approval, now)

    def of_person(self, member: ActorId, now: int) -> list[Asked]:
        """Return what this member has asked for, and what waits for, or got, an answer as a guardian."""
        with self._database.reading() as tx:
            return [asked_of(row, now) for row in tx.rows(MINE, {"actor": member, "now": now, "most": MOST})]

    def of_id(self, tx: Transaction, approval: str, now: int) -> Asked | None:
        """Return one approval, for whoever is known to have asked for it."""
        return next((asked_of(row, now) for row in tx.rows(ONE, {"approval": approval})), None)

    def uncleared(self, tx: Transaction, now: int) -> list[Asked]:
        """Return the access by staff that waits for an officer, the longest waiting first."""
        return [asked_of(row, now) for row in tx.rows(UNCLEARED, {"now": now, "most": MOST})]

    def _say(
        self,
        on: On,
        approval: str,
        may: Callable[[Transaction, Asked], bool],
        *,
        approve: bool,
        now: int,
        clears: bool,
    ) -> Asked:
        with self._database.transaction() as tx:
            asked = self._held(tx, approval, now)
            if asked is None or not may(tx, asked):
                raise NoSuchApprovalError
            said_yes = asked.cleared_by if clears else asked.decided_by
            if approve and asked.state in (State.PENDING, State.APPROVED) and said_yes is not None:
                return asked  # said before; twice is once
            ended = asked.state not in (State.PENDING, State.APPROVED)
            if ended or (approve and asked.state is not State.PENDING):
                raise ApprovalEndedError
            if not approve:
                self._set(tx, asked, State.REFUSED, decided_by=on.member, at=now)
                self._note(tx, "approval.refused", on, asked, now, Verdict.DENY)
            elif clears:
                done = State.PENDING if asked.decided_by is None else State.APPROVED
                self._set(tx, asked, done, cleared_by=on.member)
                self._note(tx, "approval.cleared", on, asked, now)
            else:
                waits = asked.by_staff and asked.cleared_by is None
                done = State.PENDING if waits else State.APPROVED
                self._set(tx, asked, done, decided_by=on.member, at=now)
                self._note(tx, "approval.granted", on, asked, now)
            answer = self._one(tx, approval, now)
            tx.commit()
            return answer

    def _one(self, tx: Transaction, approval: str, now: int) -> Asked:
        return asked_of(tx.rows(ONE, {"approval": approval})[0], now)

    def _held(self, tx: Transaction, approval: str, now: int) -> Asked | None:
        """Return an approval with its subject held: nobody decides about the child meanwhile."""
        rows = tx.rows(ONE, {"approval": approval})
        if not rows:
            return None
        subjects.change(tx, [SubjectId(rows[0][0])])
        return self._one(tx, approval, now)

    def _set(
        self,
        tx: Transaction,
        asked: Asked,
        state: State,
        *,
        decided_by: str | None = None,
        cleared_by: str | None = None,
        at: int | None = None,
    ) -> None:
        become = {
            "subject": asked.subject_id,
            "approval": asked.id,
            "become": state.value,
            "decider": decided_by or asked.decided_by,
            "since": at if decided_by else asked.decided_at,
            "clearer": cleared_by or asked.cleared_by,
        }
        tx.run(SET, become)

    def _note(
        self, tx: Transaction, act: str, on: On, asked: Asked, now: int, dec: Verdict = Verdict.PERMIT
    ) -> None:
        """Log a step where the child and every guardian will find it."""
        guardians = [row[0] for row in tx.rows(GUARDIANS, {"subject": asked.subject_id, "now": now})]
        people = dict.fromkeys([asked.subject_id, *guardians])
        if kind_of(on.member) is Prefix.MEMBER:
            people[on.member] = None
        names = ledger.pseudonyms(tx, people)
        caller, person = party(on.caller.actor_id, names), party(on.member, names)
        entry = Entry(
            t=now,
            kind=Kind.CHANGE,
            act=act,
            dec=dec,
            actor=LogActor(caller, on_behalf_of=None if person == caller else person),
            subjects=tuple(names[one] for one in people),
            resource=asked.id,
            purpose=asked.purpose,
            policy=self._keeper.fingerprint(tx),
            request=on.request_id,
            corr=asked.id,
        )
        ledger.append(tx, [entry])


def _asker(on: On) -> str:
    """Return the application that asks, empty where a person does in a session."""
    return on.caller.actor_id if on.caller.kind is Prefix.SERVICE else ""


def _refuse_unfit(book: RuleBook, wish: _Wish) -> None:
    """Refuse what is no field of a member, or for no purpose that the rules declare."""
    declared = [book.fields.get(FieldName(field)) for field in wish.words.split()]
    fits = [one is not None and one.subject is SubjectKind.MEMBER and not one.channel for one in declared]
    if not all(fits) or wish.purpose not in book.purposes:
        raise UnfitApprovalError
