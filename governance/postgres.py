"""PostgreSQL through psycopg 3 and its connection pool.

READ COMMITTED on the primary: correctness comes from locking each subject's row before its facts are
read (``governance.facts``), not from the isolation level. A statement that hangs is cut off, because
a gate that waits for ever is down.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from time import monotonic, sleep
from typing import Any, Final

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout
from sqlalchemy import text
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.sql import Executable

from governance.database import Compiler, ConflictError, OpenTransaction, StoreError, UnreachableError
from policies.transaction import Row, Transaction

_NOTHING: Final[Mapping[str, object]] = {}
_DURABLE: Final = {
    "fsync": ("on",),
    "full_page_writes": ("on",),
    "synchronous_commit": ("on", "remote_apply", "remote_write"),
}
_OLDER: Final = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND xact_start < :since"
    " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
)
_NOW: Final = text("SELECT clock_timestamp()")
_DRAIN_S: Final = 12.0
"""A little longer than the longest statement; a decision that still runs then has hung."""
_OPTIONS: Final = (
    "-c statement_timeout=10000 -c lock_timeout=5000 -c idle_in_transaction_session_timeout=60000"
)


def _named(error: psycopg.Error) -> StoreError:
    # A server's message may quote the row ("Key (mobile)=(…) already exists"): pass on the SQLSTATE alone.
    word = error.sqlstate or type(error).__name__
    if isinstance(error, psycopg.IntegrityError):
        return ConflictError(word)
    if isinstance(error, psycopg.OperationalError):
        return UnreachableError(word)
    return StoreError(word)


class _PostgresTransaction:
    """A transaction on one pooled connection."""

    __slots__ = ("_compiler", "_connection", "committed")
    concurrent = True

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]], compiler: Compiler) -> None:
        self._connection = connection
        self._compiler = compiler
        self.committed = False

    def rows(self, statement: Executable, parameters: Mapping[str, object] | None = None) -> Sequence[Row]:
        text, bindings = self._compiler.call(statement, parameters or _NOTHING)
        try:
            return self._connection.execute(text, bindings).fetchall()
        except psycopg.Error as error:
            raise _named(error) from None

    def run(
        self, statement: Executable, parameters: Mapping[str, object] | Sequence[Mapping[str, object]]
    ) -> int:
        try:
            if isinstance(parameters, Mapping):
                text, bindings = self._compiler.call(statement, parameters)
                return self._connection.execute(text, bindings).rowcount
            if not parameters:
                return 0
            with self._connection.cursor() as cursor:
                cursor.executemany(*self._compiler.calls(statement, parameters))
                return cursor.rowcount
        except psycopg.Error as error:
            raise _named(error) from None

    def look_at_one_instant(self) -> None:
        """Make this transaction read-only, over one snapshot."""
        try:
            self._connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        except psycopg.Error as error:
            raise _named(error) from None

    def commit(self) -> None:
        try:
            self._connection.commit()
        except psycopg.Error as error:
            raise _named(error) from None
        self.committed = True


class PostgresDatabase:
    """One PostgreSQL primary behind a pool."""

    inline = False
    concurrent = True

    def __init__(self, url: str, connections: int = 8) -> None:
        self._compiler = Compiler(PGDialect_psycopg(), "%({})s")  # type: ignore[no-untyped-call]
        self._pool = ConnectionPool(
            url.replace("postgresql+psycopg://", "postgresql://", 1),
            min_size=1,
            max_size=connections,
            timeout=5.0,
            kwargs={"options": _OPTIONS},
            open=True,
            name="governance",
        )

    @contextmanager
    def _begun(self) -> Iterator[_PostgresTransaction]:
        try:
            connection = self._pool.getconn()
        except (PoolTimeout, psycopg.Error):
            raise UnreachableError("no_connection") from None
        try:
            yield _PostgresTransaction(connection, self._compiler)
        finally:
            with suppress(psycopg.Error):
                connection.rollback()
            self._pool.putconn(connection)  # a broken connection is dropped there

    @contextmanager
    def transaction(self) -> Iterator[OpenTransaction]:
        """Open a writing transaction."""
        with self._begun() as transaction:
            yield transaction

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """Open a read-only transaction over one snapshot."""
        with self._begun() as transaction:
            transaction.look_at_one_instant()
            yield transaction

    def look(self, statement: Executable, parameters: Mapping[str, object]) -> Sequence[Row]:
        """Run one select by itself."""
        with self._begun() as transaction:
            return transaction.rows(statement, parameters)

    def drained(self) -> bool:
        """Wait until every transaction that began before now has ended; False if one outlasts the wait."""
        with self._begun() as transaction:
            since = transaction.rows(_NOW)[0][0]
        deadline = monotonic() + _DRAIN_S
        while monotonic() < deadline:
            if not self.look(_OLDER, {"since": since})[0][0]:
                return True
            sleep(0.01)
        return False

    def weaknesses(self) -> list[str]:
        """Return the server settings under which an answered commit could still be lost."""
        with self._begun() as transaction:
            found = [(name, transaction.rows(text(f"SHOW {name}"))[0][0]) for name in _DURABLE]
        return [f"{name} is {value}" for name, value in found if value not in _DURABLE[name]]

    def close(self) -> None:
        """Close the pool."""
        self._pool.close()
