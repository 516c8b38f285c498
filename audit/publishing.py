"""Publishing a checkpoint, and the question at every start: is this database the one we signed last?

Promises that a head is signed only after it is durable and shown, from the tiles, to extend the last one
signed, and that the note outside the database moves first, by compare-and-swap: a crash in between is
mended by the next call, and two signers cannot fork the log. The order is Sunlight's.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from typing import Final, NoReturn, Protocol

from sqlalchemy import bindparam, insert, select

from audit import ledger
from audit.checkpoint import Signer, open_checkpoint, sign
from audit.heads import Head
from audit.lockstore import LockStore
from audit.note import Checkpoint, Key, NoteError
from audit.reading import tile_fetch
from audit.records import AuditCheckpoint
from audit.tiles import TileError, node_reader
from audit.tree import EMPTY_ROOT, consistency, extends
from policies.transaction import Transaction

_checkpoint = AuditCheckpoint.__table__.c
_STORED: Final = select(_checkpoint.size).where(_checkpoint.size == bindparam("size"))
_STORE: Final = insert(AuditCheckpoint.__table__)


class Committable(Transaction, Protocol):
    """A transaction that publishing opens for itself, and commits."""

    def commit(self) -> None:
        """Make everything durable."""
        ...


Opener = Callable[[], AbstractContextManager[Committable]]
"""Opens a writing transaction, e.g. ``database.transaction``."""


class Standing(Enum):
    """What the database is to the note kept outside it. Has no truth value."""

    OK = "ok"
    ROLLBACK = "rollback"
    FORK = "fork"
    FORGED = "forged"

    def __bool__(self) -> NoReturn:
        raise TypeError("a standing has no truth value; compare it")


class NotPublishedError(Exception):
    """The log was not signed: ``standing`` says why; OK means that another signer was faster."""

    def __init__(self, standing: Standing) -> None:
        super().__init__(f"no checkpoint was signed: {standing.value}")
        self.standing = standing


@dataclass(frozen=True, slots=True)
class Published:
    """A checkpoint that is signed and stored; ``fresh`` when this call signed it."""

    checkpoint: Checkpoint
    note: str
    fresh: bool


def examine(tx: Transaction, lock: LockStore, key: Key) -> Standing:
    """Tell whether the log in the database extends the checkpoint kept outside it.

    Raises:
        LogError: there is no log, or its head is damaged.
        LockStoreError: there is no lock store.
    """
    body = lock.body()  # before the head is read: it can only have grown since
    try:
        signed = open_checkpoint(body, [key])
    except NoteError:
        return Standing.FORGED
    return _standing(tx, signed, ledger.head(tx))


def publish(transaction: Opener, signer: Signer, lock: LockStore, now: int) -> Published:
    """Sign the log's head as it is and publish it; does nothing when it has been signed already.

    Raises:
        NotPublishedError: the head does not extend the last signed one, or another signer was faster.
        LogError: there is no log, or its head is damaged.
        LockStoreError: the lock store is missing or cannot be written.
    """
    body = lock.body()
    try:
        signed = open_checkpoint(body, [signer.key])
    except NoteError:
        raise NotPublishedError(Standing.FORGED) from None
    with transaction() as tx:
        head = ledger.head(tx)
        standing = _standing(tx, signed, head)
        if standing is not Standing.OK:
            raise NotPublishedError(standing)
        # A crash after the swap below leaves the newest note outside only. Mend that first.
        _store(tx, signed.size, body, now)
        tx.commit()
    if head.size == signed.size:
        return Published(signed, body, fresh=False)
    checkpoint = Checkpoint(head.origin, head.size, head.root)
    note = sign(signer, checkpoint)
    # A crash before this line: nothing has happened. After it: the note is out, the next call stores it.
    if not lock.swap(body, note):
        raise NotPublishedError(Standing.OK)
    with transaction() as tx:
        _store(tx, checkpoint.size, note, now)
        tx.commit()
    return Published(checkpoint, note, fresh=True)


def first_note(origin: str, signer: Signer) -> str:
    """Return the signed checkpoint of the empty log, with which the lock store is created."""
    return sign(signer, Checkpoint(origin, 0, EMPTY_ROOT))


def _standing(tx: Transaction, signed: Checkpoint, head: Head) -> Standing:
    if signed.size > head.size:
        return Standing.ROLLBACK
    if signed.origin != head.origin:
        return Standing.FORK
    try:
        proof = consistency(signed.size, head.size, node_reader(tile_fetch(tx)))
    except TileError:
        return Standing.FORK
    grown = extends(signed.size, head.size, signed.root, head.root, proof)
    return Standing.OK if grown else Standing.FORK


def _store(tx: Transaction, size: int, note: str, now: int) -> None:
    """Insert a note unless it is there; a note of that size is never replaced."""
    if not tx.rows(_STORED, {"size": size}):
        tx.run(_STORE, {"size": size, "note": note, "t": now})
