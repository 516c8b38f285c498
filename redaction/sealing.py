"""Field-level AES-256-GCM, bound to its place.

A sealed value names its algorithm, key and nonce, and opens only by an explicit call that says where
it stands: subject, entity, record, field, class. Wrong place, wrong key and damaged bytes fail alike,
with one message. Data keys exist once per owner and class and are wrapped by the tenant key, so that
destroying one wrapped key erases exactly one class of one person. Nonces are random, 96 bits; a data
key seals far fewer than 2^32 values (NIST SP 800-38D §8.3).
"""

from __future__ import annotations

import os
import struct
from collections import OrderedDict
from typing import Final, NamedTuple, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from policies.terms import KeyClass
from redaction.keys import KeyRing

_VERSION: Final = 1
_AES_256_GCM: Final = 1
_HEADER: Final = struct.Struct(">BBH")
_NONCE: Final = 12
_TAG: Final = 16
ALGORITHM: Final = _AES_256_GCM
"""What new values are sealed with, as a number that stands in each of them."""
_KEY_SIZE: Final = 32
_OPEN_KEYS: Final = 4096


class SealError(Exception):
    """A sealed value did not open. There is one message for every cause."""

    def __init__(self) -> None:
        super().__init__("the sealed value does not open here")


class Sealed:
    """Bytes nobody can read by accident: no repr, no equality with text, no pickle."""

    __slots__ = ("_cell",)

    def __init__(self, cell: bytes) -> None:
        self._cell = cell

    @property
    def cell(self) -> bytes:
        """The stored form: version, algorithm, key id, nonce, ciphertext and tag."""
        return self._cell

    def __repr__(self) -> str:
        return "<sealed>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a sealed value is not pickled")


class Place(NamedTuple):
    """Where a value belongs. Entity and field are stable logical names, not table names."""

    subject_id: str
    entity: str
    record_id: str
    field: str
    key_class: KeyClass


class WrappedKey(NamedTuple):
    """A data key as it lies in the key store: useless without the tenant key."""

    kid: str
    owner_id: str
    key_class: KeyClass
    wrapped: bytes


def _bound(label: str, *parts: str) -> bytes:
    """Return label and parts as one unambiguous string: each part goes behind its length."""
    return (label + "".join([f"{len(part)}:{part}" for part in parts])).encode()


class Sealer:
    """Seals and opens values with the keys of one ring. Thread-safe for opening and sealing."""

    def __init__(self, ring: KeyRing) -> None:
        self._tenant = ring.tenant
        self._tenant_key_id = ring.tenant_key_id
        self._tenant_key = AESGCM(ring.tenant_key)
        # By the whole wrapped row, owner and class included: a destroyed, replaced or moved key is not
        # found again, because its row is read from the key store in every deciding transaction.
        self._open_keys: OrderedDict[WrappedKey, AESGCM] = OrderedDict()

    def new_key(self, kid: str, owner_id: str, key_class: KeyClass) -> WrappedKey:
        """Make a fresh data key for one owner and class and return it wrapped."""
        nonce = os.urandom(_NONCE)
        place = self._key_place(kid, owner_id, key_class)
        wrapped = nonce + self._tenant_key.encrypt(nonce, os.urandom(_KEY_SIZE), place)
        return WrappedKey(kid, owner_id, key_class, wrapped)

    def seal(self, key: WrappedKey, place: Place, text: str) -> Sealed:
        """Seal a text at its place."""
        nonce = os.urandom(_NONCE)
        ciphertext = self._unwrap(key, place).encrypt(nonce, text.encode(), self._cell_place(key, place))
        kid = key.kid.encode()
        return Sealed(_HEADER.pack(_VERSION, _AES_256_GCM, len(kid)) + kid + nonce + ciphertext)

    def open(self, key: WrappedKey, place: Place, sealed: Sealed) -> str:
        """Return the text sealed at exactly this place with exactly this key, or raise SealError."""
        cell = sealed.cell
        try:
            version, algorithm, size = _HEADER.unpack_from(cell)
            start = _HEADER.size + size
            named = cell[_HEADER.size : start] == key.kid.encode()
            # The key is chosen by its id alone, never by trying: AES-GCM does not commit to its key.
            if (version, algorithm) != (_VERSION, _AES_256_GCM) or not named:
                raise SealError
            nonce, ciphertext = cell[start : start + _NONCE], cell[start + _NONCE :]
            opened = self._unwrap(key, place).decrypt(nonce, ciphertext, self._cell_place(key, place))
            return opened.decode()
        except (InvalidTag, struct.error, ValueError):
            raise SealError from None

    def _unwrap(self, key: WrappedKey, place: Place) -> AESGCM:
        if (key.owner_id, key.key_class) != (place.subject_id, place.key_class):
            raise SealError
        cached = self._open_keys.get(key)
        if cached is not None:
            return cached
        nonce, body = key.wrapped[:_NONCE], key.wrapped[_NONCE:]
        try:
            opened = self._tenant_key.decrypt(
                nonce, body, self._key_place(key.kid, key.owner_id, key.key_class)
            )
        except (InvalidTag, ValueError):
            raise SealError from None
        cached = self._open_keys[key] = AESGCM(opened)
        if len(self._open_keys) > _OPEN_KEYS:
            self._open_keys.popitem(last=False)
        return cached

    def _key_place(self, kid: str, owner_id: str, key_class: KeyClass) -> bytes:
        return _bound("gov/dek/v1\0", self._tenant, self._tenant_key_id, owner_id, key_class, kid)

    def _cell_place(self, key: WrappedKey, place: Place) -> bytes:
        return _bound(
            "gov/field/v1\0",
            self._tenant,
            place.subject_id,
            place.entity,
            place.record_id,
            place.field,
            place.key_class,
            key.kid,
            str(_AES_256_GCM),
        )
