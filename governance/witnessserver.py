"""The witness of the compliance department: a home with two files, and one route over HTTP.

Promises to need nothing of the service that it watches: no settings, no database, no keys but its own. The
home holds the witness's signing key and what it has signed; both are made once and missing ones stop the
start. It speaks plain HTTP: a proxy in front of it, or a network of its own, brings TLS.
"""

from __future__ import annotations

import asyncio
import os
import stat
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from audit.checkpoint import Cosigner
from audit.lockstore import LockStoreError
from audit.note import COSIGNATURE, Key, is_name
from audit.witness import LONGEST_BODY, Answer, Witness
from audit.witnessstore import WitnessStore

KEY_FILE: Final = "witness.key"
MEMORY_FILE: Final = "witness.sqlite"
ROUTE: Final = "/add-checkpoint"
PATIENCE_S: Final = 10.0
"""How long a request's body may take to come in."""
_MARK: Final = "PRIVATE+KEY"
_SEED: Final = 32
_NOT_SIGNED: Final = Answer(503, "not signed, as it could not be remembered; try again\n")


class WitnessHomeError(Exception):
    """The witness's home is not as it must be; the message says what to do."""


def make_home(home: Path, name: str) -> Key:
    """Make a witness of this name where none is, and return its verifier key.

    Raises:
        WitnessHomeError: the name cannot be a key's, or there is a witness already.
    """
    if not is_name(name) or not name.isprintable():
        raise WitnessHomeError("a witness's name is one word without white space and plus signs")
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    seed = os.urandom(_SEED)
    key = Cosigner(name, seed).key
    packed = b64encode(bytes([COSIGNATURE]) + seed).decode()
    try:
        # The memory first: without a key it is of no use to anybody, and a key without it must not sign.
        WitnessStore.create(home / MEMORY_FILE)
        handle = os.open(home / KEY_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except (OSError, LockStoreError):
        raise WitnessHomeError(f"{home} holds a witness already, or cannot be written") from None
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(f"{_MARK}+{name}+{key.id.hex()}+{packed}\n")
        file.flush()
        os.fsync(file.fileno())
    return key


def open_home(home: Path, logs: Sequence[Key]) -> Witness:
    """Return the witness of this home for these logs.

    Raises:
        WitnessHomeError: a file is missing, damaged, or readable by others.
    """
    path = home / KEY_FILE
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read().decode()
        memory = WitnessStore(home / MEMORY_FILE)
    except (OSError, UnicodeDecodeError, LockStoreError) as error:
        raise WitnessHomeError(
            f"no witness in {home} ({type(error).__name__}); a new one is made by: governance audit witness "
            "init. One that lost its memory or its key is not made again under the same name"
        ) from None
    if mode & 0o077:
        raise WitnessHomeError(f"{path} is readable by others (mode {mode:04o}); run: chmod 600 {path}")
    return Witness(_cosigner(path, text), logs, memory)


def _cosigner(path: Path, text: str) -> Cosigner:
    try:
        name, claimed, coded = text.rstrip("\n").removeprefix(f"{_MARK}+").split("+", 2)
        packed = b64decode(coded, validate=True)
        made = Cosigner(name, packed[1:])
        sound = packed[:1] == bytes([COSIGNATURE]) and made.key.id.hex() == claimed
    except ValueError:
        sound = False
    if not sound:
        raise WitnessHomeError(f"{path} is damaged; restore it from its backup")
    return made


def application(witness: Witness, clock: Callable[[], int], patience_s: float = PATIENCE_S) -> ASGIApp:
    """Return the ASGI application; ``clock`` gives seconds since the epoch."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        await _say(send, await _answer(scope, receive))

    async def _answer(scope: Scope, receive: Receive) -> Answer:
        if scope["path"] != ROUTE:
            return Answer(404, "a witness answers to POST /add-checkpoint\n")
        if scope["method"] != "POST":
            return Answer(405, "a witness answers to POST\n")
        try:
            async with asyncio.timeout(patience_s):
                body = await _body(receive)
        except TimeoutError:
            return Answer(408, "the request did not come in in time\n")
        try:
            return await asyncio.to_thread(witness.add_checkpoint, body, clock())
        except LockStoreError:
            return _NOT_SIGNED

    return app


async def _body(receive: Receive) -> bytes:
    """Read a body; of one that is too long no more than it takes to see that it is malformed."""
    body, more = b"", True
    while more and len(body) <= LONGEST_BODY:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def _say(send: Send, answer: Answer) -> None:
    body = answer.body.encode()
    headers = [
        (b"content-type", answer.type.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    if answer.status == 405:  # noqa: PLR2004 - the one status that names what is allowed
        headers.append((b"allow", b"POST"))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
