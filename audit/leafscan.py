"""Streams leaves out of the database for those who count over many of them, each compared with the tree.

Two ways: narrowed by the search copies (quick, as true as the copies are), or every leaf there is (slow, asks
no copy). Either way a leaf counts only if it hashes to what the tree's lowest tiles hold at its index; what
does not is told, not counted. Reads in pieces, in short transactions, while writing goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam, or_, select

from audit.reading import PIECE, Reader, leaves, tile_fetch
from audit.records import AuditEntry
from audit.tiles import WIDTH
from audit.tree import HASH_BYTES, leaf_hash

_entry = AuditEntry.__table__.c
_WITHIN: Final = (
    select(_entry.leaf_index, _entry.leaf)
    .where(
        _entry.leaf_index > bindparam("after"),
        _entry.leaf_index < bindparam("size"),
        _entry.t >= bindparam("since"),
        _entry.t < bindparam("until"),
    )
    .order_by(_entry.leaf_index)
    .limit(bindparam("most"))
)
_BY_ACTOR: Final = _WITHIN.where(
    or_(_entry.actor_id == bindparam("actor"), _entry.behalf_id == bindparam("actor"))
)


@dataclass(slots=True)
class Damage:
    """How many leaves are gone or are not what the tree holds, so were left out; the first index."""

    count: int = 0
    first: int | None = None

    def note(self, index: int, count: int = 1) -> None:
        """Count leaves from ``index`` on as not to be believed."""
        if count:
            self.count += count
            self.first = index if self.first is None else min(self.first, index)


def narrowed(reader: Reader, actor: str, since: int, until: int, size: int) -> Iterator[tuple[int, bytes]]:
    """Yield the leaves below ``size`` whose copies name the actor (empty: any), ``since <= t < until``."""
    statement = _BY_ACTOR if actor else _WITHIN
    asked: dict[str, object] = {"size": size, "since": since, "until": until, "most": PIECE}
    if actor:
        asked["actor"] = actor
    after = -1
    while True:
        with reader() as tx:
            rows = tx.rows(statement, {**asked, "after": after})
        for index, leaf in rows:
            yield index, bytes(leaf)
        if len(rows) < PIECE:
            return
        after = rows[-1][0]


def everything(reader: Reader, size: int, damage: Damage) -> Iterator[tuple[int, bytes]]:
    """Yield every leaf below ``size``; those that are missing are noted."""
    wanted = 0
    for index, leaf in leaves(reader, size):
        damage.note(wanted, index - wanted)
        yield index, leaf
        wanted = index + 1
    damage.note(wanted, size - wanted)


def sound(reader: Reader, found: Iterable[tuple[int, bytes]], damage: Damage) -> Iterator[tuple[int, bytes]]:
    """Yield those leaves that hash to what the tree holds at their index; the others are noted."""
    number, tile = -1, b""
    for index, leaf in found:
        at, place = divmod(index, WIDTH)
        # A tile that was read while it grew is read again.
        if at != number or len(tile) < (place + 1) * HASH_BYTES:
            with reader() as tx:
                number, tile = at, tile_fetch(tx)(0, at)
        if tile[place * HASH_BYTES : (place + 1) * HASH_BYTES] == leaf_hash(leaf):
            yield index, leaf
        else:
            damage.note(index)
