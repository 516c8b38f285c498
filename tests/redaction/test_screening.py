"""Texts that must be stopped, evasions of them, and compliant texts that must pass."""

from __future__ import annotations

import dataclasses

import pytest
from text_cases import draft, finder, rules, screener, table

from policies.lexicon import LexiconRule
from policies.terms import FindingCategory, RuleId, ScreeningOutcome
from redaction.normalise import Unreadable
from redaction.screening import Screener, Verdict


@pytest.mark.parametrize(("category", "channel", "audience", "text"), table("violations.txt", 4))
def test_a_violation_is_stopped_in_its_category(category, channel, audience, text):
    verdict = screener().screen(draft(text, channel, "marketing", audience))
    assert verdict.outcome is not ScreeningOutcome.ALLOW
    assert category in {f.category.value for f in verdict.findings}


@pytest.mark.parametrize(("category", "text"), table("evasions.txt", 2))
def test_an_evasion_is_stopped_in_its_category(category, text):
    verdict = screener().screen(draft(text))
    assert category in {f.category.value for f in verdict.findings}


@pytest.mark.parametrize(("purpose", "channel", "audience", "text"), table("compliant.txt", 4))
def test_a_compliant_text_passes(purpose, channel, audience, text):
    verdict = screener().screen(draft(text, channel, purpose, audience))
    assert [(f.rule, f.text) for f in verdict.findings] == []
    assert verdict.outcome is ScreeningOutcome.ALLOW


STOPPED = [
    *table("violations.txt", 4),
    *((category, "wecom", "general", text) for category, text in table("evasions.txt", 2)),
]


@pytest.mark.parametrize("row", STOPPED)
def test_every_finding_points_at_what_was_written(row):
    _, channel, audience, text = row
    for finding in screener().screen(draft(text, channel, "marketing", audience)).findings:
        assert 0 <= finding.start < finding.end <= len(text)
        assert finding.text == text[finding.start : finding.end]
        assert finding.law
        assert finding.reason_zh
        assert finding.suggestion


def _outcome(text, **where):
    return screener().screen(draft(text, **where)).outcome


def test_a_verdict_has_no_truth_value():
    with pytest.raises(TypeError):
        bool(Verdict(ScreeningOutcome.ALLOW, ()))


def test_all_findings_are_told_at_once():
    verdict = screener().screen(draft("国家级品质，根治糖尿病，转发3个群领红包，最终解释权归本店"))
    assert {f.category.value for f in verdict.findings} >= {
        "absolute_claim",
        "medical_claim",
        "induced_sharing",
        "unfair_terms",
    }
    assert verdict.outcome is ScreeningOutcome.BLOCK


def test_an_exemption_frees_its_own_claim_and_not_the_sentence():
    assert _outcome("我们追求世界一流的服务") is ScreeningOutcome.ALLOW
    assert _outcome("我们追求世界一流的服务，这是国家级产品") is ScreeningOutcome.BLOCK
    assert _outcome("治愈系绘本，根治失眠") is ScreeningOutcome.BLOCK
    assert _outcome("面包过敏请告知，本班保过") is ScreeningOutcome.BLOCK
    assert _outcome("最佳赏味期七天，全城最佳口味") is ScreeningOutcome.BLOCK


def test_a_guess_is_never_graver_than_review():
    assert _outcome("最好的面膜") is ScreeningOutcome.BLOCK
    assert _outcome("罪好的面膜") is ScreeningOutcome.REVIEW


def test_a_fact_with_time_region_and_source_goes_to_a_person():
    assert _outcome("据某协会2025年统计，本品牌为全国销量第一") is ScreeningOutcome.REVIEW
    assert _outcome("本品牌全国销量第一") is ScreeningOutcome.BLOCK


CROSS_WORD = [
    "面包过敏请告知",
    "环保过滤网到货",
    "您拒绝对账的申请",
    "屋顶级联水槽",
    "积极品读经典",
    "上升值班岗，业主周知",
    "学生发展中心",
    "书包过关检查",
    "快递转运中心搬迁",
    "强调经验分享",
    "加速转动更顺畅",
]


@pytest.mark.parametrize("text", CROSS_WORD)
def test_two_innocent_words_are_no_forbidden_one(text):
    assert _outcome(text) is ScreeningOutcome.ALLOW


OPT_OUT = [
    ("sms", "marketing", True),
    ("email", "marketing", True),
    ("app_push", "marketing", True),
    ("wecom", "marketing", True),
    ("official_account", "marketing", True),
    ("wecom_group", "marketing", False),
    ("mini_program", "marketing", False),
    ("sms", "service", False),
]


@pytest.mark.parametrize(("channel", "purpose", "needed"), OPT_OUT)
def test_a_promotion_says_how_to_refuse_it(channel, purpose, needed):
    without = screener().screen(draft("【邻里生活】鲜奶满59减10", channel, purpose))
    with_it = screener().screen(draft("【邻里生活】鲜奶满59减10，拒收请回复R", channel, purpose))
    assert (FindingCategory.MISSING_OPTOUT in {f.category for f in without.findings}) is needed
    assert with_it.outcome is ScreeningOutcome.ALLOW


PRIVACY = [
    ("wecom_group", "service", "中奖名单：张小明，电话13800138000", "block"),
    ("wecom_group", "service", "李红梅身份证990000199003071235已登记", "block"),
    ("wecom_group", "service", "患者李红梅确诊肺结核", "block"),
    ("sms", "service", "【诊所】您的身份证990000199003071235已登记", "review"),
    ("sms", "marketing", "【商城】卡号6222000000000000012享优惠，退订回T", "block"),
    ("wecom", "service", "您的手机号13800138000已验证", "review"),
    ("wecom", "service", "您的手机号138****8000已验证", "allow"),
    ("wecom", "service", "快递员张师傅电话13800138000正在派送", "allow"),
    ("wecom_group", "service", "物业服务热线0571-88000000", "allow"),
    ("wecom", "service", "张小明先生，您的订单已送达", "allow"),
    ("email", "service", "如有疑问请写信至service@example.com", "allow"),
]


@pytest.mark.parametrize(("channel", "purpose", "text", "outcome"), PRIVACY)
def test_personal_data_in_a_text_is_weighed_by_kind_channel_and_purpose(channel, purpose, text, outcome):
    assert screener().screen(draft(text, channel, purpose)).outcome.value == outcome


def test_a_suggestion_shows_personal_data_masked_only():
    verdict = screener().screen(draft("身份证990000199003071235", "wecom_group", "service"))
    (finding,) = verdict.findings
    assert "990000********1235" in finding.suggestion
    assert "19900307" not in finding.suggestion + finding.reason_zh + finding.reason_en + repr(finding)


def test_a_draft_does_not_show_its_text():
    assert "秘密" not in repr(draft("秘密"))


HOSTILE = [
    "最*" * 20_000,
    "转发" * 20_000,
    "a" * 50_000,
    "最，" * 20_000,
    "&#" * 20_000,
    "【" * 20_000,
    "1" * 50_000,
]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_examined_to_the_end(text):
    found = screener().screen(draft(text)).findings
    assert all(0 <= one.start < one.end <= len(text) for one in found)


def test_a_text_that_cannot_be_read_raises():
    with pytest.raises(Unreadable):
        screener().screen(draft("最" * 1_000_000))


def test_two_thousand_rules_give_the_same_answer_as_the_shipped_ones():
    padding: list[LexiconRule] = []
    while len(rules()) + len(padding) < 2_000:
        number = len(padding)
        source = rules()[number % len(rules())]
        padding.append(
            dataclasses.replace(
                source,
                id=RuleId(f"padding-{number}"),
                terms=(f"填充{number}号词",),
                patterns=(),
                requires=(),
            )
        )
    large = Screener([*rules(), *padding], finder())
    for _, channel, audience, text in table("violations.txt", 4):
        asked = draft(text, channel, "marketing", audience)
        assert large.screen(asked) == screener().screen(asked)
