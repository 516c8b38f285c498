"""Signed documents that verify without us: an erasure's certificate.

A JSON document in one spelling (sorted, compact, ASCII names) whose signature stands beside what is signed:
a JWS with Ed25519, its payload detached and unencoded (RFC 7515 appendix F, RFC 7797), as on receipts.
One byte more, less or other is a no. The key is the one that signs permits; the type in the header keeps
the two apart.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, Protocol

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

SIGNATURE: Final = "signature"
_ALGORITHM: Final = "Ed25519"
_TYPE: Final = "erasure-certificate"
_LARGEST: Final = 64 * 1024


class DocumentSigner(Protocol):
    """Whatever signs documents and publishes its key; the signer of receipts is one."""

    def sign(self, document: dict[str, object]) -> bytes:
        """Return the document with its signature, in its one spelling."""
        ...

    def verifies(self, text: bytes) -> bool:
        """Say whether these exact bytes are a document of ours."""
        ...


class CertificateSigner:
    """Signs certificates with an Ed25519 seed."""

    def __init__(self, seed: bytes) -> None:
        self._key = OKPKey.import_key(Ed25519PrivateKey.from_private_bytes(seed))
        self._registry = jws.JWSRegistry(algorithms=[_ALGORITHM])
        self._header = {
            "alg": _ALGORITHM,
            "b64": False,
            "crit": ["b64"],
            "kid": self._key.thumbprint(),
            "typ": _TYPE,
        }

    def key_set(self) -> dict[str, object]:
        """Return the public key as a JWK Set (RFC 7517), for everybody else to verify with."""
        public = self._key.as_dict(private=False)
        return {"keys": [{**public, "kid": self._header["kid"], "use": "sig", "alg": _ALGORITHM}]}

    def sign(self, document: dict[str, object]) -> bytes:
        """Return the document with its signature, in its one spelling."""
        signature = jws.serialize_compact(self._header, _spelt(document), self._key, registry=self._registry)
        return _spelt({**document, SIGNATURE: signature})

    def verifies(self, text: bytes) -> bool:
        """Say whether these exact bytes are a document of ours."""
        if len(text) > _LARGEST:
            return False
        try:
            document = json.loads(text)
            signature = document.pop(SIGNATURE)
            payload = _spelt(document)
            if _spelt({**document, SIGNATURE: signature}) != text:
                return False
            opened = jws.deserialize_compact(signature, self._key, registry=self._registry, payload=payload)
            again = jws.serialize_compact(self._header, payload, self._key, registry=self._registry)
        except (JoseError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return False
        # Ed25519 signs alike each time: another spelling of a true signature is refused as well.
        return opened.headers() == self._header and signature == again


def _spelt(document: Mapping[str, object]) -> bytes:
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
