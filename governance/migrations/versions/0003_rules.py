"""Versions of the rules in the database, and the pointer that says which one is in force."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_GUARDS_SQLITE = (
    """CREATE TRIGGER rule_version_no_change BEFORE UPDATE ON rule_version
           WHEN NEW.fingerprint <> OLD.fingerprint OR NEW.number <> OLD.number OR NEW.body <> OLD.body
             OR NEW.drafted_by <> OLD.drafted_by OR NEW.drafted_at <> OLD.drafted_at
           BEGIN SELECT RAISE(ABORT, 'a version of the rules does not change'); END""",
    """CREATE TRIGGER rule_version_no_delete BEFORE DELETE ON rule_version
           BEGIN SELECT RAISE(ABORT, 'a version of the rules does not change'); END""",
)
_GUARDS_POSTGRESQL = (
    """CREATE FUNCTION rule_version_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND NEW.fingerprint = OLD.fingerprint AND NEW.number = OLD.number AND NEW.body = OLD.body
     AND NEW.drafted_by = OLD.drafted_by AND NEW.drafted_at = OLD.drafted_at THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'a version of the rules does not change' USING ERRCODE = 'restrict_violation';
END $$""",
    """CREATE TRIGGER rule_version_fixed BEFORE UPDATE OR DELETE ON rule_version
           FOR EACH ROW EXECUTE FUNCTION rule_version_fixed()""",
    """CREATE TRIGGER rule_version_no_truncate BEFORE TRUNCATE ON rule_version
           FOR EACH STATEMENT EXECUTE FUNCTION rule_version_fixed()""",
)


def upgrade() -> None:
    """Make the two tables; ``governance init`` publishes the first version."""
    op.create_table(
        "rule_version",
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("drafted_by", sa.Text(), nullable=False),
        sa.Column("drafted_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("fingerprint"),
        sa.UniqueConstraint("number"),
    )
    op.create_table(
        "rule_pointer",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("seal", sa.LargeBinary(), nullable=False),
        sa.Column("moved_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    sqlite = op.get_bind().dialect.name == "sqlite"
    for guard in _GUARDS_SQLITE if sqlite else _GUARDS_POSTGRESQL:
        op.execute(guard)
