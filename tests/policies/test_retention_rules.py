"""How long values are kept: half-open, by field and by purpose, and every row declared and useful."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.book import BookError, load_book, packaged_rules
from policies.retention import Keep, Retention
from policies.terms import FieldName, Purpose

DAY = 86_400_000
RETENTION = load_book(packaged_rules()).retention
HISTORY, LOOK, RECOMMEND = (
    FieldName("viewing_history"),
    Purpose("service.household"),
    Purpose("recommend.personal"),
)


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


FAULTS = {
    "an unknown field": ('field = "location"', 'field = "locations"', "unknown field"),
    "a channel": ('field = "location"', 'field = "channel.sms"', "unknown field"),
    "an unknown purpose": ('purpose = "recommend.personal"', 'purpose = "recommend.it"', "unknown purpose"),
    "a row that never matters": (
        'days = 180\nsource = "个人信息保护法 第十九条、',
        'days = 365\nsource = "个人信息保护法 第十九条、',
        "ends before this row",
    ),
    "no days": ("days = 30", "days = 0", "whole number from 1"),
    "a second row": ('field = "chat_messages"', 'field = "location"', "a second row"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_faulty_row_stops_the_book(name: str, tmp_path) -> None:
    old, new, said = FAULTS[name]
    folder = tmp_path / "rules"
    folder.mkdir()
    for path in packaged_rules().rglob("*"):
        if path.is_file():
            (folder / path.relative_to(packaged_rules())).parent.mkdir(exist_ok=True)
            (folder / path.relative_to(packaged_rules())).write_bytes(path.read_bytes())
    text = (folder / "retention.toml").read_text(encoding="utf-8")
    assert old in text
    (folder / "retention.toml").write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(BookError, match=said.replace("[", r"\[")):
        load_book(folder)
