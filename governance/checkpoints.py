"""Signs the log's head as it grows, keeps the newest signature outside the database, and checks it all.

The lock store lies beside the key ring, not in the database: a database that was rolled back, restored or
forked disagrees with it, and the service then does not start. Order: entries durable, compare-and-swap in
the lock store, then the copy in the database. Several workers may try; one wins, the others try later.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from sqlalchemy import bindparam, select

from audit import copies, ledger, publishing
from audit.checkpoint import Signer
from audit.lockstore import LockStore, LockStoreError
from audit.note import Checkpoint, Key
from audit.publishing import NotPublishedError, Standing
from audit.reading import verify_database
from audit.records import AuditCheckpoint
from audit.verdicts import Report
from governance.database import ConflictError, Database, StoreError

_PERIOD_S: Final = 1.0
_TRIES: Final = 5
"""How often a head is asked for where other workers sign as well; each failure means that one was faster."""
_checkpoint = AuditCheckpoint.__table__.c
_NOTE: Final = select(_checkpoint.note).where(_checkpoint.size == bindparam("size"))
_log = logging.getLogger("governance.checkpoints")


class Checkpoints:
    """The signing desk of one log."""

    def __init__(self, database: Database, log_key: bytes, path: Path) -> None:
        self._database = database
        self._log_key = log_key
        self._path = path

    def create_log(self, origin: str) -> None:
        """Create log and lock store where they are missing. Serving never does this."""
        with self._database.transaction() as tx:
            if not ledger.exists(tx):
                ledger.create(tx, origin)
                tx.commit()
        if not self._path.exists():
            with self._database.reading() as tx:
                head = ledger.head(tx)
            if head.size:
                # A log without its lock store lost its memory of what was signed; nobody may make one up.
                raise LockStoreError(
                    "the lock store of an existing log is missing; restore it from its backup"
                )
            LockStore.create(self._path, publishing.first_note(origin, self._signer(head.origin)))

    def _signer(self, origin: str) -> Signer:
        return Signer(origin, self._log_key)

    def _origin(self) -> str:
        with self._database.reading() as tx:
            return ledger.head(tx).origin

    def head(self, now: int) -> Checkpoint:
        """Return the newest signed head, signed now where the log has grown; ``note_at`` has its note.

        Raises:
            NotPublishedError: the log does not extend what was signed last.
        """
        signer = self._signer(self._origin())
        for _ in range(_TRIES):
            try:
                return publishing.publish(
                    self._database.transaction, signer, LockStore(self._path), now
                ).checkpoint
            except NotPublishedError as error:
                if error.standing is not Standing.OK:
                    raise
            except ConflictError:
                continue  # another worker stored the same note first
        raise NotPublishedError(Standing.OK)

    def note_at(self, size: int) -> str:
        """Return the signed note that was published at this size.

        Raises:
            LogError: none was.
        """
        with self._database.reading() as tx:
            for (note,) in tx.rows(_NOTE, {"size": size}):
                return str(note)
        raise ledger.LogError("no checkpoint of this size is stored")

    @property
    def key(self) -> Key:
        """The key that verifies the log's checkpoints."""
        return self._signer(self._origin()).key

    def examine(self) -> Standing:
        """Say whether the database's log extends what was last signed."""
        signer = self._signer(self._origin())
        with self._database.reading() as tx:
            return publishing.examine(tx, LockStore(self._path), signer.key)

    def publish(self, now: int) -> int:
        """Sign the head if it has grown; return the size that is signed now."""
        signer = self._signer(self._origin())
        published = publishing.publish(self._database.transaction, signer, LockStore(self._path), now)
        return published.checkpoint.size

    def verify(self) -> Report:
        """Check the whole log from its bytes."""
        lock = LockStore(self._path).body()
        return verify_database(self._database.reading, [self._signer(self._origin()).key], lock)

    def altered_copies(self) -> list[copies.Difference]:
        """Return where the search columns disagree with the leaves they were copied from."""
        return list(copies.differences(self._database.reading))

    async def keep_publishing(self, clock: Callable[[], int]) -> None:
        """Sign about once a second until cancelled. A failure is told and tried again: it stops nothing."""
        while True:
            await asyncio.sleep(_PERIOD_S)
            try:
                await asyncio.to_thread(self.publish, clock())
            except (StoreError, LockStoreError, NotPublishedError, ledger.LogError) as error:
                _log.error("no checkpoint was signed", extra={"cause": type(error).__name__})
