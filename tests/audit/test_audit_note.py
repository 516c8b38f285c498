"""Signed notes, checkpoints and both Ed25519 verifiers against public vectors."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable

import pytest
from audit_making import ORIGIN, a_signer, vectors

from audit import checkpoint, ed25519
from audit.checkpoint import Signer, open_checkpoint, sign
from audit.note import Checkpoint, NoteError, key_of, open_note, parse, parse_checkpoint, parse_key

BOTH = pytest.mark.parametrize("check", [checkpoint.check, ed25519.verify], ids=["library", "plain python"])
Check = Callable[[bytes, bytes, bytes], bool]


@BOTH
def test_public_ed25519_vectors_hold(check: Check) -> None:
    tried = 0
    for group in vectors("wycheproof/ed25519_test.json")["testGroups"]:
        public = bytes.fromhex(group["publicKey"]["pk"])
        for case in group["tests"]:
            held = check(public, bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"]))
            assert held is (case["result"] == "valid"), case["tcId"]
            tried += 1
    assert tried > 100


@pytest.mark.parametrize(
    "public",
    [b"\xff" * 32, (2**255 - 19).to_bytes(32, "little"), b"\x02" + b"\x00" * 31, b"short"],
    ids=["too large", "zero in a second spelling", "not on the curve", "short"],
)
def test_a_key_that_is_no_point_verifies_nothing(public: bytes) -> None:
    assert not ed25519.verify(public, b"", b"\x00" * 64)


@BOTH
def test_public_notes_open_as_they_should(check: Check) -> None:
    for case in vectors("note/open.json")["cases"]:
        text = case["note"] if "note" in case else b64decode(case["note_b64"]).decode("utf-8", "replace")
        keys = [parse_key(one) for one in case["vkeys"]]
        if not case["ok"]:
            with pytest.raises(NoteError):
                open_note(text, keys, check)
            continue
        opened = open_note(text, keys, check)
        assert [one.name for one in opened.verified] == case["verified"], case["name"]
        assert [one.name for one in opened.unverified] == case["unverified"], case["name"]


def test_a_public_note_is_signed_byte_for_byte() -> None:
    known = vectors("note/open.json")["sign"]
    _, _, name, _, coded = known["skey"].split("+", 4)
    assert Signer(name, b64decode(coded)[1:]).sign(known["text"]) == known["want"]


def test_malformed_and_shortened_public_keys_are_refused() -> None:
    known = vectors("note/open.json")
    good = known["cases"][0]["vkeys"][0]
    assert parse_key(good).text == good
    changed = [good[:at] + chr(ord(sign_) + 1) + good[at + 1 :] for at, sign_ in enumerate(good)]
    shortened = [good[begin:end] for begin in range(len(good)) for end in range(begin, len(good))]
    for text in (*known["bad_vkeys"], *changed, *shortened):
        if text != good:
            with pytest.raises(NoteError):
                parse_key(text)


def test_public_checkpoints_open_and_are_signed_alike() -> None:
    known = vectors("note/checkpoint_monkeys.json")
    key = parse_key(known["log_vkey"])
    signer = Signer("monkeys", b64decode(known["log_skey"].split("+", 4)[4])[1:])
    for size in (5, 8):
        text = known[f"checkpoint_{size}"]
        opened = open_checkpoint(text, [key])
        assert (opened.origin, opened.size) == ("monkeys", size)
        assert sign(signer, opened) == text


def test_every_checkpoint_of_a_public_log_opens() -> None:
    known = vectors("tlog/tessera_testlog.json")
    key = parse_key(known["vkey"])
    for size in range(16):
        text = b64decode(known["files_b64"][f"checkpoint.{size}"]).decode()
        assert open_checkpoint(text, [key]).size == size


def test_a_checkpoint_opens_under_its_own_key_only() -> None:
    signer, twin = a_signer(), a_signer(seed=8)
    text = sign(signer, Checkpoint(ORIGIN, 3, b"\x01" * 32))
    assert open_checkpoint(text, [twin.key, signer.key]) == Checkpoint(ORIGIN, 3, b"\x01" * 32)
    for altered in (text.replace("\n3\n", "\n4\n"), text.replace(ORIGIN, "other", 1)):
        with pytest.raises(NoteError):
            open_checkpoint(altered, [signer.key])
    for keys in ([], [twin.key]):
        with pytest.raises(NoteError):
            open_checkpoint(text, keys)


ROOT = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="


@pytest.mark.parametrize(
    "text",
    [
        "",
        "log\n3\n",
        f"log\n03\n{ROOT}\n",
        f"log\n-3\n{ROOT}\n",
        f"log\n３\n{ROOT}\n",
        f"log\n{10**19}\n{ROOT}\n",
        f"\n3\n{ROOT}\n",
        f"log\n3\n{ROOT}",
        f"log\n3\n{ROOT}\nextension\n",
        "log\n3\nAQEB\n",
        "log\n3\nno base64\n",
        f"log\n3\n{ROOT[:-2]}F=\n",
    ],
)
def test_other_lines_are_no_checkpoint(text: str) -> None:
    with pytest.raises(NoteError):
        parse_checkpoint(text)


def test_the_near_miss_is_a_checkpoint() -> None:
    assert parse_checkpoint(f"log\n3\n{ROOT}\n") == Checkpoint("log", 3, b"\x01" * 32)
    assert parse_checkpoint(f"log\n0\n{ROOT}\n").size == 0


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\tb", "a\u3000b"])
def test_a_key_has_a_name_without_spaces(name: str) -> None:
    with pytest.raises(NoteError):
        key_of(name, b"\x01" * 32)


def test_a_signer_does_not_show_its_key() -> None:
    assert (b"\x07" * 32).hex() not in repr(a_signer())


def test_a_note_without_an_empty_line_has_no_signatures() -> None:
    with pytest.raises(NoteError):
        parse("text\n\N{EM DASH} name AAAAAAA=\n")
