"""Receipts: one consent, written down, signed, and handed to whoever may have it.

Promises that the log says who got a receipt before it is signed, that it verifies without us (Ed25519 over
its canonical bytes, the published key), and that it names people by pseudonyms of its own, which lead
neither to the log nor to a person. The signature is a JWS with its payload detached and unencoded
(RFC 7515 appendix F, RFC 7797): a standard with implementations in every language, and what is signed are
the document's own bytes, so that ``openssl`` and a text editor are enough to check it in twenty years.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Final

import uuid_utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from consent import receipts
from consent.receipts import Issue, Party
from consent.vocabulary import SIGNATURE
from governance.consenting import Consenting, On
from governance.outside import Outside

MEDIA_TYPE: Final = "application/ld+json"
_ALGORITHM: Final = "Ed25519"
_TYPE: Final = "consent-receipt"
_LARGEST: Final = 64 * 1024


class ReceiptSigner:
    """Signs receipts, verifies them, and publishes the key for everybody else to do so."""

    def __init__(self, seed: bytes) -> None:
        key = OKPKey.import_key(Ed25519PrivateKey.from_private_bytes(seed))
        self._key = key
        self._registry = jws.JWSRegistry(algorithms=[_ALGORITHM])
        self._header = {
            "alg": _ALGORITHM,
            "b64": False,
            "crit": ["b64"],
            "kid": key.thumbprint(),
            "typ": _TYPE,
        }

    def key_set(self) -> dict[str, object]:
        """Return the public key as a JWK Set (RFC 7517); its ``kid`` is its thumbprint (RFC 7638)."""
        public = self._key.as_dict(private=False)
        return {"keys": [{**public, "kid": self._header["kid"], "use": "sig", "alg": _ALGORITHM}]}

    def sign(self, document: dict[str, object]) -> bytes:
        """Return the receipt with its signature, in its one spelling."""
        payload = receipts.canonical(document)
        signature = jws.serialize_compact(self._header, payload, self._key, registry=self._registry)
        return receipts.with_signature(document, signature)

    def verifies(self, text: bytes) -> bool:
        """Say whether these exact bytes are a receipt of ours: one byte more, less or other is a no."""
        if len(text) > _LARGEST:
            return False
        try:
            document = json.loads(text)
            signature = document.pop(SIGNATURE)
            if receipts.with_signature(document, signature) != text:
                return False
            payload = receipts.canonical(document)
            opened = jws.deserialize_compact(signature, self._key, registry=self._registry, payload=payload)
        except (JoseError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return False
        return opened.headers() == self._header


class Receipts:
    """Hands out receipts."""

    def __init__(
        self, consenting: Consenting, signer: ReceiptSigner, names_key: bytes, tenant: str, outside: Outside
    ) -> None:
        self._consenting = consenting
        self.signer = signer
        self._names_key = names_key
        self._controller = Party(tenant, outside.name, outside.address, outside.contact)
        self._site = outside.site

    def give(self, on: On | None, consent_id: str, now: int) -> bytes:
        """Return the signed receipt of a consent, to the operator without ``on``; the log has it first."""
        given = self._consenting.give_out(on, consent_id, "consent.receipted", now)
        issue = Issue(
            receipt_id=str(uuid_utils.uuid7()),
            at=now,
            log_index=given.log_index,
            subject=self._name(given.consent.subject_id),
            actor=self._name(given.consent.actor_id),
            controller=self._controller,
            site=self._site,
        )
        document = receipts.receipt(
            given.consent, given.events, given.birth, given.book, issue, given.notice, given.notices
        )
        return self.signer.sign(document)

    def _name(self, member_id: str) -> str:
        return hmac.digest(self._names_key, member_id.encode(), hashlib.sha256).hex()[:32]
