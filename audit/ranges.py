"""Proofs for a run of leaves: that ``[begin, end)`` is what a tree holds there, with nothing left out.

Promises that the leaves of the run and at most ceil(log2 n) hashes on either side give the root of the tree
of n leaves (RFC 6962 §2.1), so that a run under a signed root needs no further witness: a leaf that was
altered, removed, added or moved gives another root. Works on a stream: only the frontier is held. Pure,
standard library only, Python 3.9.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from audit.tree import EMPTY_ROOT, HASH_BYTES, Frontier, Node, node_hash, root, root_at


class RangeProof(NamedTuple):
    """The subtree hashes beside a run: ``left`` of it from the first leaf on, ``right`` from the top down."""

    left: tuple[bytes, ...]
    right: tuple[bytes, ...]


def prove_range(begin: int, end: int, size: int, node: Node) -> RangeProof:
    """Return what, with the leaves ``[begin, end)``, gives the root of the tree of ``size`` leaves.

    An empty run is allowed: its proof shows that the tree is as it is on either side of that place.

    Raises:
        ValueError: there is no such run in the tree.
    """
    if not 0 <= begin <= end <= size:
        raise ValueError("the run is not in the tree")
    left, at = [], 0
    for height in range(begin.bit_length() - 1, -1, -1):
        if begin >> height & 1:
            left.append(node(height, at >> height))
            at += 1 << height
    return RangeProof(tuple(left), _right(end, size, node))


def _right(end: int, size: int, node: Node) -> tuple[bytes, ...]:
    if end == 0:
        return (root_at(size, node),) if size else ()
    hashes, top, bottom = [], size, 0
    while end < top:
        middle = _middle(bottom, top)
        if end <= middle:
            hashes.append(_hash_over(middle, top, node))
            top = middle
        else:
            bottom = middle
    return tuple(hashes)


def _middle(bottom: int, top: int) -> int:
    """Return where RFC 6962 splits the subtree over ``[bottom, top)``, which has at least two leaves."""
    return bottom + (1 << ((top - bottom - 1).bit_length() - 1))


def _hash_over(bottom: int, top: int, node: Node) -> bytes:
    parts = []
    while bottom < top:
        height = (top - bottom).bit_length() - 1
        parts.append(node(height, bottom >> height))
        bottom += 1 << height
    folded = parts.pop()
    while parts:
        folded = node_hash(parts.pop(), folded)
    return folded


def start(begin: int, left: Sequence[bytes]) -> Frontier:
    """Return the frontier in front of the run; ``audit.tree.extend`` takes it through the run.

    Raises:
        ValueError: the hashes do not fit the place.
    """
    set_bits = bin(begin).count("1")  # noqa: FURB161 (int.bit_count came with Python 3.10)
    if begin < 0 or len(left) != set_bits or any(len(one) != HASH_BYTES for one in left):
        raise ValueError("a run is preceded by one hash per set bit of its first index")
    return Frontier(begin, tuple(left))


def finish(frontier: Frontier, size: int, right: Sequence[bytes]) -> bytes:
    """Return the root of the tree of ``size`` leaves, from the frontier behind the run and what follows it.

    Raises:
        ValueError: the hashes do not fit the place.
    """
    end = frontier.size
    if end > size or any(len(one) != HASH_BYTES for one in right):
        raise ValueError("the run does not fit the tree")
    if end == 0:
        return _empty_finish(size, right)
    known, waiting, following = deque(frontier.hashes), [], deque(right)
    top, bottom = size, 0
    while end < top:
        middle = _middle(bottom, top)
        if end <= middle:
            if not following:
                raise ValueError("a hash right of the run is missing")
            waiting.append((following.popleft(), False))
            top = middle
        else:
            waiting.append((known.popleft(), True))
            bottom = middle
    if following:
        raise ValueError("a hash right of the run is too much")
    folded = root(Frontier(end - bottom, tuple(known)))
    while waiting:
        beside, is_left = waiting.pop()
        folded = node_hash(beside, folded) if is_left else node_hash(folded, beside)
    return folded


def _empty_finish(size: int, right: Sequence[bytes]) -> bytes:
    if len(right) != min(size, 1):
        raise ValueError("nothing at the front of a tree is proved by the tree's root")
    return right[0] if size else EMPTY_ROOT
