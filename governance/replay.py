"""Idempotency: a request that is sent twice with one Idempotency-Key has one effect.

The key and the fingerprint of the body commit together with the effect, under the same locks, so two
copies that arrive at once cannot both act. What is kept is only which result the key led to; the answer
is made again from the records and the log, so no copy of an answer lies about. Keys count for a day.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from sqlalchemy import bindparam, delete, insert, select

from governance.records import Replay
from policies.transaction import Transaction

_replay = Replay.__table__
_KEY: Final = re.compile(r"[\x21-\x7e]{1,128}\Z")
_DAY_MS: Final = 86_400_000
_EARLIER: Final = select(_replay.c.fingerprint, _replay.c.result_id).where(
    _replay.c.actor_id == bindparam("actor"),
    _replay.c.key_hash == bindparam("digest"),
    _replay.c.created_at > bindparam("since"),
)
_FORGET: Final = delete(_replay).where(
    _replay.c.actor_id == bindparam("actor"), _replay.c.created_at <= bindparam("since")
)
_REMEMBER: Final = insert(_replay)


class KeyReusedError(Exception):
    """The key was used for a different request."""


@dataclass(frozen=True, slots=True)
class Once:
    """One idempotency key and what was sent with it, both as digests."""

    key: bytes
    fingerprint: bytes


def once_of(key: str | None, body: bytes) -> Once | None:
    """Return the pair for a request, None when it carries no key.

    Raises:
        ValueError: the key is not 1 to 128 printable ASCII characters.
    """
    if key is None:
        return None
    if _KEY.match(key) is None:
        raise ValueError("an idempotency key is 1 to 128 printable ASCII characters")
    return Once(sha256(key.encode()).digest(), sha256(body).digest())


def earlier(tx: Transaction, actor_id: str, once: Once | None, now: int) -> str | None:
    """Return the id of the result this key led to, None when it is fresh."""
    if once is None:
        return None
    rows = tx.rows(_EARLIER, {"actor": actor_id, "digest": once.key, "since": now - _DAY_MS})
    if not rows:
        return None
    if bytes(rows[0][0]) != once.fingerprint:
        raise KeyReusedError
    return str(rows[0][1])


def remember(tx: Transaction, actor_id: str, once: Once | None, result_id: str, now: int) -> None:
    """Keep what this key led to; commits with the effect."""
    if once is None:
        return
    tx.run(_FORGET, {"actor": actor_id, "since": now - _DAY_MS})
    tx.run(
        _REMEMBER,
        {
            "actor_id": actor_id,
            "key_hash": once.key,
            "fingerprint": once.fingerprint,
            "result_id": result_id,
            "created_at": now,
        },
    )
