"""Bodies of the log may go by a statement of the log; the head never shrinks; the subject index is guarded."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

_GUARDS_SQLITE = (
    """DROP TRIGGER audit_entry_no_delete""",
    """CREATE TRIGGER IF NOT EXISTS audit_entry_no_delete BEFORE DELETE ON audit_entry WHEN NOT (EXISTS (SELECT 1 FROM audit_pruned p WHERE p.size > OLD.leaf_index + 1 AND OLD.t <= p.t - 15811200000)) BEGIN SELECT RAISE(ABORT, 'audit_entry is guarded'); END""",
    """CREATE TRIGGER IF NOT EXISTS audit_subject_no_update BEFORE UPDATE ON audit_subject  BEGIN SELECT RAISE(ABORT, 'audit_subject is guarded'); END""",
    """CREATE TRIGGER IF NOT EXISTS audit_subject_no_delete BEFORE DELETE ON audit_subject WHEN NOT (EXISTS (SELECT 1 FROM audit_pruned p WHERE p.size > OLD.leaf_index + 1 AND OLD.t <= p.t - 15811200000)) BEGIN SELECT RAISE(ABORT, 'audit_subject is guarded'); END""",
    """CREATE TRIGGER IF NOT EXISTS audit_pruned_no_insert BEFORE INSERT ON audit_pruned WHEN NOT (NEW.size > coalesce((SELECT max(p.size) FROM audit_pruned p), 0)
  AND NEW.cutoff <= NEW.t - 15811200000
  AND EXISTS (SELECT 1 FROM audit_entry e WHERE e.leaf_index = NEW.size - 1 AND e.t < NEW.cutoff)
  AND EXISTS (SELECT 1 FROM audit_entry e WHERE e.leaf_index = NEW.entry AND e.act = 'log.pruned' AND e.t = NEW.t)
  AND EXISTS (SELECT 1 FROM audit_entry e
              WHERE e.leaf_index = NEW.entry - 1 AND e.t BETWEEN NEW.t - 86400000 AND NEW.t + 86400000)
  AND coalesce((SELECT c.t FROM audit_checkpoint c ORDER BY c.size DESC LIMIT 1), 0)
      >= NEW.t - 86400000) BEGIN SELECT RAISE(ABORT, 'audit_pruned is guarded'); END""",
    """CREATE TRIGGER IF NOT EXISTS audit_pruned_no_update BEFORE UPDATE ON audit_pruned  BEGIN SELECT RAISE(ABORT, 'audit_pruned is guarded'); END""",
    """CREATE TRIGGER IF NOT EXISTS audit_pruned_no_delete BEFORE DELETE ON audit_pruned  BEGIN SELECT RAISE(ABORT, 'audit_pruned is guarded'); END""",
    """CREATE TRIGGER IF NOT EXISTS audit_head_no_update BEFORE UPDATE ON audit_head WHEN NOT (NEW.log_id = OLD.log_id AND NEW.origin = OLD.origin AND NEW.size > OLD.size) BEGIN SELECT RAISE(ABORT, 'audit_head is guarded'); END""",
    """CREATE TRIGGER IF NOT EXISTS audit_head_no_delete BEFORE DELETE ON audit_head  BEGIN SELECT RAISE(ABORT, 'audit_head is guarded'); END""",
)
_GUARDS_POSTGRESQL = (
    """CREATE OR REPLACE FUNCTION audit_keep() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  IF NOT (TG_OP = 'DELETE' AND EXISTS (SELECT 1 FROM audit_pruned p WHERE p.size > OLD.leaf_index + 1 AND OLD.t <= p.t - 15811200000)) THEN
    RAISE EXCEPTION 'the log is guarded' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN OLD;
END $$""",
    """CREATE OR REPLACE TRIGGER audit_entry_no_update_or_delete BEFORE UPDATE OR DELETE ON audit_entry FOR EACH ROW EXECUTE FUNCTION audit_keep()""",
    """ALTER TABLE audit_entry ENABLE ALWAYS TRIGGER audit_entry_no_update_or_delete""",
    """CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the log is append-only' USING ERRCODE = 'restrict_violation';
END $$""",
    """CREATE OR REPLACE TRIGGER audit_subject_no_update_or_delete BEFORE UPDATE OR DELETE ON audit_subject FOR EACH ROW EXECUTE FUNCTION audit_keep()""",
    """ALTER TABLE audit_subject ENABLE ALWAYS TRIGGER audit_subject_no_update_or_delete""",
    """CREATE OR REPLACE TRIGGER audit_subject_no_truncate BEFORE TRUNCATE ON audit_subject FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()""",
    """ALTER TABLE audit_subject ENABLE ALWAYS TRIGGER audit_subject_no_truncate""",
    """CREATE OR REPLACE FUNCTION audit_state() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  IF NOT (NEW.size > coalesce((SELECT max(p.size) FROM audit_pruned p), 0)
  AND NEW.cutoff <= NEW.t - 15811200000
  AND EXISTS (SELECT 1 FROM audit_entry e WHERE e.leaf_index = NEW.size - 1 AND e.t < NEW.cutoff)
  AND EXISTS (SELECT 1 FROM audit_entry e WHERE e.leaf_index = NEW.entry AND e.act = 'log.pruned' AND e.t = NEW.t)
  AND EXISTS (SELECT 1 FROM audit_entry e
              WHERE e.leaf_index = NEW.entry - 1 AND e.t BETWEEN NEW.t - 86400000 AND NEW.t + 86400000)
  AND coalesce((SELECT c.t FROM audit_checkpoint c ORDER BY c.size DESC LIMIT 1), 0)
      >= NEW.t - 86400000) THEN
    RAISE EXCEPTION 'the log is guarded' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$""",
    """CREATE OR REPLACE TRIGGER audit_pruned_no_insert BEFORE INSERT ON audit_pruned FOR EACH ROW EXECUTE FUNCTION audit_state()""",
    """ALTER TABLE audit_pruned ENABLE ALWAYS TRIGGER audit_pruned_no_insert""",
    """CREATE OR REPLACE TRIGGER audit_pruned_no_update_or_delete BEFORE UPDATE OR DELETE ON audit_pruned FOR EACH ROW EXECUTE FUNCTION audit_refuse()""",
    """ALTER TABLE audit_pruned ENABLE ALWAYS TRIGGER audit_pruned_no_update_or_delete""",
    """CREATE OR REPLACE TRIGGER audit_pruned_no_truncate BEFORE TRUNCATE ON audit_pruned FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()""",
    """ALTER TABLE audit_pruned ENABLE ALWAYS TRIGGER audit_pruned_no_truncate""",
    """CREATE OR REPLACE FUNCTION audit_prune_entry(pruned bigint) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
DECLARE
  gone bigint;
BEGIN
  DELETE FROM audit_entry body WHERE body.leaf_index = pruned AND EXISTS (SELECT 1 FROM audit_pruned p WHERE p.size > body.leaf_index + 1 AND body.t <= p.t - 15811200000);
  GET DIAGNOSTICS gone = ROW_COUNT;
  RETURN gone;
END $$""",
    """CREATE OR REPLACE FUNCTION audit_prune_subject(spoken_of bytea, pruned bigint) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
DECLARE
  gone bigint;
BEGIN
  DELETE FROM audit_subject body WHERE body.subject = spoken_of AND body.leaf_index = pruned AND EXISTS (SELECT 1 FROM audit_pruned p WHERE p.size > body.leaf_index + 1 AND body.t <= p.t - 15811200000);
  GET DIAGNOSTICS gone = ROW_COUNT;
  RETURN gone;
END $$""",
    """REVOKE ALL ON FUNCTION audit_prune_entry(bigint) FROM PUBLIC""",
    """REVOKE ALL ON FUNCTION audit_prune_subject(bytea, bigint) FROM PUBLIC""",
    """CREATE OR REPLACE FUNCTION audit_head_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT (NEW.log_id = OLD.log_id AND NEW.origin = OLD.origin AND NEW.size > OLD.size) THEN
    RAISE EXCEPTION 'the log is guarded' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$""",
    """CREATE OR REPLACE TRIGGER audit_head_no_update BEFORE UPDATE ON audit_head FOR EACH ROW EXECUTE FUNCTION audit_head_grows()""",
    """ALTER TABLE audit_head ENABLE ALWAYS TRIGGER audit_head_no_update""",
    """CREATE OR REPLACE TRIGGER audit_head_no_delete BEFORE DELETE ON audit_head FOR EACH ROW EXECUTE FUNCTION audit_refuse()""",
    """ALTER TABLE audit_head ENABLE ALWAYS TRIGGER audit_head_no_delete""",
    """CREATE OR REPLACE TRIGGER audit_head_no_truncate BEFORE TRUNCATE ON audit_head FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()""",
    """ALTER TABLE audit_head ENABLE ALWAYS TRIGGER audit_head_no_truncate""",
)


def upgrade() -> None:
    """Make the table of statements, and let the guards of entries look into it."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "audit_pruned",
        sa.Column("size", number, autoincrement=False, nullable=False),
        sa.Column("entry", number, autoincrement=False, nullable=False),
        sa.Column("cutoff", number, autoincrement=False, nullable=False),
        sa.Column("t", number, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("size"),
    )
    sqlite = op.get_bind().dialect.name == "sqlite"
    for guard in _GUARDS_SQLITE if sqlite else _GUARDS_POSTGRESQL:
        op.execute(guard)
