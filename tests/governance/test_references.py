"""What a reference may hold: ids of other systems, and no number that leads to a person."""

from __future__ import annotations

import pytest

from governance.references import holds_personal_data

PERSONAL = [
    "15400001003",
    "tel-15400001003",
    "15400001003.pdf",
    "8615400001003",
    "86-15400001003",
    "id/990000198605170025",
    "99000019860517002X",
    "scan_99000019860517002x_a",
    "019a0000-0000-7d47-8433-b18122cd4e5d/15400001003",
]
IMPERSONAL = [
    "order-1",
    "archive:2026/114",
    "2026112418450012345",  # a number of nineteen digits
    "1764009900000",  # an instant in milliseconds
    "12345678901",  # eleven digits that are no mobile number
    "019a0000-0000-7d47-8433-a15400001003",
    "order:019a000000007d478433a15400001003",
]


@pytest.mark.parametrize("reference", PERSONAL)
def test_a_telephone_or_identity_number_is_found_wherever_it_stands(reference: str) -> None:
    assert holds_personal_data(reference)


@pytest.mark.parametrize("reference", IMPERSONAL)
def test_an_id_is_no_number_of_a_person_by_chance(reference: str) -> None:
    assert not holds_personal_data(reference)
