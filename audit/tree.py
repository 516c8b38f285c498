"""The Merkle tree of RFC 6962 §2: hashes, growth at the right edge, proofs and their verification.

Promises that whoever holds two roots can be shown that the second extends the first, and that an entry
is in the tree, with about log2(n) hashes. Pure, standard library only, runs on Python 3.9: the verifier
that auditors get is built on this module. It holds no tree: nodes come from a function of the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = sha256(b"").digest()

Node = Callable[[int, int], bytes]
"""``node(height, index)``: the hash over leaves ``index << height`` up to ``(index + 1) << height``."""


def leaf_hash(leaf: bytes) -> bytes:
    """Return the hash of a leaf: SHA-256 over 0x00 and its bytes."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node: SHA-256 over 0x01 and its two children."""
    return sha256(b"\x01" + left + right).digest()


class Frontier(NamedTuple):
    """The complete subtrees that make up a tree of ``size`` leaves, largest (leftmost) first.

    There is one hash per set bit of ``size``; it is all that growing the tree and its root need.
    """

    size: int
    hashes: tuple[bytes, ...]


EMPTY: Final = Frontier(0, ())


def frontier_of_bytes(size: int, packed: bytes) -> Frontier:
    """Return the frontier stored as ``b"".join(hashes)``.

    Raises:
        ValueError: the number of hashes does not fit the size.
    """
    set_bits = bin(size).count("1")  # noqa: FURB161 (int.bit_count came with Python 3.10)
    if size < 0 or len(packed) != HASH_BYTES * set_bits:
        raise ValueError("a frontier holds one hash per set bit of the tree's size")
    return Frontier(size, tuple(packed[at : at + HASH_BYTES] for at in range(0, len(packed), HASH_BYTES)))


def extend(frontier: Frontier, hashes: Sequence[bytes], height: int = 0) -> Frontier:
    """Return the frontier after appending ``hashes`` in order.

    They are leaf hashes, or nodes over ``1 << height`` leaves each; the size must be a multiple of that.
    """
    size, stack = frontier.size, list(frontier.hashes)
    for hashed in hashes:
        carried, bits = hashed, size >> height
        while bits & 1:
            carried = sha256(b"\x01" + stack.pop() + carried).digest()
            bits >>= 1
        stack.append(carried)
        size += 1 << height
    return Frontier(size, tuple(stack))


def root(frontier: Frontier) -> bytes:
    """Return the tree's root hash."""
    if not frontier.hashes:
        return EMPTY_ROOT
    folded = frontier.hashes[-1]
    for left in frontier.hashes[-2::-1]:
        folded = sha256(b"\x01" + left + folded).digest()
    return folded


def root_at(size: int, node: Node) -> bytes:
    """Return the root of the first ``size`` leaves."""
    return _range_root(0, size, node) if size else EMPTY_ROOT


def _split(width: int) -> int:
    """Return the largest power of two smaller than ``width`` (at least 2)."""
    return 1 << ((width - 1).bit_length() - 1)


def _range_root(begin: int, end: int, node: Node) -> bytes:
    """Return the hash over leaves ``begin`` to ``end``; ``begin`` is aligned as in a larger tree."""
    hashes = []
    while begin < end:
        height = (end - begin).bit_length() - 1
        hashes.append(node(height, begin >> height))
        begin += 1 << height
    folded = hashes.pop()
    while hashes:
        folded = node_hash(hashes.pop(), folded)
    return folded


def inclusion(index: int, size: int, node: Node) -> tuple[bytes, ...]:
    """Return the proof that leaf ``index`` is in the tree of ``size`` leaves (RFC 6962 §2.1.1).

    Raises:
        ValueError: there is no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError("the leaf is not in the tree")
    begin, end, path = 0, size, []
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            path.append(_range_root(middle, end, node))
            end = middle
        else:
            path.append(_range_root(begin, middle, node))
            begin = middle
    return tuple(reversed(path))


def consistency(old: int, size: int, node: Node) -> tuple[bytes, ...]:
    """Return the proof that the tree of ``size`` leaves extends the one of ``old`` (RFC 6962 §2.1.2).

    Raises:
        ValueError: the old tree is larger than the new one.
    """
    if not 0 <= old <= size:
        raise ValueError("the old tree is larger than the new one")
    if old in (0, size):
        return ()
    begin, end, path, whole = 0, size, [], True
    while old != end:
        middle = begin + _split(end - begin)
        if old <= middle:
            path.append(_range_root(middle, end, node))
            end = middle
        else:
            path.append(_range_root(begin, middle, node))
            begin, whole = middle, False
    if not whole:
        path.append(_range_root(begin, end, node))
    return tuple(reversed(path))


def includes(index: int, size: int, hashed: bytes, proof: Sequence[bytes], expected: bytes) -> bool:
    """Tell whether ``proof`` shows the leaf hash ``hashed`` at ``index`` under the root ``expected``."""
    if not 0 <= index < size or not _are_hashes(hashed, expected, *proof):
        return False
    position, last, folded = index, size - 1, hashed
    for sibling in proof:
        if last == 0:
            return False
        if position & 1 or position == last:
            folded = node_hash(sibling, folded)
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            folded = node_hash(folded, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and folded == expected


def extends(old: int, size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Tell whether ``proof`` shows that the tree under ``new_root`` extends the one under ``old_root``.

    Every tree extends the empty one, whose root must still be the hash of nothing.
    """
    if not 0 <= old <= size or not _are_hashes(old_root, new_root, *proof):
        return False
    if (old == 0 and old_root != EMPTY_ROOT) or (size == 0 and new_root != EMPTY_ROOT):
        return False
    if old == size:
        return not proof and old_root == new_root
    if old == 0:
        return not proof
    return _extends(old, size, old_root, new_root, proof)


def _extends(old: int, size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    steps = list(proof) if old & (old - 1) else [old_root, *proof]
    if not steps:
        return False
    position, last = old - 1, size - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    before = after = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            before, after = node_hash(step, before), node_hash(step, after)
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            after = node_hash(after, step)
        position, last = position >> 1, last >> 1
    return last == 0 and before == old_root and after == new_root


def _are_hashes(*hashes: bytes) -> bool:
    return all(len(one) == HASH_BYTES for one in hashes)
