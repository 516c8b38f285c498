"""How long values are kept: half-open, by field and by purpose, and every row declared and useful."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.book import BookError, load_book, packaged_rules
from policies.retention import Keep, Retention
from policies.terms import FieldName, Purpose, Tier

DAY = 86_400_000
RETENTION = load_book(packaged_rules()).retention
HISTORY, LOOK, RECOMMEND = (
    FieldName("viewing_history"),
    Purpose("service.household"),
    Purpose("recommend.personal"),
)


def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(packaged_rules(), tmp_path / "rules"))


@given(written=st.integers(0, 2**42))
def test_a_value_is_there_until_its_last_millisecond_and_as_absent_from_the_next(written: int) -> None:
    for purpose, days in ((LOOK, 365), (RECOMMEND, 180), (None, 365)):
        end = written + days * DAY
        assert RETENTION.ends_at(HISTORY, purpose, written) == end
        assert not RETENTION.lapsed(HISTORY, purpose, written, end - 1)
        assert RETENTION.lapsed(HISTORY, purpose, written, end)


def test_a_field_without_a_row_has_no_end() -> None:
    assert RETENTION.ends_at(FieldName("name"), LOOK, 0) is None
    assert FieldName("name") not in RETENTION.cutoffs(0)


def test_the_sweep_deletes_exactly_what_no_purpose_can_use_any_more() -> None:
    rows = Retention({(HISTORY, None): Keep(10, "s"), (HISTORY, RECOMMEND): Keep(3, "s")})
    now = 100 * DAY
    cutoff = rows.cutoffs(now)[HISTORY]
    assert rows.lapsed(HISTORY, None, cutoff, now)
    assert not rows.lapsed(HISTORY, None, cutoff + 1, now)


def test_every_sensitive_value_has_an_end_whoever_forgets_to_erase_it() -> None:
    book = load_book(packaged_rules())
    grave = {
        name
        for name, entry in book.fields.items()
        if entry.channel is None and entry.tier in (Tier.SENSITIVE, Tier.CLOSED)
    }
    assert {"allergies", "bank_card", "blood_pressure", "id_card", "location", "chat_messages"} <= grave
    assert all(RETENTION.ends_at(name, None, 0) for name in grave)


def test_rules_that_keep_sensitive_values_and_no_end_for_them_do_not_start(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    (folder / "retention.toml").unlink()
    with pytest.raises(BookError, match="bank_card is sensitive and no row ends the value itself"):
        load_book(folder)


def test_a_purchase_is_kept_for_three_years_and_a_day_as_least_and_longest_time() -> None:
    """电子商务法 第三十一条: not less than three years from the transaction, in a leap year 1096 days."""
    assert RETENTION.rows[FieldName("purchase_history"), None].days == 1096


FAULTS = {
    "an unknown field": ('field = "location"', 'field = "locations"', "unknown field"),
    "a channel": ('field = "location"', 'field = "channel.sms"', "unknown field"),
    "an unknown purpose": ('purpose = "recommend.personal"', 'purpose = "recommend.it"', "unknown purpose"),
    "a row that never matters": (
        'purpose = "recommend.personal"\ndays = 180',
        'purpose = "recommend.personal"\ndays = 365',
        "ends before this row",
    ),
    "no days": ("days = 30", "days = 0", "whole number from 1"),
    "a second row": ('field = "chat_messages"', 'field = "location"', "a second row"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_faulty_row_stops_the_book(name: str, tmp_path: Path) -> None:
    old, new, said = FAULTS[name]
    folder = copied(tmp_path)
    text = (folder / "retention.toml").read_text(encoding="utf-8")
    assert old in text
    (folder / "retention.toml").write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(BookError, match=said.replace("[", r"\[")):
        load_book(folder)
