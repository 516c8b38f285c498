"""The key ring: every secret of a deployment, in one file that only its owner can read.

Promises that there is no default key, that a file others can read stops the start, and that a key
never prints. The tenant key wraps data keys (``redaction.sealing``); the others sign the log and the
permits, key the blind index, pepper one-time codes and authenticate cursors; receipts have keys derived
from the log's first (HKDF, a label for each use), which stay when the log's key is replaced. The ring lies
outside the database: whoever steals the database holds no key. It is replaced as a whole, never in part.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from redaction.logkeys import KeyRingError, LogKeys

_FORMAT: Final = 1
_ROTATED: Final = 2
"""The format of a ring whose log key was replaced: an older program must not read it as if it was not."""
_RECEIPTS: Final = ("receipt signing", "receipt pseudonyms")
_SECRETS: Final = ("tenant_key", "index_key", "log_key", "permit_key", "pepper", "cursor_key")
_SIZE: Final = 32


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
    log: LogKeys | None = field(default=None, repr=False, kw_only=True)
    kept: tuple[bytes, ...] = field(default=(), repr=False, kw_only=True)
    path: Path | None = field(default=None, repr=False, compare=False, kw_only=True)

    @property
    def receipt_key(self) -> bytes:
        """The Ed25519 seed that signs consent receipts; what it signs never verifies under another key."""
        return self._derived(0)

    @property
    def receipt_names_key(self) -> bytes:
        """The key under which people have their pseudonyms in receipts; those of the log are others."""
        return self._derived(1)

    def log_keys(self) -> LogKeys:
        """Return the log's keys as the file holds them now: another process may have replaced one.

        Raises:
            KeyRingError: the file is missing, readable by others or damaged.
        """
        if self.path is None:
            return self.log or LogKeys(self.log_key)
        now = KeyRing.load(self.path)
        return now.log or LogKeys(now.log_key)

    def prepare_rotation(self, since: int) -> LogKeys:
        """Put a key that is to follow into the file, unless there is one, and return the log's keys.

        Raises:
            KeyRingError: the file cannot be read or written.
        """
        return self._replaced(lambda keys: keys.prepared(secrets.token_bytes(_SIZE), since))

    def finish_rotation(self, last: int) -> LogKeys:
        """Let the coming key take over, the one before having signed no checkpoint larger than ``last``.

        Raises:
            KeyRingError: the file cannot be read or written.
        """
        return self._replaced(lambda keys: keys.taken_over(last))

    def _replaced(self, change: Callable[[LogKeys], LogKeys]) -> LogKeys:
        if self.path is None:
            raise KeyRingError("a ring without a file cannot be changed")
        try:
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                fcntl.flock(folder, fcntl.LOCK_EX)  # two that change it would undo one another's change
                ring = KeyRing.load(self.path)
                before = ring.log or LogKeys(ring.log_key)
                after = change(before)
                if after != before:
                    kept = (ring.receipt_key, ring.receipt_names_key)
                    ring = replace(ring, log_key=after.current, log=after, kept=kept)
                    new = self.path.with_name(f"{self.path.name}.new")  # one left by a crash is written over
                    _write(ring.as_document(), new, os.O_TRUNC)
                    new.replace(self.path)
                    os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise KeyRingError(f"{self.path.name} cannot be replaced ({error.strerror})") from None
        return after

    def as_document(self) -> dict[str, Any]:
        """Return what the file holds."""
        body: dict[str, Any] = {"format": _FORMAT, "tenant": self.tenant, "tenant_key_id": self.tenant_key_id}
        body |= {name: base64.b64encode(getattr(self, name)).decode() for name in _SECRETS}
        if self.log is not None:
            kept = [base64.b64encode(one).decode() for one in self.kept]
            body |= {"format": _ROTATED, "log_keys": self.log.as_document(), "receipt_keys": kept}
        return body

    def _derived(self, which: int) -> bytes:
        if self.kept:
            return self.kept[which]
        use = _RECEIPTS[which]
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
        ring = cls(tenant, "tk1", *(secrets.token_bytes(_SIZE) for _ in _SECRETS), path=path)
        try:
            _write(ring.as_document(), path, os.O_EXCL)
        except FileExistsError:
            raise KeyRingError(f"{path.name} exists already; it is never overwritten") from None
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
            known = body["format"] in (_FORMAT, _ROTATED) and all(len(value) == _SIZE for value in values)
            ring = cls(str(body["tenant"]), str(body["tenant_key_id"]), *values, path=path)
            if body["format"] == _ROTATED:
                kept = tuple(base64.b64decode(one, validate=True) for one in body["receipt_keys"])
                known = known and [len(one) for one in kept] == [_SIZE] * len(_RECEIPTS)
                ring = replace(ring, log=LogKeys.read(ring.log_key, body["log_keys"]), kept=kept)
        except (ValueError, KeyError, TypeError):
            raise KeyRingError(f"{path} is damaged; restore it from its backup") from None
        if not known or len(set(values)) != len(values):
            raise KeyRingError(f"{path} is damaged; restore it from its backup")
        return ring


def _write(document: dict[str, Any], path: Path, how: int) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | how, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        json.dump(document, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
