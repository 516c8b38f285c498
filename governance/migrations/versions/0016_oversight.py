"""Accesses that people judge, what the scanner of the log knows, and whom each reader has seen lately."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

_TWO_DAYS_MS = 2 * 86_400_000


def _text(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=null)


def _number(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), autoincrement=False, nullable=null)


def _bytes(name: str, *, null: bool = False) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(), nullable=null)


def upgrade() -> None:
    """Add what a judgement by two people needs; the emergencies that wait get two days from their opening."""
    for name in ("triggers", "first_verdict"):
        op.add_column("access_review", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    for name in ("two_people", "sampled", "due_at"):
        column: sa.Column[int] = sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")
        op.add_column("access_review", column)
    for name in ("claimed_by", "first_by"):
        op.add_column("access_review", _text(name, null=True))
    for name in ("claimed_until", "first_at", "agreed"):
        op.add_column("access_review", _number(name, null=True))
    op.add_column("access_review", _bytes("first_note", null=True))
    op.execute(
        "UPDATE access_review SET triggers = 'break_glass', two_people = 1,"
        f" due_at = created_at + {_TWO_DAYS_MS}"
    )
    op.create_index("access_review_decision", "access_review", ["decision_id"], unique=True)
    op.create_index("access_review_due", "access_review", ["state", "due_at", "id"])
    op.create_index("access_review_subject", "access_review", ["subject"])
    op.create_table(
        "review_scan", _text("name"), _number("next_index"), sa.PrimaryKeyConstraint("name")
    )
    op.create_table(
        "acquaintance",
        _text("actor_id"),
        _bytes("subject"),
        _number("shown_at", null=True),
        _number("denied_at", null=True),
        _text("denied"),
        sa.PrimaryKeyConstraint("actor_id", "subject"),
        sqlite_with_rowid=False,
    )
    # What was decided before there was a scanner is not put before anybody now.
    op.execute("INSERT INTO review_scan (name, next_index) SELECT 'access', size FROM audit_head")
    op.create_index("acquaintance_shown", "acquaintance", ["actor_id", "shown_at"])
    op.create_table(
        "shown",
        _text("actor_id"),
        _bytes("subject"),
        _number("shown_at"),
        sa.PrimaryKeyConstraint("actor_id", "subject"),
        sqlite_with_rowid=False,
    )
    op.create_index("shown_lately", "shown", ["actor_id", "shown_at"])
    op.create_table(
        "limit_lift",
        _text("id"),
        _text("actor_id"),
        _number("per_hour"),
        _number("per_day"),
        _number("hours"),
        _bytes("reason"),
        _text("state"),
        _text("asked_by"),
        _number("asked_at"),
        _text("decided_by", null=True),
        _number("decided_at", null=True),
        _number("ends_at"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("limit_lift_actor", "limit_lift", ["actor_id", "ends_at"])
    op.create_table(
        "staff_member", _text("staff_id"), _text("member_id"), sa.PrimaryKeyConstraint("staff_id", "member_id")
    )
