"""Keyset cursors that callers cannot make up: a position, authenticated for one list of one caller."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Final

_MAC: Final = 12
_POSITION: Final = 8


class Cursors:
    """Makes and reads the cursors of one list; those of another list or caller are unknown here."""

    def __init__(self, key: bytes, purpose: str) -> None:
        self._key = hmac.digest(key, purpose.encode(), hashlib.sha256)

    def make(self, position: int) -> str:
        """Return the cursor that continues after a position."""
        body = position.to_bytes(_POSITION, "big")
        return base64.urlsafe_b64encode(body + self._mac(body)).decode().rstrip("=")

    def read(self, cursor: str) -> int | None:
        """Return the position, or None for anything this list did not make."""
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
        except ValueError:
            return None
        body, mac = raw[:_POSITION], raw[_POSITION:]
        if len(raw) != _POSITION + _MAC or not hmac.compare_digest(mac, self._mac(body)):
            return None
        return int.from_bytes(body, "big")

    def _mac(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, hashlib.sha256)[:_MAC]
