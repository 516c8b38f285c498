"""Proof files (C2SP tlog-proof@v1): one entry's place under one signed head, in lines of text.

Promises one spelling: ``parse`` accepts exactly what ``write`` makes. Whoever holds the leaf, the file and
the log's public key needs nothing else and nobody's word. The extra data is carried and never believed.
Standard library only, Python 3.9; the check of the signature bytes is given in, as in ``audit.note``.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable
from typing import Final, NamedTuple

from audit.note import Check, Checkpoint, Key, NoteError, open_note, parse_checkpoint
from audit.tree import HASH_BYTES, includes

HEADER: Final = "c2sp.org/tlog-proof@v1"
MOST_HASHES: Final = 63
_INDEX: Final = re.compile(r"index (0|[1-9][0-9]{0,18})")


class ProofError(ValueError):
    """A proof file is malformed, or does not show what it claims."""


class Proof(NamedTuple):
    """One proof: where the entry stands, the hashes from its sibling up, the signed head as published."""

    at: int
    hashes: tuple[bytes, ...]
    note: str
    extra: bytes = b""


def write(proof: Proof) -> str:
    """Return the proof file."""
    extra = [f"extra {b64encode(proof.extra).decode()}"] if proof.extra else []
    lines = [HEADER, *extra, f"index {proof.at}", *(b64encode(one).decode() for one in proof.hashes)]
    return "\n".join(lines) + "\n\n" + proof.note


def parse(text: str) -> Proof:
    """Return the parts of a proof file, nothing of it checked yet.

    Raises:
        ProofError: it is malformed.
    """
    head, gap, note = text.partition("\n\n")
    lines = head.split("\n")
    if not gap or lines.pop(0) != HEADER:
        raise ProofError("this is no proof file of version 1")
    extra = b""
    if lines and lines[0].startswith("extra "):
        extra = _decoded(lines.pop(0)[len("extra ") :])
        if not extra:
            raise ProofError("extra data that is empty is left out")
    matched = _INDEX.fullmatch(lines.pop(0)) if lines else None
    if matched is None or len(lines) > MOST_HASHES:
        raise ProofError("a proof file names an index and has few hashes")
    hashes = tuple(_decoded(line) for line in lines)
    if any(len(one) != HASH_BYTES for one in hashes):
        raise ProofError("a hash has 32 bytes")
    return Proof(int(matched.group(1)), hashes, note, extra)


def verify(text: str, hashed: bytes, keys: Iterable[Key], check: Check) -> Checkpoint:
    """Return the signed head under which the leaf hash ``hashed`` is shown to stand.

    Raises:
        ProofError: the file is malformed, no key of ``keys`` signed its head under the log's own name, or the
            hashes do not lead from the leaf to the signed root.
    """
    proof = parse(text)
    try:
        opened = open_note(proof.note, keys, check)
        checkpoint = parse_checkpoint(opened.text)
    except NoteError as error:
        raise ProofError(str(error)) from None
    if all(one.name != checkpoint.origin for one in opened.verified):
        raise ProofError("the head is not signed by the log that it names")
    if not includes(proof.at, checkpoint.size, hashed, proof.hashes, checkpoint.root):
        raise ProofError("the hashes do not lead from the entry to the signed root")
    return checkpoint


def _decoded(coded: str) -> bytes:
    try:
        plain = b64decode(coded, validate=True)
    except ValueError:
        raise ProofError("this is not base64") from None
    if b64encode(plain).decode() != coded:
        raise ProofError("this is not base64 in its one spelling")
    return plain
