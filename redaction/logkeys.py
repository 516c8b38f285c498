"""The keys that have signed, sign and will sign the log, as the ring keeps them.

Promises that a rotation has two steps that can each be repeated: a coming key is put beside the one that
signs, and takes its place once a checkpoint bears both signatures. Of a key that was replaced the public
half stays, with the size of the last checkpoint that it may have signed; the private half is gone.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SIZE: Final = 32


class KeyRingError(Exception):
    """The key ring is missing, readable by others or damaged; the message says what to do."""


class RetiredKey(NamedTuple):
    """A key that signs no more: its public half, and the largest checkpoint that it may have signed."""

    public: bytes
    last: int


@dataclass(frozen=True, slots=True)
class ComingKey:
    """A key that is to take over; the log's entry that says so stands at ``since`` or after."""

    seed: bytes = field(repr=False)
    since: int


@dataclass(frozen=True, slots=True)
class LogKeys:
    """The seed that signs, the keys before it in order, and the one that is to follow, if any."""

    current: bytes = field(repr=False)
    retired: tuple[RetiredKey, ...] = ()
    coming: ComingKey | None = None

    @property
    def rotated(self) -> bool:
        """Whether there is more to keep than one key."""
        return bool(self.retired) or self.coming is not None

    def prepared(self, seed: bytes, since: int) -> LogKeys:
        """Return the keys with this one to follow; a key that is coming already stays the one."""
        return self if self.coming is not None else replace(self, coming=ComingKey(seed, since))

    def taken_over(self, last: int) -> LogKeys:
        """Return the keys after the coming one took over; without one they stay as they are."""
        if self.coming is None:
            return self
        public = Ed25519PrivateKey.from_private_bytes(self.current).public_key().public_bytes_raw()
        return LogKeys(self.coming.seed, (*self.retired, RetiredKey(public, last)))

    def as_document(self) -> dict[str, Any]:
        """Return what the ring's file holds beside the key that signs."""
        coming = self.coming
        return {
            "retired": [{"public": _coded(one.public), "last": one.last} for one in self.retired],
            "coming": None if coming is None else {"key": _coded(coming.seed), "since": coming.since},
        }

    @classmethod
    def read(cls, current: bytes, document: Mapping[str, Any]) -> LogKeys:
        """Return the keys in a ring's file.

        Raises:
            ValueError, KeyError, TypeError: the file is damaged.
        """
        retired = tuple(
            RetiredKey(_decoded(one["public"]), _size(one["last"])) for one in document["retired"]
        )
        coming = document["coming"]
        follows = None if coming is None else ComingKey(_decoded(coming["key"]), _size(coming["since"]))
        sizes = [one.last for one in retired]
        if sizes != sorted(set(sizes)):
            raise ValueError("the keys' sizes are out of order")
        return cls(current, retired, follows)


def _coded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decoded(text: str) -> bytes:
    data = base64.b64decode(text, validate=True)
    if len(data) != SIZE:
        raise ValueError("a key has 32 bytes")
    return data


def _size(number: object) -> int:
    if type(number) is not int or number < 0:
        raise TypeError("a size is a number")
    return number
