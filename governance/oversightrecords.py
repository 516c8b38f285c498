"""The tables of oversight: accesses that people judge, what the scanner knows, whom each reader has seen.

Subjects stand here by their pseudonym, so whoever is erased is erased here as well: what is left is a random
name that leads to nobody. Words that may name people (reasons, notes) are sealed with a key of the row's own.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Index
from sqlmodel import Field

from governance.records import Record, bytes_column, text_column, time_column


class AccessReview(Record, table=True):
    """An access that waits for an officer, or was judged; found by the gate itself or in the log.

    ``kind`` is ``emergency`` where a reason was given (``text``), else ``access``. ``triggers`` are words
    separated by spaces. ``two_people`` and ``sampled`` are 0 or 1. ``first_*`` is what the first of two
    officers thinks; ``agreed`` says whether the two were of one mind, None where one was enough.
    """

    __tablename__ = "access_review"
    __table_args__: Any = (
        Index("access_review_decision", "decision_id", unique=True),
        Index("access_review_due", "state", "due_at", "id"),
        Index("access_review_subject", "subject"),
    )
    id: str = Field(sa_column=text_column(key=True))
    kind: str = Field(sa_column=text_column())
    decision_id: str = Field(sa_column=text_column())
    actor_id: str = Field(sa_column=text_column())
    subject: bytes = Field(sa_column=bytes_column())
    text: bytes = Field(sa_column=bytes_column())
    state: str = Field(sa_column=text_column())
    created_at: int = Field(sa_column=time_column())
    closed_by: str | None = Field(sa_column=text_column(null=True))
    closed_at: int | None = Field(sa_column=time_column(null=True))
    note: bytes | None = Field(sa_column=bytes_column(null=True))
    triggers: str = Field(default="", sa_column=text_column())
    two_people: int = Field(default=0, sa_column=time_column())
    sampled: int = Field(default=0, sa_column=time_column())
    due_at: int = Field(default=0, sa_column=time_column())
    claimed_by: str | None = Field(sa_column=text_column(null=True))
    claimed_until: int | None = Field(sa_column=time_column(null=True))
    first_by: str | None = Field(sa_column=text_column(null=True))
    first_at: int | None = Field(sa_column=time_column(null=True))
    first_verdict: str = Field(default="", sa_column=text_column())
    first_note: bytes | None = Field(sa_column=bytes_column(null=True))
    agreed: int | None = Field(sa_column=time_column(null=True))


class ReviewScan(Record, table=True):
    """How far the log has been looked through for accesses to review."""

    __tablename__ = "review_scan"
    name: str = Field(sa_column=text_column(key=True))
    next_index: int = Field(sa_column=time_column())


class Acquaintance(Record, table=True):
    """What the scanner has learnt from the log about one reader and one subject, in the log's order.

    ``shown_at`` is when data was shown last, None if never; ``denied_at`` the last denial of a whole read,
    and ``denied`` the fields it was about, separated by spaces.
    """

    __tablename__ = "acquaintance"
    __table_args__: Any = (
        Index("acquaintance_shown", "actor_id", "shown_at"),
        {"sqlite_with_rowid": False},
    )
    actor_id: str = Field(sa_column=text_column(key=True))
    subject: bytes = Field(sa_column=bytes_column(key=True))
    shown_at: int | None = Field(sa_column=time_column(null=True))
    denied_at: int | None = Field(sa_column=time_column(null=True))
    denied: str = Field(default="", sa_column=text_column())


class ShownRow(Record, table=True):
    """When one reader was last shown data of one subject; rows older than the longest window are swept."""

    __tablename__ = "shown"
    __table_args__: Any = (Index("shown_lately", "actor_id", "shown_at"), {"sqlite_with_rowid": False})
    actor_id: str = Field(sa_column=text_column(key=True))
    subject: bytes = Field(sa_column=bytes_column(key=True))
    shown_at: int = Field(sa_column=time_column())


class LimitLift(Record, table=True):
    """A higher limit for one reader for some hours: asked for, granted or refused; it ends by itself."""

    __tablename__ = "limit_lift"
    __table_args__: Any = (Index("limit_lift_actor", "actor_id", "ends_at"),)
    id: str = Field(sa_column=text_column(key=True))
    actor_id: str = Field(sa_column=text_column())
    per_hour: int = Field(sa_column=time_column())
    per_day: int = Field(sa_column=time_column())
    hours: int = Field(sa_column=time_column())
    reason: bytes = Field(sa_column=bytes_column())
    state: str = Field(sa_column=text_column())
    asked_by: str = Field(sa_column=text_column())
    asked_at: int = Field(sa_column=time_column())
    decided_by: str | None = Field(sa_column=text_column(null=True))
    decided_at: int | None = Field(sa_column=time_column(null=True))
    ends_at: int = Field(default=0, sa_column=time_column())


class StaffMember(Record, table=True):
    """That somebody on the staff is a member as well: reading their own data is not their work."""

    __tablename__ = "staff_member"
    staff_id: str = Field(sa_column=text_column(key=True))
    member_id: str = Field(sa_column=text_column(key=True))
