"""References to documents and things elsewhere: they point at something and hold no personal data. Pure.

Evidence, orders and files of other applications are kept as their own ids, in clear. A telephone or identity
number is such an id too easily, so one check refuses both wherever a reference comes in.
"""

from __future__ import annotations

import re
from typing import Final

PERSONAL: Final = "personal_evidence"
"""The code with which a reference that holds personal data is refused."""

# One UUID in some thousands has eleven digits in a row that look like a mobile number, by mere chance.
_UUID: Final = re.compile(
    r"(?<![0-9A-Za-z])[0-9A-Fa-f]{8}(-?)(?:[0-9A-Fa-f]{4}\1){3}[0-9A-Fa-f]{12}(?![0-9A-Za-z])"
)
_NUMBER: Final = re.compile(
    r"(?<![0-9])(?:86[-.:_/]?)?1[3-9][0-9]{9}(?![0-9])|(?<![0-9])[0-9]{17}[0-9Xx](?![0-9])"
)


def holds_personal_data(reference: str) -> bool:
    """Say whether a mobile number (with or without 86) or an identity number stands in a reference.

    A UUID in it is no such number, whatever its digits.
    """
    return _NUMBER.search(_UUID.sub(".", reference)) is not None
