"""The Merkle tree against public vectors and against a model that builds every tree anew."""

from __future__ import annotations

from base64 import b64decode
from functools import cache
from hashlib import sha256

import pytest
from audit_making import vectors
from hypothesis import given
from hypothesis import strategies as st

from audit.tree import (
    EMPTY,
    EMPTY_ROOT,
    Frontier,
    consistency,
    extend,
    extends,
    frontier_of_bytes,
    includes,
    inclusion,
    leaf_hash,
    root,
    root_at,
)

LARGEST = 130
HASHES = [leaf_hash(bytes([number])) for number in range(LARGEST)]


def model_root(hashes: list[bytes]) -> bytes:
    """RFC 6962 §2.1 word for word."""
    if not hashes:
        return sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return sha256(b"\x01" + model_root(hashes[:split]) + model_root(hashes[split:])).digest()


ROOTS = [model_root(HASHES[:size]) for size in range(LARGEST + 1)]


@cache
def node(height: int, index: int) -> bytes:
    return model_root(HASHES[index << height : (index + 1) << height])


def test_the_root_of_every_size_is_the_models_root_however_the_leaves_arrived() -> None:
    one_by_one = EMPTY
    for size in range(LARGEST + 1):
        assert root(one_by_one) == ROOTS[size] == root_at(size, node)
        assert root(extend(EMPTY, HASHES[:size])) == ROOTS[size]
        if size < LARGEST:
            one_by_one = extend(one_by_one, [HASHES[size]])


def test_a_frontier_grows_by_whole_subtrees_as_by_single_leaves() -> None:
    by_fours = extend(EMPTY, [node(2, index) for index in range(9)], 2)
    assert by_fours == extend(EMPTY, HASHES[:36])


def test_every_leaf_is_shown_in_every_tree_up_to_130_leaves_and_at_no_other_index() -> None:
    for size in range(1, LARGEST + 1):
        for index in range(size):
            proof = inclusion(index, size, node)
            assert includes(index, size, HASHES[index], proof, ROOTS[size])
            assert not includes((index + 1) % size, size, HASHES[index], proof, ROOTS[size]) or size == 1


def test_every_tree_is_shown_to_extend_every_smaller_one_up_to_130_leaves() -> None:
    for size in range(LARGEST + 1):
        for old in range(size + 1):
            proof = consistency(old, size, node)
            assert extends(old, size, ROOTS[old], ROOTS[size], proof)
            if 0 < old < size:
                assert not extends(old, size, ROOTS[old - 1], ROOTS[size], proof)
                assert not extends(old, size, ROOTS[old], ROOTS[size - 1], proof)


@given(st.data())
def test_a_proof_with_one_changed_byte_one_hash_more_or_one_less_shows_nothing(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, LARGEST))
    old = data.draw(st.integers(1, size - 1))
    index = data.draw(st.integers(0, size - 1))
    for proof, holds in (
        (consistency(old, size, node), lambda p: extends(old, size, ROOTS[old], ROOTS[size], p)),
        (inclusion(index, size, node), lambda p: includes(index, size, HASHES[index], p, ROOTS[size])),
    ):
        assert holds(proof)
        at = data.draw(st.integers(0, len(proof) - 1))
        place = data.draw(st.integers(0, 31))
        wrong = bytearray(proof[at])
        wrong[place] ^= data.draw(st.integers(1, 255))
        assert not holds((*proof[:at], bytes(wrong), *proof[at + 1 :]))
        assert not holds((*proof[:at], *proof[at + 1 :]))
        assert not holds((*proof, proof[at]))


def test_two_empty_trees_agree_only_under_the_hash_of_nothing() -> None:
    assert extends(0, 0, EMPTY_ROOT, EMPTY_ROOT, ())
    assert not extends(0, 0, ROOTS[1], ROOTS[1], ())
    assert not extends(0, 3, ROOTS[1], ROOTS[3], ())
    assert extends(0, 3, EMPTY_ROOT, ROOTS[3], ())


def test_hashes_that_are_not_32_bytes_long_prove_nothing() -> None:
    joined = HASHES[1] + HASHES[2]
    assert not includes(0, 2, HASHES[0], [joined], model_root(HASHES[:2]))
    assert not includes(0, 1, b"short", [], b"short")
    assert not extends(2, 2, b"short", b"short", [])


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_a_leaf_outside_the_tree_has_no_proof(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="not in the tree"):
        inclusion(index, size, node)


def test_a_larger_tree_is_never_shown_inside_a_smaller_one() -> None:
    with pytest.raises(ValueError, match="larger"):
        consistency(4, 3, node)
    assert not extends(4, 3, ROOTS[4], ROOTS[3], ())


@pytest.mark.parametrize(("size", "hashes"), [(3, 1), (4, 2), (0, 1), (-1, 0)])
def test_a_stored_frontier_that_does_not_fit_its_size_is_refused(size: int, hashes: int) -> None:
    with pytest.raises(ValueError, match="set bit"):
        frontier_of_bytes(size, b"\x00" * 32 * hashes)


def test_a_stored_frontier_comes_back_as_it_was() -> None:
    grown = extend(EMPTY, HASHES[:100])
    assert frontier_of_bytes(100, b"".join(grown.hashes)) == grown
    assert frontier_of_bytes(0, b"") == Frontier(0, ())


def test_public_vectors_for_hashes_and_roots_hold() -> None:
    known = vectors("merkle/rfc6962_tree8.json")
    leaves = [leaf_hash(bytes.fromhex(leaf)) for leaf in known["leaf_inputs"]]
    assert [leaf.hex() for leaf in leaves] == known["node_hashes"][0]
    assert [root(extend(EMPTY, leaves[:size])).hex() for size in range(9)] == known["roots_by_size"]


def test_public_vectors_for_inclusion_hold_valid_and_corrupted() -> None:
    tests = vectors("merkle/inclusion.json")["tests"]
    for case in tests:
        held = includes(
            case["leafIdx"],
            case["treeSize"],
            b64decode(case["leafHash"] or ""),
            [b64decode(one) for one in case["proof"] or ()],
            b64decode(case["root"] or ""),
        )
        assert held is not case["wantErr"], case["file"]
    assert len(tests) == 98


# Its two roots are 12 bytes long: equal, so the vectors accept them; here nothing but 32 bytes is a root.
ROOTS_OF_12_BYTES = "consistency/additional/sizes-are-equal-one-and-proof-is-empty.json"


def test_public_vectors_for_consistency_hold_valid_and_corrupted() -> None:
    tests = vectors("merkle/consistency.json")["tests"]
    for case in tests:
        held = extends(
            case["size1"],
            case["size2"],
            b64decode(case["root1"] or ""),
            b64decode(case["root2"] or ""),
            [b64decode(one) for one in case["proof"] or ()],
        )
        assert held is (not case["wantErr"] and case["file"] != ROOTS_OF_12_BYTES), case["file"]
    assert len(tests) == 98


def test_two_public_checkpoints_of_5_and_8_leaves_are_consistent_in_one_direction() -> None:
    known = vectors("note/checkpoint_monkeys.json")
    small, large = (b64decode(known[f"checkpoint_{size}"].split("\n")[2]) for size in (5, 8))
    proof = [bytes.fromhex(one) for one in known["consistency_5_to_8_hex"]]
    assert extends(5, 8, small, large, proof)
    assert not extends(5, 8, large, small, proof)
