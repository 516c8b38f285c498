"""Migrated databases are the ones the models speak of, on both engines."""

from __future__ import annotations

from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import BigInteger, Boolean, Connection, Integer, LargeBinary, Text, text

from audit.partitions import WIDTH
from governance import schema

PLAIN = (Text, BigInteger, Integer, Boolean, LargeBinary)
SUBJECTS_FACTS = ("subject", "relation", "cell", "consent_event", "send_slot", "approval", "legal_hold")
LISTED = {
    "sqlite": """SELECT name, sql FROM sqlite_master
      WHERE type = 'trigger' AND substr(tbl_name, 1, 6) = 'audit_'""",
    "postgresql": """SELECT t.tgrelid::regclass::text || '.' || t.tgname,
        pg_get_triggerdef(t.oid) || t.tgenabled::text || p.prosrc || coalesce(p.proconfig::text, '')
      FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
      WHERE NOT t.tgisinternal AND left(t.tgrelid::regclass::text, 6) = 'audit_'
      UNION ALL SELECT p.oid::regprocedure::text,
        p.prosrc || p.prosecdef::text || coalesce(p.proconfig::text, '')
        || coalesce(p.proacl::text, 'everybody')
      FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND left(p.proname, 6) = 'audit_'""",
}
"""What guards the log, with all that it does."""
PIECES = "SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r'"
GUARDED = (
    "audit_entry",
    "audit_checkpoint",
    "audit_cosignature",
    "audit_tile",
    "audit_subject",
    "audit_pruned",
    "audit_head",
    "consent_event",
    "notice_version",
    "notice_text",
)


def of_wholes(connection: Connection) -> dict[str, Any]:
    """Compare all but the pieces of the log: the models know only the whole (PostgreSQL)."""
    pieces: set[str] = set()
    if connection.dialect.name == "postgresql":
        pieces = set(connection.execute(text(PIECES)).scalars())
        assert pieces == {f"audit_{one}_p{at}" for one in ("entry", "subject") for at in (0, WIDTH)}

    def counts(name: str | None, kind: str, _parents: object) -> bool:
        return kind != "table" or name not in pieces

    return {"compare_type": True, "include_name": counts}


def test_an_upgraded_database_has_exactly_the_tables_of_the_models(database_url: str) -> None:
    schema.migrate(database_url)
    engine = schema.migration_engine(database_url)
    try:
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts=of_wholes(connection))
            assert compare_metadata(context, schema.metadata) == []
    finally:
        engine.dispose()


def test_a_column_that_no_migration_makes_would_be_noticed(database_url: str) -> None:
    schema.migrate(database_url)
    engine = schema.migration_engine(database_url)
    try:
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE message ADD COLUMN stray TEXT"))
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts=of_wholes(connection))
            found = compare_metadata(context, schema.metadata)
        assert [change[0] for change in found] == ["remove_column"]
    finally:
        engine.dispose()


def test_an_upgraded_database_guards_what_must_only_grow(database_url: str) -> None:
    schema.migrate(database_url)
    engine = schema.migration_engine(database_url)
    listed = {
        "sqlite": "SELECT tbl_name FROM sqlite_master WHERE type = 'trigger'",
        "postgresql": "SELECT event_object_table FROM information_schema.triggers",
    }
    try:
        with engine.connect() as connection:
            guarded = {row[0] for row in connection.execute(text(listed[engine.dialect.name]))}
    finally:
        engine.dispose()
    assert set(GUARDED) <= guarded


def test_a_migrated_log_has_exactly_the_guards_of_the_models(database_url: str) -> None:
    def guards() -> dict[str, str]:
        with engine.connect() as connection:
            rows = connection.execute(text(LISTED[engine.dialect.name]))
            return {name: " ".join(what.replace(" IF NOT EXISTS", "").split()) for name, what in rows}

    schema.migrate(database_url)
    engine = schema.migration_engine(database_url)
    tables = [table for name, table in schema.metadata.tables.items() if name.startswith("audit_")]
    try:
        migrated = guards()
        with engine.begin() as connection:
            schema.metadata.drop_all(connection, tables)
            for name in (one for one in migrated if one.endswith(")")):  # functions, on PostgreSQL
                connection.execute(text(f"DROP FUNCTION {name}"))
            schema.metadata.create_all(connection, tables)
        made = guards()
    finally:
        engine.dispose()
    assert migrated == made
    assert len(made) > len(tables)


def test_migrating_twice_changes_nothing_and_ends_at_the_expected_revision(database_url: str) -> None:
    schema.migrate(database_url)
    schema.migrate(database_url)
    engine = schema.migration_engine(database_url)
    try:
        with engine.connect() as connection:
            assert schema.current_revision(connection) == schema.expected_revision()
    finally:
        engine.dispose()


def test_a_database_of_the_first_schema_is_brought_forward_with_its_rows(database_url: str) -> None:
    engine = schema.migration_engine(database_url)
    try:
        with engine.begin() as connection:
            config = schema._config()
            config.attributes["connection"] = connection
            command.upgrade(config, "0001")
            connection.execute(text("INSERT INTO subject VALUES ('hh_1', 'household', 'hh_1', 'active', 1)"))
            connection.execute(text("INSERT INTO actor VALUES ('stf_1', 'staff', 'x', 'active', '')"))
        schema.migrate(database_url)
        with engine.connect() as connection:
            found = [
                connection.execute(text(f"SELECT * FROM {table}")).one() for table in ("subject", "actor")
            ]
    finally:
        engine.dispose()
    # Nobody has asked for an advisor of one gender, and no member of staff has said theirs.
    assert [row[-1] for row in found] == ["", ""]


@pytest.mark.parametrize("table", sorted(schema.metadata.tables))
def test_columns_are_of_kinds_that_need_no_processor(table: str) -> None:
    strange = [
        column.name for column in schema.metadata.tables[table].columns if not isinstance(column.type, PLAIN)
    ]
    assert strange == []


@pytest.mark.parametrize("table", SUBJECTS_FACTS)
def test_what_a_decision_reads_about_a_subject_is_keyed_by_the_subject_first(table: str) -> None:
    key = next(iter(schema.metadata.tables[table].primary_key.columns)).name
    assert key == ("id" if table == "subject" else "subject_id")


def test_the_log_hangs_on_no_other_table() -> None:
    """A foreign key with a cascade would let a person's deletion wipe the entries about that person."""
    tables = [table for name, table in schema.metadata.tables.items() if name.startswith("audit_")]
    assert tables
    assert not [table.name for table in tables if table.foreign_keys]


def test_migrations_do_not_lean_on_the_models_of_today() -> None:
    """A migration is history: it must make the same schema in ten years, whatever the models say then."""
    steps = sorted(schema.MIGRATIONS.glob("versions/*.py"))
    assert steps
    assert not [file.name for file in steps if "create_all" in file.read_text(encoding="utf-8")]
