r"""What each structured identifier looks like: patterns, checks, context. Tables, no engine.

The patterns run on normalised text (half width, small letters). ``\b`` does not exist between Chinese signs
and digits, so each pattern states its neighbours. A number inside a longer number is never a hit, nor is a
value that is already masked. Where the shape alone says too little, words near by must say what it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from policies.terms import EntityType
from redaction import checksums

_OPEN: Final = r"(?:(?<![0-9a-z*])(?<![0-9][.\-])|(?<=(?<![a-z])(?:id|no|card)))"
_SHUT: Final = r"(?![0-9*a-z])(?![.][0-9])"
_PHONE_OPEN: Final = (
    r"(?:(?<![0-9a-z*+])(?<![0-9][.\-])"
    r"|(?<=tel|call|phone|mobile|wechat|weixin|(?<![a-z])(?:wx|vx|v|t|m|mob)))"
)


@dataclass(frozen=True, slots=True)
class Shape:
    """One way an identifier is written. ``check`` sees the match without separators."""

    type: EntityType
    pattern: str
    score: float
    check: Callable[[str], bool] | None = None
    context: tuple[str, ...] = ()
    """Words near by that make the shape surer, or that it needs (``only_with_context``)."""
    only_with_context: bool = False
    against: tuple[str, ...] = ()
    """Words just before it that say it is something else, unless a context word stands there too."""


def _listed(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_ORDER_WORDS: Final = _listed("订单 运单 快递单 单号 流水 交易号 物流 追踪 编号 批号 条码 货号 票号 order")
_ID_WORDS: Final = _listed("身份证 证件 身份号 公民 户口 实名")
_CARD_WORDS: Final = _listed("银行卡 卡号 储蓄卡 借记卡 信用卡 账号 账户 打款 转账 汇款 收款 银行 bank card")
_PASSPORT_WORDS: Final = _listed("护照 passport")
_HKM_WORDS: Final = _listed("港澳通行证 往来港澳 通行证 港澳")
_HOME_WORDS: Final = _listed("回乡证 来往内地 港澳居民 通行证")
_TW_WORDS: Final = _listed("台胞证 台湾居民 来往大陆 台湾 台胞 往来台湾 大通证")
_PR_WORDS: Final = _listed("永久居留 永居 外国人")
_DRIVER_WORDS: Final = _listed("档案编号 驾驶证档案 档案号")
_SOCIAL_WORDS: Final = _listed("社保 医保 社会保障 社会保险 参保")
_RECORD_WORDS: Final = _listed(
    "病历号 病案号 住院号 门诊号 就诊卡 病历 病案 就诊号 登记号 体检号 体检编号 检验单号 检查号"
)
_QQ_WORDS: Final = _listed("qq 扣扣 企鹅 q群 q号")
_WECHAT_WORDS: Final = _listed("微信 vx wx wechat weixin v信 威信 薇信")
_BIRTH_WORDS: Final = _listed("出生 生日 生于 dob birth 诞辰")

_ID: Final = (
    r"[1-9][0-9]{5}[ \-]{0,2}(?:[0-9]{8}|[0-9]{4}[ \-][0-9]{4}|[0-9]{4}[ \-][0-9]{2}[ \-][0-9]{2})"
    r"[ \-]{0,2}[0-9]{3}[0-9x]"
)
_ID_FOURS: Final = r"[1-9][0-9]{3}[ \-][0-9]{4}[ \-][0-9]{4}[ \-][0-9]{4}[ \-][0-9][0-9x]"
_ID_SINGLES: Final = r"[1-9](?:[ \-][0-9]){16}[ \-][0-9x]"
_MOBILE: Final = (
    r"(?:\(?(?:\+|00)86\)?[ \-]{0,2}|(?<![0-9])86[ \-]?(?=1[3-9][0-9 \-]{9}))?"
    r"(?:1[3-9][0-9](?:[ .\-·]{1,2}[0-9]{4}[ .\-·]{1,2}[0-9]{4}"
    r"|[ .\-·]{1,2}[0-9]{3}[ .\-·]{1,2}[0-9]{5}|[ .\-]?[0-9]{8})"
    r"|1[3-9][0-9]{2}[ .\-][0-9]{3}[ .\-][0-9]{4}|1[3-9][0-9]{3}[ .\-][0-9]{6}|1[3-9][0-9]{5}[ .\-][0-9]{4}"
    r"|1(?:[ .\-]{1,2}[0-9]){10})"
)
_CARD: Final = (
    r"[2-6][0-9]{3}(?:[ \-]{1,2}[0-9]{4}){3}(?:[ \-]{0,2}[0-9]{1,3})?|[2-6][0-9]{5}[ \-][0-9]{10,13}"
    r"|[2-6][0-9]{12}[ \-][0-9]{3,6}|[2-6][0-9]{15,18}"
)
_PLATE: Final = (
    r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][a-hj-z][ ·.\-]{0,2}"
    r"(?:[a-hj-np-z0-9]{5}|[df][a-hj-np-z0-9][0-9]{4}|[0-9]{5}[df]|[a-hj-np-z0-9]{4}[学警挂港澳领使])"
)
_OCTET: Final = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_DAY: Final = (
    r"(?:(?:19|20)[0-9]{2}(?:[ ]?年[ ]?(?:0?[1-9]|1[0-2])[ ]?月[ ]?(?:0?[1-9]|[12][0-9]|3[01])[ ]?[日号]?"
    r"|[\-/.](?:0?[1-9]|1[0-2])[\-/.](?:0?[1-9]|[12][0-9]|3[01])|(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])))"
)


def _plate_has_figure(value: str) -> bool:
    return any(sign.isdecimal() for sign in value[2:])


def _date_in(value: str) -> bool:
    digits = "".join(sign if sign.isdecimal() else " " for sign in value).split()
    if len(digits) == 1:
        digits = [digits[0][:4], digits[0][4:6], digits[0][6:]]
    return checksums.is_date(*digits)


def _not_one_digit(value: str) -> bool:
    return len(set(value)) > 1


def _bank_card(value: str) -> bool:
    return checksums.luhn(value) and not checksums.id_card(value)


SHAPES: Final[tuple[Shape, ...]] = (
    Shape(
        EntityType.CN_FOREIGN_PR,
        _OPEN + r"9[0-9]{16}[0-9x]" + _SHUT,
        0.97,
        checksums.foreign_residence,
        _PR_WORDS,
    ),
    Shape(
        EntityType.CN_FOREIGN_PR,
        r"(?<![a-z0-9])[a-z]{3}[0-9]{12}(?![0-9a-z])",
        0.6,
        None,
        _PR_WORDS,
        only_with_context=True,
    ),
    Shape(
        EntityType.CN_ID_CARD,
        rf"{_OPEN}(?:{_ID}|{_ID_FOURS}|{_ID_SINGLES}){_SHUT}",
        0.95,
        checksums.id_card,
        _ID_WORDS,
    ),
    Shape(
        EntityType.CN_ID_CARD,
        _OPEN + r"[1-9][0-9]{14}" + _SHUT,
        0.7,
        checksums.old_id_card,
        _ID_WORDS,
        only_with_context=True,
    ),
    Shape(
        EntityType.CN_USCC,
        r"(?<![a-z0-9])[0-9a-hj-npqrtuwxy]{18}(?![a-z0-9])",
        0.9,
        checksums.credit_code,
        ("信用代码", "税号"),
    ),
    Shape(
        EntityType.CN_MOBILE,
        _PHONE_OPEN + _MOBILE + r"(?![0-9*])(?![a-z]{1,3}[0-9])(?!-[0-9]{5})(?!\.[0-9])",
        0.9,
        None,
        ("手机", "电话", "联系", "致电", "mobile", "tel"),
        against=("单号", "订单编号", "流水号", "编号", "批号", "条码", "货号", "快递号"),
    ),
    Shape(
        EntityType.CN_LANDLINE,
        r"(?<![0-9a-z*+.])(?<![0-9]-)(?:(?:\+|00)86[ \-]?)?(?:\(0(?:10|2[0-9]|[3-9][0-9]{2})\)[ \-]?"
        r"|0(?:10|2[0-9]|[3-9][0-9]{2})[ \-]{1,2}"
        r"|(?:\+|00)86[ \-]?(?:10|2[0-9]|[3-9][0-9]{2})[ \-])[2-8](?:[0-9]{6,7}|[0-9]{2,3}[ \-][0-9]{4})"
        r"(?:(?:-|转|ext\.?)[0-9]{1,5})?(?![0-9*])",
        0.85,
        None,
        ("电话", "座机", "固话", "tel"),
    ),
    Shape(
        EntityType.CN_LANDLINE,
        r"(?<![0-9a-z*+.\-])0(?:10|2[0-9])[2-8][0-9]{7}(?![0-9*a-z])"
        r"|(?<![0-9a-z*+.\-])0[3-9][0-9]{2}[2-8][0-9]{6,7}(?![0-9*a-z])",
        0.6,
        None,
        ("电话", "座机", "固话", "致电", "联系", "tel"),
        only_with_context=True,
    ),
    Shape(
        EntityType.BANK_CARD,
        rf"{_OPEN}(?=62|4|5[1-5]|35|60)(?:{_CARD}){_SHUT}",
        0.85,
        _bank_card,
        _CARD_WORDS,
        against=_ORDER_WORDS,
    ),
    Shape(
        EntityType.BANK_CARD,
        rf"{_OPEN}(?:{_CARD}|9[0-9]{{15,18}}|1[0-9]{{15,18}}){_SHUT}",
        0.6,
        _bank_card,
        _CARD_WORDS,
        only_with_context=True,
    ),
    Shape(
        EntityType.CN_PASSPORT,
        r"(?<![a-z0-9])(?:e[0-9]{8}|e[a-hj-np-z][0-9]{7}|g[0-9]{8}|[dsp][0-9]{8}|[dsp]e[0-9]{7})(?![a-z0-9])",
        0.5,
        None,
        _PASSPORT_WORDS,
        only_with_context=True,
    ),
    Shape(
        EntityType.CN_PASSPORT,
        r"(?<![a-z0-9])(?:e[0-9]{8}|e[a-hj-np-z][0-9]{7})(?![a-z0-9])",
        0.55,
        None,
        _PASSPORT_WORDS,
        against=(*_ORDER_WORDS, "型号", "券码", "批次", "优惠码", "编码", "激活码", "通行证", "准考证"),
    ),
    Shape(
        EntityType.CN_HKM_PERMIT,
        r"(?<![a-z0-9])(?:c[0-9]{8}|c[a-hj-np-z][0-9]{7}|w[0-9]{8})(?![a-z0-9])",
        0.6,
        None,
        _HKM_WORDS,
        only_with_context=True,
    ),
    Shape(
        EntityType.CN_HOME_RETURN,
        r"(?<![a-z0-9])[hm][0-9]{8}(?:[0-9]{2})?(?![a-z0-9])",
        0.6,
        None,
        _HOME_WORDS,
        only_with_context=True,
    ),
    Shape(
        EntityType.CN_TW_PERMIT,
        r"(?<![a-z0-9*])(?:[0-9]{8}(?:[0-9]{2})?|[lt][0-9]{8})(?![a-z0-9*])",
        0.55,
        None,
        _TW_WORDS,
        only_with_context=True,
    ),
    Shape(EntityType.CN_PLATE, _PLATE + r"(?![a-z0-9*])", 0.8, _plate_has_figure, ("车牌", "车号", "车辆")),
    Shape(
        EntityType.DRIVER_FILE,
        _OPEN + r"[0-9]{12}" + _SHUT,
        0.7,
        _not_one_digit,
        _DRIVER_WORDS,
        only_with_context=True,
    ),
    Shape(
        EntityType.SOCIAL_SECURITY,
        r"(?<![a-z0-9*])(?:[a-z][0-9]{8}|[0-9]{8,12}|[a-z0-9][0-9]{8,16}[0-9x])(?![a-z0-9*])",
        0.6,
        None,
        _SOCIAL_WORDS,
        only_with_context=True,
    ),
    Shape(
        EntityType.MEDICAL_RECORD,
        r"(?<![a-z0-9*])[a-z]{0,4}-?[0-9]{5,16}(?![a-z0-9*])",
        0.6,
        None,
        _RECORD_WORDS,
        only_with_context=True,
    ),
    Shape(
        EntityType.EMAIL,
        r"(?<![a-z0-9._%+\-])[a-z0-9](?:[a-z0-9._%+\-]{0,62}[a-z0-9_%+\-])?[ ]?@[ ]?"
        r"(?:[a-z0-9](?:[a-z0-9\-]{0,61}[a-z0-9])?\.){1,5}[a-z]{2,24}(?![a-z0-9\-@])",
        0.95,
        None,
        ("邮箱", "邮件", "email", "mail"),
    ),
    Shape(
        EntityType.IP_ADDRESS,
        rf"(?:(?<![0-9a-z.\-])|(?<=(?<![a-z])ip)|(?<=ipv4))(?:{_OCTET}\.){{3}}{_OCTET}(?![0-9a-z\-])(?!\.[0-9])",
        0.7,
        None,
        ("ip", "地址", "登录", "服务器", "主机", "网关"),
        against=("版本", "固件", "v", "version", "ver", "软件", "章节", "条款", "系统"),
    ),
    Shape(
        EntityType.IP_ADDRESS,
        r"(?<![0-9a-f:.])(?:(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}"
        r"|(?:[0-9a-f]{1,4}:){2,6}:(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,4})?)(?![0-9a-f:])",
        0.8,
    ),
    Shape(
        EntityType.MAC_ADDRESS,
        r"(?<![0-9a-f:\-])(?:[0-9a-f]{2}(?P<s>[:\-]))(?:[0-9a-f]{2}(?P=s)){4}[0-9a-f]{2}(?![0-9a-f:\-])",
        0.9,
    ),
    Shape(
        EntityType.QQ,
        r"(?:qq|扣扣|企鹅|q)(?:群|号|号码|账号)?[ ]?(?:号|是|为|加)?[ ]?[:=]?[ ]?"
        r"(?P<v>[1-9][0-9]{4,10})(?![0-9a-z*])(?!\.[0-9])(?!@)",
        0.8,
        None,
        _QQ_WORDS,
        only_with_context=True,
    ),
    Shape(
        EntityType.WECHAT_ID,
        r"(?:微信|wechat|weixin|(?<![a-z0-9])(?:vx|wx)|v信|威信|薇信)(?:号|id|账号|号码)?[ ]?"
        r"(?:号|是|为|加|搜|搜索|添加)?[ ]?[:=]?[ ]?"
        r"(?P<v>[a-z][a-z0-9_\-]{5,19})(?![a-z0-9_@\-])(?!\.[a-z])",
        0.8,
        None,
        _WECHAT_WORDS,
        only_with_context=True,
    ),
    Shape(
        EntityType.BIRTH_DATE,
        rf"(?<![0-9])(?P<v>{_DAY})(?![0-9])",
        0.8,
        _date_in,
        _BIRTH_WORDS,
        only_with_context=True,
    ),
)
"""Every structured identifier, in no particular order: ``entities.settle`` decides between answers."""
