"""The masks: what each kind of value shows, and that a damaged value shows nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.terms import EntityType
from redaction.entities import Entity, settle
from redaction.masking import HIDDEN, mask, mask_spans

MASKS = [
    ("CN_ID_CARD", "990000199003071235", "990000********1235"),
    ("CN_ID_CARD", "990000 19900307 1235", "990000********1235"),
    ("CN_ID_CARD", "９９００００１９９００３０７１２３５", "990000********1235"),
    ("CN_ID_CARD", "110101900307123", "110101******123"),
    ("CN_MOBILE", "13800138000", "138****8000"),
    ("CN_MOBILE", "+86 138-0013-8000", "138****8000"),
    ("CN_MOBILE", "138\u200b00138000", "138****8000"),
    ("CN_LANDLINE", "010-62345678", "010-****5678"),
    ("CN_LANDLINE", "(0571)88000000-801", "0571-****0000"),
    ("BANK_CARD", "6222 0000 0000 0000 012", "6222 **** **** 0012"),
    ("CN_USCC", "91990000MA00000008", "9199************08"),
    ("CN_PASSPORT", "E12345678", "E****5678"),
    ("CN_HKM_PERMIT", "C12345678", "C****5678"),
    ("CN_HOME_RETURN", "H1234567801", "H****7801"),
    ("CN_TW_PERMIT", "12345678", "1****678"),
    ("CN_FOREIGN_PR", "911156199001011232", "9****************2"),
    ("CN_PLATE", "京A12345", "京A***45"),
    ("CN_PLATE", "浙AD12345", "浙A****45"),
    ("DRIVER_FILE", "990100123456", "9901****3456"),
    ("SOCIAL_SECURITY", "A12345678", "*****5678"),
    ("MEDICAL_RECORD", "ZY20240001", "******0001"),
    ("WECHAT_ID", "xiaoming88", "xia***88"),
    ("WECHAT_ID", "abc123", "a***3"),
    ("QQ", "2812303", "28***03"),
    ("EMAIL", "li.lei@example.com", "l***@example.com"),
    ("EMAIL", "a@example.com", "***@example.com"),
    ("IP_ADDRESS", "10.2.30.40", "10.2.*.*"),
    ("IP_ADDRESS", "2001:db8::1", "2001:db8:****"),
    ("MAC_ADDRESS", "AA:BB:CC:00:11:22", "AA:BB:**:**:**:**"),
    ("PERSON", "张三", "张*"),
    ("PERSON", "张小明", "张*明"),
    ("PERSON", "欧阳娜娜", "欧阳**"),
    ("PERSON", "John Smith", "J***"),
    ("ADDRESS", "北京市朝阳区建国路88号", "北京市朝阳区***"),
    ("ADDRESS", "建国路88号", "***"),
    ("BIRTH_DATE", "1986年3月7日", "1986-**-**"),
    ("HEALTH", "2型糖尿病", "[健康信息]"),
]
DAMAGED = [
    "",
    " ",
    "1",
    "张",
    "不是号码",
    "1234",
    "x" * 5_000,
    "13800138",
    "1" * 24,
    "a@b@",
    "@@",
    "-",
]
TELLS_NOTHING = {HIDDEN, "*", "[健康信息]", "****-**-**", "张*"}


@pytest.mark.parametrize(("kind", "value", "masked"), MASKS)
def test_a_value_is_masked_in_the_form_of_its_kind(kind, value, masked):
    assert mask(EntityType(kind), value) == masked


@pytest.mark.parametrize("value", DAMAGED)
@pytest.mark.parametrize("kind", ["CN_ID_CARD", "CN_MOBILE", "BANK_CARD", "EMAIL", "CN_PASSPORT", "CN_USCC"])
def test_a_damaged_value_shows_nothing(kind, value):
    assert mask(EntityType(kind), value) == HIDDEN


def test_a_value_of_no_known_kind_shows_nothing():
    assert mask(None, "13800138000") == HIDDEN


@given(st.sampled_from(list(EntityType)), st.text(alphabet="0123456789abXx@.-张小明市区 ", max_size=40))
def test_no_mask_ever_shows_the_whole_value(kind, value):
    masked = mask(kind, value)
    assert "*" in masked or masked == "[健康信息]"
    assert masked != value or set(value) <= {"*"}


@pytest.mark.parametrize("kind", list(EntityType))
def test_every_kind_has_a_form(kind):
    assert mask(kind, "12345678")


def test_only_the_marked_places_of_a_text_are_masked():
    text = "张小明的电话13800138000。"
    found = (Entity(EntityType.PERSON, 0, 3, 0.9), Entity(EntityType.CN_MOBILE, 6, 17, 1.0))
    assert mask_spans(text, found) == "张*明的电话138****8000。"


def test_of_overlapping_answers_the_surer_remains():
    sure = Entity(EntityType.CN_ID_CARD, 2, 20, 0.95)
    assert settle(
        [Entity(EntityType.BANK_CARD, 2, 20, 0.6), sure, Entity(EntityType.CN_MOBILE, 4, 15, 0.9)]
    ) == (sure,)
