"""Which bodies a log may lack: those that an entry of the log itself says were pruned, and no others.

Only a prefix is ever pruned, ``[0, size)``, and the newest body that goes with it, the milestone at
``size - 1``, stays. So whoever checks the log sees that the newest thing pruned was older than the floor when
the statement was made. Promises that a statement counts only where its own leaf, the milestone and its
neighbours are there, match the hashes in the tree, and agree with one another in time. Standard library only,
Python 3.9.

Source of the floor: the log of operations is kept for six months at least (网络安全法 第二十一条第三项, as
recorded in the design); six months have at most 184 days, and 183 is the figure the design settled on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from json import loads
from typing import Any, Final, NamedTuple

from audit.tiles import WIDTH
from audit.tree import HASH_BYTES, leaf_hash

ACT: Final = "log.pruned"
"""The action of a statement: ``n`` is the size of the prefix, ``res`` the cutoff in milliseconds."""
FLOOR_DAYS: Final = 183
DAY_MS: Final = 86_400_000
FLOOR_MS: Final = FLOOR_DAYS * DAY_MS

LeafAt = Callable[[int], bytes | None]
"""``leaf_at(index)``: the stored body of an entry, None where there is none."""
TileAt = Callable[[int, int], bytes]


class Statement(NamedTuple):
    """What an entry says was pruned: the first ``size`` entries, all older than ``cutoff``, said at ``t``."""

    size: int
    cutoff: int
    t: int


def statement_of(leaf: bytes) -> Statement | None:
    """Return the statement that a leaf makes, or None where it makes none."""
    tree = _tree(leaf)
    actor = tree.get("actor")
    size, cutoff, t = tree.get("n"), tree.get("res"), tree.get("t")
    if (tree.get("act"), tree.get("kind"), tree.get("dec")) != (ACT, "audit", "permit"):
        return None
    if not isinstance(actor, dict) or actor.get("type") != "system":
        return None
    if not isinstance(size, int) or not isinstance(t, int) or not isinstance(cutoff, str):
        return None
    return Statement(size, int(cutoff), t) if cutoff.isdecimal() and len(cutoff) < HASH_BYTES else None


def time_of(leaf: bytes) -> int | None:
    """Return when a leaf says it was made, in milliseconds."""
    t = _tree(leaf).get("t")
    return t if isinstance(t, int) else None


def excused(statements: Iterable[int], leaf_at: LeafAt, tiles: TileAt, size: int) -> int:
    """Return below which index bodies may be missing: the prefix that the first sound statement names.

    ``statements`` are the indexes at which there are said to be statements, newest first; none is trusted.
    """

    def genuine(index: int) -> bytes | None:
        if not 0 <= index < size:
            return None
        leaf = leaf_at(index)
        at = index % WIDTH * HASH_BYTES
        told = tiles(0, index // WIDTH)[at : at + HASH_BYTES]
        return leaf if leaf is not None and leaf_hash(leaf) == told else None

    sizes = (excused_by(index, genuine, size) for index in statements)
    return next((found for found in sizes if found), 0)


def needed_for(index: int, leaf: bytes, size: int) -> set[int]:
    """Return the indexes of all entries that ``excused_by`` looks at, for the statement at an index."""
    said = statement_of(leaf)
    if said is None:
        return {index}
    wanted = {index, said.size - 1, index - 1, min(index + 1, size - 1), size - 1}
    return {one for one in wanted if 0 <= one < size}


def excused_by(index: int, genuine: LeafAt, size: int) -> int:
    """Return the prefix that the statement at an index excuses, 0 where it does not stand.

    ``genuine`` gives the bodies that are known to fit the tree of ``size`` entries, and no other.
    """
    leaf = genuine(index)
    said = None if leaf is None else statement_of(leaf)
    if said is None or not 0 < said.size < index or said.cutoff > said.t - FLOOR_MS:
        return 0
    milestone = _genuine_time(genuine, said.size - 1)
    before = _genuine_time(genuine, index - 1)
    if milestone is None or milestone >= said.cutoff or before is None or abs(said.t - before) > DAY_MS:
        return 0
    # What came later may have come days later, but a clock that ran ahead shows: time then goes back.
    for later in {min(index + 1, size - 1), size - 1} - {index}:
        since = _genuine_time(genuine, later)
        if since is None or since < said.t - DAY_MS:
            return 0
    return said.size


def _genuine_time(genuine: LeafAt, index: int) -> int | None:
    leaf = genuine(index)
    return None if leaf is None else time_of(leaf)


def _tree(leaf: bytes) -> dict[str, Any]:
    try:
        tree = loads(leaf.decode())
    except (ValueError, RecursionError):
        return {}
    return tree if isinstance(tree, dict) else {}
