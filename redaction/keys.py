"""The key ring: every secret of a deployment, in one file that only its owner can read.

Promises that there is no default key, that a file others can read stops the start, and that a key
never prints. The tenant key wraps data keys (``redaction.sealing``); the others sign the log and the
permits, key the blind index, pepper one-time codes and authenticate cursors; receipts have keys derived
from the log's (HKDF, a label for each use). The ring lies outside the database: whoever steals the database
holds no key.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_FORMAT: Final = 1
_SECRETS: Final = ("tenant_key", "index_key", "log_key", "permit_key", "pepper", "cursor_key")
_SIZE: Final = 32


class KeyRingError(Exception):
    """The key ring is missing, readable by others or damaged; the message says what to do."""


@dataclass(frozen=True, slots=True)
class KeyRing:
    """All secrets of one deployment, each 32 random bytes.

    ``tenant`` names the controller and is part of every associated data; ``tenant_key_id`` names the
    epoch of the tenant key; ``log_key`` and ``permit_key`` are Ed25519 seeds.
    """

    tenant: str
    tenant_key_id: str
    tenant_key: bytes = field(repr=False)
    index_key: bytes = field(repr=False)
    log_key: bytes = field(repr=False)
    permit_key: bytes = field(repr=False)
    pepper: bytes = field(repr=False)
    cursor_key: bytes = field(repr=False)

    @property
    def receipt_key(self) -> bytes:
        """The Ed25519 seed that signs consent receipts; what it signs never verifies under another key."""
        return self._derived("receipt signing")

    @property
    def receipt_names_key(self) -> bytes:
        """The key under which people have their pseudonyms in receipts; those of the log are others."""
        return self._derived("receipt pseudonyms")

    def _derived(self, use: str) -> bytes:
        # From the log key, the one identity that is as long-lived as a receipt: a ring of any age has it,
        # and whoever holds a derived key learns nothing about the log's.
        info = f"household-governance {use} v1".encode()
        return HKDF(SHA256(), _SIZE, salt=None, info=info).derive(self.log_key)

    def __reduce__(self) -> str:
        """Refuse to be pickled: a pickle is a copy of the keys in a place nobody guards."""
        raise TypeError("a key ring is not pickled")

    @classmethod
    def create(cls, path: Path, tenant: str) -> Self:
        """Make a ring of fresh keys at ``path`` (0600); an existing file is never overwritten."""
        ring = cls(tenant, "tk1", *(secrets.token_bytes(_SIZE) for _ in _SECRETS))
        body = {"format": _FORMAT, "tenant": tenant, "tenant_key_id": ring.tenant_key_id} | {
            name: base64.b64encode(getattr(ring, name)).decode() for name in _SECRETS
        }
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise KeyRingError(f"{path.name} exists already; it is never overwritten") from None
        with os.fdopen(handle, "w", encoding="ascii") as file:
            json.dump(body, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        return ring

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the ring, or refuse with a message that names the remedy."""
        try:
            with path.open("rb") as file:
                # The handle's own mode: a check by name could look at another file than we read.
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                text = file.read()
        except FileNotFoundError:
            raise KeyRingError(f"no key ring at {path}; make one with: governance init") from None
        if mode & 0o077:
            raise KeyRingError(f"{path} is readable by others (mode {mode:04o}); run: chmod 600 {path}")
        try:
            body = json.loads(text)
            values = [base64.b64decode(body[name], validate=True) for name in _SECRETS]
            known = body["format"] == _FORMAT and all(len(value) == _SIZE for value in values)
            ring = cls(str(body["tenant"]), str(body["tenant_key_id"]), *values)
        except (ValueError, KeyError, TypeError):
            raise KeyRingError(f"{path} is damaged; restore it from its backup") from None
        if not known or len(set(values)) != len(values):
            raise KeyRingError(f"{path} is damaged; restore it from its backup")
        return ring
