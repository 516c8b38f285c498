"""Which bodies a bundle may lack, and how a stranger sees that: the log's own statement, with its proofs.

Promises that a bundle proves what it says: the member holds the statement's entry and the entries it must be
held against (``audit.pruned``: the milestone, its neighbours, the newest), each with the proof that it stands
under the bundle's signed head. That the bodies are really gone no log can prove; that the log says so, that
it said so under its own rules, and that the hashes are those of the signed tree is proved. Standard library
only, Python 3.9.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from audit.pruned import LeafAt, excused_by, needed_for
from audit.tree import Node, includes, inclusion, leaf_hash

MOST: Final = 5
"""A statement and the entries it is held against."""


class Excuse(NamedTuple):
    """A statement that stands: bodies below ``size`` may be missing, says entry ``statement``.

    The newest of them, at ``size - 1``, never is.
    """

    size: int = 0
    statement: int | None = None
    text: str = ""

    def covers(self, index: int) -> bool:
        """Tell whether the body at an index may be missing."""
        return index < self.size - 1

    def most(self, first: int, end: int) -> int:
        """Return how many bodies of a run may be missing."""
        return max(0, min(end, self.size - 1) - first)


NONE: Final = Excuse()


def excuse_of(statements: Iterable[int], leaf_at: LeafAt, node: Node, size: int, top: bytes) -> Excuse:
    """Return the first of the statements, by index, that stands in the log as of ``size`` entries.

    Only entries count that lead to the root ``top``; so what is wrong with the log excuses nothing.
    """
    for index in statements:
        leaves = {index: leaf_at(index)} if 0 <= index < size else {}
        first = leaves.get(index)
        for other in () if first is None else needed_for(index, first, size):
            leaves.setdefault(other, leaf_at(other))
        told = [
            {
                "index": at,
                "leaf_b64": _coded(leaf),
                "proof": [_coded(one) for one in inclusion(at, size, node)],
            }
            for at, leaf in sorted(leaves.items())
            if leaf is not None
        ]
        found = read_excuse(json.dumps({"statement": index, "entries": told}, indent=1) + "\n", size, top)
        if found.size:
            return found
    return NONE


def read_excuse(text: str, size: int, top: bytes) -> Excuse:
    """Return what a member ``pruned.json`` proves under the root ``top`` of ``size`` entries.

    Raises:
        ValueError: it has another form.
    """
    try:
        tree = json.loads(text)
        index, entries = tree["statement"], tree["entries"]
        leaves = dict(_proven(one, size, top) for one in entries[: MOST + 1])
        well_formed = type(index) is int and len(leaves) == len(entries) <= MOST
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError("what is said of pruned bodies has another form") from None
    if not well_formed:
        raise ValueError("what is said of pruned bodies has another form")
    reached = excused_by(index, leaves.get, size)
    return Excuse(reached, index, text) if reached else NONE


def _proven(one: dict[str, Any], size: int, top: bytes) -> tuple[int, bytes | None]:
    index, leaf = one["index"], b64decode(one["leaf_b64"], validate=True)
    if type(index) is not int:
        raise TypeError
    proof = [b64decode(each, validate=True) for each in one["proof"]]
    return index, leaf if includes(index, size, leaf_hash(leaf), proof, top) else None


def _coded(data: bytes) -> str:
    return b64encode(data).decode()
