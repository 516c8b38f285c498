"""The JSON-lines conversation: order kept, errors told in their place, never a stop."""

from __future__ import annotations

import io
import json

import pytest
from text_cases import finder, screener

from redaction.streaming import redact_lines, screen_lines

GOOD = {
    "id": "1",
    "text": "国家级品质",
    "channel": "mini_program",
    "purpose": "marketing",
    "audience": "general",
}


def _lines(*objects):
    return [o if isinstance(o, str | bytes) else json.dumps(o, ensure_ascii=False) for o in objects]


def _screen(*objects):
    out = io.StringIO()
    code = screen_lines(_lines(*objects), out, screener())
    return code, [json.loads(line) for line in out.getvalue().splitlines()]


def _redact(*objects):
    out = io.StringIO()
    code = redact_lines(_lines(*objects), out, finder())
    return code, [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_screened_line_has_the_shape_of_the_contract():
    code, (told,) = _screen(GOOD)
    assert code == 0
    assert told["id"] == "1"
    assert told["outcome"] == "block"
    (finding,) = told["findings"]
    assert {"rule", "category", "start", "end", "text", "law", "reason", "suggestion"} <= finding.keys()
    assert (finding["category"], finding["start"], finding["end"], finding["text"]) == (
        "absolute_claim",
        0,
        3,
        "国家级",
    )


def test_a_redacted_line_has_the_shape_of_the_contract():
    code, (told,) = _redact({"id": 7, "text": "手机13800138000请联系"})
    assert code == 0
    assert told == {
        "id": 7,
        "entities": [{"type": "CN_MOBILE", "start": 2, "end": 13, "score": 1.0}],
        "masked": "手机138****8000请联系",
    }


def test_order_is_kept_and_a_bad_line_never_stops_the_next():
    code, told = _screen(
        GOOD,
        "{not json",
        {**GOOD, "id": "3", "channel": "fax"},
        b"\xff\xfe",
        "[]",
        {**GOOD, "id": "6", "text": "你好"},
    )
    assert code == 1
    assert [t["id"] for t in told] == ["1", None, "3", None, None, "6"]
    assert [("error" in t) for t in told] == [False, True, True, True, True, False]


WRONG = [
    {"channel": "fax"},
    {"purpose": "Marketing"},
    {"audience": "child"},
    {"channel": None},
    {"channel": ["sms"]},
    {"text": None},
    {"text": 5},
    {"text": "最" * 60_000},
    {"text": "a" + "\u0301" * 100},
]


@pytest.mark.parametrize("wrong", WRONG, ids=range(len(WRONG)))
def test_a_wrong_word_is_an_error_with_the_id_and_without_an_echo(wrong):
    code, (told,) = _screen({**GOOD, **wrong})
    assert code == 1
    assert told.keys() == {"id", "error"}
    assert told["id"] == "1"
    assert "fax" not in told["error"]
    assert "child" not in told["error"]


@pytest.mark.parametrize("name", [None, True, {"a": 1}, ["x"]])
def test_an_id_is_a_text_or_a_number(name):
    code, (told,) = _redact({"id": name, "text": "你好"})
    assert code == 1
    assert told["id"] is None


def test_empty_lines_are_not_questions():
    code, told = _redact("", "\n", {"id": "a", "text": "你好"}, "   \n")
    assert (code, [t["id"] for t in told]) == (0, ["a"])


def test_half_a_surrogate_pair_does_not_break_the_stream():
    code, told = _redact('{"id":"a","text":"\\ud83d电话13800138000"}', {"id": "b", "text": "好"})
    assert code == 0
    assert told[0]["masked"].endswith("138****8000")
    assert told[1]["id"] == "b"


def test_offsets_are_code_points_of_the_original():
    text = "👨‍👩‍👧家庭&nbsp;卡号６２２５８８００００００００４３"
    _, (told,) = _redact({"id": "a", "text": text})
    (card,) = told["entities"]
    assert text[card["start"] : card["end"]] == "６２２５８８００００００００４３"


def test_an_unexpected_failure_is_told_and_the_stream_goes_on():
    class Broken:
        calls = 0

        def find(self, _text):
            self.calls += 1
            if self.calls == 1:
                raise RuntimeError("13800138000")
            return ()

    out = io.StringIO()
    code = redact_lines(_lines({"id": "a", "text": "x"}, {"id": "b", "text": "y"}), out, Broken())
    told = [json.loads(line) for line in out.getvalue().splitlines()]
    assert code == 1
    assert told[0] == {"id": "a", "error": "this line could not be examined"}
    assert told[1]["masked"] == "y"
