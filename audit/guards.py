"""Triggers that keep the log append-only, for both engines.

Promises that an UPDATE, a DELETE, a TRUNCATE or a replacing INSERT on entries, checkpoints and cosignatures
fails (but for the bodies that a statement of the log prunes, ``audit.roomguards``), and that a tile only
grows at its end. They stop mistakes and ordinary accounts. They are no evidence: whoever owns the database
can drop them, and then the tree and what lies outside the database tell.
Statements are idempotent and hold no percent sign, so DDL events and migrations run the same strings.
"""

from __future__ import annotations

from typing import Final

from audit import roomguards
from audit.roomguards import REFUSE as _REFUSE

APPEND_ONLY: Final = ("audit_entry", "audit_checkpoint", "audit_cosignature")
GROW_ONLY: Final = "audit_tile"
LEAVES_ONLY: Final = "audit_pending"
"""Rows go from here into the log, as they were written; only PostgreSQL puts any here."""
_KEY: Final = {
    "audit_entry": ("leaf_index",),
    "audit_checkpoint": ("size",),
    "audit_cosignature": ("size", "witness"),
}


def _sqlite_refuse(table: str, verb: str, condition: str = "") -> str:
    return (
        f"CREATE TRIGGER IF NOT EXISTS {table}_no_{verb.lower()} BEFORE {verb} ON {table} {condition}"
        f" BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    )


def _sqlite(table: str) -> tuple[str, ...]:
    if table == LEAVES_ONLY:
        return (_sqlite_refuse(table, "UPDATE"),)
    if table == GROW_ONLY:
        grows = (
            "NEW.level = OLD.level AND NEW.idx = OLD.idx AND length(NEW.data) > length(OLD.data)"
            " AND substr(NEW.data, 1, length(OLD.data)) = OLD.data"
        )
        return _sqlite_refuse(table, "UPDATE", f"WHEN NOT ({grows})"), _sqlite_refuse(table, "DELETE")
    # INSERT OR REPLACE deletes without firing delete triggers.
    same = " AND ".join(f"{key} = NEW.{key}" for key in _KEY[table])
    taken = f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {same})"  # noqa: S608 (our own names)
    return (
        _sqlite_refuse(table, "UPDATE"),
        roomguards.ENTRY_DELETE_SQLITE if table == "audit_entry" else _sqlite_refuse(table, "DELETE"),
        _sqlite_refuse(table, "INSERT", taken),
    )


_GROW: Final = """
CREATE OR REPLACE FUNCTION audit_grow_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.level <> OLD.level OR NEW.idx <> OLD.idx OR length(NEW.data) <= length(OLD.data)
     OR substring(NEW.data FROM 1 FOR length(OLD.data)) <> OLD.data THEN
    RAISE EXCEPTION 'a tile only grows' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$"""


def _postgresql_trigger(table: str, verbs: str, level: str, function: str) -> tuple[str, str]:
    name = f"{table}_no_{verbs.lower().replace(' ', '_')}"
    trigger = f"CREATE OR REPLACE TRIGGER {name} BEFORE {verbs} ON {table} FOR EACH {level}"
    return f"{trigger} EXECUTE FUNCTION {function}()", f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}"


def _postgresql(table: str) -> tuple[str, ...]:
    if table == LEAVES_ONLY:
        return (
            _REFUSE,
            *_postgresql_trigger(table, "UPDATE", "ROW", "audit_refuse"),
            *_postgresql_trigger(table, "TRUNCATE", "STATEMENT", "audit_refuse"),
        )
    if table == GROW_ONLY:
        return (
            _REFUSE,
            _GROW,
            *_postgresql_trigger(table, "UPDATE", "ROW", "audit_grow_only"),
            *_postgresql_trigger(table, "DELETE", "ROW", "audit_refuse"),
            *_postgresql_trigger(table, "TRUNCATE", "STATEMENT", "audit_refuse"),
        )
    changed = _postgresql_trigger(table, "UPDATE OR DELETE", "ROW", "audit_refuse")
    return (
        _REFUSE,
        *(roomguards.ENTRY_CHANGE_POSTGRESQL if table == "audit_entry" else changed),
        *_postgresql_trigger(table, "TRUNCATE", "STATEMENT", "audit_refuse"),
    )


GUARDED: Final = (*APPEND_ONLY, GROW_ONLY, LEAVES_ONLY)
SQLITE: Final = {table: _sqlite(table) for table in GUARDED}
"""The SQLite statements of each table."""
POSTGRESQL: Final = {table: _postgresql(table) for table in GUARDED}
"""The PostgreSQL statements of each table."""
GUARDS_SQLITE: Final = tuple(text for texts in SQLITE.values() for text in texts)
GUARDS_POSTGRESQL: Final = tuple(text for texts in POSTGRESQL.values() for text in texts)
