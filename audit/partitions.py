"""The big tables of the log in pieces (PostgreSQL): entries and their index, by the place in the log.

Promises that the pieces lie side by side without gap or overlap, that the one which the log grows into and
the one after it are there before they are needed, that each carries all guards of the whole, and that a piece
goes only when pruning has emptied it for good. No piece takes what fits nowhere: an entry without a piece is
an error, and so an entry far beyond the end of the log is refused. A look-up by place reads one piece and a
scan in order reads one after the other, so nobody who reads has to know of pieces.
On SQLite there are none. Statements are idempotent and hold no percent sign.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import ClauseElement, Executable

from policies.transaction import Transaction

WIDTH: Final = 1 << 20
"""Places in one piece."""
BY: Final = {"postgresql_partition_by": "RANGE (leaf_index)"}
"""What the tables say about themselves."""
_IN_PIECES: Final = "ARRAY['audit_entry', 'audit_subject']"
_PUBLIC: Final = "SET search_path = public, pg_temp "

_BOUNDS: Final = f"""
CREATE OR REPLACE FUNCTION audit_pieces(whole text)
RETURNS TABLE (piece text, lowest bigint, beyond bigint) LANGUAGE plpgsql {_PUBLIC}AS $$
BEGIN
  RETURN QUERY SELECT found.name, split_part(found.bound, '''', 2)::bigint,
      split_part(found.bound, '''', 4)::bigint
    FROM (SELECT c.relname::text AS name, pg_get_expr(c.relpartbound, c.oid) AS bound
          FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
          WHERE i.inhparent = ('public.' || whole)::regclass) found
    ORDER BY 2;
END $$"""  # noqa: S608 (our own names)

# Made beside the whole and then joined to it: that keeps out neither readers nor writers. The guards on rows
# come with joining, but for how firmly they fire; the guard against emptying does not come at all.
_JOIN: Final = f"""
CREATE OR REPLACE FUNCTION audit_piece_joins(whole text, piece text, lowest bigint, beyond bigint)
RETURNS void LANGUAGE plpgsql {_PUBLIC}AS $$
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
END $$"""  # noqa: S608 (our own names)

_GROW: Final = f"""
CREATE OR REPLACE FUNCTION audit_pieces_grow(width bigint)
RETURNS bigint LANGUAGE plpgsql {_PUBLIC}AS $$
DECLARE
  wanted bigint := (coalesce((SELECT max(h.size) FROM audit_head h), 0) / width + 2) * width;
  whole text;
  reached bigint;
  beyond bigint;
  made bigint := 0;
BEGIN
  FOREACH whole IN ARRAY {_IN_PIECES} LOOP
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
END $$"""  # noqa: S608 (our own names)

# What the service's account may call takes no width: pieces of one place each would be a way to fill a disk.
# Who keeps the table busy (an index is made, statistics are gathered) does not stop the log: there is room
# until the next time it asks.
_AHEAD: Final = f"""
CREATE OR REPLACE FUNCTION audit_partitions_ahead()
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER {_PUBLIC}SET lock_timeout = '1s' AS $$
BEGIN
  RETURN audit_pieces_grow({WIDTH});
EXCEPTION WHEN lock_not_available THEN
  RETURN 0;
END $$"""

# Dropping keeps everybody out for a moment. Who reads for long is not waited for, nor made to wait: the piece
# is empty, and tomorrow will do. One piece a call: who holds one table and waits for the other could keep
# waiting somebody who reads both.
_SWEPT: Final = f"""
CREATE OR REPLACE FUNCTION audit_partitions_swept()
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER {_PUBLIC}SET lock_timeout = '1s' AS $$
DECLARE
  below bigint := coalesce((SELECT max(p.size) FROM audit_pruned p), 0);
  whole text;
  one text;
  bare boolean;
BEGIN
  FOREACH whole IN ARRAY {_IN_PIECES} LOOP
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
END $$"""  # noqa: S608 (our own names)

CALLED: Final = ("audit_partitions_ahead()", "audit_partitions_swept()")
"""The functions by which the service's account has pieces made and dropped (PostgreSQL)."""
_FUNCTIONS: Final = (
    *CALLED,
    "audit_pieces(text)",
    "audit_piece_joins(text, text, bigint, bigint)",
    "audit_pieces_grow(bigint)",
)
POSTGRESQL: Final = (
    _BOUNDS,
    _JOIN,
    _GROW,
    _AHEAD,
    _SWEPT,
    *(f"REVOKE ALL ON FUNCTION {one} FROM PUBLIC" for one in _FUNCTIONS),
    "SELECT audit_partitions_ahead()",
)
"""What is said once both tables and the head are there (PostgreSQL)."""


class _Asked(Executable, ClauseElement):
    """Asks a function that takes nothing for a number; where there are no pieces, the number is 0."""

    inherit_cache = False

    def __init__(self, function: str) -> None:
        self.function = function


@compiles(_Asked, "sqlite")
def _nothing(_asked: _Asked, _compiler: Any, **_how: Any) -> str:
    return "SELECT 0"


@compiles(_Asked, "postgresql")
def _call(asked: _Asked, _compiler: Any, **_how: Any) -> str:
    return f"SELECT {asked.function}"


_MORE, _LESS = (_Asked(one) for one in CALLED)


def keep_ahead(tx: Transaction, was: int, now: int) -> None:
    """Make the next pieces when a log that grows has come half a piece further. The head must have moved."""
    if was // (WIDTH // 2) != now // (WIDTH // 2):
        grow(tx)


def grow(tx: Transaction) -> int:
    """Make the pieces that the log will need next, where they are missing; return how many were made."""
    return int(tx.rows(_MORE)[0][0])


def sweep(tx: Transaction) -> int:
    """Drop one piece that pruning has emptied for good; return 0 when there is none or it is being read."""
    return int(tx.rows(_LESS)[0][0])
