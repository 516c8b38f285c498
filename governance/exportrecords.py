"""Exports of the log as officers asked for them: the table, its statements, and how each one stands.

Promises that expiry is told from the row and never stored, and that no row holds anything personal: a query
is words of the rules and ids of services and staff (``governance.exportfilter``), the people whom the entries
are about stand in the log alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import Index, bindparam, func, insert, select, update
from sqlmodel import Field

from governance.records import Actor, Record, text_column, time_column
from policies.transaction import Row

MOST: Final = 100
"""How many exports a list shows."""


class LogExport(Record, table=True):
    """One export: entries ``first`` to ``stop`` (exclusive) of the log as signed at ``size``."""

    __tablename__ = "log_export"
    __table_args__ = (Index("log_export_asked", "asked_by", "asked_at"),)
    id: str = Field(sa_column=text_column(key=True))
    asked_by: str = Field(sa_column=text_column())
    asked_at: int = Field(sa_column=time_column())
    size: int = Field(sa_column=time_column())
    first: int = Field(sa_column=time_column())
    stop: int = Field(sa_column=time_column())
    query: str = Field(sa_column=text_column())
    entries: int = Field(sa_column=time_column())
    state: str = Field(sa_column=text_column())
    expires_at: int = Field(sa_column=time_column())
    decided_by: str | None = Field(sa_column=text_column(null=True))
    decided_at: int | None = Field(sa_column=time_column(null=True))


class ExportState(StrEnum):
    """How an export stands; EXPIRED is told, never stored."""

    READY = "ready"
    PENDING = "pending"
    APPROVED = "approved"
    REFUSED = "refused"
    EXPIRED = "expired"


OPEN: Final = frozenset({ExportState.READY, ExportState.APPROVED})
"""In these states the officer who asked may fetch it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """An export on record. ``end`` is exclusive, ``size`` the signed head it is taken from."""

    id: str
    asked_by: str
    asked_at: int
    size: int
    first: int
    end: int
    query: str
    entries: int
    state: ExportState
    expires_at: int
    decided_by: str | None
    decided_at: int | None


_t, _actor = LogExport.__table__, Actor.__table__
_COLUMNS: Final = tuple(_t.c)
ONE: Final = select(*_COLUMNS).where(_t.c.id == bindparam("export"))
NEWEST: Final = select(*_COLUMNS).order_by(_t.c.asked_at.desc(), _t.c.id.desc()).limit(MOST)
ALONE: Final = select(func.coalesce(func.sum(_t.c.entries), 0)).where(
    _t.c.asked_by == bindparam("officer"),
    _t.c.asked_at > bindparam("since"),
    _t.c.state == ExportState.READY.value,
)
LOCK_OFFICER: Final = select(_actor.c.id).where(_actor.c.id == bindparam("officer")).with_for_update()
"""Two requests of one officer at once must not both find the day's allowance untouched."""
LOCK: Final = ONE.with_for_update()
ADD: Final = insert(_t)
DECIDE: Final = (
    update(_t)
    .where(_t.c.id == bindparam("export"), _t.c.state == ExportState.PENDING.value)
    .values(
        state=bindparam("become"),
        decided_by=bindparam("decider"),
        decided_at=bindparam("since"),
        expires_at=bindparam("till"),
    )
)


def asked_of(row: Row, now: int) -> Asked:
    """Return an export from a row, as it stands now."""
    export, officer, at, size, first, end, query, entries, state, until, decider, since = row
    told = ExportState(state)
    if told is not ExportState.REFUSED and until <= now:
        told = ExportState.EXPIRED
    return Asked(export, officer, at, size, first, end, query, entries, told, until, decider, since)
