"""The officers' search: an index made from the leaves, sealed details of entries, saved searches."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Make the tables. The index starts empty and is filled from the leaves while serving."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "audit_term",
        sa.Column("term", number, autoincrement=False, nullable=False),
        sa.Column("leaf_index", number, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("term", "leaf_index"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit_span",
        sa.Column("block", number, autoincrement=False, nullable=False),
        sa.Column("upto", number, autoincrement=False, nullable=False),
        sa.Column("earliest", number, autoincrement=False, nullable=False),
        sa.Column("latest", number, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("block"),
    )
    op.create_table(
        "audit_detail",
        sa.Column("entry_id", sa.Text(), nullable=False),
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("ct", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("entry_id"),
    )
    op.create_index("audit_detail_key", "audit_detail", ["kid"])
    op.create_table(
        "saved_search",
        sa.Column("officer_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("saved_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("officer_id", "id"),
        sa.UniqueConstraint("officer_id", "name"),
    )
