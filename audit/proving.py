"""Makes proofs from the tiles of a database.

Promises that a proof is made from no more than the tiles it needs, each read once, and is shown to hold
before it is handed out: a damaged tile gives an error, never a proof that fails at the other end. Nothing
here reads an entry, except ``bundle``, which exists to hand entries out.
"""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

from sqlalchemy import bindparam, select

from audit.ledger import LogError
from audit.note import Checkpoint, NoteError, parse, parse_checkpoint
from audit.proof import Proof
from audit.reading import tile_fetch
from audit.records import AuditCheckpoint, AuditEntry
from audit.tiles import HEIGHT, WIDTH, TileError, node_reader
from audit.tree import HASH_BYTES, Node, consistency, extends, includes, inclusion, root_at
from policies.transaction import Transaction

_LENGTH_BYTES: Final = 2

_checkpoint, _entry = AuditCheckpoint.__table__.c, AuditEntry.__table__.c
_NEWEST: Final = (
    select(_checkpoint.note, _checkpoint.t).order_by(_checkpoint.size.desc()).limit(bindparam("most"))
)
_INDEX_OF: Final = (
    select(_entry.leaf_index).where(_entry.entry_id == bindparam("entry")).order_by(_entry.leaf_index)
)
_LEAVES: Final = (
    select(_entry.leaf)
    .where(_entry.leaf_index >= bindparam("first"), _entry.leaf_index < bindparam("end"))
    .order_by(_entry.leaf_index)
)


class Signed(NamedTuple):
    """A head as it was published: the note verbatim, what it says, and when (milliseconds) it was stored."""

    note: str
    checkpoint: Checkpoint
    at: int


def newest(tx: Transaction) -> Signed | None:
    """Return the newest published checkpoint. Its signatures are for whoever fetches it to check.

    Raises:
        LogError: what is stored is no checkpoint.
    """
    for note, at in tx.rows(_NEWEST, {"most": 1}):
        try:
            return Signed(note, parse_checkpoint(parse(note).text), at)
        except NoteError:
            raise LogError("the newest checkpoint cannot be read") from None
    return None


def index_of(tx: Transaction, entry_id: str) -> int | None:
    """Return where the entry of this id (``aud_…``) stands; None if there is none."""
    rows = tx.rows(_INDEX_OF, {"entry": entry_id})
    return None if not rows else int(rows[0][0])


def inclusion_proof(tx: Transaction, index: int, hashed: bytes | None, signed: Signed) -> Proof:
    """Return the proof that entry ``index`` stands under a signed head that covers it.

    ``hashed`` is the leaf hash that the proof must lead from; None takes the one in the tiles. The extra data
    of the proof is that hash.

    Raises:
        LogError: the tiles do not lead to the signed root.
    """
    node = _nodes(tx)
    checkpoint = signed.checkpoint
    try:
        hashed = node(0, index) if hashed is None else hashed
        hashes = inclusion(index, checkpoint.size, node)
    except TileError:
        raise LogError("a tile of the log is damaged") from None
    if not includes(index, checkpoint.size, hashed, hashes, checkpoint.root):
        raise LogError("the tiles of the log do not lead to its signed root")
    return Proof(index, hashes, signed.note, hashed)


def consistency_proof(tx: Transaction, old: int, size: int) -> tuple[bytes, ...]:
    """Return the proof that the log of ``size`` entries extends the one of ``old``; none is needed from 0.

    Raises:
        LogError: the tiles do not hold together.
    """
    node = _nodes(tx)
    try:
        proof = consistency(old, size, node)
        sound = extends(old, size, root_at(old, node), root_at(size, node), proof)
    except TileError:
        raise LogError("a tile of the log is damaged") from None
    if not sound:
        raise LogError("the tiles of the log do not hold together")
    return proof


def tile(tx: Transaction, level: int, index: int, width: int, size: int) -> bytes | None:
    """Return the first ``width`` hashes of a tile of the log of ``size`` entries; None if it has not as many.

    Raises:
        LogError: the stored tile is shorter than it must be.
    """
    if (size >> (HEIGHT * level)) < index * WIDTH + width:
        return None
    data = tile_fetch(tx)(level, index)[: width * HASH_BYTES]
    if len(data) != width * HASH_BYTES:
        raise LogError("a tile of the log is damaged")
    return data


def bundle(tx: Transaction, index: int, width: int, size: int) -> bytes | None:
    """Return an entry bundle: ``width`` leaves from ``index * 256`` on, each after its length (uint16).

    None where the log of ``size`` entries has not as many, or one of them is no longer kept.
    """
    first = index * WIDTH
    if first + width > size:
        return None
    rows = tx.rows(_LEAVES, {"first": first, "end": first + width})
    if len(rows) != width:
        return None
    leaves = [bytes(leaf) for (leaf,) in rows]
    return b"".join(len(leaf).to_bytes(_LENGTH_BYTES, "big") + leaf for leaf in leaves)


def _nodes(tx: Transaction) -> Node:
    """Return a reader of nodes that fetches each tile once."""
    return node_reader(cache(tile_fetch(tx)))
