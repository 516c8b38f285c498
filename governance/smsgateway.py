"""The SMS gateway over HTTP: one signed request for each code, and never a second try.

Promises that nobody without the key can send through our account or change a request (HMAC-SHA256 over id,
time and body, the form of Standard Webhooks), that a request that a proxy repeats is known by its id, and
that what failed is told as one error without cause: the number and the code stand in no exception and no
log. A time-out is a failure as well: the code may arrive all the same, and a new one replaces it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import time
import uuid
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from consent.outbox import NotSentError
from governance.outside import SmsAccess

TIMEOUT_S: Final = 5.0
_TAKEN: Final = range(200, 300)


def signature(key: str, message_id: str, timestamp: str, body: bytes) -> str:
    """Return ``v1,`` and the MAC of a request, as both sides compute it."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key.encode(), signed, hashlib.sha256)).decode()


class SmsGateway:
    """Hands texts to the gateway. Redirects are not followed: the key speaks to one address only."""

    def __init__(self, access: SmsAccess, clock: Callable[[], float] = time.time) -> None:
        where = urlsplit(access.url)
        self._key = access.key
        self._clock = clock
        self._secure = where.scheme == "https"
        self._host, self._port = where.hostname or "", where.port
        self._path = (where.path or "/") + (f"?{where.query}" if where.query else "")

    def send(self, number: str, text: str) -> None:
        """Send one text.

        Raises:
            NotSentError: the gateway refused, could not be reached, or did not answer in time.
        """
        message_id, timestamp = f"msg_{uuid.uuid4().hex}", str(int(self._clock()))
        body = json.dumps({"id": message_id, "to": number, "text": text}, ensure_ascii=False).encode()
        headers = {
            "content-type": "application/json",
            "idempotency-key": message_id,
            "webhook-id": message_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": signature(self._key, message_id, timestamp, body),
        }
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=TIMEOUT_S)
        try:
            connection.request("POST", self._path, body, headers)
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException, ValueError):
            raise NotSentError from None
        finally:
            connection.close()
        if status not in _TAKEN:
            raise NotSentError
