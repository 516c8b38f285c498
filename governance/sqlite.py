"""SQLite in a file, through APSW and the SQLite that APSW brings along.

Why not the interpreter's own: SQLite 3.7.0 to 3.51.2 can corrupt a WAL database when two connections
write and checkpoint at once (fixed in 3.51.3), and interpreters ship such versions. WAL with
``synchronous=FULL`` is durable at one fsync a commit; should an affected library ever be loaded, the
rollback journal with ``synchronous=EXTRA`` is used instead.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import apsw
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.sql import Executable

from governance.database import Compiler, ConflictError, OpenTransaction, StoreError, UnreachableError
from policies.transaction import Row, Transaction

_WAL_RESET_FIXED: Final = (3, 51, 3)
_BUSY_MS: Final = 5_000
_NOTHING: Final[Mapping[str, object]] = {}


def journal_pragmas(version: tuple[int, ...]) -> tuple[str, str]:
    """Return journal mode and synchronous level that this SQLite version keeps durable and whole."""
    return ("WAL", "FULL") if version >= _WAL_RESET_FIXED else ("DELETE", "EXTRA")


def _named(error: apsw.Error) -> StoreError:
    # Constraint texts name columns only, but triggers may raise anything: pass on the class alone.
    if isinstance(error, apsw.ConstraintError):
        return ConflictError(type(error).__name__)
    if isinstance(error, apsw.BusyError | apsw.LockedError | apsw.CantOpenError):
        return UnreachableError(type(error).__name__)
    return StoreError(type(error).__name__)


class _SqliteTransaction:
    """A transaction on one APSW connection."""

    __slots__ = ("_compiler", "_connection", "committed")
    concurrent = False

    def __init__(self, connection: apsw.Connection, compiler: Compiler) -> None:
        self._connection = connection
        self._compiler = compiler
        self.committed = False

    def rows(self, statement: Executable, parameters: Mapping[str, object] | None = None) -> Sequence[Row]:
        text, bindings = self._compiler.call(statement, parameters or _NOTHING)
        try:
            return self._connection.execute(text, bindings).fetchall()
        except apsw.Error as error:
            raise _named(error) from None

    def run(
        self, statement: Executable, parameters: Mapping[str, object] | Sequence[Mapping[str, object]]
    ) -> int:
        before = self._connection.total_changes()
        try:
            if isinstance(parameters, Mapping):
                self._connection.execute(*self._compiler.call(statement, parameters))
            elif parameters:
                self._connection.executemany(*self._compiler.calls(statement, parameters))
        except apsw.Error as error:
            raise _named(error) from None
        return self._connection.total_changes() - before

    def commit(self) -> None:
        try:
            self._connection.execute("COMMIT")
        except apsw.Error as error:
            raise _named(error) from None
        self.committed = True


class SqliteDatabase:
    """One SQLite file. Writers of this process queue on a lock, those of others on SQLite's own."""

    inline = True
    concurrent = False

    def __init__(self, path: Path) -> None:
        self._path = path
        dialect = SQLiteDialect_pysqlite(paramstyle="named")
        self._compiler = Compiler(dialect, ":{}")
        self._writing = threading.Lock()
        self._idle: list[apsw.Connection] = []

    def _connect(self) -> apsw.Connection:
        if self._idle:
            return self._idle.pop()
        try:
            # Opening never creates: a file that is gone must not look like a new database.
            connection = apsw.Connection(
                str(self._path), flags=apsw.SQLITE_OPEN_READWRITE, statementcachesize=256
            )
            connection.set_busy_timeout(_BUSY_MS)
            journal, synchronous = journal_pragmas(tuple(map(int, apsw.sqlite_lib_version().split("."))))
            for pragma in (
                f"journal_mode={journal}",
                f"synchronous={synchronous}",
                "fullfsync=ON",
                "foreign_keys=ON",
                "secure_delete=ON",
                "temp_store=MEMORY",
                "trusted_schema=OFF",
            ):
                connection.execute(f"PRAGMA {pragma}")
        except apsw.Error as error:
            raise _named(error) from None
        return connection

    @contextmanager
    def _begun(self, begin: str) -> Iterator[_SqliteTransaction]:
        connection = self._connect()
        transaction = _SqliteTransaction(connection, self._compiler)
        try:
            connection.execute(begin)
            yield transaction
        except apsw.Error as error:
            raise _named(error) from None
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self._idle.append(connection)

    @contextmanager
    def transaction(self) -> Iterator[OpenTransaction]:
        """Open a writing transaction that holds SQLite's single write lock from its first line."""
        with self._writing, self._begun("BEGIN IMMEDIATE") as transaction:
            yield transaction

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """Open a reading transaction over one snapshot."""
        with self._begun("BEGIN") as transaction:
            yield transaction

    def look(self, statement: Executable, parameters: Mapping[str, object]) -> Sequence[Row]:
        """Run one select by itself."""
        connection = self._connect()
        try:
            return _SqliteTransaction(connection, self._compiler).rows(statement, parameters)
        finally:
            self._idle.append(connection)

    def drained(self) -> bool:
        """Return True: whoever decides holds the file's one write lock, so nobody else is deciding now."""
        return True

    def weaknesses(self) -> list[str]:
        """Return nothing: every connection is opened with durable settings."""
        return []

    def close(self) -> None:
        """Close all idle connections."""
        while self._idle:
            self._idle.pop().close()
