"""Tiles against a public log and against the tree itself."""

from __future__ import annotations

from base64 import b64decode

import pytest
from audit_making import vectors
from hypothesis import given
from hypothesis import strategies as st

from audit.tiles import TileError, edge, grow, node_reader, path, tile_root
from audit.tree import EMPTY, consistency, extend, extends, includes, inclusion, leaf_hash, root, root_at


class Shelf:
    """Tiles in memory, with the rule that a tile only grows at its end."""

    def __init__(self) -> None:
        self.tiles: dict[tuple[int, int], bytes] = {}
        self.fetched = 0

    def fetch(self, level: int, index: int) -> bytes:
        self.fetched += 1
        return self.tiles.get((level, index), b"")

    def grow(self, size: int, hashes: list[bytes]) -> None:
        for tile in grow(size, hashes, self.fetch):
            old = self.tiles.get((tile.level, tile.number))
            assert (old is None) is tile.fresh
            assert tile.data.startswith(old or b"")
            assert len(tile.data) <= 8192
            self.tiles[tile.level, tile.number] = tile.data


def hashes(first: int, count: int) -> list[bytes]:
    return [leaf_hash(number.to_bytes(4, "big")) for number in range(first, first + count)]


@given(st.lists(st.integers(1, 700), min_size=1, max_size=5))
def test_tiles_grown_in_any_batches_hold_the_tree(batches: list[int]) -> None:
    shelf, frontier = Shelf(), EMPTY
    for batch in batches:
        new = hashes(frontier.size, batch)
        shelf.grow(frontier.size, new)
        frontier = extend(frontier, new)
    node = node_reader(shelf.fetch)
    size = frontier.size
    assert root_at(size, node) == root(frontier)
    assert includes(
        size // 2, size, hashes(size // 2, 1)[0], inclusion(size // 2, size, node), root(frontier)
    )
    old = batches[0]
    assert extends(old, size, root_at(old, node), root(frontier), consistency(old, size, node))
    assert {(level, index): len(shelf.tiles[level, index]) // 32 for level, index, _ in edge(size)} == {
        (level, index): width for level, index, width in edge(size)
    }


def test_70000_leaves_fill_a_tile_of_level_one_and_reach_level_two() -> None:
    shelf = Shelf()
    new = hashes(0, 70_000)
    shelf.grow(0, new)
    assert root_at(70_000, node_reader(shelf.fetch)) == root(extend(EMPTY, new))
    assert len(shelf.tiles[1, 0]) == 8192
    assert shelf.tiles[2, 0] == tile_root(shelf.tiles[1, 0])
    assert edge(70_000) == [(0, 273, 112), (1, 1, 17), (2, 0, 1)]


def test_appending_one_leaf_reads_one_tile() -> None:
    shelf = Shelf()
    shelf.grow(0, hashes(0, 300))
    shelf.fetched = 0
    shelf.grow(300, hashes(300, 1))
    assert shelf.fetched == 1


@pytest.mark.parametrize("held", [0, 299, 301])
def test_growing_on_an_edge_of_the_wrong_length_is_refused(held: int) -> None:
    def fetch(_level: int, _index: int) -> bytes:
        return b"\x00" * 32 * (held % 256)

    with pytest.raises(TileError):
        grow(300, hashes(300, 1), fetch)


def test_a_node_beyond_a_tile_is_an_error_and_never_a_hash() -> None:
    shelf = Shelf()
    shelf.grow(0, hashes(0, 10))
    with pytest.raises(TileError):
        node_reader(shelf.fetch)(3, 1)


def test_public_paths_hold() -> None:
    for case in vectors("tlog/paths.json")["tile_path"]:
        assert path(case["level"], case["index"], case["partial"]) == case["path"]


def test_the_tiles_of_a_public_log_of_15_leaves_come_out_byte_for_byte() -> None:
    known = vectors("tlog/tessera_testlog.json")
    shelf, frontier = Shelf(), EMPTY
    for number, entry in enumerate(known["entries"]):
        new = [leaf_hash(entry.encode())]
        shelf.grow(number, new)
        frontier = extend(frontier, new)
        assert shelf.tiles[0, 0] == b64decode(known["files_b64"][path(0, 0, number + 1)])
        checkpoint = b64decode(known["files_b64"][f"checkpoint.{number + 1}"]).decode()
        assert b64decode(checkpoint.split("\n")[2]) == root(frontier)
