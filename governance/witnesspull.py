"""What an officer keeps of the log on a machine of their own: one line for each look, never taken back.

Promises that a line is added only for a checkpoint that extends the last one kept, shown by a proof, and
that a checkpoint which contradicts it is kept as well, beside the file: signed by the log, it is evidence
against whoever runs it. Trusts the first checkpoint that it sees, and the keys it was given, in order: once
a key has signed, the ones before it count no more.
"""

from __future__ import annotations

import fcntl
import json
import os
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Final, TextIO
from urllib.parse import urlsplit

from audit import checkpoint
from audit.note import Checkpoint, Key, NoteError, decoded, parse_checkpoint
from audit.tree import extends
from audit.verdicts import Exit

CHECKPOINT: Final = "/v1/audit/checkpoint"
CONSISTENCY: Final = "/v1/audit/consistency?from={}&to={}"
LONGEST_ANSWER: Final = 1_000_000
DEADLINE_S: Final = 30.0
_OK: Final = 200
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")

Fetch = Callable[[str], str]
"""Gets the text at a path; raises ``NotFetchedError``."""


class NotFetchedError(Exception):
    """The service could not be asked, or did not answer; the message says what happened."""


class NotKeptError(Exception):
    """The local file cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at the log came to. ``word`` is OK, ROLLBACK, FORK, SIGNATURE or PROOF."""

    exit: Exit
    word: str
    size: int
    kept_size: int | None


def fetcher(base: str, api_key: str) -> Fetch:
    """Return a function that gets paths below ``base``: https, or http on this machine; no redirects.

    Raises:
        NotFetchedError: the address is neither.
    """
    try:
        parts = urlsplit(base)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    secure = host and parts.scheme == "https"
    if not secure and not (host in _LOOPBACK and parts.scheme == "http"):
        raise NotFetchedError("the address is https and a host (http on this machine only)")
    headers = {"accept": "text/plain"} | ({"authorization": f"Bearer {api_key}"} if api_key else {})

    def fetch(path: str) -> str:
        if secure:
            context = ssl.create_default_context()
            connection: HTTPConnection = HTTPSConnection(host, port, timeout=DEADLINE_S, context=context)
        else:
            connection = HTTPConnection(host, port, timeout=DEADLINE_S)
        try:
            connection.request("GET", parts.path.rstrip("/") + path, headers=headers)
            with connection.getresponse() as response:
                text = response.read(LONGEST_ANSWER + 1)
                if response.status != _OK:
                    raise NotFetchedError(f"{path.partition('?')[0]} was answered with {response.status}")
        except (OSError, HTTPException) as error:
            raise NotFetchedError(f"the service did not answer ({type(error).__name__})") from None
        finally:
            connection.close()
        try:
            return text.decode() if len(text) <= LONGEST_ANSWER else ""
        except UnicodeDecodeError:
            return ""

    return fetch


def pull(fetch: Fetch, keys: Sequence[Key], path: Path, now: int) -> Look:
    """Look at the log once and keep what was seen; ``now`` is in milliseconds since the epoch.

    Raises:
        NotFetchedError: the service could not be asked. Nothing was kept.
        NotKeptError: the file cannot be written, or its last line is none of ours.
    """
    with _opened(path) as file:
        last = _last(file)
        known = None if last is None else _opened_note(last, keys)
        if last is not None and known is None:
            return Look(Exit.UNSIGNED, "SIGNATURE", 0, None)
        seen = fetch(CHECKPOINT)
        shown = _opened_note(seen, keys[known[1] :] if known else keys)
        kept_size = None if known is None else known[0].size
        if shown is None or (known is not None and shown[0].origin != known[0].origin):
            return Look(Exit.UNSIGNED, "SIGNATURE", 0, kept_size)
        look = _compared(fetch, None if known is None else known[0], shown[0])
        if look.exit is Exit.OK:
            _append(file, seen, now)
    if look.exit in (Exit.ROLLED_BACK, Exit.FORKED):
        with _opened(path.with_name(path.name + ".contradictions")) as file:
            _append(file, seen, now)
    return look


def _compared(fetch: Fetch, kept: Checkpoint | None, shown: Checkpoint) -> Look:
    if kept is None:
        return Look(Exit.OK, "OK", shown.size, None)
    if shown.size < kept.size:
        return Look(Exit.ROLLED_BACK, "ROLLBACK", shown.size, kept.size)
    proof: tuple[bytes, ...] | None = ()
    if 0 < kept.size < shown.size:
        proof = _proof(fetch(CONSISTENCY.format(kept.size, shown.size)))
    if proof is None:  # no proof is no evidence of a fork
        return Look(Exit.INCOMPLETE, "PROOF", shown.size, kept.size)
    grown = extends(kept.size, shown.size, kept.root, shown.root, proof)
    return Look(*((Exit.OK, "OK") if grown else (Exit.FORKED, "FORK")), shown.size, kept.size)


def _proof(text: str) -> tuple[bytes, ...] | None:
    try:
        return tuple(map(decoded, text.splitlines()))
    except NoteError:
        return None


def _opened_note(text: str, keys: Sequence[Key]) -> tuple[Checkpoint, int] | None:
    """Return a signed checkpoint and which of the keys, the last that did, signed it."""
    try:
        opened = checkpoint.open_note(text, keys)
        shown = parse_checkpoint(opened.text)
    except NoteError:
        return None
    signed = {(one.name, one.key_id) for one in opened.verified}
    if any(key.name != shown.origin for key in keys):
        return None
    return shown, max(at for at, key in enumerate(keys) if (key.name, key.id) in signed)


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    try:
        handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(handle, "r+", encoding="utf-8", newline="\n") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # two looks at once would be held against the same line
            yield file
    except (OSError, UnicodeDecodeError):
        raise NotKeptError(f"{path} cannot be read and written") from None


def _last(file: TextIO) -> str | None:
    text = file.read()
    if not text:
        return None
    try:
        return str(json.loads(text.removesuffix("\n").rpartition("\n")[2])["note"])
    except (ValueError, KeyError, TypeError):
        raise NotKeptError(
            "the last line of the file is no checkpoint that was kept by this command"
        ) from None


def _append(file: TextIO, note: str, now: int) -> None:
    file.write(json.dumps({"t": now, "note": note}, ensure_ascii=False) + "\n")
    file.flush()
    os.fsync(file.fileno())
