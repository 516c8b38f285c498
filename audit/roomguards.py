"""Triggers for the tables of the log that may shrink or move by rule, for both engines.

Promises that a body, or a row of the subject index, goes only when a statement in ``audit_pruned`` covers it
and it was older than the floor when the statement was made; that such a row is taken only when the entry that
makes the statement, the milestone and the clock fit (``audit.pruned``); and that the head never shrinks. Like
all guards they stop mistakes and ordinary accounts, not the owner. Statements are idempotent and hold no
percent sign. The functions name their schema, ``public``: a temporary table of the same name must not answer.
"""

from __future__ import annotations

from typing import Final

from audit.pruned import ACT, DAY_MS, FLOOR_MS


def _covered(row: str) -> str:
    """Return the condition that a statement covers a row, which was older than the floor then."""
    old = f"p.size > {row}.leaf_index + 1 AND {row}.t <= p.t - {FLOOR_MS}"
    return f"EXISTS (SELECT 1 FROM audit_pruned p WHERE {old})"  # noqa: S608 (our own names)


_COVERED: Final = _covered("OLD")
_SOUND: Final = f"""NEW.size > coalesce((SELECT max(p.size) FROM audit_pruned p), 0)
  AND NEW.cutoff <= NEW.t - {FLOOR_MS}
  AND EXISTS (SELECT 1 FROM audit_entry e WHERE e.leaf_index = NEW.size - 1 AND e.t < NEW.cutoff)
  AND EXISTS (SELECT 1 FROM audit_entry e WHERE e.leaf_index = NEW.entry AND e.act = '{ACT}' AND e.t = NEW.t)
  AND EXISTS (SELECT 1 FROM audit_entry e
              WHERE e.leaf_index = NEW.entry - 1 AND e.t BETWEEN NEW.t - {DAY_MS} AND NEW.t + {DAY_MS})
  AND coalesce((SELECT c.t FROM audit_checkpoint c ORDER BY c.size DESC LIMIT 1), 0)
      >= NEW.t - {DAY_MS}"""  # noqa: S608 (our own numbers)
_GROWN: Final = "NEW.log_id = OLD.log_id AND NEW.origin = OLD.origin AND NEW.size > OLD.size"


def _sqlite(table: str, verb: str, condition: str = "") -> str:
    when = f"WHEN NOT ({condition})" if condition else ""
    return (
        f"CREATE TRIGGER IF NOT EXISTS {table}_no_{verb.lower()} BEFORE {verb} ON {table} {when}"
        f" BEGIN SELECT RAISE(ABORT, '{table} is guarded'); END"
    )


_PUBLIC: Final = "SET search_path = public, pg_temp "


def _function(name: str, condition: str, result: str, path: str = _PUBLIC) -> str:
    return f"""
CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql {path}AS $$
BEGIN
  IF NOT ({condition}) THEN
    RAISE EXCEPTION 'the log is guarded' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN {result};
END $$"""


def _postgresql(table: str, verbs: str, function: str, level: str = "ROW") -> tuple[str, str]:
    name = f"{table}_no_{verbs.lower().replace(' ', '_')}"
    trigger = f"CREATE OR REPLACE TRIGGER {name} BEFORE {verbs} ON {table} FOR EACH {level}"
    return f"{trigger} EXECUTE FUNCTION {function}()", f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}"


REFUSE: Final = """
CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the log is append-only' USING ERRCODE = 'restrict_violation';
END $$"""
_KEEP: Final = _function("audit_keep", f"TG_OP = 'DELETE' AND {_COVERED}", "OLD")
_STATE: Final = _function("audit_state", _SOUND, "NEW")
_HEAD: Final = _function("audit_head_grows", _GROWN, "NEW", path="")

# What prunes has no right to delete: it asks these, which run as the owner and look at the floor again.
_PRUNE: Final = tuple(
    f"""
CREATE OR REPLACE FUNCTION {name}({parameters}) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
{_PUBLIC}AS $$
DECLARE
  gone bigint;
BEGIN
  DELETE FROM {table} body WHERE {key} AND {_covered("body")};
  GET DIAGNOSTICS gone = ROW_COUNT;
  RETURN gone;
END $$"""  # noqa: S608 (our own names)
    for name, parameters, table, key in (
        ("audit_prune_entry", "pruned bigint", "audit_entry", "body.leaf_index = pruned"),
        (
            "audit_prune_subject",
            "spoken_of bytea, pruned bigint",
            "audit_subject",
            "body.subject = spoken_of AND body.leaf_index = pruned",
        ),
    )
)
PRUNING: Final = ("audit_prune_entry(bigint)", "audit_prune_subject(bytea, bigint)")
"""The functions by which an account without the right to delete prunes (PostgreSQL)."""
_CLOSED: Final = tuple(f"REVOKE ALL ON FUNCTION {one} FROM PUBLIC" for one in PRUNING)

ENTRY_DELETE_SQLITE: Final = _sqlite("audit_entry", "DELETE", _COVERED)
ENTRY_CHANGE_POSTGRESQL: Final = (_KEEP, *_postgresql("audit_entry", "UPDATE OR DELETE", "audit_keep"))

SQLITE: Final = {
    "audit_subject": (_sqlite("audit_subject", "UPDATE"), _sqlite("audit_subject", "DELETE", _COVERED)),
    "audit_pruned": (
        _sqlite("audit_pruned", "INSERT", _SOUND),
        _sqlite("audit_pruned", "UPDATE"),
        _sqlite("audit_pruned", "DELETE"),
    ),
    "audit_head": (_sqlite("audit_head", "UPDATE", _GROWN), _sqlite("audit_head", "DELETE")),
}
"""The SQLite statements of each table."""
POSTGRESQL: Final = {
    "audit_subject": (
        REFUSE,
        _KEEP,
        *_postgresql("audit_subject", "UPDATE OR DELETE", "audit_keep"),
        *_postgresql("audit_subject", "TRUNCATE", "audit_refuse", "STATEMENT"),
    ),
    "audit_pruned": (
        REFUSE,
        _STATE,
        *_postgresql("audit_pruned", "INSERT", "audit_state"),
        *_postgresql("audit_pruned", "UPDATE OR DELETE", "audit_refuse"),
        *_postgresql("audit_pruned", "TRUNCATE", "audit_refuse", "STATEMENT"),
        *_PRUNE,
        *_CLOSED,
    ),
    "audit_head": (
        REFUSE,
        _HEAD,
        *_postgresql("audit_head", "UPDATE", "audit_head_grows"),
        *_postgresql("audit_head", "DELETE", "audit_refuse"),
        *_postgresql("audit_head", "TRUNCATE", "audit_refuse", "STATEMENT"),
    ),
}
"""The PostgreSQL statements of each table."""
