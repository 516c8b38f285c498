"""Legal holds, what is kept under them, and cells by their age for the sweep."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "legal_hold",
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("reason", sa.LargeBinary(), nullable=False),
        sa.Column("set_by", sa.Text(), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ends_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("lifted_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("subject_id", "id"),
    )
    op.create_table(
        "held_cell",
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("kept_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("written_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("subject_id", "field", "kept_at"),
    )
    op.create_index("cell_age", "cell", ["field", "written_at"])
