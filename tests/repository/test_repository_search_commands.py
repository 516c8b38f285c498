"""``governance audit search`` and ``reindex`` as an operator uses them."""

from __future__ import annotations

import json

import pytest
from living import Living

from governance import __main__ as command_line


@pytest.fixture
def home(house: Living, monkeypatch: pytest.MonkeyPatch) -> Living:
    monkeypatch.setenv("GOVERNANCE_HOME", str(house.settings.home))
    monkeypatch.setenv("GOVERNANCE_DATABASE_URL", house.url)
    return house


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = command_line.main(["audit", *arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_the_operator_searches_in_the_officers_grammar_and_is_on_record(
    home: Living, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said, _ = run(capsys, "search", "kind:change", "--limit", "3", "--json")
    found = json.loads(said)
    assert (code, len(found["entries"]), found["before"] is not None) == (0, 3, True)
    assert {one["kind"] for one in found["entries"]} == {"change"}
    entry = home.log()[-1]
    assert (entry.act, entry.actor.party.id, entry.n) == ("audit.searched", "operator", 3)


def test_a_line_that_means_nothing_is_wrong_usage_told_by_its_place(
    home: Living, capsys: pytest.CaptureFixture[str]
) -> None:
    size = home.size()
    code, said, told = run(capsys, "search", "kind:change zhang")
    assert (code, said) == (2, "")
    assert "qualifier_missing, at character 13" in told
    assert "zhang" not in told
    assert home.size() == size


def test_the_check_names_what_differs_and_making_the_index_anew_mends_the_index_alone(
    home: Living, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, "reindex")[0] == 0
    assert run(capsys, "reindex", "--check")[0] == 0
    about = home.sql("SELECT max(leaf_index) FROM audit_subject")[0][0]
    if home.engine == "sqlite":
        guards = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit_subject'"
        home.sql(*(f"DROP TRIGGER {name}" for (name,) in home.sql(guards)))
    else:
        home.sql("ALTER TABLE audit_subject DISABLE TRIGGER ALL")
    home.sql(
        "DELETE FROM audit_term WHERE leaf_index = 5",
        f"DELETE FROM audit_subject WHERE leaf_index = {about}",
    )
    code, said, _ = run(capsys, "reindex", "--check", "--json")
    differ = [{"index": 5, "column": "term"}, {"index": about, "column": "subject"}]
    assert (code, json.loads(said)["altered_copies"]) == (1, differ)
    assert run(capsys, "verify")[0] == 1
    assert run(capsys, "reindex")[0] == 0
    code, said, _ = run(capsys, "reindex", "--check", "--json")
    assert (code, json.loads(said)["altered_copies"]) == (1, differ[1:])
