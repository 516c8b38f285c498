"""Documents that verify without us: receipts of consents, certificates of erasures.

The signature is a JWS with its payload detached and unencoded (RFC 7515 appendix F, RFC 7797): a standard
with implementations in every language, and what is signed are the document's own canonical bytes
(RFC 8785), so that ``openssl`` and a text editor are enough to check it in twenty years. One key signs both
kinds; the type in the header keeps them apart.
"""

from __future__ import annotations

import json
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from policies.canonical import canonical

_ALGORITHM: Final = "Ed25519"
_LARGEST: Final = 64 * 1024


class DocumentSigner:
    """Signs documents of one type, verifies them, and publishes the key for everybody else to do so.

    The signature is one file with what it signs: the document's member ``place``, which is not signed.
    """

    def __init__(self, seed: bytes, kind: str, place: str = "signature") -> None:
        key = OKPKey.import_key(Ed25519PrivateKey.from_private_bytes(seed))
        self._key = key
        self._place = place
        self._registry = jws.JWSRegistry(algorithms=[_ALGORITHM])
        self._header = {
            "alg": _ALGORITHM,
            "b64": False,
            "crit": ["b64"],
            "kid": key.thumbprint(),
            "typ": kind,
        }

    def key_set(self) -> dict[str, object]:
        """Return the public key as a JWK Set (RFC 7517); its ``kid`` is its thumbprint (RFC 7638)."""
        public = self._key.as_dict(private=False)
        return {"keys": [{**public, "kid": self._header["kid"], "use": "sig", "alg": _ALGORITHM}]}

    def sign(self, document: dict[str, object]) -> bytes:
        """Return the document with its signature, in its one spelling."""
        payload = canonical(document)
        signature = jws.serialize_compact(self._header, payload, self._key, registry=self._registry)
        return canonical({**document, self._place: signature})

    def verifies(self, text: bytes) -> bool:
        """Say whether these exact bytes are such a document of ours: one byte more, less or other is a no."""
        if len(text) > _LARGEST:
            return False
        try:
            document = json.loads(text)
            signature = document.pop(self._place)
            if canonical({**document, self._place: signature}) != text:
                return False
            payload = canonical(document)
            opened = jws.deserialize_compact(signature, self._key, registry=self._registry, payload=payload)
        except (JoseError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return False
        return opened.headers() == self._header
