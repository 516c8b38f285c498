"""A witness: remembers how far each log has come and vouches only for what extends that.

Promises the answers of C2SP tlog-witness ``add-checkpoint``, and that what is vouched for is on disk before
it is answered, by compare-and-swap: of two requests at once that start from the same state one advances,
and the other is told the size that stands now. A log that shows this witness one history cannot show
another to anybody who asks for this witness's signature. Source: c2sp.org/tlog-witness, tlog-cosignature.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from contextlib import suppress
from typing import Final, NamedTuple, Protocol

from audit import checkpoint
from audit.checkpoint import Cosigner
from audit.note import Checkpoint, Key, NoteError, SpellingError, decoded, open_note, parse, parse_checkpoint
from audit.tree import EMPTY_ROOT, HASH_BYTES, extends

MOST_PROOF: Final = 63
"""Lines of a consistency proof; a tree of 2^63 leaves needs no more."""
LONGEST_BODY: Final = 64 * 1024
"""Bytes of a request: a full proof, a checkpoint, and a hundred signatures."""
PLAIN: Final = "text/plain; charset=utf-8"
SIZE: Final = "text/x.tlog.size"
_OLD: Final = re.compile(r"old (0|[1-9][0-9]{0,18})")


class Answer(NamedTuple):
    """What is answered over HTTP: status, body, content type."""

    status: int
    body: str
    type: str = PLAIN


class Memory(Protocol):
    """Where a witness keeps the newest checkpoint that it signed of each log."""

    def newest(self, origin: str) -> Checkpoint | None:
        """Return the newest checkpoint signed of this log, None if there is none."""
        ...

    def advance(self, old: Checkpoint | None, new: Checkpoint, note: str) -> bool:
        """Put ``new`` in the place of ``old``, durably; False when something else stands there by now."""
        ...


class _Request(NamedTuple):
    old: int
    proof: tuple[bytes, ...]
    note: str


class Witness:
    """Answers for the logs whose keys it was given. A log may have several keys, one after the other."""

    def __init__(self, cosigner: Cosigner, logs: Iterable[Key], memory: Memory) -> None:
        self._cosigner, self._memory = cosigner, memory
        self._logs: dict[str, list[Key]] = {}
        for key in logs:
            self._logs.setdefault(key.name, []).append(key)

    def add_checkpoint(self, body: bytes, now: int) -> Answer:
        """Answer one request; ``now`` is in seconds since the epoch."""
        try:
            asked = _read(body)
            with suppress(SpellingError):  # other programs can read such a signature: it is one, a false one
                parse(asked.note)
        except NoteError:
            return Answer(400, "invalid input\n")
        origin = asked.note.partition("\n")[0]
        if origin not in self._logs:
            return Answer(404, "unknown log\n")
        try:
            text = open_note(asked.note, self._logs[origin], checkpoint.check).text
        except NoteError:
            return Answer(403, "invalid signature\n")
        try:
            shown = parse_checkpoint(text, extended=True)
        except NoteError:
            return Answer(400, "invalid checkpoint\n")
        if asked.old > shown.size:
            return Answer(400, "invalid checkpoint: the old size is larger than the new one\n")
        return self._judge(asked, shown, text, now)

    def _judge(self, asked: _Request, shown: Checkpoint, text: str, now: int) -> Answer:
        known = self._memory.newest(shown.origin)
        before = known or Checkpoint(shown.origin, 0, EMPTY_ROOT)
        if asked.old != before.size:
            return _stands_at(before.size)
        if known is not None and shown.size == known.size and shown.root != known.root:
            # No size in the answer: it is not the size that is wrong.
            return Answer(409, "another root was signed for this size\n")
        if not extends(before.size, shown.size, before.root, shown.root, asked.proof):
            return Answer(422, "the consistency proof does not hold\n")
        # A crash before the next line: nothing was vouched for. After it: the log asks again and is answered.
        if not self._memory.advance(known, shown, asked.note):
            newer = self._memory.newest(shown.origin)
            return _stands_at(before.size if newer is None else newer.size)
        return Answer(200, self._cosigner.cosign(text, now).line)


def write_request(old: int, proof: Iterable[bytes], note: str) -> bytes:
    """Return the body of an ``add-checkpoint`` request: what a log sends to its witnesses."""
    lines = "".join(f"{b64encode(hashed).decode()}\n" for hashed in proof)
    return f"old {old}\n{lines}\n{note}".encode()


def _stands_at(size: int) -> Answer:
    return Answer(409, f"{size}\n", SIZE)


def _read(body: bytes) -> _Request:
    """Take a request apart.

    Raises:
        NoteError: it is malformed.
    """
    if len(body) > LONGEST_BODY:
        raise NoteError("a request is short")
    try:
        head, gap, note = body.decode().partition("\n\n")
        first, *lines = head.split("\n")
        proof = tuple(map(decoded, lines))
    except (UnicodeDecodeError, SpellingError):
        raise NoteError("a request is UTF-8 and its proof base64") from None
    old = _OLD.fullmatch(first)
    if not gap or old is None or len(lines) > MOST_PROOF:
        raise NoteError("a request is an old size, a proof, an empty line and a checkpoint")
    if any(len(one) != HASH_BYTES for one in proof):
        raise NoteError("a line of a proof is one hash")
    return _Request(int(old[1]), proof, note)
