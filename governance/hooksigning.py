"""Signatures of webhooks after Standard Webhooks 1.0: HMAC-SHA256 over ``id.timestamp.body``.

Pure. A receiver recomputes one of the signatures with the secret it holds, compares in constant time, and
refuses a timestamp that is minutes off. While a secret is being replaced both sign, so nothing is lost.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from typing import Final

PREFIX: Final = "whsec_"
_SIZE: Final = 32


def new_secret() -> str:
    """Return a fresh secret: ``whsec_`` and 32 random bytes in base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_SIZE)).decode()


def headers(event_id: str, at: int, body: bytes, signing: Sequence[str]) -> dict[str, str]:
    """Return the three headers of one attempt; ``at`` in milliseconds, ``signing`` newest secret first."""
    seconds = str(at // 1000)
    content = b".".join([event_id.encode(), seconds.encode(), body])
    signatures = [f"v1,{_mac(secret, content)}" for secret in signing]
    return {
        "webhook-id": event_id,
        "webhook-timestamp": seconds,
        "webhook-signature": " ".join(signatures),
    }


def _mac(secret: str, content: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
