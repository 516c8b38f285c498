"""A sealed value opens at its own place with its own key, and nowhere else; keys are never shown."""

from __future__ import annotations

import dataclasses
import os
import pickle
from pathlib import Path

import pytest

from policies.terms import KeyClass
from redaction.keys import KeyRing
from redaction.logkeys import KeyRingError
from redaction.lookup import BlindIndex, normal_mobile
from redaction.sealing import Place, Sealed, Sealer, SealError, WrappedKey

HOME = Place("mem_a", "member", "mem_a", "blood_pressure", KeyClass.SENSITIVE)
TEXT = "118/76 mmHg"


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    return KeyRing.create(tmp_path / "keys.json", "family")


@pytest.fixture
def sealer(ring: KeyRing) -> Sealer:
    return Sealer(ring)


@pytest.fixture
def key(sealer: Sealer) -> WrappedKey:
    return sealer.new_key("key_1", "mem_a", KeyClass.SENSITIVE)


def test_a_value_opens_at_its_place(sealer: Sealer, key: WrappedKey) -> None:
    assert sealer.open(key, HOME, sealer.seal(key, HOME, TEXT)) == TEXT


def test_the_same_value_never_looks_the_same_twice(sealer: Sealer, key: WrappedKey) -> None:
    cells = {sealer.seal(key, HOME, TEXT).cell for _ in range(100)}
    assert len(cells) == 100
    assert all(TEXT.encode() not in cell for cell in cells)


SWAPS = {
    "another subject": {"subject_id": "mem_b"},
    "another entity": {"entity": "household"},
    "another record": {"record_id": "mem_b"},
    "another field": {"field": "allergies"},
    "another class": {"key_class": KeyClass.BASIC},
}


@pytest.mark.parametrize("elsewhere", SWAPS.values(), ids=SWAPS.keys())
def test_a_moved_value_does_not_open(sealer: Sealer, key: WrappedKey, elsewhere: dict[str, str]) -> None:
    sealed = sealer.seal(key, HOME, TEXT)
    with pytest.raises(SealError) as refused:
        sealer.open(key, HOME._replace(**elsewhere), sealed)
    assert str(refused.value) == str(SealError())


def test_a_ring_of_another_tenant_opens_nothing(ring: KeyRing, sealer: Sealer, key: WrappedKey) -> None:
    sealed = sealer.seal(key, HOME, TEXT)
    other = Sealer(dataclasses.replace(ring, tenant="somebody-else"))
    with pytest.raises(SealError):
        other.open(key, HOME, sealed)


def test_a_wrapped_key_moved_to_another_owner_or_class_does_not_unwrap(
    sealer: Sealer, key: WrappedKey
) -> None:
    sealer.seal(key, HOME, TEXT)  # the key is open and remembered; a moved row must not profit from that
    for moved, place in (
        (key._replace(owner_id="mem_b"), HOME._replace(subject_id="mem_b")),
        (key._replace(key_class=KeyClass.BASIC), HOME._replace(key_class=KeyClass.BASIC)),
        (key._replace(kid="key_2"), HOME),
    ):
        with pytest.raises(SealError):
            sealer.seal(moved, place, TEXT)


def test_every_changed_bit_and_every_cut_is_refused_alike(sealer: Sealer, key: WrappedKey) -> None:
    cell = sealer.seal(key, HOME, TEXT).cell
    damaged = [cell[:i] + bytes([cell[i] ^ 1]) + cell[i + 1 :] for i in range(len(cell))]
    damaged += [cell[:length] for length in range(len(cell))] + [cell + b"\0"]
    for one in damaged:
        with pytest.raises(SealError) as refused:
            sealer.open(key, HOME, Sealed(one))
        assert str(refused.value) == str(SealError())


def test_nothing_secret_prints_or_is_pickled(ring: KeyRing, sealer: Sealer, key: WrappedKey) -> None:
    sealed = sealer.seal(key, HOME, TEXT)
    assert repr(sealed) == str(sealed) == "<sealed>"
    assert ring.tenant_key.hex() not in repr(ring)
    assert repr(ring.tenant_key) not in repr(ring)
    for secret in (sealed, ring):
        with pytest.raises(TypeError):
            pickle.dumps(secret)


def test_a_key_ring_is_private_fresh_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    ring = KeyRing.create(path, "family")
    assert path.stat().st_mode & 0o777 == 0o600
    assert KeyRing.load(path) == ring
    secrets = [ring.tenant_key, ring.index_key, ring.log_key, ring.permit_key, ring.pepper, ring.cursor_key]
    assert len(set(secrets)) == len(secrets)
    with pytest.raises(KeyRingError):
        KeyRing.create(path, "family")
    path.chmod(0o640)
    with pytest.raises(KeyRingError, match="chmod 600"):
        KeyRing.load(path)
    path.chmod(0o600)
    path.write_bytes(os.urandom(40))
    with pytest.raises(KeyRingError, match="damaged"):
        KeyRing.load(path)


NUMBERS = {
    "15400001002": "15400001002",
    "+86 154 0000 1002": "15400001002",
    "(0086)154-0000-1002": "15400001002",
    "１５４００００１００２": "15400001002",
    "154000010021": None,
    "1540000100": None,
    "12400001002": None,
    "": None,
    "1" * 10_000: None,
}


@pytest.mark.parametrize(("spelt", "digits"), NUMBERS.items(), ids=range(len(NUMBERS)))
def test_a_number_has_one_normal_form(spelt: str, digits: str | None) -> None:
    assert normal_mobile(spelt) == digits


def test_an_index_token_tells_nothing_without_its_key_and_differs_between_tenants(ring: KeyRing) -> None:
    index = BlindIndex(ring.index_key, "family")
    token = index.mobile("15400001002")
    assert token == index.mobile("+86 154-0000-1002")
    assert token is not None
    assert len(token) == 16
    assert token != index.mobile("15400001003")
    assert token != BlindIndex(ring.index_key, "another").mobile("15400001002")
    assert token != BlindIndex(ring.pepper, "family").mobile("15400001002")
    assert index.mobile("not a number") is None
