"""Proof files and how they are made: one spelling, few tiles, nothing that fails at the other end."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from audit_making import NOW, ORIGIN, Insider, a_read, a_signer
from hypothesis import given
from hypothesis import strategies as st

from audit import checkpoint, ed25519, ledger, proof, proving, reading
from audit.ledger import LogError
from audit.note import Checkpoint
from audit.proof import Proof, ProofError
from audit.proving import Signed
from audit.tiles import WIDTH, edge, parse_name, path
from audit.tree import EMPTY_ROOT, extends, inclusion, leaf_hash, node_hash
from governance.database import Database
from policies.transaction import Row, Transaction

SIGNER, STRANGER = a_signer(), a_signer(seed=8)
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
SIZE = 700
LEFT, RIGHT = leaf_hash(b"left"), leaf_hash(b"right")
NOTE = checkpoint.sign(SIGNER, Checkpoint(ORIGIN, 2, node_hash(LEFT, RIGHT)))
FILE = f"c2sp.org/tlog-proof@v1\nindex 1\n{b64encode(LEFT).decode()}\n\n{NOTE}"

OTHER_NAMES = """0 00 0000 001.p 001.p/0 001.p/01 001.p/1/ 001.p/256 001/001 /001 1/001 ٠٠١
x000/001 x001/001/ x001/x001 x01/001"""


class Watched:
    """A transaction that remembers which tiles were read through it."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self.tiles: list[tuple[int, int]] = []

    def rows(self, statement: Any, parameters: Mapping[str, Any] | None = None) -> Sequence[Row]:
        if parameters is not None and "level" in parameters:
            self.tiles.append((parameters["level"], parameters["at"]))
        return self._tx.rows(statement, parameters)

    def run(self, statement: Any, parameters: Any) -> int:
        return self._tx.run(statement, parameters)


@pytest.fixture
def log(database: Database) -> Database:
    with database.transaction() as tx:
        ledger.create(tx, ORIGIN)
        tx.commit()
    with database.transaction() as tx:
        ledger.append(tx, [a_read(number) for number in range(SIZE)])
        tx.commit()
    return database


def head_of(tx: Transaction) -> Signed:
    head = ledger.head(tx)
    signed = Checkpoint(head.origin, head.size, head.root)
    return Signed(checkpoint.sign(SIGNER, signed), signed, NOW)


def test_a_proof_file_is_lines_of_text_in_one_spelling() -> None:
    made = Proof(1, (LEFT,), NOTE)
    assert proof.write(made) == FILE
    assert proof.parse(FILE) == made
    extra = made._replace(extra=b"{}")
    assert proof.write(extra).splitlines()[:2] == ["c2sp.org/tlog-proof@v1", "extra e30="]
    assert proof.parse(proof.write(extra)) == extra


def test_whoever_has_leaf_hash_file_and_key_needs_nothing_else() -> None:
    signed = proof.verify(FILE, RIGHT, [SIGNER.key], ed25519.verify)
    assert signed == Checkpoint(ORIGIN, 2, node_hash(LEFT, RIGHT))


@pytest.mark.parametrize(
    "file",
    [
        FILE.replace("@v1", "@v2"),
        FILE.replace("index 1", "index 01"),
        FILE.replace("index 1", "index +1"),
        FILE.replace("index 1", "index 0"),
        FILE.replace("index 1\n", ""),
        FILE.replace("\nindex", "\nextra \nindex"),
        FILE.replace("\nindex", "\nextra e31=\nindex"),
        FILE.replace("\nindex", "\n index"),
        FILE.replace(b64encode(LEFT).decode(), b64encode(RIGHT).decode()),
        FILE.replace(b64encode(LEFT).decode(), b64encode(LEFT[:31]).decode()),
        FILE.replace(b64encode(LEFT).decode() + "\n", ""),
        FILE.replace("\n\n", "\n", 1),
        FILE.replace(NOTE, STRANGER.sign(Checkpoint(ORIGIN, 2, node_hash(LEFT, RIGHT)).text)),
        FILE.replace(NOTE, SIGNER.sign(Checkpoint("other.example", 2, node_hash(LEFT, RIGHT)).text)),
        FILE.replace(NOTE, SIGNER.sign(Checkpoint(ORIGIN, 3, node_hash(LEFT, RIGHT)).text)),
        FILE.replace(NOTE, ""),
        FILE + "\n",
        "",
        "c2sp.org/tlog-proof@v1\n\n",
    ],
)
def test_any_other_file_shows_nothing(file: str) -> None:
    with pytest.raises(ProofError):
        proof.verify(file, RIGHT, [SIGNER.key], ed25519.verify)


@given(st.integers(0, len(FILE) - 1), st.characters(max_codepoint=0x24F))
def test_no_changed_character_keeps_its_power(at: int, character: str) -> None:
    changed = FILE[:at] + character + FILE[at + 1 :]
    if changed != FILE:
        with pytest.raises(ProofError):
            proof.verify(changed, RIGHT, [SIGNER.key], checkpoint.check)


def test_every_entry_is_proved_from_the_tiles_beside_it_and_no_others(log: Database) -> None:
    with log.reading() as tx:
        signed = head_of(tx)
        leaves = dict(reading.leaves(log.reading, SIZE))
        for index in (0, 1, 255, 256, 511, 512, 640, 698, 699):
            watched = Watched(tx)
            made = proving.inclusion_proof(watched, index, None, signed)
            assert made.extra == leaf_hash(leaves[index])
            proof.verify(proof.write(made), leaf_hash(leaves[index]), [SIGNER.key], checkpoint.check)
            beside = {(0, index // WIDTH), (1, 0), *((level, at) for level, at, _ in edge(SIZE))}
            assert len(watched.tiles) == len(set(watched.tiles)), "a tile was read twice"
            assert set(watched.tiles) <= beside


def test_a_head_signed_earlier_proves_what_it_covers_though_the_tiles_have_grown(log: Database) -> None:
    with log.reading() as tx:
        signed = head_of(tx)
    with log.transaction() as tx:
        ledger.append(tx, [a_read(number) for number in range(SIZE, SIZE + 300)])
        tx.commit()
    with log.reading() as tx:
        made = proving.inclusion_proof(tx, SIZE - 1, None, signed)
        proof.verify(proof.write(made), made.extra, [SIGNER.key], checkpoint.check)
        now = ledger.head(tx)
        hashes = proving.consistency_proof(tx, SIZE, now.size)
        assert extends(SIZE, now.size, signed.checkpoint.root, now.root, hashes)
        assert proving.consistency_proof(tx, 0, 0) == ()
        assert proving.consistency_proof(tx, 0, SIZE) == ()
        assert extends(0, SIZE, EMPTY_ROOT, signed.checkpoint.root, ())


def test_a_damaged_tile_gives_an_error_and_no_proof(log: Database) -> None:
    with log.reading() as tx:
        signed = head_of(tx)
    insider = Insider(log)
    whole = insider.tile(0, 1)
    insider.put_tile(0, 1, whole[:-1] + bytes([whole[-1] ^ 1]))
    with log.reading() as tx, pytest.raises(LogError, match="do not lead"):
        proving.inclusion_proof(tx, 300, None, signed)
    insider.put_tile(0, 1, whole[:-32])
    with log.reading() as tx, pytest.raises(LogError, match="damaged"):
        proving.tile(tx, 0, 1, WIDTH, SIZE)
    with log.reading() as tx, pytest.raises(LogError, match="damaged"):
        proving.consistency_proof(tx, 300, SIZE)


@ON_SQLITE
def test_a_stranger_rebuilds_any_proof_from_tiles_as_they_are_handed_out(log: Database) -> None:
    from audit.tiles import node_reader  # noqa: PLC0415

    with log.reading() as tx:
        signed = head_of(tx)

        def fetch(level: int, index: int) -> bytes:
            count = min(WIDTH, (SIZE >> (8 * level)) - index * WIDTH)
            found = proving.tile(tx, level, index, count, SIZE)
            assert found is not None
            return found

        made = proving.inclusion_proof(tx, 400, None, signed)
        assert inclusion(400, SIZE, node_reader(fetch)) == made.hashes
        assert proving.tile(tx, 0, 2, 188, SIZE) is not None
        assert proving.tile(tx, 0, 2, 189, SIZE) is None
        assert proving.tile(tx, 0, 3, 1, SIZE) is None
        assert proving.tile(tx, 1, 0, 2, SIZE) is not None
        assert proving.tile(tx, 1, 0, 3, SIZE) is None


@ON_SQLITE
def test_a_bundle_holds_the_leaves_of_its_tile_each_after_its_length(log: Database) -> None:
    with log.reading() as tx:
        bundle = proving.bundle(tx, 2, 188, SIZE)
        tile = proving.tile(tx, 0, 2, 188, SIZE)
        assert proving.bundle(tx, 2, 189, SIZE) is None
    assert bundle is not None
    hashes, at = b"", 0
    while at < len(bundle):
        length = int.from_bytes(bundle[at : at + 2], "big")
        hashes += leaf_hash(bundle[at + 2 : at + 2 + length])
        at += 2 + length
    assert hashes == tile
    Insider(log).remove(600)
    with log.reading() as tx:
        assert proving.bundle(tx, 2, 188, SIZE) is None, "a bundle with a gap is no bundle"


@given(st.integers(0, 999_999_999_999_999), st.integers(1, WIDTH))
def test_a_tiles_name_leads_back_to_it(index: int, width: int) -> None:
    name = path(0, index, width % WIDTH).removeprefix("tile/0/")
    assert parse_name(name) == (index, width)


@pytest.mark.parametrize("name", ["", "001\n", *OTHER_NAMES.split()])
def test_a_tile_has_no_second_name(name: str) -> None:
    assert parse_name(name) is None
