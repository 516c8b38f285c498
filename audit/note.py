"""C2SP signed notes and the checkpoints in them: one grammar for signer, verifier and auditor.

Promises that a note parses in exactly one way or not at all, and that a signature counts only under a key
named in advance, by name and key id. Standard library only, Python 3.9: the check of the signature bytes
itself is given in, so that the service uses its fast library and an auditor uses ``audit.ed25519``.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from audit.tree import HASH_BYTES

ED25519: Final = 1
"""The signature type byte of Ed25519 notes."""
MAX_SIGNATURES: Final = 100
MAX_NOTE: Final = 1_000_000
_KEY_ID_BYTES: Final = 4
_DASH: Final = "\N{EM DASH} "
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")

Check = Callable[[bytes, bytes, bytes], bool]
"""``check(public key, message, signature)``."""


class NoteError(ValueError):
    """A note, a key or a checkpoint is malformed, or a signature on it does not hold."""


class Key(NamedTuple):
    """A verifier key; ``text`` is its one-line form, ``name+id+base64``."""

    name: str
    id: bytes
    public: bytes

    @property
    def text(self) -> str:
        """The key as others write it into their policy files."""
        return f"{self.name}+{self.id.hex()}+{b64encode(bytes([ED25519]) + self.public).decode()}"


class Signature(NamedTuple):
    """One signature line."""

    name: str
    key_id: bytes
    signature: bytes


class Note(NamedTuple):
    """A parsed note: what is signed, and the signature lines, not yet checked."""

    text: str
    signatures: tuple[Signature, ...]


class Opened(NamedTuple):
    """A note with at least one good signature."""

    text: str
    verified: tuple[Signature, ...]
    unverified: tuple[Signature, ...]


class Checkpoint(NamedTuple):
    """A log's state as it is signed."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The three lines that are signed."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"


def is_name(name: str) -> bool:
    """Tell whether a key (or a log) may be called this: no white space, no plus sign, not empty."""
    return bool(name) and "+" not in name and not any(sign.isspace() for sign in name)


def key_of(name: str, public: bytes) -> Key:
    """Return the Ed25519 verifier key of this name.

    Raises:
        NoteError: the name or the key has the wrong shape.
    """
    if not is_name(name) or len(public) != HASH_BYTES:
        raise NoteError("a verifier key has a name without spaces and 32 bytes")
    marked = name.encode() + b"\n" + bytes([ED25519]) + public
    return Key(name, sha256(marked).digest()[:_KEY_ID_BYTES], public)


def parse_key(text: str) -> Key:
    """Return the key written as ``name+id+base64``.

    Raises:
        NoteError: it is malformed, its id does not fit, or it is no Ed25519 key.
    """
    name, _, rest = text.partition("+")
    claimed, _, coded = rest.partition("+")
    packed = _decoded(coded)
    if packed[:1] != bytes([ED25519]):
        raise NoteError("this is no Ed25519 verifier key")
    key = key_of(name, packed[1:])
    if key.id.hex() != claimed:
        raise NoteError("the key's id does not fit the key")
    return key


def parse(note: str) -> Note:
    """Return the parts of a signed note.

    Raises:
        NoteError: it is malformed.
    """
    if len(note) > MAX_NOTE or _CONTROL.search(note) is not None:
        raise NoteError("a note is short and holds no control characters")
    text, gap, lines = note.rpartition("\n\n")
    if not gap or not lines.endswith("\n"):
        raise NoteError("a note ends in an empty line and signature lines")
    signatures = [_signature(line) for line in lines[:-1].split("\n")]
    if len(signatures) > MAX_SIGNATURES:
        raise NoteError("a note holds too many signatures")
    return Note(text + "\n", tuple(signatures))


def open_note(note: str, keys: Iterable[Key], check: Check) -> Opened:
    """Return the note's text with its signatures sorted into known and unknown ones.

    Raises:
        NoteError: it is malformed, no signature is by one of ``keys``, or one of them does not hold.
    """
    parsed, known = parse(note), list(keys)
    message = parsed.text.encode()
    verified: list[Signature] = []
    unverified: list[Signature] = []
    for line in parsed.signatures:
        matching = [key for key in known if (key.name, key.id) == (line.name, line.key_id)]
        if len(matching) > 1:
            raise NoteError("two keys claim the same signature")
        if not matching:
            unverified.append(line)
        elif not any((line.name, line.key_id) == (one.name, one.key_id) for one in verified):
            if not check(matching[0].public, message, line.signature):
                raise NoteError("a signature on the note does not hold")
            verified.append(line)
    if not verified:
        raise NoteError("no known key has signed the note")
    return Opened(parsed.text, tuple(verified), tuple(unverified))


def write(text: str, signatures: Sequence[Signature]) -> str:
    """Return the note with these signature lines."""
    lines = (f"{_DASH}{one.name} {b64encode(one.key_id + one.signature).decode()}\n" for one in signatures)
    return f"{text}\n{''.join(lines)}"


def parse_checkpoint(text: str) -> Checkpoint:
    """Return the checkpoint in a note's text. Extension lines are refused: this house writes none.

    Raises:
        NoteError: these are not the three lines of a checkpoint.
    """
    lines = text.split("\n")
    if len(lines) != 4 or lines[3] or not lines[0] or _DECIMAL.fullmatch(lines[1]) is None:  # noqa: PLR2004
        raise NoteError("a checkpoint has three lines: origin, size, root")
    root = _decoded(lines[2])
    if len(root) != HASH_BYTES:
        raise NoteError("a checkpoint's root has 32 bytes")
    return Checkpoint(lines[0], int(lines[1]), root)


def _signature(line: str) -> Signature:
    if not line.startswith(_DASH):
        raise NoteError("a signature line starts with a dash")
    name, _, coded = line[len(_DASH) :].partition(" ")
    packed = _decoded(coded)
    if not is_name(name) or len(packed) <= _KEY_ID_BYTES:
        raise NoteError("a signature line names a key and holds its id and a signature")
    return Signature(name, packed[:_KEY_ID_BYTES], packed[_KEY_ID_BYTES:])


def _decoded(coded: str) -> bytes:
    try:
        plain = b64decode(coded, validate=True)
    except ValueError:
        raise NoteError("this is not base64") from None
    if b64encode(plain).decode() != coded:
        raise NoteError("this is not base64 in its one spelling")
    return plain
