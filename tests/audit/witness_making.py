"""A growing log, a witness and requests to it, for the tests of both. Everybody here is fictional."""

from __future__ import annotations

from dataclasses import dataclass, field

from audit_making import ORIGIN, a_signer

from audit.checkpoint import Cosigner, Signer, sign
from audit.note import Checkpoint
from audit.tiles import grow, node_reader
from audit.tree import EMPTY, consistency, extend, leaf_hash, root
from audit.witness import write_request

WITNESS = "witness.example/compliance"
SECONDS = 1_770_000_000


def a_cosigner(name: str = WITNESS, seed: int = 9) -> Cosigner:
    """A witness's key that is used nowhere else."""
    return Cosigner(name, bytes([seed]) * 32)


@dataclass
class GrowingLog:
    """A log of numbered leaves that can tell its state and its proofs at every size."""

    signer: Signer = field(default_factory=a_signer)
    origin: str = ORIGIN
    word: str = "leaf"

    def hashes(self, size: int) -> list[bytes]:
        return [leaf_hash(f"{self.word} {number}".encode()) for number in range(size)]

    def checkpoint(self, size: int) -> Checkpoint:
        return Checkpoint(self.origin, size, root(extend(EMPTY, self.hashes(size))))

    def note(self, size: int) -> str:
        return sign(self.signer, self.checkpoint(size))

    def proof(self, old: int, size: int) -> tuple[bytes, ...]:
        tiles = {(one.level, one.number): one.data for one in grow(0, self.hashes(size), lambda *_: b"")}
        return consistency(old, size, node_reader(lambda level, at: tiles.get((level, at), b"")))

    def request(self, old: int, size: int) -> bytes:
        return write_request(old, self.proof(min(old, size), size), self.note(size))
