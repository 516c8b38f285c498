"""Leaves that wait for their place, where writers run beside one another; changing one is refused."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

_GUARDS = {
    "sqlite": (
        """CREATE TRIGGER IF NOT EXISTS audit_pending_no_update BEFORE UPDATE ON audit_pending
 BEGIN SELECT RAISE(ABORT, 'audit_pending is append-only'); END""",
    ),
    "postgresql": (
        """CREATE OR REPLACE TRIGGER audit_pending_no_update BEFORE UPDATE ON audit_pending
 FOR EACH ROW EXECUTE FUNCTION audit_refuse()""",
        "ALTER TABLE audit_pending ENABLE ALWAYS TRIGGER audit_pending_no_update",
        """CREATE OR REPLACE TRIGGER audit_pending_no_truncate BEFORE TRUNCATE ON audit_pending
 FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()""",
        "ALTER TABLE audit_pending ENABLE ALWAYS TRIGGER audit_pending_no_truncate",
    ),
}


def upgrade() -> None:
    """Make the table and its guards."""
    op.create_table(
        "audit_pending",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("entry_id", sa.Text(), nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    for statement in _GUARDS[op.get_bind().dialect.name]:
        op.execute(statement)
