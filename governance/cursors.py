"""What callers carry for us and cannot make up: cursors of lists and other tokens, authenticated.

A token is bytes in clear with a MAC under a key that belongs to one purpose, so that a token of another
list, another query or another caller is as unknown here as one that somebody invented.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Final

_MAC: Final = 12
_POSITION: Final = 8


class Tokens:
    """Makes and reads the tokens of one purpose."""

    def __init__(self, key: bytes, purpose: str) -> None:
        self._key = hmac.digest(key, purpose.encode(), hashlib.sha256)

    def write(self, body: bytes) -> str:
        """Return the token that says ``body``."""
        return base64.urlsafe_b64encode(body + self._mac(body)).decode().rstrip("=")

    def said(self, token: str) -> bytes | None:
        """Return what a token says, or None for anything not made for this purpose."""
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True)
        except ValueError:
            return None
        body, mac = raw[:-_MAC], raw[-_MAC:]
        # Another spelling of the same bytes is no token of ours.
        if not hmac.compare_digest(mac, self._mac(body)) or self.write(body) != token:
            return None
        return body

    def _mac(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, hashlib.sha256)[:_MAC]


class Cursors:
    """Makes and reads the cursors of one list; those of another list or caller are unknown here."""

    def __init__(self, key: bytes, purpose: str) -> None:
        self._tokens = Tokens(key, purpose)

    def make(self, position: int) -> str:
        """Return the cursor that continues after a position."""
        return self._tokens.write(position.to_bytes(_POSITION, "big"))

    def read(self, cursor: str) -> int | None:
        """Return the position, or None for anything this list did not make."""
        body = self._tokens.said(cursor)
        return int.from_bytes(body, "big") if body is not None and len(body) == _POSITION else None
