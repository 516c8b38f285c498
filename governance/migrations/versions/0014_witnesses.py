"""What witnesses signed, which only ever grows, and how far each target has been told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

_GUARDS_SQLITE = (
    """CREATE TRIGGER audit_cosignature_no_update BEFORE UPDATE ON audit_cosignature
           BEGIN SELECT RAISE(ABORT, 'audit_cosignature is append-only'); END""",
    """CREATE TRIGGER audit_cosignature_no_delete BEFORE DELETE ON audit_cosignature
           BEGIN SELECT RAISE(ABORT, 'audit_cosignature is append-only'); END""",
    """CREATE TRIGGER audit_cosignature_no_insert BEFORE INSERT ON audit_cosignature
           WHEN EXISTS (SELECT 1 FROM audit_cosignature WHERE size = NEW.size AND witness = NEW.witness)
           BEGIN SELECT RAISE(ABORT, 'audit_cosignature is append-only'); END""",
)
_GUARDS_POSTGRESQL = (
    """CREATE TRIGGER audit_cosignature_no_update_or_delete BEFORE UPDATE OR DELETE ON audit_cosignature
           FOR EACH ROW EXECUTE FUNCTION audit_refuse()""",
    "ALTER TABLE audit_cosignature ENABLE ALWAYS TRIGGER audit_cosignature_no_update_or_delete",
    """CREATE TRIGGER audit_cosignature_no_truncate BEFORE TRUNCATE ON audit_cosignature
           FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()""",
    "ALTER TABLE audit_cosignature ENABLE ALWAYS TRIGGER audit_cosignature_no_truncate",
)


def upgrade() -> None:
    """Make both tables; nothing has been told to anybody yet."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    op.create_table(
        "audit_cosignature",
        sa.Column(
            "size", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("witness", sa.Text(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("t", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("size", "witness"),
    )
    op.create_table(
        "checkpoint_delivery",
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("target"),
    )
    for guard in _GUARDS_SQLITE if sqlite else _GUARDS_POSTGRESQL:
        op.execute(guard)
