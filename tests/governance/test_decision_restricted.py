"""What may only be stored: closed to all but the person, unless agreed to since, or life is at stake."""

from __future__ import annotations

import pytest
from test_decision import BOOK, NO, YES, facts, heard, said, send, told
from test_decision_lifts import decide

from policies.terms import FieldName, Relation

NAME = frozenset({BOOK.fields[FieldName("name")].category})
HEALTH = frozenset({BOOK.fields[FieldName("allergies")].category})
MAIL = frozenset({BOOK.fields[FieldName("channel.email")].category})


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"restricted": frozenset()}, "show rule_allows"),
        ({"restricted": NAME}, "hide restricted"),
        ({"restricted": HEALTH}, "show rule_allows"),
        ({"restricted": NAME, "relation": Relation.WARD}, "hide restricted"),
        ({"restricted": NAME, "relation": Relation.SELF}, "show own_data"),
        ({"restricted": NAME, "standings": said("name", NO)}, "hide restricted"),
        ({"restricted": NAME, "standings": said("name", YES)}, f"show {YES.reason.value}"),
    ],
)
def test_a_restriction_closes_what_a_row_would_show(more: dict[str, object], expected: str) -> None:
    assert told(decide("name", facts(**more))) == expected


def test_an_emergency_opens_what_may_only_be_stored() -> None:
    assert told(decide("allergies", facts(restricted=HEALTH))).startswith("hide")
    assert told(decide("allergies", facts(restricted=HEALTH, emergency=True))) == "show emergency_access"


def test_nobody_is_written_to_by_a_channel_that_may_only_be_stored() -> None:
    assert heard(send(restricted=MAIL)) == "refuse restricted"
    assert heard(send(restricted=MAIL, standings=said("channel.email", YES))).startswith("admit")
    assert heard(send(restricted=NAME)) == "admit rule_allows content_clean"
