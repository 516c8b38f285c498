"""Signs the log's head as it grows, keeps the newest signature outside the database, and checks it all.

The lock store lies beside the key ring, not in the database: a database that was rolled back, restored or
forked disagrees with it, and the service then does not start. Order: entries durable, compare-and-swap in
the lock store, then the copy in the database. Several workers may try; one wins, the others try later.
The key that signs can be replaced while they run (``audit.rotation``): each asks the ring anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from sqlalchemy import bindparam, select

from audit import copies, ledger, publishing, restarting, rotation
from audit.checkpoint import Signer, open_checkpoint
from audit.lockstore import LockStore, LockStoreError
from audit.note import Checkpoint, Key, NoteError, is_name, key_of
from audit.publishing import NotPublishedError, Published, Standing
from audit.reading import verify_database
from audit.records import AuditCheckpoint
from audit.rotation import Coming, Hands, Signing
from audit.verdicts import Report
from governance.database import Database, StoreError
from redaction.logkeys import KeyRingError, LogKeys

_PERIOD_S: Final = 1.0
_TRIES: Final = 100
_checkpoint = AuditCheckpoint.__table__.c
_NOTE: Final = select(_checkpoint.note).where(_checkpoint.size == bindparam("size"))
_log = logging.getLogger("governance.checkpoints")
CANNOT_SIGN: Final = (
    StoreError, LockStoreError, NotPublishedError, ledger.LogError, KeyRingError, NoteError,
)  # fmt: skip
"""What can keep the log from being signed now; the next attempt may succeed."""


class Ring(Protocol):
    """The part of the key ring that signs the log (``redaction.keys.KeyRing``)."""

    def log_keys(self) -> LogKeys:
        """Return the log's keys as the ring's file holds them now."""
        ...

    def prepare_rotation(self, since: int) -> LogKeys:
        """Put a key that is to follow into the ring, unless there is one."""
        ...

    def finish_rotation(self, last: int) -> LogKeys:
        """Let the coming key take over; the one before signs nothing larger than ``last``."""
        ...


class Checkpoints:
    """The signing desk of one log."""

    def __init__(self, database: Database, ring: Ring, path: Path) -> None:
        self._database = database
        self._ring = ring
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
            signer = Signer(head.origin, self._ring.log_keys().current)
            LockStore.create(self._path, publishing.first_note(origin, signer))

    def _signing(self, origin: str) -> Signing:
        if not is_name(origin):
            raise ledger.LogError("the log's own name was changed")
        keys = self._ring.log_keys()
        first, retired = 0, []
        for one in keys.retired:
            retired.append(key_of(origin, one.public)._replace(first=first, last=one.last))
            first = one.last + 1
        follows = None if keys.coming is None else Coming(Signer(origin, keys.coming.seed), keys.coming.since)
        return Signing(Signer(origin, keys.current), tuple(retired), follows)

    def _origin(self) -> str:
        with self._database.reading() as tx:
            return ledger.head(tx).origin

    def known_keys(self) -> tuple[Key, ...]:
        """Return every key that has signed the log, each with the checkpoints that it may sign."""
        with self._database.reading() as tx:
            head = ledger.head(tx)
            return rotation.terms_of(tx, head.size, self._signing(head.origin)).keys

    def head(self, now: int) -> Checkpoint:
        """Return the newest signed head, signed now where the log has grown; ``note_at`` has its note.

        Raises:
            NotPublishedError: the log does not extend what was signed last.
        """
        for _ in range(_TRIES):
            try:
                return self._published(now).checkpoint
            except NotPublishedError as error:
                if error.standing is not Standing.OK:
                    raise
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
        return self.known_keys()[-1]

    def key_at(self, size: int) -> Key:
        """Return the key that verifies the checkpoint of this size, which another may have followed since.

        Raises:
            LogError: no key of the ring signs one of this size.
        """
        for key in self.known_keys():
            if key.may_sign(size):
                return key
        raise ledger.LogError("no key of the log signs a checkpoint of this size")

    def examine(self) -> Standing:
        """Say whether the database's log extends what was last signed."""
        hands = self.hands()
        with self._database.reading() as tx:
            return publishing.examine(tx, LockStore(self._path), hands)

    def hands(self) -> Hands:
        """Return what says with which keys the log is signed, each time it is asked."""
        return partial(self._signing, self._origin())

    def note_outside(self) -> str:
        """Return the note kept outside the database, as it is; its signature is not checked here."""
        return LockStore(self._path).body()

    def restart(self, old: str, base: Checkpoint, now: int) -> int:
        """Sign a restored log that people accepted, in the place of the note ``old``; return its size.

        Raises:
            NotPublishedError: see ``audit.restarting.restart``.
        """
        restarting.restart(self._database.reading, self.hands(), LockStore(self._path), old, base)
        # A crash before this line: the copy in the database is made by whoever publishes next.
        return self.publish(now)

    def signed(self) -> int:
        """Return how many entries the note outside the database covers, whoever signed it."""
        return open_checkpoint(LockStore(self._path).body(), self.known_keys()).size

    def publish(self, now: int) -> int:
        """Sign the head if it has grown; return the size that is signed now."""
        return self._published(now).checkpoint.size

    def _published(self, now: int) -> Published:
        hands = self.hands()
        published = publishing.publish(self._database.transaction, hands, LockStore(self._path), now)
        if published.rotated_at is not None:
            # A crash before this line: the next call finds the coming key's signature and comes here again.
            self._ring.finish_rotation(published.rotated_at)
        return published

    def rotate(self, now: int) -> tuple[Key, Key, int]:
        """Replace the key that signs the log; return the old key, the new one, and the first size it signed.

        A rotation that a crash cut off is taken up where it stopped.

        Raises:
            NotPublishedError: the log does not extend what was last signed; no key is replaced then.
        """
        size, origin = self._published(now).checkpoint.size, self._origin()
        # A crash before this line: nothing has happened. After it: the ring holds a key that signs nothing.
        self._ring.prepare_rotation(size)
        with self._database.transaction() as tx:
            signing = self._signing(origin)
            coming = signing.coming
            if coming is None:  # somebody else has finished it meanwhile
                return signing.retired[-1], signing.signer.key, signing.first
            old, new = signing.signer.key, coming.signer.key
            if rotation.entry_of(tx, ledger.NEWEST, signing.signer, coming) is None:
                ledger.append(tx, [rotation.entry_for(old, new, now)])
                # A crash after the commit: whoever publishes next signs with both keys.
                tx.commit()
        return old, new, self._signed_by_both(now)

    def _signed_by_both(self, now: int) -> int:
        return self.head(now).size

    def verify(self) -> Report:
        """Check the whole log from its bytes."""
        lock = LockStore(self._path).body()
        return verify_database(self._database.reading, self._keys_beside(lock), lock)

    def _keys_beside(self, lock: str) -> tuple[Key, ...]:
        """Return the known keys; where no head says of which log, the note outside does."""
        try:
            return self.known_keys()
        except ledger.LogError:
            origin = lock.partition("\n")[0]
        if not is_name(origin):
            return ()  # neither side says which log this is: no signature counts
        signing = self._signing(origin)
        with self._database.reading() as tx:
            return rotation.terms_of(tx, ledger.NEWEST, signing).keys

    def altered_copies(self) -> list[copies.Difference]:
        """Return where columns and indexes disagree with the leaves they were made from."""
        return list(copies.differences(self._database.reading))

    async def keep_publishing(self, clock: Callable[[], int]) -> None:
        """Sign about once a second until cancelled. A failure is told and tried again: it stops nothing."""
        while True:
            await asyncio.sleep(_PERIOD_S)
            try:
                await asyncio.to_thread(self.publish, clock())
            except CANNOT_SIGN as error:
                _log.error("no checkpoint was signed", extra={"cause": type(error).__name__})
