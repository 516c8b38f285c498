"""A log that was put back from a backup is signed again, once people have accepted what is lost.

Promises that the note outside the database is replaced by compare-and-swap, by a checkpoint of a head that
extends the restored one that was accepted, and by a key that may sign that size. Who accepts is not asked
here, and whether the state was one that may be accepted (a fork is none) was asked before.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

from sqlalchemy import func, select

from audit import ledger
from audit.checkpoint import sign
from audit.lockstore import LockStore
from audit.note import Checkpoint, NoteError
from audit.publishing import NotPublishedError, Standing, standing_of
from audit.records import AuditCheckpoint
from audit.rotation import Hands, terms_of
from policies.transaction import Transaction

PROPOSED: Final = "log.rollback_proposed"
ACCEPTED: Final = "log.rollback_accepted"
"""The action that reports a loss: ``res`` is the size and the root that had been signed, ``n`` how many of
those entries the log has no more."""
_LARGEST: Final = select(func.max(AuditCheckpoint.__table__.c.size))
_ENTRIES: Final = 2
"""What an acceptance adds at least before the head is signed again."""

Reading = Callable[[], AbstractContextManager[Transaction]]


def may_sign(tx: Transaction, head: Checkpoint, hands: Hands) -> bool:
    """Say whether the keys of now may sign what follows this head: a key signs nothing from before it."""
    return bool(terms_of(tx, head.size, hands()).signers(head.size, head.size + _ENTRIES))


def is_cut(tx: Transaction, size: int) -> bool:
    """Say whether the database holds a checkpoint beyond its own head: no backup looks like that."""
    return (tx.rows(_LARGEST)[0][0] or 0) > size


def extends(tx: Transaction, base: Checkpoint) -> bool:
    """Say whether the log as it is extends a head that it had."""
    return standing_of(tx, base, ledger.head(tx)) is Standing.OK


def restart(reading: Reading, hands: Hands, lock: LockStore, old: str, base: Checkpoint) -> Checkpoint:
    """Put a signed checkpoint of the log as it is in the place of the note ``old``; return it.

    The copy in the database is made by the next ``publish``.

    Raises:
        NotPublishedError: the log does not extend ``base`` (ROLLBACK, FORK), the old note was signed by no
            key of ours (FORGED), or another note stands outside by now, or no key may sign (OK).
        LogError: there is no log, or its head is damaged.
        LockStoreError: the lock store is missing or cannot be written.
    """
    with reading() as tx:
        head = ledger.head(tx)
        terms = terms_of(tx, head.size, hands())
        try:
            terms.open(old)
        except NoteError:
            raise NotPublishedError(Standing.FORGED) from None
        standing = standing_of(tx, base, head)
    if standing is not Standing.OK:
        raise NotPublishedError(standing)
    signers = terms.signers(base.size, head.size)
    checkpoint = Checkpoint(head.origin, head.size, head.root)
    if not signers or not lock.swap(old, sign(signers[0], checkpoint, *signers[1:])):
        raise NotPublishedError(Standing.OK)
    return checkpoint
