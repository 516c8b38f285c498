"""What officers write as rows decides as rows: two signatures, tiers by age, prohibitions."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest
from consent_story import BIRTHS, DAY, START, actor_of, book_of_rules, event, grant

from consent.events import EventKind
from consent.rules import Question, Standing, standing
from policies.book import RuleBook
from policies.entries import AgeTier, Prohibition, Title
from policies.reasons import Reason
from policies.terms import Category, Purpose, Tier

BOOK = book_of_rules()
USAGE, PURCHASES = Purpose("analytics.usage"), Category("purchase.history")


def asked(book: RuleBook, person: str, *who: str, viewer: str = "svc_x") -> Standing:
    """Ask a day after each of these has agreed to usage analytics of the person's purchases."""
    log = [event(person, "mother", EventKind.GUARDIAN_LINKED, START - DAY, 90)]
    log += [
        one
        for number, name in enumerate(who)
        for one in grant(person, name, USAGE, [PURCHASES], START, number=number)
    ]
    question = Question(f"mem_{person}", USAGE, PURCHASES, "", viewer, START + DAY, BIRTHS[person])
    return standing(log, question, book)


def with_purpose(**changes: object) -> RuleBook:
    changed = replace(BOOK.purposes[USAGE], **changes)  # type: ignore[arg-type]
    return replace(BOOK, purposes=MappingProxyType({**BOOK.purposes, USAGE: changed}))


def with_category(name: str, **changes: object) -> RuleBook:
    changed = replace(BOOK.categories[Category(name)], **changes)  # type: ignore[arg-type]
    return replace(BOOK, categories=MappingProxyType({**BOOK.categories, Category(name): changed}))


def prohibiting(**parts: object) -> RuleBook:
    row = Prohibition(Reason.MINOR_PROTECTED, "", Title("", ""), "", "", None, None, False, 0, False)  # noqa: FBT003
    return replace(BOOK, prohibitions=(*BOOK.prohibitions, replace(row, **parts)))  # type: ignore[arg-type]


BOTH = {
    "the purpose asks": with_purpose(both_required=True),
    "the category asks": with_category("purchase.history", both_required=True),
    "a category above asks": with_category("purchase", both_required=True),
}


@pytest.mark.parametrize("book", BOTH.values(), ids=BOTH)
def test_where_the_rules_ask_for_both_a_teen_and_a_guardian_must_agree(book: RuleBook) -> None:
    assert asked(book, "teen", "self").permits is False
    assert asked(book, "teen", "mother").permits is False
    assert asked(book, "teen", "self", "mother").permits is True
    assert asked(book, "adult", "self").permits is True


def test_where_no_row_asks_for_both_the_teen_alone_agrees() -> None:
    assert asked(BOOK, "teen", "self").permits is True
    assert asked(with_category("finance", both_required=True), "teen", "self").permits is True


@pytest.mark.parametrize(("person", "closed"), [("child", True), ("teen", True), ("adult", False)])
def test_a_tier_becomes_graver_below_the_age_of_its_row(person: str, closed: bool) -> None:
    row = AgeTier(18, Tier.HIDEABLE, Tier.CLOSED, "")
    book = replace(BOOK, age_tiers=(row, *BOOK.age_tiers))
    who = "mother" if person == "child" else "self"
    assert (asked(book, person, who).reason is Reason.COMMS_SECRECY) is closed


@pytest.mark.parametrize(
    ("parts", "person", "applies"),
    [
        ({"purpose": "analytics.usage"}, "adult", True),
        ({"purpose": "analytics"}, "adult", True),
        ({"purpose": "marketing"}, "adult", False),
        ({"purpose": "analytics", "category": "purchase"}, "adult", True),
        ({"purpose": "analytics", "category": "content"}, "adult", False),
        ({"category": "purchase.history", "under": 18}, "teen", True),
        ({"category": "purchase.history", "under": 18}, "adult", False),
        ({"category": "purchase.history", "under": 14}, "teen", False),
        ({"purpose": "analytics", "profiled": True}, "adult", False),
        ({"tier": Tier.HIDEABLE}, "adult", True),
        ({"tier": Tier.SENSITIVE}, "adult", False),
        ({"tier": Tier.SENSITIVE}, "child", True),
    ],
)
def test_a_prohibition_applies_where_everything_it_names_does(
    parts: dict[str, object], person: str, applies: bool
) -> None:
    answer = asked(prohibiting(**parts), person, "mother" if person == "child" else "self")
    assert (answer.reason is Reason.MINOR_PROTECTED) is applies
    assert answer.permits is not applies


def test_a_prohibition_towards_others_leaves_the_person_alone() -> None:
    book = prohibiting(category="purchase", others=True)
    assert asked(book, "adult", "self").permits is False
    assert asked(book, "adult", "self", viewer=actor_of("self", "adult")).permits is True


def test_somebody_of_unknown_age_is_told_so_by_a_prohibition_of_minors() -> None:
    book = prohibiting(purpose="analytics", under=18)
    question = Question("mem_adult", USAGE, PURCHASES, "", "svc_x", START, None)
    assert standing((), question, book).reason is Reason.AGE_UNKNOWN
