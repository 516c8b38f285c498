"""What a witness remembers: the newest checkpoint that it signed of each log, in one small file.

Promises that a row changes only by compare-and-swap and is on disk when ``advance`` returns. Opening never
creates: a witness that lost its memory would sign a history that it had never seen grow.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import apsw

from audit.lockstore import LockStoreError, connection_to
from audit.note import Checkpoint

_APPLICATION: Final = 0x77697473
_COLUMNS: Final = "origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, note TEXT NOT NULL"
_NEWEST: Final = "SELECT size, root FROM seen WHERE origin = ?"
_FIRST: Final = "INSERT OR IGNORE INTO seen VALUES (?, ?, ?, ?)"
_NEXT: Final = "UPDATE seen SET size = ?, root = ?, note = ? WHERE origin = ? AND size = ? AND root = ?"


class WitnessStore:
    """An opened memory. Every call opens the file anew: a log shows a checkpoint about once a second."""

    __slots__ = ("_path",)

    def __init__(self, path: Path) -> None:
        self._path = path
        self.newest("")

    @classmethod
    def create(cls, path: Path) -> WitnessStore:
        """Make the file, for a witness that has signed nothing yet.

        Raises:
            LockStoreError: there is such a file already.
        """
        try:
            path.touch(mode=0o600, exist_ok=False)
        except OSError:
            raise LockStoreError("a witness's memory cannot be created here; is there one already?") from None
        connection = connection_to(path)
        try:
            connection.execute(f"PRAGMA application_id={_APPLICATION}")
            connection.execute(f"CREATE TABLE seen ({_COLUMNS})")
        finally:
            connection.close()
        return cls(path)

    def newest(self, origin: str) -> Checkpoint | None:
        """Return the newest checkpoint signed of this log.

        Raises:
            LockStoreError: the file is missing or damaged.
        """
        try:
            connection = connection_to(self._path)
            try:
                for size, root in connection.execute(_NEWEST, (origin,)):
                    return Checkpoint(origin, size, bytes(root))
            finally:
                connection.close()
        except apsw.Error:
            raise LockStoreError("the witness's memory is missing or damaged") from None
        return None

    def advance(self, old: Checkpoint | None, new: Checkpoint, note: str) -> bool:
        """Put ``new`` in the place of ``old``; return False when something else stands there by now.

        Raises:
            LockStoreError: the file could not be written.
        """
        try:
            connection = connection_to(self._path)
            try:
                if old is None:
                    connection.execute(_FIRST, (new.origin, new.size, new.root, note))
                else:
                    change = (new.size, new.root, note, old.origin, old.size, old.root)
                    connection.execute(_NEXT, change)
                return connection.changes() == 1
            finally:
                connection.close()
        except apsw.Error:
            raise LockStoreError("the witness's memory cannot be written") from None
