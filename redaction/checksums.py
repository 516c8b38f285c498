"""Check digits and shapes of Chinese identifiers: pure arithmetic on plain strings.

GB 11643 (citizen number: ISO 7064 MOD 11-2 over a real birth date), GB 32100 (unified social credit code:
MOD 31), ISO/IEC 7812 (bank card: Luhn). A function answers yes or no and never says why.
"""

from __future__ import annotations

from datetime import date
from typing import Final

_ID_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CHECKS: Final = "10x98765432"
_ID_LENGTH: Final = 18
_OLD_ID_LENGTH: Final = 15
_USCC_ALPHABET: Final = "0123456789abcdefghjklmnpqrtuwxy"
_EARLIEST_YEAR: Final = 1880
_LATEST_YEAR: Final = 2099
PROVINCES: Final = frozenset(
    [
        "11",
        "12",
        "13",
        "14",
        "15",
        "21",
        "22",
        "23",
        "31",
        "32",
        "33",
        "34",
        "35",
        "36",
        "37",
        "41",
        "42",
        "43",
        "44",
        "45",
        "46",
        "50",
        "51",
        "52",
        "53",
        "54",
        "61",
        "62",
        "63",
        "64",
        "65",
        "71",
        "81",
        "82",
        "83",
    ]
)
"""First two digits of GB/T 2260, with the codes of the residence permits for Hong Kong, Macao and Taiwan."""


def is_date(year: str, month: str, day: str) -> bool:
    """Say whether the digits are a day of the calendar within a human memory."""
    if not _EARLIEST_YEAR <= int(year) <= _LATEST_YEAR:
        return False
    try:
        date(int(year), int(month), int(day))
    except ValueError:
        return False
    return True


def mod_11_2(value: str) -> bool:
    """Check 17 digits and the check sign of GB 11643 (also the 2023 foreign residence card)."""
    if len(value) != _ID_LENGTH or not value[:17].isdecimal():
        return False
    total = sum(int(digit) * weight for digit, weight in zip(value[:17], _ID_WEIGHTS, strict=True))
    return _ID_CHECKS[total % 11] == value[17]


def id_card(value: str) -> bool:
    """Check a citizen number of 18 signs: a real date and the check sign."""
    return mod_11_2(value) and is_date(value[6:10], value[10:12], value[12:14])


def old_id_card(value: str) -> bool:
    """Check a citizen number of 15 digits, which has no check sign: province and date."""
    return (
        len(value) == _OLD_ID_LENGTH
        and value.isdecimal()
        and value[:2] in PROVINCES
        and is_date("19" + value[6:8], value[8:10], value[10:12])
    )


def foreign_residence(value: str) -> bool:
    """Check the 2023 foreign permanent residence card: 9, province, country, birth date, check sign."""
    return value[:1] == "9" and value[1:3] in PROVINCES and id_card(value)


def luhn(value: str) -> bool:
    """Check a bank card number, digits only."""
    total = 0
    for place, digit in enumerate(reversed(value)):
        doubled = int(digit) * (1 + place % 2)
        total += doubled - 9 if doubled > 9 else doubled  # noqa: PLR2004
    return total % 10 == 0 and len(set(value)) > 1


def credit_code(value: str) -> bool:
    """Check a unified social credit code of 18 signs in small letters."""
    try:
        numbers = [_USCC_ALPHABET.index(sign) for sign in value]
    except ValueError:
        return False
    if len(numbers) != _ID_LENGTH:
        return False
    total = sum(number * pow(3, place, 31) for place, number in enumerate(numbers[:17]))
    return (31 - total % 31) % 31 == numbers[17]
