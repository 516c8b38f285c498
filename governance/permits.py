"""Permits: the signed leave to hand exactly these bytes to exactly this recipient, once, soon.

A JWS in compact form (RFC 7515) with Ed25519 (RFC 8037, named ``Ed25519`` by RFC 9864). A sending
gateway that delivers nothing without a valid permit cannot be bypassed. Verification gives one answer
for every kind of wrong: forged, altered, expired, another recipient, another channel, other bytes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from policies.terms import Channel, Purpose, SubjectId

_ALGORITHM: Final = "Ed25519"
_TYPE: Final = "permit+jwt"


@dataclass(frozen=True, slots=True)
class Permit:
    """What a permit says. ``expires_at`` in milliseconds; ``text_sha256`` in hex."""

    id: str
    message_id: str
    sender_id: str
    recipient: SubjectId
    channel: Channel
    purpose: Purpose
    text_sha256: str
    expires_at: int
    entry_id: str


class PermitDesk:
    """Signs and checks permits with the permit key of the ring."""

    def __init__(self, seed: bytes) -> None:
        private = Ed25519PrivateKey.from_private_bytes(seed)
        self._key = OKPKey.import_key(private)
        self._registry = jws.JWSRegistry(algorithms=[_ALGORITHM])
        self.public_key = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def sign(self, permit: Permit) -> str:
        """Return the permit as a compact JWS."""
        body = {
            "jti": permit.id,
            "msg": permit.message_id,
            "iss": permit.sender_id,
            "sub": permit.recipient,
            "aud": permit.channel,
            "pur": permit.purpose,
            "sha256": permit.text_sha256,
            "exp": permit.expires_at,
            "ent": permit.entry_id,
        }
        header = {"alg": _ALGORITHM, "typ": _TYPE}
        payload = json.dumps(body, separators=(",", ":")).encode()
        return jws.serialize_compact(header, payload, self._key, registry=self._registry)

    def read(self, token: str, *, text: str, recipient: str, channel: str, now: int) -> Permit | None:
        """Return the permit if it is ours and covers exactly this delivery now, else None."""
        if len(token) > 4096 or not token.isascii():  # noqa: PLR2004 - ours have some 600 characters
            return None
        try:
            opened = jws.deserialize_compact(token, self._key, registry=self._registry)
            body = json.loads(opened.payload)
            if opened.headers() != {"alg": _ALGORITHM, "typ": _TYPE}:
                return None
            permit = Permit(
                body["jti"],
                body["msg"],
                body["iss"],
                SubjectId(body["sub"]),
                Channel(body["aud"]),
                Purpose(body["pur"]),
                body["sha256"],
                body["exp"],
                body["ent"],
            )
        except (JoseError, ValueError, KeyError, TypeError):
            return None
        fits = (
            permit.recipient == recipient
            and permit.channel == channel
            and permit.text_sha256 == sha256(text.encode()).hexdigest()
            and now < permit.expires_at
        )
        return permit if fits else None
