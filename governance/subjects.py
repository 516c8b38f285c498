"""Subject rows: what deciding transactions lock, and the epoch that every change of a fact moves on.

Locks are taken in ascending order of id, before any fact is read: the order of the log and the order of
the truth agree, and nothing deadlocks. Deciders and changers of one subject queue up: a withdrawal waits
for those before it and for nobody who comes later. On SQLite the write lock of the transaction does the
same for the whole file, and the locking clause is not spoken.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum
from typing import Final, NamedTuple

from sqlalchemy import bindparam, select, update

from governance.records import Subject
from policies.terms import SubjectId, SubjectKind
from policies.transaction import Transaction

_subject = Subject.__table__

_ROWS: Final = (
    select(_subject.c.id, _subject.c.kind, _subject.c.household_id, _subject.c.state, _subject.c.wishes)
    .where(_subject.c.id.in_(bindparam("subjects", expanding=True)))
    .order_by(_subject.c.id)
)


class Hold(Enum):
    """What the rows are held for until the transaction ends."""

    NONE = "none"
    DECIDE = "decide"
    CHANGE = "change"


_HOLDING: Final = {
    Hold.NONE: _ROWS,
    # Not FOR SHARE: new readers would join the lock while a withdrawal waits for it, and it waits for ever.
    # Deciders of one subject queue up instead; they commit one after another at the log's head anyway.
    Hold.DECIDE: _ROWS.with_for_update(key_share=True),
    Hold.CHANGE: _ROWS.with_for_update(),
}
_BUMP: Final = (
    update(_subject)
    .where(_subject.c.id.in_(bindparam("subjects", expanding=True)))
    .values(epoch=_subject.c.epoch + 1)
)


SAME_GENDER_ADVISOR: Final = "same_gender_advisor"
"""The wish of a household for advisors of each member's own gender."""


class SubjectRow(NamedTuple):
    """What is known of a subject without opening anything."""

    id: SubjectId
    kind: SubjectKind
    household_id: str
    active: bool
    wishes: frozenset[str] = frozenset()


def rows_of(tx: Transaction, subjects: Collection[SubjectId], hold: Hold) -> dict[SubjectId, SubjectRow]:
    """Return the rows of those subjects that exist, held as asked until the transaction ends."""
    rows = tx.rows(_HOLDING[hold], {"subjects": sorted(subjects)})
    return {
        SubjectId(id_): SubjectRow(
            SubjectId(id_), SubjectKind(kind), household, state == "active", frozenset(wishes.split())
        )
        for id_, kind, household, state, wishes in rows
    }


def change(tx: Transaction, subjects: Collection[SubjectId]) -> dict[SubjectId, SubjectRow]:
    """Lock these subjects exclusively and move their epochs on: a fact about them is about to change."""
    rows = rows_of(tx, subjects, Hold.CHANGE)
    tx.run(_BUMP, {"subjects": sorted(subjects)})
    return rows
