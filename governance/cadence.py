"""How often: promotional messages per member and day, without races.

The caller holds the member's row exclusively, so counting and taking cannot interleave with another
sender's; the primary key of the slot is the second guard. A day is a calendar day in the recipient's
zone, Asia/Shanghai until recipients declare another. A slot is taken for admitted messages only.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, func, insert, select

from governance.records import SendSlot
from policies.terms import SubjectId
from policies.transaction import Transaction

_slot = SendSlot.__table__
_ZONE: Final = ZoneInfo("Asia/Shanghai")
_TAKEN: Final = (
    select(_slot.c.subject_id, func.max(_slot.c.slot) + 1)
    .where(_slot.c.subject_id.in_(bindparam("subjects", expanding=True)), _slot.c.day == bindparam("today"))
    .group_by(_slot.c.subject_id)
)
_TAKE: Final = insert(_slot)


def day_of(now: int) -> str:
    """Return the recipient's calendar day, ``2026-11-22``."""
    return datetime.fromtimestamp(now / 1000, UTC).astimezone(_ZONE).date().isoformat()


def taken(tx: Transaction, subjects: Collection[SubjectId], now: int) -> Mapping[SubjectId, int]:
    """Return how many slots each member has used today; members without any are left out."""
    rows = tx.rows(_TAKEN, {"subjects": sorted(subjects), "today": day_of(now)})
    return {SubjectId(subject): count for subject, count in rows}


def take(tx: Transaction, slots: Mapping[SubjectId, int], message_id: str, now: int) -> None:
    """Take the numbered slot of each member for this message."""
    tx.run(
        _TAKE,
        [
            {"subject_id": subject, "day": day_of(now), "slot": slot, "message_id": message_id}
            for subject, slot in slots.items()
        ],
    )
