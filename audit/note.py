"""C2SP signed notes and the checkpoints in them: one grammar for signer, verifier and auditor.

Promises that a note parses in exactly one way or not at all, and that a signature counts only under a key
named in advance, by name and key id, and on a checkpoint only at the sizes that the key may sign. Two kinds
of keys: a log's (C2SP signed-note, type 0x01) and a witness's (C2SP tlog-cosignature, type 0x04, with the
time in what is signed). Standard library only, Python 3.9: the check of the signature bytes itself is given
in, so that the service uses its fast library and an auditor uses ``audit.ed25519``.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from audit.tree import HASH_BYTES

ED25519: Final = 1
"""The signature type byte of Ed25519 notes: what logs sign with."""
COSIGNATURE: Final = 4
"""The signature type byte of timestamped Ed25519 cosignatures: what witnesses sign with."""
TIME_BYTES: Final = 8
"""A cosignature starts with its time: seconds since the epoch, big-endian."""
LATEST: Final = 2**63 - 1
MAX_SIGNATURES: Final = 100
MAX_NOTE: Final = 1_000_000
_KEY_ID_BYTES: Final = 4
_LINES: Final = 4
"""A checkpoint's three lines, and the nothing after the last line break."""
_DASH: Final = "\N{EM DASH} "
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")

Check = Callable[[bytes, bytes, bytes], bool]
"""``check(public key, message, signature)``."""


class NoteError(ValueError):
    """A note, a key or a checkpoint is malformed, or a signature on it does not hold."""


class SpellingError(NoteError):
    """Something in base64 has bits set that count for nothing: well-formed to some, never what was signed."""


class Key(NamedTuple):
    """A verifier key; ``text`` is its one-line form, ``name+id+base64``.

    ``first`` and ``last`` are the sizes of checkpoints that it may sign (None: no end): a log's key that was
    replaced signs nothing that came later.
    """

    name: str
    id: bytes
    public: bytes
    kind: int = ED25519
    first: int = 0
    last: int | None = None

    @property
    def text(self) -> str:
        """The key as others write it into their policy files."""
        return f"{self.name}+{self.id.hex()}+{b64encode(bytes([self.kind]) + self.public).decode()}"

    def may_sign(self, size: int) -> bool:
        """Tell whether this key is the one for a checkpoint of this size."""
        return self.first <= size and (self.last is None or size <= self.last)


class Signature(NamedTuple):
    """One signature line."""

    name: str
    key_id: bytes
    signature: bytes

    @property
    def line(self) -> str:
        """The line as it stands under a note."""
        return f"{_DASH}{self.name} {b64encode(self.key_id + self.signature).decode()}\n"


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


def key_of(name: str, public: bytes, kind: int = ED25519) -> Key:
    """Return the Ed25519 verifier key of this name, a log's or (``COSIGNATURE``) a witness's.

    Raises:
        NoteError: the name or the key has the wrong shape.
    """
    if not is_name(name) or len(public) != HASH_BYTES:
        raise NoteError("a verifier key has a name without spaces and 32 bytes")
    marked = name.encode() + b"\n" + bytes([kind]) + public
    return Key(name, sha256(marked).digest()[:_KEY_ID_BYTES], public, kind)


def parse_key(text: str, kind: int = ED25519) -> Key:
    """Return the key written as ``name+id+base64``; a log's, or (``COSIGNATURE``) a witness's.

    Raises:
        NoteError: it is malformed, its id does not fit, or it is no Ed25519 key of this kind.
    """
    name, _, rest = text.partition("+")
    claimed, _, coded = rest.partition("+")
    packed = decoded(coded)
    if packed[:1] != bytes([kind]):
        raise NoteError("this is no Ed25519 verifier key of the kind that is needed here")
    key = key_of(name, packed[1:], kind)
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
    signatures = [parse_signature(line) for line in lines[:-1].split("\n")]
    if len(signatures) > MAX_SIGNATURES:
        raise NoteError("a note holds too many signatures")
    return Note(text + "\n", tuple(signatures))


def open_note(note: str, keys: Iterable[Key], check: Check) -> Opened:
    """Return the note's text with its signatures sorted into known and unknown ones.

    Raises:
        NoteError: it is malformed, no signature is by one of ``keys``, or one of them does not hold.
    """
    parsed, known = parse(note), list(keys)
    verified: list[Signature] = []
    unverified: list[Signature] = []
    for line in parsed.signatures:
        matching = [key for key in known if (key.name, key.id) == (line.name, line.key_id)]
        if len(matching) > 1:
            raise NoteError("two keys claim the same signature")
        if not matching:
            unverified.append(line)
        elif not any((line.name, line.key_id) == (one.name, one.key_id) for one in verified):
            if not holds(matching[0], parsed.text, line.signature, check):
                raise NoteError("a signature on the note does not hold")
            verified.append(line)
    if not verified:
        raise NoteError("no known key has signed the note")
    return Opened(parsed.text, tuple(verified), tuple(unverified))


def write(text: str, signatures: Sequence[Signature]) -> str:
    """Return the note with these signature lines."""
    return f"{text}\n{''.join(one.line for one in signatures)}"


def cosigned(text: str, t: int) -> bytes:
    """Return what a witness signs: that it saw this note's text at ``t`` (seconds since the epoch)."""
    return f"cosignature/v1\ntime {t}\n{text}".encode()


def time_of(cosignature: Signature) -> int:
    """Return when a witness signed, in seconds since the epoch."""
    return int.from_bytes(cosignature.signature[:TIME_BYTES], "big")


def holds(key: Key, text: str, signature: bytes, check: Check) -> bool:
    """Tell whether a signature over a note's text is by this key, whichever of the two kinds it is."""
    if key.kind == ED25519:
        return check(key.public, text.encode(), signature)
    t = int.from_bytes(signature[:TIME_BYTES], "big")
    return t <= LATEST and check(key.public, cosigned(text, t), signature[TIME_BYTES:])


def open_checkpoint(note: str, keys: Iterable[Key], check: Check) -> Checkpoint:
    """Return the checkpoint in a signed note, if a key that may sign one of its size has signed it.

    Raises:
        NoteError: it is malformed, is no checkpoint, or no such signature stands on it and holds.
    """
    signed = parse_checkpoint(parse(note).text)
    open_note(note, [key for key in keys if key.may_sign(signed.size)], check)
    return signed


def parse_checkpoint(text: str, *, extended: bool = False) -> Checkpoint:
    """Return the checkpoint in a note's text.

    Extension lines are refused, as this house writes none, unless ``extended`` lets those of others pass.

    Raises:
        NoteError: these are not the lines of a checkpoint: origin, size, root.
    """
    lines = text.split("\n")
    most = len(lines) if extended else _LINES
    if not _LINES <= len(lines) <= most or not all(lines[:-1]) or lines[-1]:
        raise NoteError("a checkpoint has three lines: origin, size, root")
    if _DECIMAL.fullmatch(lines[1]) is None:
        raise NoteError("a checkpoint's size is a number")
    root = decoded(lines[2])
    if len(root) != HASH_BYTES:
        raise NoteError("a checkpoint's root has 32 bytes")
    return Checkpoint(lines[0], int(lines[1]), root)


def parse_signature(line: str) -> Signature:
    """Return one signature line, given without its line break.

    Raises:
        NoteError: it is malformed.
    """
    if not line.startswith(_DASH):
        raise NoteError("a signature line starts with a dash")
    name, _, coded = line[len(_DASH) :].partition(" ")
    packed = decoded(coded)
    if not is_name(name) or len(packed) <= _KEY_ID_BYTES:
        raise NoteError("a signature line names a key and holds its id and a signature")
    return Signature(name, packed[:_KEY_ID_BYTES], packed[_KEY_ID_BYTES:])


def decoded(coded: str) -> bytes:
    """Return what stands in base64, in its one spelling.

    Raises:
        NoteError: it does not; a ``SpellingError`` where it is base64 in another spelling.
    """
    try:
        plain = b64decode(coded, validate=True)
    except ValueError:
        raise NoteError("this is not base64") from None
    if b64encode(plain).decode() != coded:
        raise SpellingError("this is not base64 in its one spelling")
    return plain
