"""The blind index: finding a member by mobile number without storing the number.

A keyed hash of the normalised number, 128 bits, unique per deployment. Equality leaks nothing except
to the holder of the index key, which lies in the key ring and never in the database: the space of
mobile numbers is small enough to enumerate. Only identifiers that are unique by nature may be indexed;
names, dates and anything sensitive may not.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from typing import Final

_MOBILE: Final = re.compile(r"1[3-9]\d{9}\Z", re.ASCII)
_NOISE: Final = re.compile(r"[\s\-()\u2010-\u2015]")
_TOKEN: Final = 16


def normal_mobile(text: str) -> str | None:
    """Return the eleven digits of a mainland mobile number, or None if it is none."""
    digits = _NOISE.sub("", unicodedata.normalize("NFKC", text)) if len(text) <= 40 else ""  # noqa: PLR2004 - longer is no number
    for prefix in ("+86", "0086"):
        digits = digits.removeprefix(prefix)
    return digits if _MOBILE.match(digits) else None


class BlindIndex:
    """Turns an identifier into its index token. One key per index name, derived from the ring's."""

    def __init__(self, index_key: bytes, tenant: str) -> None:
        label = b"gov/bidx/v1\0" + tenant.encode() + b"\0mobile"
        self._key = hmac.digest(index_key, label, hashlib.sha256)

    def mobile(self, text: str) -> bytes | None:
        """Return the token of a mobile number, or None if the text is no mobile number."""
        digits = normal_mobile(text)
        return None if digits is None else hmac.digest(self._key, digits.encode(), hashlib.sha256)[:_TOKEN]
