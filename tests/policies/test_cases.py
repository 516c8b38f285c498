"""What somebody can write wrongly in cases.toml, each told with its line."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest

from policies.book import BookError, RuleBook, load_book, packaged_rules
from policies.plan import NO_PURPOSE
from policies.terms import Condition, Level, Relation

HERE = Path(__file__).parent
FAULTS = tomllib.loads((HERE / "case_faults.toml").read_text(encoding="utf-8"))["rows"]


@pytest.mark.parametrize("row", FAULTS, ids=[f"{row[0]}-{row[3]}" for row in FAULTS])
def test_a_wrong_case_stops_the_start_and_is_told_with_its_line(
    rules: Path, tmp_path: Path, row: tuple[str, str, str, str]
) -> None:
    book, found, written, said = row
    if book == "documents":
        rules = Path(shutil.copytree(HERE / "documents", tmp_path / "documents"))
    path = rules / "cases.toml"
    text = path.read_text(encoding="utf-8")
    assert found in text
    line = text[: text.index(found)].count("\n") + 1
    path.write_text(text.replace(found, written, 1), encoding="utf-8")
    with pytest.raises(BookError) as caught:
        load_book(rules)
    assert [(fault.file, fault.line) for fault in caught.value.faults if said in fault.text] == [
        ("cases.toml", line)
    ], caught.value


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("rows = []\n", "no rows: an empty set of cases"),
        ("", "no rows: an empty set of cases"),
        ("case = [\n]\n", "unknown list 'case'"),
        ("rows = [['-'], ['-']]\n", "must stand on a line of its own"),
        ("rows = [\n", "not TOML"),
        ("rows = [\n  [1, 2],\n]\n", "a row is a list of texts"),
    ],
)
def test_a_damaged_file_of_cases_stops_the_start(rules: Path, written: str, said: str) -> None:
    (rules / "cases.toml").write_text(written, encoding="utf-8")
    with pytest.raises(BookError) as caught:
        load_book(rules)
    assert {fault.file for fault in caught.value.faults} == {"cases.toml"}
    assert said in str(caught.value)


def test_a_book_without_cases_loads(rules: Path) -> None:
    (rules / "cases.toml").unlink()
    assert load_book(rules).cases == ()


def test_a_case_is_the_question_that_a_plan_is_asked(book: RuleBook) -> None:
    case = next(case for case in book.cases if case.why == "年龄和批准都不明，按未批准处理")
    assert case.question == (frozenset(), "mobile", "write", Relation.SELF, "account.manage")
    assert case.facts == {
        Condition.CONSENT: False,
        Condition.SHARED: False,
        Condition.HIDDEN: False,
        Condition.TICKET: False,
        Condition.SAME_GENDER_ASKED: False,
        Condition.OTHER_GENDER: False,
        Condition.EMERGENCY: False,
        Condition.PROFILED: False,
    }
    assert (case.level, case.by) == (Level.HIDDEN, ("H-MINOR-01",))


def test_a_case_about_a_further_resource_takes_the_roles_of_a_named_subject() -> None:
    case = load_book(HERE / "documents").cases[0]
    assert case.question == (frozenset({("org", "editor")}), "type:document", "read", "none", NO_PURPOSE)
    assert case.facts == {
        "archived": False, "owner": False, "same_department": True, "listed": False, "hard": False
    }  # fmt: skip


def test_the_packaged_cases_say_in_chinese_what_their_columns_mean() -> None:
    head = (packaged_rules() / "cases.toml").read_text(encoding="utf-8").split("rows = [")[0]
    assert all(word in head for word in ("本人", "监护人", "脱敏", "为什么"))
