"""Approvals: what a child may not do alone, and what staff may not see of a minor unasked.

Promises that an approval covers exactly one subject, actor, act, purpose and set of fields; that it ends by
itself; that one refusal ends it, however many have agreed; and that each step commits with its log entry,
which both parties find in their own view. A child's own act needs a guardian on record (个人信息保护法
第三十一条第一款). Access by staff needs a guardian and an officer: 未成年人网络保护条例 第三十六条 asks for
the approval of a responsible manager, which no guardian can give. An approved write is used up with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import bindparam, insert, or_, select, update

from audit import ledger
from audit.entry import Actor as LogActor
from audit.entry import Entry, Kind, Verdict
from governance import subjects
from governance.consenting import On
from governance.database import Database
from governance.records import Actor, Approval, RelationRow
from governance.rulekeeping import RuleKeeper
from governance.testimony import party
from policies.identifiers import Prefix, kind_of, new_id
from policies.terms import Action, ActorId, FieldName, Purpose, Relation, SubjectId, SubjectKind
from policies.transaction import Transaction

_HOUR_MS: Final = 3600 * 1000
OFFICE: Final = "compliance_officer"
"""Who says yes for the company, the responsible manager of 未成年人网络保护条例 第三十六条."""

_approval, _relation, _actor = Approval.__table__, RelationRow.__table__, Actor.__table__
_COLUMNS: Final = (
    _approval.c.subject_id,
    _approval.c.id,
    _approval.c.actor_id,
    _approval.c.act,
    _approval.c.fields,
    _approval.c.purpose,
    _approval.c.state,
    _approval.c.asked_at,
    _approval.c.expires_at,
    _approval.c.decided_by,
    _approval.c.decided_at,
    _approval.c.cleared_by,
    _approval.c.used_at,
    _actor.c.label,
)
_FOUND: Final = select(*_COLUMNS).join_from(_approval, _actor, _actor.c.id == _approval.c.actor_id)
_runs: Final = (
    _relation.c.starts_at <= bindparam("now"),
    or_(_relation.c.ends_at.is_(None), _relation.c.ends_at > bindparam("now")),
)
_TIES: Final = select(_relation.c.relation).where(
    _relation.c.subject_id == bindparam("subject"), _relation.c.actor_id == bindparam("actor"), *_runs
)
_GUARDIANS: Final = select(_relation.c.actor_id).where(
    _relation.c.subject_id == bindparam("subject"), _relation.c.relation == Relation.WARD.value, *_runs
)
_WARDS: Final = select(_relation.c.subject_id).where(
    _relation.c.actor_id == bindparam("actor"), _relation.c.relation == Relation.WARD.value, *_runs
)
_ONE: Final = _FOUND.where(_approval.c.id == bindparam("approval"))
_SAME: Final = _FOUND.where(
    _approval.c.subject_id == bindparam("subject"),
    _approval.c.actor_id == bindparam("actor"),
    _approval.c.act == bindparam("verb"),
    _approval.c.fields == bindparam("words"),
    _approval.c.purpose == bindparam("aim"),
    _approval.c.state == "pending",
    _approval.c.expires_at > bindparam("now"),
)
_MINE: Final = (
    _FOUND.where(or_(_approval.c.subject_id == bindparam("actor"), _approval.c.subject_id.in_(_WARDS)))
    .order_by(_approval.c.asked_at.desc(), _approval.c.id.desc())
    .limit(bindparam("most"))
)
_UNCLEARED: Final = (
    _FOUND.where(
        _approval.c.state == "pending",
        _approval.c.actor_id != _approval.c.subject_id,
        _approval.c.cleared_by.is_(None),
        _approval.c.expires_at > bindparam("now"),
    )
    .order_by(_approval.c.asked_at, _approval.c.id)
    .limit(bindparam("most"))
)
_ADD: Final = insert(_approval)
_SET: Final = (
    update(_approval)
    .where(_approval.c.subject_id == bindparam("subject"), _approval.c.id == bindparam("approval"))
    .values(
        state=bindparam("become"),
        decided_by=bindparam("decider"),
        decided_at=bindparam("since"),
        cleared_by=bindparam("clearer"),
    )
)
_USE: Final = (
    update(_approval)
    .where(
        _approval.c.subject_id == bindparam("subject"),
        _approval.c.id.in_(bindparam("approvals", expanding=True)),
        _approval.c.used_at.is_(None),
    )
    .values(used_at=bindparam("now"))
)
MOST: Final = 100
"""How many approvals one list shows, the newest (or, for officers, the longest waiting) first."""


class State(StrEnum):
    """What became of an approval. ``used`` and ``expired`` are told, never stored as such."""

    PENDING = "pending"
    APPROVED = "approved"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    USED = "used"
    EXPIRED = "expired"


class NoSuchApprovalError(Exception):
    """There is no such approval or subject, or it is not this person's to speak about."""


class UnfitApprovalError(Exception):
    """This is nothing that an approval can be given for."""


class ApprovalEndedError(Exception):
    """It was refused, cancelled or used, or its time is over."""


@dataclass(frozen=True, slots=True)
class Asked:
    """An approval on record as people read it; ``who`` is the display name of staff, empty for the child."""

    id: str
    subject_id: SubjectId
    actor_id: ActorId
    who: str
    act: Action
    fields: tuple[FieldName, ...]
    purpose: Purpose
    state: State
    asked_at: int
    expires_at: int
    decided_by: str | None
    decided_at: int | None
    cleared_by: str | None

    @property
    def by_staff(self) -> bool:
        """Whether staff ask for access, and not the child for an act of its own."""
        return str(self.actor_id) != self.subject_id


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
        for what assigned staff read or write of a member.
        """
        named = tuple(sorted(set(fields)))
        if not named or action is Action.SEND or (str(acting) == subject and action is not Action.WRITE):
            raise UnfitApprovalError
        return self._keeper.attempt(lambda: self._open(on, subject, acting, action, named, purpose, now))

    def _open(
        self,
        on: On,
        subject: SubjectId,
        acting: ActorId,
        action: Action,
        named: tuple[FieldName, ...],
        purpose: Purpose,
        now: int,
    ) -> Asked:
        with self._database.transaction() as tx:
            book = self._keeper.in_force(tx).rules.book
            declared = [book.fields.get(field) for field in named]
            kept = [one for one in declared if one is not None and one.subject is SubjectKind.MEMBER]
            if len(kept) != len(named) or any(one.channel for one in kept) or purpose not in book.purposes:
                raise UnfitApprovalError
            known = subjects.change(tx, [subject])
            ties = {tie for (tie,) in tx.rows(_TIES, {"subject": subject, "actor": acting, "now": now})}
            wanted = Relation.SELF if str(acting) == subject else Relation.ASSIGNED
            if subject not in known or not known[subject].active or wanted not in ties:
                raise NoSuchApprovalError
            words = " ".join(named)
            same = {"subject": subject, "actor": acting, "verb": action.value, "words": words, "aim": purpose}
            earlier = tx.rows(_SAME, {**same, "now": now})
            if earlier:
                return _asked(earlier[0], now)
            approval = new_id(Prefix.APPROVAL)
            row = {
                "subject_id": subject,
                "id": approval,
                "actor_id": acting,
                "act": action.value,
                "fields": words,
                "purpose": purpose,
                "state": State.PENDING.value,
                "asked_at": now,
                "expires_at": now + book.limits.approval_hours * _HOUR_MS,
            }
            tx.run(_ADD, row)
            asked = self._one(tx, approval, now)
            self._note(tx, "approval.asked", on, asked, now)
            tx.commit()
            return asked

    def decide(self, on: On, approval: str, *, approve: bool, now: int) -> Asked:
        """Let a guardian on record say yes or no. A no counts as long as the approval was not used."""

        def may(tx: Transaction, asked: Asked) -> bool:
            about = {"subject": asked.subject_id, "actor": on.member, "now": now}
            return (Relation.WARD.value,) in [tuple(row) for row in tx.rows(_TIES, about)]

        return self._say(on, approval, may, approve=approve, now=now, clears=False)

    def clear(self, on: On, approval: str, *, approve: bool, now: int) -> Asked:
        """Let an officer say yes or no to access by staff; never to the officer's own."""

        def may(_tx: Transaction, asked: Asked) -> bool:
            own = asked.actor_id == on.caller.actor_id
            return OFFICE in on.caller.roles and asked.by_staff and not own

        return self._say(on, approval, may, approve=approve, now=now, clears=True)

    def cancel(self, on: On, approval: str, now: int) -> Asked:
        """Let whoever it was asked for take it back, as long as it was not used."""
        with self._database.transaction() as tx:
            asked = self._held(tx, approval, now)
            if asked is None or asked.actor_id != on.member:
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
            return [_asked(row, now) for row in tx.rows(_MINE, {"actor": member, "now": now, "most": MOST})]

    def of_id(self, tx: Transaction, approval: str, now: int) -> Asked | None:
        """Return one approval, for whoever is known to have asked for it."""
        return next((_asked(row, now) for row in tx.rows(_ONE, {"approval": approval})), None)

    def uncleared(self, tx: Transaction, now: int) -> list[Asked]:
        """Return the access by staff that waits for an officer, the longest waiting first."""
        return [_asked(row, now) for row in tx.rows(_UNCLEARED, {"now": now, "most": MOST})]

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
        return _asked(tx.rows(_ONE, {"approval": approval})[0], now)

    def _held(self, tx: Transaction, approval: str, now: int) -> Asked | None:
        """Return an approval with its subject held: nobody decides about the child meanwhile."""
        rows = tx.rows(_ONE, {"approval": approval})
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
        tx.run(_SET, become)

    def _note(
        self, tx: Transaction, act: str, on: On, asked: Asked, now: int, dec: Verdict = Verdict.PERMIT
    ) -> None:
        """Log a step where the child and every guardian will find it."""
        guardians = [row[0] for row in tx.rows(_GUARDIANS, {"subject": asked.subject_id, "now": now})]
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


def use_up(tx: Transaction, subject: SubjectId, approvals: Iterable[str | None], now: int) -> None:
    """Use up the approvals that let a write through, in the transaction of that write."""
    used = sorted({one for one in approvals if one is not None})
    if not used:
        return
    if tx.run(_USE, {"subject": subject, "approvals": used, "now": now}) != len(used):
        raise ledger.LogError("an approval was used under its subject's lock")


def _asked(row: Sequence[Any], now: int) -> Asked:
    subject, id_, actor, act, fields, purpose, state, at, until, decider, since, clearer, used, label = row
    told = State(state)
    if used is not None:
        told = State.USED
    elif told in (State.PENDING, State.APPROVED) and until <= now:
        told = State.EXPIRED
    return Asked(
        id_,
        SubjectId(subject),
        ActorId(actor),
        label,
        Action(act),
        tuple(map(FieldName, fields.split())),
        Purpose(purpose),
        told,
        at,
        until,
        decider,
        since,
        clearer,
    )
