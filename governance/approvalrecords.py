"""Approvals as they stand on record: the statements, what became of each, and the one use of it.

Promises that expiry and use are told from the row and never stored as a state of their own, and that an
approval that lets a write through is used up in the transaction of that write.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import bindparam, insert, or_, select, update

from audit import ledger
from governance.records import Actor, Approval, RelationRow
from policies.terms import Action, ActorId, FieldName, Purpose, Relation, SubjectId
from policies.transaction import Transaction

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
    _approval.c.resource,
    _approval.c.asked_by,
    _actor.c.label,
)
FOUND: Final = select(*_COLUMNS).join_from(_approval, _actor, _actor.c.id == _approval.c.actor_id)
_runs: Final = (
    _relation.c.starts_at <= bindparam("now"),
    or_(_relation.c.ends_at.is_(None), _relation.c.ends_at > bindparam("now")),
)
TIES: Final = select(_relation.c.relation).where(
    _relation.c.subject_id == bindparam("subject"), _relation.c.actor_id == bindparam("actor"), *_runs
)
GUARDIANS: Final = select(_relation.c.actor_id).where(
    _relation.c.subject_id == bindparam("subject"), _relation.c.relation == Relation.WARD.value, *_runs
)
WARDS: Final = select(_relation.c.subject_id).where(
    _relation.c.actor_id == bindparam("actor"), _relation.c.relation == Relation.WARD.value, *_runs
)
ONE: Final = FOUND.where(_approval.c.id == bindparam("approval"))
SAME: Final = FOUND.where(
    _approval.c.subject_id == bindparam("subject"),
    _approval.c.actor_id == bindparam("actor"),
    _approval.c.act == bindparam("verb"),
    _approval.c.fields == bindparam("words"),
    _approval.c.purpose == bindparam("aim"),
    _approval.c.resource == bindparam("thing"),
    _approval.c.state == "pending",
    _approval.c.expires_at > bindparam("now"),
)
SAME_OF: Final = SAME.where(_approval.c.asked_by == bindparam("asker"))
MINE: Final = (
    FOUND.where(or_(_approval.c.subject_id == bindparam("actor"), _approval.c.subject_id.in_(WARDS)))
    .order_by(_approval.c.asked_at.desc(), _approval.c.id.desc())
    .limit(bindparam("most"))
)
UNCLEARED: Final = (
    FOUND.where(
        _approval.c.state == "pending",
        _approval.c.actor_id != _approval.c.subject_id,
        _approval.c.cleared_by.is_(None),
        _approval.c.expires_at > bindparam("now"),
    )
    .order_by(_approval.c.asked_at, _approval.c.id)
    .limit(bindparam("most"))
)
ADD: Final = insert(_approval)
SET: Final = (
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
_LAPSE: Final = (
    update(_approval)
    .where(
        _approval.c.subject_id == bindparam("subject"),
        _approval.c.state.in_(("pending", "approved")),
        _approval.c.used_at.is_(None),
    )
    .values(state="cancelled")
)
_LAPSE_OF: Final = _LAPSE.where(_approval.c.decided_by == bindparam("guardian"))
MOST: Final = 100
"""How many approvals one list shows."""


class State(StrEnum):
    """What became of an approval. ``used`` and ``expired`` are told, never stored as such."""

    PENDING = "pending"
    APPROVED = "approved"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    USED = "used"
    EXPIRED = "expired"


class HostAct(StrEnum):
    """What a child may ask to do in a host application (S4); what it is about is the application's own id."""

    DOWNLOAD = "download"
    PURCHASE = "purchase"
    SHARE = "share"
    JOIN = "join"


HOST_ACTS: Final = frozenset(HostAct)


@dataclass(frozen=True, slots=True)
class Asked:
    """An approval on record as people read it; ``who`` is the display name of staff, empty for the child.

    ``resource`` is set for acts in a host application, ``fields`` and ``purpose`` for all others.
    """

    id: str
    subject_id: SubjectId
    actor_id: ActorId
    who: str
    act: Action | HostAct
    fields: tuple[FieldName, ...]
    purpose: Purpose
    state: State
    asked_at: int
    expires_at: int
    decided_by: str | None
    decided_at: int | None
    cleared_by: str | None
    resource: str
    asked_by: str

    @property
    def by_staff(self) -> bool:
        """Whether staff ask for access, and not the child for an act of its own."""
        return str(self.actor_id) != self.subject_id


def use_up(tx: Transaction, subject: SubjectId, approvals: Iterable[str | None], now: int) -> None:
    """Use up the approvals that let a write through, in the transaction of that write."""
    used = sorted({one for one in approvals if one is not None})
    if not used:
        return
    if tx.run(_USE, {"subject": subject, "approvals": used, "now": now}) != len(used):
        raise ledger.LogError("an approval was used under its subject's lock")


def lapse(tx: Transaction, subject: SubjectId, guardian: str | None = None) -> int:
    """End the unused approvals of a subject, or those a guardian gave; return how many there were."""
    if guardian is None:
        return tx.run(_LAPSE, {"subject": subject})
    return tx.run(_LAPSE_OF, {"subject": subject, "guardian": guardian})


def asked_of(row: Sequence[Any], now: int) -> Asked:
    """Return an approval from a row of ``ONE`` and its like."""
    (
        subject,
        id_,
        actor,
        act,
        fields,
        purpose,
        state,
        at,
        until,
        decider,
        since,
        clearer,
        used,
        thing,
        asker,
        label,
    ) = row
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
        HostAct(act) if act in HOST_ACTS else Action(act),
        tuple(map(FieldName, fields.split())),
        Purpose(purpose),
        told,
        at,
        until,
        decider,
        since,
        clearer,
        thing,
        asker,
    )
