"""A run of leaves with its proof gives the root of the whole tree, and nothing else does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from audit.ranges import RangeProof, finish, prove_range, start
from audit.tree import EMPTY, extend, leaf_hash, node_hash, root

MOST = 40
HASHES = [leaf_hash(b"leaf %d" % number) for number in range(1 << 11)]


def node(height: int, index: int) -> bytes:
    row = HASHES[index << height : (index + 1) << height]
    assert len(row) == 1 << height
    while len(row) > 1:
        row = [node_hash(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    return row[0]


def root_of(size: int) -> bytes:
    return root(extend(EMPTY, HASHES[:size]))


def told(begin: int, run: list[bytes], size: int, proof: RangeProof) -> bytes | None:
    try:
        return finish(extend(start(begin, proof.left), run), size, proof.right)
    except ValueError:
        return None


@pytest.mark.parametrize("size", range(MOST))
def test_every_run_of_every_small_tree_gives_its_root(size: int) -> None:
    for begin in range(size + 1):
        for end in range(begin, size + 1):
            proof = prove_range(begin, end, size, node)
            assert told(begin, HASHES[begin:end], size, proof) == root_of(size), (begin, end)
            assert len(proof.left) + len(proof.right) <= max(1, 2 * max(size - 1, 1).bit_length())


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 11, 13])
def test_a_run_that_lacks_has_too_much_or_swaps_a_leaf_gives_no_such_root(size: int) -> None:
    for begin in range(size):
        for end in range(begin + 1, size + 1):
            proof, run = prove_range(begin, end, size, node), HASHES[begin:end]
            for at in range(len(run)):
                assert told(begin, run[:at] + run[at + 1 :], size, proof) != root_of(size)
                assert told(begin, [*run[:at], HASHES[99], *run[at:]], size, proof) != root_of(size)
                assert told(begin, [*run[:at], HASHES[99], *run[at + 1 :]], size, proof) != root_of(size)
            for at in range(len(run) - 1):
                swapped = [*run[:at], run[at + 1], run[at], *run[at + 2 :]]
                assert told(begin, swapped, size, proof) != root_of(size)


@pytest.mark.parametrize("size", [1, 5, 12, 21])
def test_every_byte_of_a_proof_counts(size: int) -> None:
    for begin in range(size + 1):
        for end in range(begin, size + 1):
            proof = prove_range(begin, end, size, node)
            for side in ("left", "right"):
                hashes = getattr(proof, side)
                for at, one in enumerate(hashes):
                    for byte in range(32):
                        bad = one[:byte] + bytes([one[byte] ^ 1]) + one[byte + 1 :]
                        other = proof._replace(**{side: (*hashes[:at], bad, *hashes[at + 1 :])})
                        assert told(begin, HASHES[begin:end], size, other) != root_of(size)
                    fewer = proof._replace(**{side: (*hashes[:at], *hashes[at + 1 :])})
                    assert told(begin, HASHES[begin:end], size, fewer) != root_of(size)
                more = proof._replace(**{side: (*hashes, HASHES[0])})
                assert told(begin, HASHES[begin:end], size, more) is None
                short = proof._replace(**{side: (*hashes[:-1], b"short")})
                assert told(begin, HASHES[begin:end], size, short) is None


def test_a_proof_holds_at_its_own_place_and_for_its_own_size_only() -> None:
    size, begin, end = 21, 5, 13
    proof, run = prove_range(begin, end, size, node), HASHES[begin:end]
    for other in range(size + 4):
        if other != begin:
            assert told(other, run, size, proof) != root_of(size)
        if other != size:
            assert told(begin, run, other, proof) != root_of(other)


@given(some.data())
def test_runs_of_large_trees_give_their_root_as_well(data: some.DataObject) -> None:
    size = data.draw(some.integers(1, len(HASHES)))
    begin = data.draw(some.integers(0, size))
    end = data.draw(some.integers(begin, size))
    assert told(begin, HASHES[begin:end], size, prove_range(begin, end, size, node)) == root_of(size)


@pytest.mark.parametrize(("begin", "end", "size"), [(-1, 0, 1), (2, 1, 3), (0, 4, 3), (4, 4, 3)])
def test_what_is_no_run_of_the_tree_has_no_proof(begin: int, end: int, size: int) -> None:
    with pytest.raises(ValueError, match="not in the tree"):
        prove_range(begin, end, size, node)
