"""The schema: migrations forward on both engines, and the test whether a database has them.

SQLite is migrated with nobody else connected: the journal is switched away from WAL first, which
SQLite refuses while another process has the file open, and every step shares one transaction.
PostgreSQL is migrated under an advisory lock, so that two starting nodes cannot both migrate.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import SQLModel

import audit.records
import consent.records
import governance.exportrecords
import governance.outboxrecords
import governance.oversightrecords
import governance.records
import governance.savedsearches
import governance.witnessrecords
from governance.database import SchemaError

MIGRATIONS: Final = Path(__file__).with_name("migrations")
_ADVISORY: Final = 0x676F7665726E
ROOMS: Final = (
    governance.records,
    governance.exportrecords,
    governance.outboxrecords,
    governance.witnessrecords,
    governance.savedsearches,
    governance.oversightrecords,
    consent.records,
    audit.records,
)
"""The modules that declare tables; importing them fills the metadata."""
metadata: Final = SQLModel.metadata


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


def migration_engine(url: str) -> Engine:
    """Return an engine for schema work only; the service itself never uses it."""
    engine = create_engine(url, hide_parameters=True)
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def _quiet(connection: Any, _record: object) -> None:
            connection.isolation_level = None  # the driver's own BEGIN would leave DDL outside
            connection.execute("PRAGMA journal_mode=DELETE").fetchall()
            connection.execute("PRAGMA synchronous=EXTRA")

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            connection.exec_driver_sql("BEGIN EXCLUSIVE")

    return engine


def migrate(url: str) -> None:
    """Bring the database to this version's schema, all or nothing."""
    engine = migration_engine(url)
    try:
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY})
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except SQLAlchemyError as error:
        raise SchemaError(
            f"the schema could not be changed ({type(error).__name__}); stop every service on this database, "
            "then run: governance migrate"
        ) from None
    finally:
        engine.dispose()


def expected_revision() -> str:
    """Return the newest revision this version knows."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None, "the package ships at least one migration"
    return head


def current_revision(connection: Connection) -> str | None:
    """Return the revision a database is at, or None for an empty one."""
    return MigrationContext.configure(connection).get_current_revision()
