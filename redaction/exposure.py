"""When personal data in an outbound text is an exposure, and how grave: a table, no search.

个人信息保护法 第二十五条 forbids to make personal data public without separate consent; 第二十八条 names what
is sensitive; 第五十一条 asks for measures against leaks (民法典 第一千零三十四条: what is personal). A group
reads everything; a one-to-one service message goes to the person concerned, so it is looked at, not stopped.
A shop's own telephone, the courier's number and a service mailbox are contact data given for that purpose.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from policies.terms import Channel, EntityType, RuleId, ScreeningOutcome, ScreeningPurpose
from redaction.entities import Entity
from redaction.masking import mask

_SENSITIVE: Final = frozenset({
    EntityType.CN_ID_CARD, EntityType.BANK_CARD, EntityType.CN_PASSPORT, EntityType.CN_HKM_PERMIT,
    EntityType.CN_HOME_RETURN, EntityType.CN_TW_PERMIT, EntityType.CN_FOREIGN_PR, EntityType.SOCIAL_SECURITY,
    EntityType.MEDICAL_RECORD, EntityType.DRIVER_FILE, EntityType.HEALTH,
})  # fmt: skip
"""Identity documents, financial accounts and health (第二十八条)."""
_CONTACT: Final = frozenset(
    {EntityType.CN_MOBILE, EntityType.EMAIL, EntityType.BIRTH_DATE, EntityType.CN_PLATE}
)
_SHARED: Final = frozenset({Channel.WECOM_GROUP, Channel.OFFICIAL_ACCOUNT})
"""Channels that more than one person reads."""

_BUSINESS_BEFORE: Final = re.compile(
    r"(?:客服|咨询|热线|门店|店长|本店|预约|订座|订餐|服务|投诉|售后|快递员|骑手|配送员|司机|师傅|管家|顾问|团长|站点|驿站|"
    r"取件|派件|派送|维修|物业|值班|报名|联系我们|商家|官方|经理|医生助理|老师|客户经理|联系电话|电话|致电|拨打|tel|hotline)"
    r"[^,，。！!？?；;\n]{0,10}$",
    re.IGNORECASE,
)
_BUSINESS_MAILBOX: Final = re.compile(
    r"(?:service|support|help|info|contact|hr|job|kefu|cs|care|privacy|unsubscribe|admin|sales|marketing|feedback|"
    r"hello|noreply|no-reply|dpo|complaint|club|member|vip)[^@]*@",
    re.IGNORECASE,
)
_REACH: Final = 24


@dataclass(frozen=True, slots=True)
class Exposure:
    """Personal data that should not travel like this."""

    rule: RuleId
    start: int
    end: int
    law: str
    reason_zh: str
    reason_en: str
    suggestion: str
    severity: ScreeningOutcome


def exposures(
    original: str, found: Iterable[Entity], channel: Channel, purpose: ScreeningPurpose
) -> Iterator[Exposure]:
    """Return what of the found data must not stand in such a message."""
    entities = tuple(found)
    named = any(entity.type is EntityType.PERSON for entity in entities)
    for entity in entities:
        severity = _severity(entity, original, named, channel, purpose)
        if severity is not ScreeningOutcome.ALLOW:
            yield _exposure(entity, original, channel in _SHARED, severity)


def _severity(
    entity: Entity, original: str, named: bool, channel: Channel, purpose: ScreeningPurpose
) -> ScreeningOutcome:
    shared = channel in _SHARED
    one_to_one = ScreeningOutcome.REVIEW if purpose is ScreeningPurpose.SERVICE else ScreeningOutcome.BLOCK
    if entity.type in _SENSITIVE:
        return ScreeningOutcome.BLOCK if shared else one_to_one
    if entity.type is EntityType.ADDRESS:
        return ScreeningOutcome.BLOCK if shared and named else ScreeningOutcome.ALLOW
    if entity.type not in _CONTACT or _is_business(entity, original, named and shared):
        return ScreeningOutcome.ALLOW
    if shared:
        return (
            ScreeningOutcome.BLOCK
            if entity.type is EntityType.CN_MOBILE or named
            else ScreeningOutcome.REVIEW
        )
    return ScreeningOutcome.REVIEW if entity.type is EntityType.CN_MOBILE else ScreeningOutcome.ALLOW


def _is_business(entity: Entity, original: str, about_a_member: bool) -> bool:
    if entity.type is EntityType.EMAIL:
        return _BUSINESS_MAILBOX.match(original[entity.start : entity.end]) is not None
    if entity.type is not EntityType.CN_MOBILE or about_a_member:
        return False
    return _BUSINESS_BEFORE.search(original[max(0, entity.start - _REACH) : entity.start]) is not None


def _exposure(entity: Entity, original: str, shared: bool, severity: ScreeningOutcome) -> Exposure:
    masked = mask(entity.type, original[entity.start : entity.end])
    sensitive = entity.type in _SENSITIVE
    where_zh = "在多人可见的渠道" if shared else "在消息正文"
    return Exposure(
        rule=RuleId("privacy-" + entity.type.lower().replace("_", "-")),
        start=entity.start,
        end=entity.end,
        law=(
            "个人信息保护法 第二十八条、第五十一条"
            if sensitive and not shared
            else "个人信息保护法 第二十五条、第二十八条"
            if sensitive
            else "个人信息保护法 第二十五条、第五十一条"
        ),
        reason_zh=f"{where_zh}中出现{'敏感' if sensitive else ''}个人信息。",
        reason_en=f"{'Sensitive personal' if sensitive else 'Personal'} data stands in the text.",
        suggestion=f"删除，或改为“{masked}”。",
        severity=severity,
    )
