"""The one note kept outside the database: the newest checkpoint that was ever signed.

Promises that it changes only by compare-and-swap and is on disk when ``swap`` returns, so that two signers
cannot both continue from the same checkpoint and a database put back from a backup is noticed. It belongs
on another volume, beside the keys. Opening never creates: a missing file must not look like a new log.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import apsw

_BUSY_MS: Final = 5_000
_APPLICATION: Final = 0x6C6F636B


class LockStoreError(Exception):
    """The file is missing, is already there, or is no lock store."""


class LockStore:
    """An opened lock store. Every call opens the file anew: it is used at most once a second."""

    __slots__ = ("_path",)

    def __init__(self, path: Path) -> None:
        self._path = path
        self.body()

    @classmethod
    def create(cls, path: Path, body: str) -> LockStore:
        """Make the file with its first note, the signed checkpoint of the new log.

        Raises:
            LockStoreError: there is such a file already.
        """
        try:
            path.touch(mode=0o600, exist_ok=False)
        except OSError:
            raise LockStoreError("the lock store cannot be created here; is there one already?") from None
        connection = connection_to(path)
        try:
            connection.execute(f"PRAGMA application_id={_APPLICATION}")
            with connection:
                connection.execute("CREATE TABLE lock (only INTEGER PRIMARY KEY CHECK (only = 1), body TEXT)")
                connection.execute("INSERT INTO lock VALUES (1, ?)", (body,))
        finally:
            connection.close()
        return cls(path)

    def body(self) -> str:
        """Return the newest signed note.

        Raises:
            LockStoreError: the file is missing or is no lock store.
        """
        try:
            connection = connection_to(self._path)
            try:
                found = connection.execute("SELECT body FROM lock").fetchall()
            finally:
                connection.close()
        except apsw.Error:
            found = []
        if len(found) != 1 or not isinstance(found[0][0], str):
            raise LockStoreError("the lock store is missing or damaged")
        return found[0][0]

    def swap(self, old: str, new: str) -> bool:
        """Put ``new`` in the place of ``old``; return False when something else stands there by now.

        Raises:
            LockStoreError: the file could not be written.
        """
        try:
            connection = connection_to(self._path)
            try:
                connection.execute("UPDATE lock SET body = ? WHERE body = ?", (new, old))
                return connection.changes() == 1
            finally:
                connection.close()
        except apsw.Error:
            raise LockStoreError("the lock store cannot be written") from None


def connection_to(path: Path) -> apsw.Connection:
    """Open a file whose commits are on disk when they return; a missing file is an ``apsw.Error``."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    connection.set_busy_timeout(_BUSY_MS)
    for pragma in ("journal_mode=DELETE", "synchronous=EXTRA", "fullfsync=ON", "trusted_schema=OFF"):
        connection.execute(f"PRAGMA {pragma}")
    return connection
