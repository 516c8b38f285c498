"""Hide most of a personal value, in the form people know for that kind of value.

Promises that a mask shows at most what its form shows: text that is malformed, too short or of unknown kind
becomes the fixed token, never the text. The same text always has the same mask, and no two masks of one kind
complete each other. Forms: design notes on screening, section (c); the guides differ, we take the narrower.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import Final

from policies.terms import EntityType
from redaction.entities import Entity
from redaction.names import COMPOUND_SURNAMES

HIDDEN: Final = "***"
"""What stands for a value of which nothing may be shown."""
HEALTH_HIDDEN: Final = "[健康信息]"

_LONGEST: Final = 256
_LONG_ACCOUNT: Final = 8
_LONG_NUMBER: Final = 6
_TWO: Final = 2
_SEPARATORS: Final = re.compile(r"[\s\-‐-―_.·]+")
_INVISIBLE: Final = re.compile(r"[\u200b-\u200f\u2060\ufeff\u00ad\ufe00-\ufe0f]")


def _squeezed(text: str) -> str:
    return _SEPARATORS.sub("", text)


def _ends(form: str, head: int, tail: int, stars: int | None = None) -> Callable[[str], str]:
    """Return a mask that keeps ``head`` and ``tail`` signs of a value of exactly this form."""
    shape = re.compile(form)

    def masked(text: str) -> str:
        value = _squeezed(text)
        if shape.fullmatch(value) is None:
            return HIDDEN
        hidden = len(value) - head - tail if stars is None else stars
        return value[:head] + "*" * hidden + value[len(value) - tail :]

    return masked


def _id_card(text: str) -> str:
    value = _squeezed(text)
    if re.fullmatch(r"[0-9]{17}[0-9Xx]", value):
        return value[:6] + "*" * 8 + value[14:]
    if re.fullmatch(r"[0-9]{15}", value):
        return value[:6] + "*" * 6 + value[12:]
    return HIDDEN


def _mobile(text: str) -> str:
    value = re.sub(r"^(?:\+|00)?86(?=1[0-9]{10}$)", "", re.sub(r"[()]", "", _squeezed(text)))
    return value[:3] + "****" + value[7:] if re.fullmatch(r"1[0-9]{10}", value) else HIDDEN


def _landline(text: str) -> str:
    found = re.fullmatch(
        r"[(]?(?:\+?86)?[-\s]*(0[12][0-9]|0[3-9][0-9]{2})[)]?[-\s]*([0-9]{3,4})[-\s]?([0-9]{4})(?:\D.*)?",
        text.strip(),
    )
    return f"{found[1]}-****{found[3]}" if found else HIDDEN


def _bank_card(text: str) -> str:
    value = _squeezed(text)
    return f"{value[:4]} **** **** {value[-4:]}" if re.fullmatch(r"[0-9]{14,19}", value) else HIDDEN


def _email(text: str) -> str:
    local, at, domain = text.strip().rpartition("@")
    if not at or not local or re.fullmatch(r"[A-Za-z0-9.\-]+", domain) is None:
        return HIDDEN
    return (local[0] if len(local) > 1 else "") + "***@" + domain


def _wechat(text: str) -> str:
    value = text.strip()
    if re.fullmatch(r"[A-Za-z0-9_\-]{6,20}", value) is None:
        return HIDDEN
    return value[:3] + "***" + value[-2:] if len(value) > _LONG_ACCOUNT else value[0] + "***" + value[-1]


def _qq(text: str) -> str:
    value = _squeezed(text)
    if re.fullmatch(r"[1-9][0-9]{4,11}", value) is None:
        return HIDDEN
    return value[:2] + "***" + value[-2:] if len(value) > _LONG_NUMBER else value[0] + "***"


def _person(text: str) -> str:
    value = re.sub(r"\s+", "", text)
    if not value or re.search(r"[0-9@]", value):
        return HIDDEN
    if not "\u3400" <= value[0] <= "\u9fff":
        return text.strip()[0] + HIDDEN
    if value[:2] in COMPOUND_SURNAMES and len(value) > _TWO:
        return value[:2] + "*" * (len(value) - 2)
    if len(value) == 1:
        return "*"
    return value[0] + "*" + (value[-1] if _TWO < len(value) <= 2 * _TWO else "")


_DISTRICT: Final = re.compile(
    r"(?:[\u3400-\u9fff]{2,8}?(?:省|自治区|特别行政区))?(?:[\u3400-\u9fff]{2,8}?(?:市|自治州|地区|盟))?"
    r"(?:[\u3400-\u9fff]{1,7}?(?:区|县|旗|市))?"
)


def _address(text: str) -> str:
    found = _DISTRICT.match(text.strip())
    kept = found.group() if found else ""
    return kept + HIDDEN if len(kept) < len(text.strip()) else HIDDEN


def _birth_date(text: str) -> str:
    found = re.match(r"\s*((?:19|20)[0-9]{2})(?![0-9]{5})", text)
    return f"{found[1]}-**-**" if found else "****-**-**"


def _ip(text: str) -> str:
    value = text.strip()
    four = re.fullmatch(r"([0-9]{1,3})\.([0-9]{1,3})\.[0-9]{1,3}\.[0-9]{1,3}", value)
    if four:
        return f"{four[1]}.{four[2]}.*.*"
    six = re.match(r"([0-9a-fA-F]{1,4}):([0-9a-fA-F]{1,4}):", value)
    return f"{six[1]}:{six[2]}:****" if six else HIDDEN


def _mac(text: str) -> str:
    pairs = re.findall(r"[0-9A-Fa-f]{2}", text)
    return f"{pairs[0]}:{pairs[1]}:**:**:**:**" if len(pairs) == 6 else HIDDEN  # noqa: PLR2004


_FORMS: Final[dict[EntityType, Callable[[str], str]]] = {
    EntityType.CN_ID_CARD: _id_card,
    EntityType.CN_MOBILE: _mobile,
    EntityType.CN_LANDLINE: _landline,
    EntityType.BANK_CARD: _bank_card,
    EntityType.CN_USCC: _ends(r"[0-9A-Za-z]{18}", 4, 2),
    EntityType.CN_PASSPORT: _ends(r"[A-Za-z]{1,2}[0-9]{7,8}", 1, 4, 4),
    EntityType.CN_HKM_PERMIT: _ends(r"[A-Za-z]{1,2}[0-9]{7,8}", 1, 4, 4),
    EntityType.CN_HOME_RETURN: _ends(r"[HhMm][0-9]{8}(?:[0-9]{2})?", 1, 4, 4),
    EntityType.CN_TW_PERMIT: _ends(r"[A-Za-z]?[0-9]{8}", 1, 3, 4),
    EntityType.CN_FOREIGN_PR: _ends(r"9[0-9]{16}[0-9Xx]|[A-Za-z]{3}[0-9]{12}", 1, 1),
    EntityType.CN_PLATE: _ends(r"[\u4e00-\u9fffA-Za-z][A-Za-z][0-9A-Za-z]{4,6}[\u4e00-\u9fff]?", 2, 2),
    EntityType.DRIVER_FILE: _ends(r"[0-9]{12}", 4, 4),
    EntityType.SOCIAL_SECURITY: _ends(r"[0-9A-Za-z]{8,20}", 0, 4),
    EntityType.MEDICAL_RECORD: _ends(r"[0-9A-Za-z]{8,24}", 0, 4),
    EntityType.WECHAT_ID: _wechat,
    EntityType.QQ: _qq,
    EntityType.EMAIL: _email,
    EntityType.IP_ADDRESS: _ip,
    EntityType.MAC_ADDRESS: _mac,
    EntityType.PERSON: _person,
    EntityType.ADDRESS: _address,
    EntityType.HEALTH: lambda _: HEALTH_HIDDEN,
    EntityType.BIRTH_DATE: _birth_date,
}


def mask(kind: EntityType | None, text: str) -> str:
    """Return the masked form of a value; ``None`` is a value of no known kind and shows nothing."""
    if kind is None or len(text) > _LONGEST:
        return HIDDEN
    return _FORMS[kind](unicodedata.normalize("NFKC", _INVISIBLE.sub("", text)))


def mask_spans(text: str, entities: Iterable[Entity]) -> str:
    """Return the text with each entity masked. The entities are in order and do not overlap."""
    parts: list[str] = []
    at = 0
    for entity in entities:
        parts.append(text[at : entity.start])
        parts.append(mask(entity.type, text[entity.start : entity.end]))
        at = entity.end
    parts.append(text[at:])
    return "".join(parts)
