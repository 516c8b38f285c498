"""What a restriction reaches: its purpose and category with all below, until the person takes it back."""

from __future__ import annotations

import pytest
from consent_story import BIRTHS, DAY, START, book_of_rules, event

from consent.events import Event
from consent.rules import restricted_categories
from policies.terms import Category, Purpose

BOOK = book_of_rules()
ASKED = (Category("health.record"), Category("outreach.sms"))
NOW = START + DAY


def restriction(**more: object) -> Event:
    return event("adult", "self", "restricted", START, number=1)._replace(**more)


def reached(*events: Event, purpose: str = "service.health") -> set[str]:
    birth = BIRTHS["adult"]
    return set(restricted_categories(events, Purpose(purpose), ASKED, NOW, birth, BOOK))


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({"purpose": "", "categories": frozenset()}, set(ASKED)),
        ({"purpose": "", "categories": frozenset({"health"})}, {"health.record"}),
        ({"purpose": "service", "categories": frozenset()}, set(ASKED)),
        ({"purpose": "marketing", "categories": frozenset()}, set()),
        ({"purpose": "", "categories": frozenset(), "kind": "withdrawn"}, set()),
    ],
)
def test_a_restriction_reaches_its_purpose_and_category_with_all_below(
    said: dict[str, object], found: set[str]
) -> None:
    assert reached(restriction(**said)) == found


def test_a_withdrawal_beside_a_restriction_of_something_else_restricts_nothing() -> None:
    other = restriction(purpose="marketing", categories=frozenset())
    no = event("adult", "self", "withdrawn", START, number=2)._replace(purpose="", categories=frozenset())
    assert reached(other, no) == set()


def test_a_purpose_that_the_rules_do_not_know_is_nobodys() -> None:
    assert reached(restriction(purpose="", categories=frozenset()), purpose="no.such") == set()
    assert reached() == set()
