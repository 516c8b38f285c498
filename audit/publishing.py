"""Publishing a checkpoint, and the question at every start: is this database the one we signed last?

Promises that a head is signed only after it is durable and shown, from the tiles, to extend the last one
signed, and that the note outside the database moves first, by compare-and-swap: a crash in between is
mended by the next call, and two signers cannot fork the log. The order is Sunlight's. Which key signs is
asked after the head was read, so that a key that is being replaced signs nothing of what follows.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from typing import Final, NoReturn, Protocol

from sqlalchemy import bindparam, select, text

from audit import ledger
from audit.checkpoint import Signer, sign
from audit.heads import Head
from audit.lockstore import LockStore
from audit.note import Checkpoint, NoteError
from audit.reading import tile_fetch
from audit.records import AuditCheckpoint
from audit.rotation import Hands, Signing, terms_of
from audit.tiles import TileError, node_reader
from audit.tree import EMPTY_ROOT, consistency, extends
from policies.transaction import Transaction

_checkpoint = AuditCheckpoint.__table__.c
_STORED: Final = select(_checkpoint.size).where(_checkpoint.size == bindparam("size"))
# Two signers may mend the same crash, or tidy up after one another; the second finds the first's.
_STORE: Final = text(
    "INSERT INTO audit_checkpoint (size, note, t) VALUES (:size, :note, :t) ON CONFLICT (size) DO NOTHING"
)


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
    """A checkpoint that is signed and stored; ``fresh`` when this call signed it.

    ``rotated_at``: the coming key has signed by now, and the one before ends with this size. The ring may
    let it take over.
    """

    checkpoint: Checkpoint
    note: str
    fresh: bool
    rotated_at: int | None = None


def examine(tx: Transaction, lock: LockStore, signer: Signer | Hands) -> Standing:
    """Tell whether the log in the database extends the checkpoint kept outside it.

    Raises:
        LogError: there is no log, or its head is damaged.
        LockStoreError: there is no lock store.
    """
    body = lock.body()  # before the head is read: it can only have grown since
    head = ledger.head(tx)
    try:
        signed = terms_of(tx, head.size, _signing(signer)).open(body)
    except NoteError:
        return Standing.FORGED
    return standing_of(tx, signed, head)


def publish(transaction: Opener, signer: Signer | Hands, lock: LockStore, now: int) -> Published:
    """Sign the log's head as it is and publish it; does nothing when it has been signed already.

    Raises:
        NotPublishedError: the head does not extend the last signed one, or another signer was faster.
        LogError: there is no log, or its head is damaged.
        LockStoreError: the lock store is missing or cannot be written.
    """
    body = lock.body()
    with transaction() as tx:
        head = ledger.head(tx)
        terms = terms_of(tx, head.size, _signing(signer))
        try:
            signed = terms.open(body)
        except NoteError:
            raise NotPublishedError(Standing.FORGED) from None
        standing = standing_of(tx, signed, head)
        if standing is not Standing.OK:
            raise NotPublishedError(standing)
        # A crash after the swap below leaves the newest note outside only. Mend that first.
        _store(tx, signed.size, body, now)
        tx.commit()
    at = terms.rotated_at
    if head.size == signed.size:
        return Published(signed, body, fresh=False, rotated_at=at)
    checkpoint = Checkpoint(head.origin, head.size, head.root)
    signers = terms.signers(signed.size, head.size)
    if not signers:  # the key took over beyond this head: whoever made it so has signed beyond as well
        raise NotPublishedError(Standing.OK)
    note = sign(signers[0], checkpoint, *signers[1:])
    # A crash before this line: nothing has happened. After it: the note is out, the next call stores it.
    if not lock.swap(body, note):
        raise NotPublishedError(Standing.OK)
    with transaction() as tx:
        _store(tx, checkpoint.size, note, now)
        tx.commit()
    return Published(checkpoint, note, fresh=True, rotated_at=at)


def _signing(signer: Signer | Hands) -> Signing:
    return Signing(signer) if isinstance(signer, Signer) else signer()


def first_note(origin: str, signer: Signer) -> str:
    """Return the signed checkpoint of the empty log, with which the lock store is created."""
    return sign(signer, Checkpoint(origin, 0, EMPTY_ROOT))


def standing_of(tx: Transaction, signed: Checkpoint, head: Head) -> Standing:
    """Tell whether a head extends a checkpoint, by the tiles of the database."""
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
