"""Find postal addresses: a chain from region to house number.

Only chains that end in a number of a house, building or room are reported: a city or a district alone is no
address of a person. Label and verb in front (住址, 送到) are not part of it.
"""

from __future__ import annotations

import re
from typing import Final

from policies.terms import EntityType
from redaction.entities import Entity

_PROVINCE: Final = (
    "(?:北京|上海|天津|重庆|河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南|广东|海南|四川|贵州|"
    "云南|陕西|甘肃|青海|台湾|内蒙古|广西|西藏|宁夏|新疆|香港|澳门)(?:省|市|(?:壮族|回族|维吾尔)?自治区|特别行政区)?"
)
_H: Final = r"[\u4e00-\u9fff]"
_NUMBER: Final = r"[0-9a-z一二三四五六七八九十百零甲乙丙丁\-~#]{1,8}"
_ROAD: Final = (
    r"(?:路|街|大道|道|巷|胡同|弄|里|村|镇|小区|花园|家园|苑|园|府|城|湾|庭|公寓|大厦|广场|中心|新村|社区|街道|屯|组|坊|"
    r"院|楼|国际|名都|公馆|豪庭)"
)
_UNIT: Final = r"(?:号楼|号院|号|栋|幢|单元|座|楼|层|室|户|弄|组|房|支弄|门)"
_CHAIN: Final = re.compile(
    rf"(?:{_PROVINCE})?(?:{_H}{{2,6}}?(?:市|自治州|地区|盟))?(?:{_H}{{1,6}}?(?:区|县|旗|市))?"
    rf"(?:{_H}{{1,8}}?(?:街道|镇|乡))?(?:{_H}{{1,10}}?{_ROAD}[ ]?)"
    rf"(?:{_H}{{0,8}}?[ ]?{_NUMBER}[ ]?{_UNIT}[ ]?)+(?:[0-9]{{2,4}}(?![0-9年月日元]))?"
)
_LEAD: Final = re.compile(
    rf"^{_H}{{0,12}}?(?:地址|住址|住在|家住|现住|居住在|居住于|寄到|寄往|寄至|送到|送至|送往|发往|位于|搬到|搬至|"
    r"配送到|配送至|上门到|前往|来到|到|在|为|是|至|住|往)"
)
_REGION: Final = re.compile(_PROVINCE)
_UNIT_HINT: Final = re.compile(rf"[0-9一二三四五六七八九十][ ]?{_UNIT}")
_NOT_PLACES: Final = re.compile(r"^(?:第|每|满|前|近|约|共|仅|这|那|本|该|多|几|全|各)")
_SHORTEST: Final = 5


def places(text: str) -> list[Entity]:
    """Return the addresses in the normalised text."""
    if _UNIT_HINT.search(text) is None:
        return []
    found: list[Entity] = []
    for match in _CHAIN.finditer(text):
        start, end = match.span()
        region = _REGION.search(match.group())
        if region is not None:
            start += region.start()
        elif lead := _LEAD.match(match.group()):
            start += lead.end()
        while end > start and text[end - 1] == " ":
            end -= 1
        value = text[start:end]
        if len(value) < _SHORTEST or _NOT_PLACES.match(value) is not None:
            continue
        anchored = re.search(
            rf"{_PROVINCE}|{_H}(?:市|区|县|镇|路|街|大道|巷|弄|胡同|村|小区|花园|苑|公寓|新村)", value
        )
        if anchored is None or re.search(_ROAD, value) is None:
            continue
        found.append(Entity(EntityType.ADDRESS, start, end, 0.7 if len(value) > 2 * _SHORTEST else 0.6))
    return found
