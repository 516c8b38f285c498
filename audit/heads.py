"""The head of the log: what it is called, how long it is, and the hashes from which it grows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select

from audit.records import AuditHead
from audit.tree import EMPTY, Frontier, frontier_of_bytes
from policies.transaction import Row, Transaction

LOG_ID: Final = 0
"""One log per deployment; the key leaves room for more."""

_head = AuditHead.__table__.c
READ_HEAD: Final = select(_head.origin, _head.size, _head.frontier, _head.root).where(_head.log_id == LOG_ID)
# SQLite has no row locks and ignores the clause: there BEGIN IMMEDIATE already keeps other writers out.
_LOCK_HEAD: Final = READ_HEAD.with_for_update()


class LogError(Exception):
    """The log is missing, already there, or not in the state it must be in to be extended."""


@dataclass(frozen=True, slots=True)
class Head:
    """The log's state: ``size`` leaves under ``root``."""

    origin: str
    size: int
    frontier: Frontier
    root: bytes


def read(tx: Transaction) -> Head:
    """Return the log's state without locking it.

    Raises:
        LogError: there is no log, or its head is damaged.
    """
    return _only(tx.rows(READ_HEAD))


def lock(tx: Transaction) -> Head:
    """Return the log's state and keep everybody else from extending it until this transaction ends.

    Raises:
        LogError: there is no log, or its head is damaged.
    """
    return _only(tx.rows(_LOCK_HEAD))


def _only(rows: Sequence[Row]) -> Head:
    for origin, size, packed, top in rows:
        try:
            frontier = frontier_of_bytes(size, packed) if size or packed else EMPTY
        except ValueError:
            raise LogError("the head of the log is damaged") from None
        return Head(origin, size, frontier, bytes(top))
    raise LogError("there is no log")
