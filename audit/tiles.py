"""Tiles: the tree's hashes in rows of 256, laid out as in C2SP tlog-tiles.

Promises that a tile only ever grows at its end (a partial tile is a prefix of the full one), and that a
full tile hands its root to the level above. Level 0 holds the leaf hashes in order: whoever alters,
removes or swaps entries disagrees with it at an exact index. Pure, standard library only, Python 3.9.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from audit.tree import HASH_BYTES, Node, node_hash

WIDTH: Final = 256
HEIGHT: Final = 8
TILE_BYTES: Final = WIDTH * HASH_BYTES
TOP_LEVEL: Final = 63
_NAME: Final = re.compile(r"((?:x[0-9]{3}/){0,4})([0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")

Fetch = Callable[[int, int], bytes]
"""``fetch(level, index)``: the bytes of a tile as they are now."""


class TileError(ValueError):
    """A tile is missing, too short, or does not hash to what the tree says."""


class Tile(NamedTuple):
    """One tile to be written; ``fresh`` when no row exists for it yet."""

    level: int
    number: int
    data: bytes
    fresh: bool


def hashes_in(data: bytes) -> list[bytes]:
    """Return the hashes of a tile in order."""
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]


def tile_root(data: bytes) -> bytes:
    """Return the hash over a run of 1, 2, 4 … 256 hashes, the node above them."""
    row = hashes_in(data)
    while len(row) > 1:
        row = [node_hash(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    return row[0]


def edge(size: int) -> list[tuple[int, int, int]]:
    """Return ``(level, index, hashes)`` of every tile that is not full in a tree of ``size`` leaves."""
    found, level = [], 0
    while size >> (HEIGHT * level):
        count = size >> (HEIGHT * level)
        if count % WIDTH:
            found.append((level, count // WIDTH, count % WIDTH))
        level += 1
    return found


def grow(size: int, leaf_hashes: Sequence[bytes], fetch: Fetch) -> list[Tile]:
    """Return the tiles to write when ``leaf_hashes`` follow the first ``size`` leaves, lowest level first.

    Only the tiles that change are fetched: one, except when a tile fills up.

    Raises:
        TileError: a tile at the right edge has not the length that ``size`` demands.
    """
    written: list[Tile] = []
    level, start, added = 0, size, b"".join(leaf_hashes)
    while added:
        index, held = divmod(start, WIDTH)
        old = b""
        if held:
            old = fetch(level, index)
            if len(old) != held * HASH_BYTES:
                raise TileError("a tile at the right edge does not fit the size of the log")
        run, above = old + added, []
        for at in range(0, len(run), TILE_BYTES):
            row = run[at : at + TILE_BYTES]
            written.append(Tile(level, index + at // TILE_BYTES, row, fresh=at > 0 or not held))
            if len(row) == TILE_BYTES:
                above.append(tile_root(row))
        level, start, added = level + 1, index, b"".join(above)
    return written


def node_reader(fetch: Fetch) -> Node:
    """Return a function that finds any complete node of the tree in the tiles.

    The function raises ``TileError`` when a tile does not reach as far as the node.
    """

    def node(height: int, index: int) -> bytes:
        level, inner = divmod(height, HEIGHT)
        first = index << inner
        row = fetch(level, first // WIDTH)
        begin = first % WIDTH * HASH_BYTES
        run = row[begin : begin + (HASH_BYTES << inner)]
        if len(run) != HASH_BYTES << inner:
            raise TileError("a tile is shorter than the tree demands")
        return tile_root(run)

    return node


def path(level: int, index: int, partial: int = 0) -> str:
    """Return the tile's path in a tlog-tiles log; ``partial`` is the number of hashes, 0 when full."""
    groups = [f"{index % 1000:03d}"]
    while index >= 1000:  # noqa: PLR2004 (groups of three digits, from the specification)
        index //= 1000
        groups.append(f"x{index % 1000:03d}")
    name = f"tile/{level}/{'/'.join(reversed(groups))}"
    return f"{name}.p/{partial}" if partial else name


def parse_name(name: str) -> tuple[int, int] | None:
    """Return index and width of a tile from the end of its path, e.g. ``x001/234.p/17``; None for any other.

    The width of a full tile is 256. An index has one spelling: no leading group is zero.
    """
    matched = _NAME.fullmatch(name)
    if matched is None:
        return None
    groups, last, partial = matched.groups()
    if groups.startswith("x000") or (partial is not None and int(partial) >= WIDTH):
        return None
    return int(groups.replace("x", "").replace("/", "") + last), int(partial or WIDTH)
