"""Personal data in text: every marked place exactly, and nothing in texts that only look like it."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest
import regex
from text_cases import finder, marked, table

from policies.terms import EntityType
from redaction import checksums, recognisers
from redaction.cues import possible_kinds
from redaction.entities import Unfinished
from redaction.identifiers import SHAPES, Shape
from redaction.normalise import normalise

LINES = [row[0] for row in table("identifiers.txt", 1)]


@pytest.mark.parametrize("line", LINES)
def test_what_is_marked_is_found_and_nothing_else(line):
    text, said = marked(line)
    assert [(e.type.value, e.start, e.end) for e in finder().find(text)] == said


@pytest.mark.parametrize("line", LINES)
def test_the_cheap_look_never_rules_out_a_kind_that_is_there(line):
    text, said = marked(line)
    structured = {shape.type for shape in SHAPES}
    there = {EntityType(kind) for kind, _, _ in said} & structured
    assert there <= possible_kinds(normalise(text).text)


@pytest.mark.parametrize("line", [line for line in LINES if "CN_MOBILE" in line or "CN_ID_CARD" in line])
def test_found_places_do_not_move_when_invisible_signs_stand_before(line):
    text, said = marked(line)
    moved = [(kind, start + 2, end + 2) for kind, start, end in said]
    assert [(e.type.value, e.start, e.end) for e in finder().find("\u200b\ufeff" + text)] == moved


CHECKED = [
    (checksums.id_card, "990000199003071235", True),
    (checksums.id_card, "990000199003071234", False),
    (checksums.id_card, "990000199013071235", False),
    (checksums.id_card, "99000019900307003x", True),
    (checksums.old_id_card, "110101900307123", True),
    (checksums.old_id_card, "110101901307123", False),
    (checksums.luhn, "6222000000000000012", True),
    (checksums.luhn, "6222000000000000013", False),
    (checksums.luhn, "0000000000000000", False),
    (checksums.credit_code, "91990000ma00000008", True),
    (checksums.credit_code, "91990000ma00000009", False),
    (checksums.credit_code, "91990000mi00000008", False),
    (checksums.foreign_residence, "911156199001011232", True),
    (checksums.foreign_residence, "990000199003071235", False),
]


@pytest.mark.parametrize(("check", "value", "answer"), CHECKED)
def test_check_digits(check, value, answer):
    assert check(value) is answer


def test_a_pattern_out_of_time_is_a_failure_and_not_an_absence(monkeypatch):
    monkeypatch.setattr(recognisers, "_SECONDS", 1e-9)
    slow = Shape(EntityType.QQ, r"(?:a|aa)+$b", 0.5)
    recogniser = recognisers.ShapeRecogniser(EntityType.QQ, (slow,))
    with pytest.raises(Unfinished):
        recogniser.analyze("a" * 4_000, [])


HOSTILE = {
    "digits": "1" * 40_000,
    "digits and spaces": "1 " * 20_000,
    "at signs": "a@" * 20_000,
    "dots": "a." * 20_000,
    "surnames": "王" * 20_000,
    "roads": "路1号" * 10_000,
    "brackets": "[[" * 20_000,
    "colons": "aa:" * 10_000,
    "labels": "姓名：" * 10_000,
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_is_searched_to_the_end_or_refused(text):
    try:
        found = finder().find(text)
    except Unfinished:
        found = ()
    assert all(0 <= one.start < one.end <= len(text) for one in found)


def test_no_shape_can_run_away():
    for shape in SHAPES:
        program = regex.compile(shape.pattern)
        for text in ("1" * 3_000, "1-" * 1_500, "a" * 3_000, "a." * 1_500, "京a" * 1_500, "0" * 3_000):
            found = list(program.finditer(text, timeout=5))
            assert all(one.end() <= len(text) for one in found)


def test_finding_opens_no_connection(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert finder().find("邮箱li.lei@example.com，网址 https://shop.example/x")


def test_presidio_is_not_imported_before_it_is_needed():
    script = (
        "import sys, redaction.finding, redaction.screening, redaction.streaming, redaction.masking;"
        "sys.exit('presidio_analyzer' in sys.modules or 'rjieba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False, cwd=_root()).returncode == 0


def _root():
    from pathlib import Path  # noqa: PLC0415

    import redaction  # noqa: PLC0415

    return Path(redaction.__file__).parents[1]
