"""The rule library loads strictly, and each rule does what it says of itself."""

from __future__ import annotations

import pytest
from text_cases import draft, rules, screener

from policies.lexicon import LexiconError, load_lexicon
from policies.patterns import PatternError, compiled, read_pattern
from policies.terms import Audience, Channel, FindingCategory, ScreeningPurpose

GOOD = """
[words]
"数" = ["[0-9]+"]

[[rule]]
id = "sample"
category = "absolute_claim"
severity = "block"
law = "广告法 第九条第（三）项"
terms = ["最佳"]
patterns = ["第<数>名"]
reason_zh = "理由"
reason_en = "reason"
suggestion = "删除"
catches = ["最佳"]
spares = ["最近"]
"""

FAULTS = [
    ('id = "sample"', 'id = "Sample"', "small letters"),
    ('id = "sample"', 'id = "sample"\ncolour = "red"', "unknown key colour"),
    ('"absolute_claim"', '"absolute_claims"', "unknown word absolute_claims"),
    ('"block"', '"allow"', "severity is review or block"),
    ('"block"', '"BLOCK"', "unknown word BLOCK"),
    ('law = "广告法 第九条第（三）项"\n', "", "law is missing"),
    ('law = "广告法 第九条第（三）项"', 'law = " "', "law must be"),
    ('terms = ["最佳"]', "terms = []", "not empty"),
    ('terms = ["最佳"]', 'terms = ["最佳", ""]', "not empty"),
    ('terms = ["最佳"]', 'terms = ["最佳", "最佳"]', "twice"),
    ('terms = ["最佳"]', 'terms = "最佳"', "list of texts"),
    ('["第<数>名"]', '["第(<数>名"]', "missing )"),
    ('["第<数>名"]', '["第<数>名)"]', "unexpected )"),
    ('["第<数>名"]', '["第<书>名"]', "unknown word <书>"),
    ('["第<数>名"]', '["[0-9]+"]', "no fixed word"),
    ('["第<数>名"]', '["(?:名)?"]', "empty text"),
    ('["第<数>名"]', '["名(?=次)"]', "pattern"),
    ('["第<数>名"]', '["(名)\\\\1"]', "bad pattern"),
    ('catches = ["最佳"]\n', "", "catches is missing"),
    ('spares = ["最近"]\n', "", "spares is missing"),
    ('terms = ["最佳"]\npatterns = ["第<数>名"]\n', "", "nothing to find"),
    ('terms = ["最佳"]', 'terms = ["最佳"]\nchannels = ["fax"]', "unknown word fax"),
    ('terms = ["最佳"]', 'terms = ["最佳"]\nwhole_words = "yes"', "true or false"),
    ('"数" = ["[0-9]+"]', '"数" = []', "list of words"),
    ("[words]", "[word]", "unknown key word"),
]


@pytest.fixture
def library(tmp_path):
    def write(text: str = GOOD, name: str = "a.toml"):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path

    return write


def test_a_good_library_loads(library):
    (rule,) = load_lexicon(library())
    assert rule.category is FindingCategory.ABSOLUTE_CLAIM
    assert rule.patterns[0].source == "第(?:[0-9]+)名"


@pytest.mark.parametrize(("before", "after", "fault"), FAULTS)
def test_a_fault_stops_the_loading_and_is_named_with_file_and_rule(library, before, after, fault):
    assert before in GOOD
    with pytest.raises(LexiconError) as refused:
        load_lexicon(library(GOOD.replace(before, after)))
    assert any(line.startswith("a.toml") and fault in line for line in refused.value.faults)


def test_all_faults_of_all_files_are_told_at_once(library):
    library(GOOD.replace('"block"', '"stop"').replace('reason_en = "reason"\n', ""))
    with pytest.raises(LexiconError) as refused:
        load_lexicon(
            library(GOOD.replace('"absolute_claim"', '"claim"').replace("[words]", "[word]"), "b.toml")
        )
    assert len(refused.value.faults) >= 4
    assert {line.split(":")[0] for line in refused.value.faults} == {"a.toml", "b.toml"}


def test_an_id_may_be_used_once_in_all_files(library):
    library()
    with pytest.raises(LexiconError, match=r"b.toml: sample: id already used in a.toml"):
        load_lexicon(library(GOOD.replace('[words]\n"数" = ["[0-9]+"]\n', ""), "b.toml"))


def test_an_empty_folder_is_no_library(tmp_path):
    with pytest.raises(LexiconError):
        load_lexicon(tmp_path)


def test_a_file_that_is_no_toml_is_a_fault(library):
    with pytest.raises(LexiconError, match="not TOML"):
        load_lexicon(library("[[rule"))


NEEDS = [
    ("最(?:好|佳)", {"最好", "最佳"}),
    ("[0-9]+(?:天|日)(?:内)?见效", {"天见效", "日见效", "天内见效", "日内见效"}),
    ("集赞|点赞[0-9]", {"集赞", "点赞"}),
    ("x{2,3}abc.", {"abc"}),
    (r"a\.b[^c]d+", {"a.b"}),
]


@pytest.mark.parametrize(("source", "needs"), NEEDS)
def test_a_pattern_names_the_words_it_cannot_do_without(source, needs):
    assert read_pattern(source, {}).needs[0] == needs


def test_every_match_of_a_shipped_pattern_contains_its_needs():
    for rule in rules():
        for text in rule.catches:
            view = text.lower()
            for pattern in rule.patterns:
                for found in compiled(pattern.source).finditer(view):
                    assert all(any(word in found.group() for word in need) for need in pattern.needs)


def test_words_that_refer_to_each_other_are_refused():
    with pytest.raises(PatternError, match="circle"):
        read_pattern("<甲>", {"甲": ("<乙>",), "乙": ("<甲>",)})


def _sent(rule, text):
    return draft(
        text,
        min(rule.channels, default=Channel.MINI_PROGRAM),
        min(rule.purposes, default=ScreeningPurpose.MARKETING),
        min(rule.audiences, default=Audience.GENERAL),
    )


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.id)
def test_a_rule_catches_what_it_says_it_catches(rule):
    for text in rule.catches:
        findings = screener().screen(_sent(rule, text)).findings
        assert any(f.category is rule.category for f in findings), text


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.id)
def test_a_rule_spares_its_near_misses(rule):
    for text in rule.spares:
        findings = screener().screen(_sent(rule, text)).findings
        assert rule.category not in {f.category for f in findings}, text


def test_every_category_has_a_rule():
    covered = {rule.category for rule in rules()}
    assert set(FindingCategory) - covered == {FindingCategory.PRIVACY_EXPOSURE}
