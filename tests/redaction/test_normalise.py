"""One spelling for a text, and the way back to what was written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redaction.normalise import LONGEST, MOST_MARKS, Unreadable, normalise, suspect, tighten
from redaction.spellings import PLAIN

ONE_SPELLING = [
    ("ＴＯＰ１ ②折", "top1 2折"),
    ("絕無僅有", "绝无仅有"),
    ("&#26368;&nbsp;佳", "最 佳"),
    ("最\u200b高\u2060级", "最高级"),
    ("𝐓𝐎𝐏𝟏", "top1"),
    ("Ⓥ信 🅥信", "v信 v信"),
    ("1️⃣", "1"),
    ("аbsolute", "absolute"),
    ("CAFÉ e\u0301", "cafe e"),
    ("贰拾万", "二十万"),
    ("a\tb\r\nc", "a b\nc"),
]

TIGHT = [
    ("最*高*级", "最高级"),
    ("国 家 级", "国家级"),
    ("最，高，级", "最高级"),
    ("治◆愈", "治愈"),
    ("最🔥好", "最好"),
    ("最\n高\n级", "最高级"),
    ("3.5元 7-10天", "3.5元7-10天"),
    ("top 1", "top 1"),
    ("你好，世界。再见", "你好,世界。再见"),
    ("【品牌】会员日", "【品牌】会员日"),
]

GUESSES = [
    ("罪好", "最好"),
    ("gen治", "根治"),
    ("讠正书", "证书"),
    ("稳赚不陪", "稳赚不赔"),
    ("加薇信", "加微信"),
]


@pytest.mark.parametrize(("written", "plain"), ONE_SPELLING)
def test_a_text_is_brought_into_one_spelling(written, plain):
    assert normalise(written).text == plain


@pytest.mark.parametrize(("written", "tight"), TIGHT)
def test_what_stands_between_chinese_signs_is_left_out(written, tight):
    assert tighten(normalise(written)).text == tight


@pytest.mark.parametrize(("written", "guess"), GUESSES)
def test_homophones_pinyin_and_split_signs_are_guessed(written, guess):
    guessed = suspect(tighten(normalise(written)))
    assert guessed is not None
    view, places = guessed
    assert view.text == guess
    assert places


def test_a_text_without_doubtful_signs_has_no_second_view():
    assert suspect(normalise("周六上午开课")) is None


def test_a_plain_text_needs_no_map():
    assert isinstance(normalise("周六上午十点，欢迎参加").starts, range)


@given(st.text(max_size=200))
def test_every_sign_points_back_into_the_original(text):
    plain = normalise(text)
    views = [plain, tighten(plain)]
    guessed = suspect(views[1])
    if guessed is not None:
        views.append(guessed[0])
    for view in views:
        assert len(view.text) == len(view.starts) == len(view.ends)
        assert all(0 <= a < b <= len(text) for a, b in zip(view.starts, view.ends, strict=True))
        assert list(view.starts) == sorted(view.starts)


@given(st.text(alphabet="最*高 级\u200b，🔥&#;国國Ｔ1", max_size=60))
def test_normalising_twice_changes_nothing_more(text):
    once = tighten(normalise(text)).text
    if "&" not in once:
        assert normalise(once).text == once


def test_a_span_leads_back_to_the_whole_of_what_was_written():
    written = "我们是最 * 高 * 级的"
    view = tighten(normalise(written))
    at = view.text.index("最高级")
    start, end = view.span(at, at + 3)
    assert written[start:end] == "最 * 高 * 级"


def test_the_traditional_table_gives_signs_that_are_final():
    assert all(PLAIN.get(sign, sign) == sign for plain in PLAIN.values() for sign in plain)


@pytest.mark.parametrize(
    "bomb",
    ["a" + "\u0301" * (MOST_MARKS + 1), "最" + "\u0489" * 40_000, "x" * (LONGEST + 1), "最" * 1_000_000],
    ids=["marks", "many marks", "long", "one megabyte"],
)
def test_a_text_that_cannot_be_read_safely_is_refused(bomb):
    with pytest.raises(Unreadable) as refused:
        normalise(bomb)
    assert "最" not in str(refused.value)


def test_marks_up_to_the_limit_are_a_text():
    assert normalise("a" + "\u0301" * MOST_MARKS).text == "a"
