"""The parts of a notice's name, one by one."""

from __future__ import annotations

import pytest
from consent_story import DAY, START, notices

from consent import obliging
from consent.recipients import not_covered, reaches
from consent.superseding import NO_NOTICES, NoticeFact, by_id, is_forged, names_processor, superseded_at
from policies.grants import DUTIES

LATER = START + 9 * DAY
PUBLISHED = notices(["n@1#aa 0 by:lab", "n@2#bb 4 material by:press", "n@10 9 material", "m@1 0"])


def test_versions_are_sorted_by_notice() -> None:
    assert {name: [one.version for one in each] for name, each in PUBLISHED.items()} == {
        "n": [1, 2, 10],
        "m": [1],
    }
    assert by_id([]) == NO_NOTICES == {}


@pytest.mark.parametrize(
    ("notice", "day"),
    [("n@1#aa", 4), ("n@2#bb", 9), ("n@9", 9), ("n@10", None), ("m@1", None), ("x@1", None)],
)
def test_versions_are_compared_as_numbers(notice: str, day: int | None) -> None:
    expected = None if day is None else START + day * 86_400_000
    assert superseded_at(PUBLISHED, notice, None) == expected


def test_a_notice_without_a_version_is_older_than_every_version() -> None:
    first = by_id([NoticeFact("n", 0, START, material=True)])
    for unversioned in ("n", "n@", "n@one"):
        assert superseded_at(first, unversioned, None) == START
        assert is_forged(first, unversioned)
    assert superseded_at(first, "n@0", None) is None


@pytest.mark.parametrize(("known_at", "end"), [(START - 1, None), (START, LATER), (START + 1, LATER)])
def test_a_version_ends_nothing_for_who_asks_what_was_known_before_it_was_published(
    known_at: int, end: int | None
) -> None:
    published = by_id([NoticeFact("n", 2, LATER, material=True, recorded_at=START)])
    assert superseded_at(published, "n@1", known_at) == end


def test_a_version_of_which_no_publication_is_on_record_was_known_from_the_epoch_on() -> None:
    undated = by_id([NoticeFact("n", 2, LATER, material=True)])
    assert superseded_at(undated, "n@1", 0) == LATER
    assert superseded_at(undated, "n@1", -1) is None


@pytest.mark.parametrize(
    ("notice", "forged"),
    [
        ("n@1#aa", False),
        ("n@1#bb", True),
        ("n@1", True),
        ("n@2#bb", False),
        ("n@10#anything", False),
        ("n@3#aa", True),
        ("n@١#aa", True),  # a one in Arabic-Indic digits is not the version's spelling
        ("n@-1#aa", True),
        ("n@#aa", True),
        ("n", True),
        ("x@1#aa", False),
    ],
)
def test_a_notice_is_forged_when_its_id_is_known_and_its_version_or_text_is_not(
    notice: str, *, forged: bool
) -> None:
    assert is_forged(PUBLISHED, notice) is forged


def test_each_version_names_its_own_processors() -> None:
    assert names_processor(PUBLISHED, "n@1#aa", "lab") is True
    assert names_processor(PUBLISHED, "n@1#aa", "press") is False
    assert names_processor(PUBLISHED, "n@2#bb", "press") is True
    assert names_processor(PUBLISHED, "n@1#bb", "lab") is False
    assert names_processor(PUBLISHED, "x@1#aa", "lab") is False


def test_a_recipient_is_covered_by_its_own_name_only() -> None:
    assert not_covered("partner", "partner") is None
    assert reaches("partner", "partner")
    assert not reaches("partner", "")


def test_the_duties_shared_with_the_rule_book_are_spelt_as_there() -> None:
    for duty in (obliging.NON_PERSONAL, obliging.OPT_OUT, obliging.APPROVAL):
        name, _, value = duty.partition("=")
        assert DUTIES[name].fullmatch(value)
