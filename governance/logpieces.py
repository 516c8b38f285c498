"""The pieces in which PostgreSQL keeps the log: made ahead, and dropped once pruning has emptied them.

The log makes them itself as it grows (``audit.partitions``). This asks at the start and each day as well, so
that a database whose next pieces were lost has them again before they are needed. Nothing on SQLite.
"""

from __future__ import annotations

from audit import partitions
from governance.database import Database


class LogPieces:
    """Keeps the pieces of one database's log. Stateless."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def grow(self) -> int:
        """Make the pieces that are missing ahead; return how many were made.

        Raises:
            StoreError: the database is away, or this account may not ask (governance migrate --grant-app).
        """
        with self._database.transaction() as tx:
            made = partitions.grow(tx)
            tx.commit()
        return made

    def tidy(self) -> int:
        """Do the work of a day: make what is missing, drop what is empty for good; return how many went.

        Raises:
            StoreError: as ``grow``.
        """
        self.grow()
        gone = 0
        while self._swept():
            gone += 1
        return gone

    def _swept(self) -> int:
        with self._database.transaction() as tx:
            gone = partitions.sweep(tx)
            tx.commit()
        return gone
