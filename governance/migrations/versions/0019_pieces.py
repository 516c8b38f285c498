"""The log's entries and their index lie in pieces of 1,048,576 places (PostgreSQL); no row is copied."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

_WIDTH = 1048576
_INDEXES = {"audit_entry": ("pkey", "decision", "story"), "audit_subject": ("pkey",)}
_FUNCTIONS = (
    """CREATE OR REPLACE FUNCTION audit_pieces(whole text)
RETURNS TABLE (piece text, lowest bigint, beyond bigint) LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  RETURN QUERY SELECT found.name, split_part(found.bound, '''', 2)::bigint,
      split_part(found.bound, '''', 4)::bigint
    FROM (SELECT c.relname::text AS name, pg_get_expr(c.relpartbound, c.oid) AS bound
          FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
          WHERE i.inhparent = ('public.' || whole)::regclass) found
    ORDER BY 2;
END $$""",
    """CREATE OR REPLACE FUNCTION audit_piece_joins(whole text, piece text, lowest bigint, beyond bigint)
RETURNS void LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  IF to_regclass('public.' || piece) IS NULL THEN
    EXECUTE 'CREATE TABLE public.' || piece || ' (LIKE public.' || whole || ')';
  END IF;
  EXECUTE 'ALTER TABLE public.' || whole || ' ATTACH PARTITION public.' || piece
    || ' FOR VALUES FROM (' || lowest || ') TO (' || beyond || ')';
  EXECUTE 'CREATE OR REPLACE TRIGGER ' || whole || '_no_truncate BEFORE TRUNCATE ON public.' || piece
    || ' FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()';
  EXECUTE 'ALTER TABLE public.' || piece || ' ENABLE ALWAYS TRIGGER ' || whole || '_no_truncate';
  EXECUTE 'ALTER TABLE public.' || piece || ' ENABLE ALWAYS TRIGGER ' || whole || '_no_update_or_delete';
END $$""",
    """CREATE OR REPLACE FUNCTION audit_pieces_grow(width bigint)
RETURNS bigint LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
  wanted bigint := (coalesce((SELECT max(h.size) FROM audit_head h), 0) / width + 2) * width;
  whole text;
  reached bigint;
  beyond bigint;
  made bigint := 0;
BEGIN
  FOREACH whole IN ARRAY ARRAY['audit_entry', 'audit_subject'] LOOP
    CONTINUE WHEN wanted <= (SELECT max(p.beyond) FROM audit_pieces(whole) p);
    EXECUTE 'LOCK TABLE ONLY public.' || whole || ' IN SHARE UPDATE EXCLUSIVE MODE';
    reached := coalesce((SELECT max(p.beyond) FROM audit_pieces(whole) p), 0);
    WHILE reached < wanted LOOP
      beyond := (reached / width + 1) * width;
      PERFORM audit_piece_joins(whole, whole || '_p' || reached, reached, beyond);
      reached := beyond;
      made := made + 1;
    END LOOP;
  END LOOP;
  RETURN made;
END $$""",
    """CREATE OR REPLACE FUNCTION audit_partitions_ahead()
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '1s' AS $$
BEGIN
  RETURN audit_pieces_grow(1048576);
EXCEPTION WHEN lock_not_available THEN
  RETURN 0;
END $$""",
    """CREATE OR REPLACE FUNCTION audit_partitions_swept()
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '1s' AS $$
DECLARE
  below bigint := coalesce((SELECT max(p.size) FROM audit_pruned p), 0);
  whole text;
  one text;
  bare boolean;
BEGIN
  FOREACH whole IN ARRAY ARRAY['audit_entry', 'audit_subject'] LOOP
    FOR one IN SELECT p.piece FROM audit_pieces(whole) p WHERE p.beyond <= below LOOP
      EXECUTE 'SELECT NOT EXISTS (SELECT 1 FROM public.' || one || ')' INTO bare;
      CONTINUE WHEN NOT bare;
      BEGIN
        EXECUTE 'LOCK TABLE ONLY public.' || whole || ' IN ACCESS EXCLUSIVE MODE';
        EXECUTE 'LOCK TABLE public.' || one || ' IN ACCESS EXCLUSIVE MODE';
        EXECUTE 'SELECT NOT EXISTS (SELECT 1 FROM public.' || one || ')' INTO bare;
        IF bare THEN
          EXECUTE 'DROP TABLE public.' || one;
          RETURN 1;
        END IF;
      EXCEPTION WHEN lock_not_available THEN
        RETURN 0;
      END;
    END LOOP;
  END LOOP;
  RETURN 0;
END $$""",
    """REVOKE ALL ON FUNCTION audit_partitions_ahead() FROM PUBLIC""",
    """REVOKE ALL ON FUNCTION audit_partitions_swept() FROM PUBLIC""",
    """REVOKE ALL ON FUNCTION audit_pieces(text) FROM PUBLIC""",
    """REVOKE ALL ON FUNCTION audit_piece_joins(text, text, bigint, bigint) FROM PUBLIC""",
    """REVOKE ALL ON FUNCTION audit_pieces_grow(bigint) FROM PUBLIC""",
)


def _aside(table: str) -> None:
    """Make what the table was the first piece, without the guard on rows, which the whole gives back."""
    op.execute(f"DROP TRIGGER {table}_no_update_or_delete ON {table}")
    op.execute(f"DROP TRIGGER {table}_no_truncate ON {table}")
    op.rename_table(table, f"{table}_p0")
    for name in _INDEXES[table]:
        op.execute(f"ALTER INDEX {table}_{name} RENAME TO {table}_p0_{name}")


def _guarded(table: str) -> None:
    for verbs, level, function in (("UPDATE OR DELETE", "ROW", "keep"), ("TRUNCATE", "STATEMENT", "refuse")):
        name = f"{table}_no_{verbs.lower().replace(' ', '_')}"
        op.execute(
            f"CREATE OR REPLACE TRIGGER {name} BEFORE {verbs} ON {table}"
            f" FOR EACH {level} EXECUTE FUNCTION audit_{function}()"
        )
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")


def upgrade() -> None:
    """Let the tables stand as first pieces of new ones; an entry's id is no longer unique by an index."""
    op.drop_index("audit_entry_id", "audit_entry")
    if op.get_bind().dialect.name == "sqlite":
        op.create_index("audit_entry_id", "audit_entry", ["entry_id"])
        return
    size = op.get_bind().execute(sa.text("SELECT coalesce(max(size), 0) FROM audit_head")).scalar_one()
    for table in _INDEXES:
        _aside(table)
    op.create_table(
        "audit_entry",
        sa.Column("leaf_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.Column("entry_id", sa.Text(), nullable=False),
        sa.Column("decision_id", sa.Text(), nullable=False),
        sa.Column("corr", sa.Text(), nullable=False),
        sa.Column("t", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("dec", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Text(), nullable=False),
        sa.Column("behalf_id", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("leaf_index"),
        postgresql_partition_by="RANGE (leaf_index)",
    )
    op.create_index("audit_entry_id", "audit_entry", ["entry_id"])
    op.create_index("audit_entry_decision", "audit_entry", ["decision_id"])
    op.create_index("audit_entry_story", "audit_entry", ["corr"], postgresql_where=sa.text("corr <> ''"))
    op.create_table(
        "audit_subject",
        sa.Column("subject", sa.LargeBinary(), nullable=False),
        sa.Column("leaf_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("t", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("subject", "leaf_index"),
        postgresql_partition_by="RANGE (leaf_index)",
    )
    for statement in _FUNCTIONS:
        op.execute(statement)
    joins = sa.text("SELECT audit_piece_joins(:whole, :piece, 0, :beyond)")
    for table in _INDEXES:
        _guarded(table)
        bounds = {"whole": table, "piece": f"{table}_p0", "beyond": (size // _WIDTH + 1) * _WIDTH}
        op.get_bind().execute(joins, bounds)
    op.execute("SELECT audit_partitions_ahead()")
