"""Bundles made to break whoever opens them end in a code, never in a traceback, and soon."""

from __future__ import annotations

import io
import json
import random
import struct
import zipfile
from collections.abc import Callable
from functools import cache

import pytest
from bundle_making import (
    MADE_AT,
    changed,
    checked,
    found,
    lines_changed,
    made,
    members,
    packed,
    small_log,
    spelt_line,
)

from audit import bundlemain
from audit.bundlefile import CHECKPOINT, CSV, HASHES, JSONL, MANIFEST, PROOF, parse_manifest
from audit.bundlerows import Rows
from audit.verdicts import Exit, What

FIRST, END = 3, 60


@cache
def whole() -> bytes:
    return made(small_log(80), FIRST, END)


def with_members(data: bytes, *further: tuple[str, bytes], compress: int = zipfile.ZIP_DEFLATED) -> bytes:
    sink = io.BytesIO(data)
    with zipfile.ZipFile(sink, "a", compress) as archive, pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *_args, **_how: None)  # the library warns of twins
        for name, content in further:
            archive.writestr(name, content)
    return sink.getvalue()


def bomb(name: str, size: int) -> bytes:
    parts = members(whole())
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for one, content in parts.items():
            how = zipfile.ZIP_STORED if one == HASHES else zipfile.ZIP_DEFLATED
            if one == name:
                with archive.open(name, "w", force_zip64=True) as member:
                    for _ in range(size >> 20):
                        member.write(b" " * (1 << 20))
            else:
                archive.writestr(one, content, how)
    return sink.getvalue()


def packed_otherwise(data: bytes, name: str, how: int) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for one, content in members(data).items():
            usual = zipfile.ZIP_STORED if one == HASHES else zipfile.ZIP_DEFLATED
            archive.writestr(one, content, how if one == name else usual)
    return sink.getvalue()


def encrypted(data: bytes) -> bytes:
    """Set the flag that says a member is encrypted, in the list at the end."""
    at = data.index(b"PK\x01\x02")
    flags = struct.unpack_from("<H", data, at + 8)[0] | 1
    return data[: at + 8] + struct.pack("<H", flags) + data[at + 10 :]


NO_BUNDLES: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "text": lambda: b"hello\n",
    "another zip": lambda: packed({"a.txt": b"a"}),
    "cut in half": lambda: whole()[: len(whole()) // 2],
    "no directory": lambda: whole()[:-22],
    "a further member": lambda: with_members(whole(), ("notes.txt", b"x")),
    "a path": lambda: with_members(whole(), ("../../etc/passwd", b"x")),
    "a path of a member": lambda: with_members(whole(), ("./manifest.json", b"x")),
    "a folder": lambda: with_members(whole(), ("sub/", b"")),
    "a twin": lambda: with_members(whole(), (JSONL, b"")),
    "a twin manifest": lambda: with_members(whole(), (MANIFEST, members(whole())[MANIFEST])),
    "encrypted": lambda: encrypted(whole()),
    "packed with bzip2": lambda: packed_otherwise(whole(), JSONL, zipfile.ZIP_BZIP2),
    "packed with lzma": lambda: packed_otherwise(whole(), CSV, zipfile.ZIP_LZMA),
    "hashes compressed": lambda: packed_otherwise(whole(), HASHES, zipfile.ZIP_DEFLATED),
    "a bomb of a manifest": lambda: bomb(MANIFEST, 200 << 20),
    "a bomb of lines": lambda: bomb(JSONL, 200 << 20),
    "a bomb of rows": lambda: bomb(CSV, 200 << 20),
    "a long checkpoint": lambda: changed(whole(), CHECKPOINT, lambda _: random.Random(1).randbytes(1 << 20)),
    "a manifest not in UTF-8": lambda: changed(whole(), MANIFEST, lambda _: b"\xff"),
    "a manifest of brackets": lambda: changed(whole(), MANIFEST, lambda _: b"[" * 60_000),
    "a proof of brackets": lambda: changed(whole(), PROOF, lambda _: b'{"left":' * 7_000),
    "a proof of numbers": lambda: changed(whole(), PROOF, lambda _: b'{"left": [1], "right": [2]}'),
    "a checkpoint not in UTF-8": lambda: changed(whole(), CHECKPOINT, lambda _: b"\xfe\xff"),
}  # fmt: skip


@pytest.mark.parametrize("how", NO_BUNDLES)
def test_what_is_no_bundle_is_called_so(how: str) -> None:
    assert found(checked(NO_BUNDLES[how]()))[:2] == (6, What.NO_BUNDLE)


WRONG_PARTS: list[tuple[str, object]] = [
    ("size", "80"), ("size", 80.0), ("size", True), ("size", -1), ("size", 10**30), ("first", None),
    ("first", -3),
    ("first", 61), ("end", 2), ("end", [60]), ("entries", {}), ("entries", -1), ("filtered", 0),
    ("filtered", "no"),
    ("origin", 1), ("origin", None), ("key", []), ("filter", None), ("made_at", 5), ("format", "other/v9"),
    ("statement", "all is well"), ("further", 1),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), WRONG_PARTS, ids=str)
def test_a_manifest_of_another_form_is_refused(name: str, value: object) -> None:
    def change(text: bytes) -> bytes:
        return json.dumps({**json.loads(text), name: value}, ensure_ascii=False, indent=1).encode() + b"\n"

    assert found(checked(changed(whole(), MANIFEST, change)))[:2] == (6, What.NO_BUNDLE)


def test_a_manifest_that_says_something_twice_is_refused() -> None:
    twice = changed(whole(), MANIFEST, lambda text: text.replace(b'"first"', b'"first": 0,\n "first"'))
    assert found(checked(twice))[:2] == (6, What.NO_BUNDLE)


WRONG_LINES = [
    b"\n", b"[]\n", b"null\n", b"\xff\xfe\n", b"{}\n", b"[" * 200_000 + b"\n", b"9" * 10_000 + b"\n",
    b'{"index":' + b"9" * 5_000 + b',"leaf_b64":"","decoded":{}}\n',
    b'{"index":true,"leaf_b64":"","decoded":{}}\n',
    b'{"index":10.0,"leaf_b64":"","decoded":{}}\n',
    b'{"index":10,"leaf_b64":7,"decoded":{}}\n',
    b'{"index":10,"leaf_b64":"*","decoded":{}}\n',
    '{"index":10,"leaf_b64":"é","decoded":{}}\n'.encode(),
    b'{"index":10,"leaf_b64":"","decoded":{},"more":1}\n',
    b'{"index":10,"index":10,"leaf_b64":"","decoded":{}}\n',
    b'{"index":10,"leaf_b64":"","decoded":NaN}\n',
    b'{"index":10,"leaf_b64":"","decoded":{}}',
    b"x" * 300_000,
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG_LINES, ids=lambda wrong: wrong[:40].decode("latin-1").strip())
def test_a_malformed_line_is_named_with_its_index(wrong: bytes) -> None:
    code, _, index = found(checked(lines_changed(whole(), lambda lines: lines.__setitem__(7, wrong))))
    assert (code, index) == (1, 10)


@pytest.mark.parametrize("decoded", [b"null", b"[]", b'"x"', b"1e999", b"{}", b'{"v":1.0}', b'{"v":true}'])
def test_what_is_shown_must_be_what_the_leaf_says_in_value_and_kind(decoded: bytes) -> None:
    def change(lines: list[bytes]) -> None:
        start = lines[7].index(b'"decoded":') + len(b'"decoded":')
        rest = (
            lines[7][start:].replace(b'"v":1', decoded[1:-1])
            if decoded.startswith(b'{"')
            else decoded + b"}\n"
        )
        lines[7] = lines[7][:start] + rest

    assert found(checked(lines_changed(whole(), change))) == (1, What.DECODED, 10)


def test_endless_strays_are_read_no_further_than_a_hundred(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    usual = Rows._read
    monkeypatch.setattr(Rows, "_read", lambda self, expected: (read.append(1), usual(self, expected))[1])
    draw = random.Random(1)
    strays = [spelt_line(END, draw.randbytes(90), {}) for _ in range(5_000)]
    data = lines_changed(whole(), lambda lines: lines.extend(strays))
    assert found(checked(data))[:2] == (1, What.ADDED)
    assert len(read) < 200


def test_every_single_flipped_byte_is_noticed_or_harmless() -> None:
    """Headers hold bytes that mean nothing (times, versions); no flip raises, none changes what is held."""
    data, draw = whole(), random.Random(20261124)
    for at in draw.sample(range(len(data)), 1_500):
        flipped = data[:at] + bytes([data[at] ^ 1 << draw.randrange(8)]) + data[at + 1 :]
        report = checked(flipped)
        if report.report.exit is Exit.OK:
            assert members(flipped) == members(data)


def test_every_cut_is_noticed() -> None:
    data = whole()
    for end in range(0, len(data), 97):
        assert checked(data[:end]).report.exit is not Exit.OK


@pytest.mark.parametrize("sign", ["\x1b[2K", "\n", "\r", "\x9b2K", "\u202e"])
def test_a_name_that_would_write_over_the_result_is_shown_and_not_obeyed(sign: str) -> None:
    def rename(text: bytes) -> bytes:
        told = parse_manifest(text.decode())
        return told._replace(origin=f"a{sign}b").text.encode()

    said = bundlemain.lines(checked(changed(whole(), MANIFEST, rename)))
    assert said[0].startswith(f"a\\u{ord(sign[0]):04x}")
    assert all(line.replace("\n", "").isprintable() for line in said)
    assert not any("\n" in line for line in said[:2])


def test_the_log_of_the_tests_is_in_order() -> None:
    assert found(checked(whole())) == (0, None, None)
    assert MADE_AT in members(whole())[MANIFEST].decode()
