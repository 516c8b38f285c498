"""``governance policy`` as officers use it: try, compare, draft, publish by two people, replay."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from governance import world
from governance.__main__ import main
from policies.book import packaged_rules

OFFICER, SECOND = world.OFFICER.id, world.PRIVACY_ADMIN.id
LESS = "p, agent, *, category:contact.phone, read.exists, *, service.delivery, -, deny, -, S-AG-99, S6\n"


class Ran(NamedTuple):
    """One command: its exit code and what it said."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


Policy = Callable[..., Ran]


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Policy:
    """Run policy commands in this process, on a home that may or may not be there."""
    for name in [name for name in os.environ if name.startswith("GOVERNANCE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GOVERNANCE_HOME", str(tmp_path / "home"))

    def run(*words: str) -> Ran:
        try:
            code = main(["policy", *words] if words[0] not in ("init", "demo") else list(words))
        except SystemExit as ended:
            code = int(ended.code or 0)
        said = capsys.readouterr()
        return Ran(code, said.out, said.err)

    return run


@pytest.fixture
def lived(policy: Policy) -> Policy:
    """A home with the demo's world and some decisions in its log."""
    assert policy("demo", "play", "--rounds", "1").code == 0
    return policy


@pytest.fixture
def stricter(tmp_path: Path) -> Path:
    """Rules in which agents no longer see a number for a delivery, with cases that say so."""
    folder = Path(shutil.copytree(packaged_rules(), tmp_path / "stricter"))
    with (folder / "grants.csv").open("a", encoding="utf-8") as file:
        file.write(LESS)
    cases = (folder / "cases.toml").read_text(encoding="utf-8")
    # What was signed for a delivery now holds for other services, and for a delivery nothing is seen.
    asked = re.compile(
        r'(  \["agent", "adult", "assigned", "read", "mobile", )"service.delivery", ("[^"]*"), (".*),\n'
    )
    denied = (
        r'\1"service.delivery", \2, "hidden", "S-AG-99", "配送不看号码"],\n\1"service.household", \2, \3,\n'
    )
    (folder / "cases.toml").write_text(asked.sub(denied, cases), encoding="utf-8")
    return folder


def test_the_packaged_rules_pass_their_own_cases_without_any_home(policy: Policy) -> None:
    ran = policy("test", "packaged", "--json")
    assert (ran.code, ran.document["failures"], ran.document["uncovered"]) == (0, [], [])
    assert ran.document["cases"] > 100
    assert policy("test", "--json").document == ran.document


def test_a_case_that_fails_and_a_rule_that_no_case_watches_are_told_with_their_lines(
    policy: Policy, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(packaged_rules(), tmp_path / "rules"))
    with (folder / "grants.csv").open("a", encoding="utf-8") as file:
        file.write(LESS)
    ran = policy("test", str(folder), "--json")
    assert ran.code == 1
    assert any("S-AG-99" in one["en"] for one in ran.document["failures"])
    assert {"S-AG-02", "S-AG-03"} <= {one["rule"] for one in ran.document["uncovered"]}
    assert "cases.toml:" in policy("test", str(folder)).out


def test_a_fault_in_the_files_is_told_with_file_and_line(policy: Policy, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(packaged_rules(), tmp_path / "rules"))
    path = folder / "grants.csv"
    path.write_text(
        path.read_text(encoding="utf-8").replace(", deny, -, S-AG-05", ", Deny, -, S-AG-05"), encoding="utf-8"
    )
    for command in (["test", str(folder)], ["diff", "packaged", str(folder)]):
        ran = policy(*command)
        assert ran.code == 1
        assert "grants.csv:" in ran.err


def test_a_what_if_tells_newly_allowed_first_and_everything_that_changes(
    policy: Policy, stricter: Path
) -> None:
    back = policy("diff", str(stricter), "packaged", "--json").document
    forth = policy("diff", "packaged", str(stricter), "--json").document
    assert back["changed"]["rises"] == forth["changed"]["falls"] > 0
    assert forth["changed"]["rises"] == 0
    assert forth["considered"] > 100_000
    assert {change["direction"] for change in forth["changes"]} == {"falls"}
    assert all("mobile" in change["things"] for change in forth["changes"])
    told = policy("diff", str(stricter), "packaged")
    assert told.code == 0
    assert "newly allowed" in told.out
    assert policy("diff", "packaged", "packaged", "--json").document["changes"] == []


def test_two_people_put_a_version_in_force_and_one_alone_cannot(lived: Policy, stricter: Path) -> None:
    drafted = lived("draft", str(stricter), "--by", OFFICER, "--note", "更严", "--json")
    assert (drafted.code, drafted.document["number"], drafted.document["failing_cases"]) == (0, 2, 0)
    looked = lived("publish", "2", "--by", SECOND, "--json")
    assert looked.code == 1
    assert "--seen" in looked.err
    code = looked.document["seen"]
    assert lived("publish", "2", "--by", OFFICER, "--seen", code).code == 3
    assert lived("publish", "2", "--by", world.WANG_MIN.id, "--seen", code).code == 3
    assert lived("publish", "2", "--by", SECOND, "--seen", "0" * 12).code == 1
    assert lived("show", "--json").document["in_force"] == 1
    published = lived("publish", "2", "--by", SECOND, "--seen", code, "--json")
    assert (published.code, published.document["drained"]) == (0, True)
    shown = lived("show", "--json").document
    assert (shown["in_force"], [one["state"] for one in shown["versions"]]) == (2, ["published", "published"])
    again = lived("publish", "1", "--by", SECOND, "--json").document["seen"]
    assert lived("publish", "1", "--by", SECOND, "--seen", again).code == 0
    assert lived("show", "--json").document["in_force"] == 1


def test_a_version_whose_own_cases_fail_is_not_published(lived: Policy, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(packaged_rules(), tmp_path / "rules"))
    with (folder / "grants.csv").open("a", encoding="utf-8") as file:
        file.write(LESS)
    assert lived("draft", str(folder), "--by", OFFICER, "--json").document["failing_cases"] > 0
    code = lived("publish", "2", "--by", SECOND, "--json").document["seen"]
    ran = lived("publish", "2", "--by", SECOND, "--seen", code)
    assert ran.code == 1
    assert "governance policy test" in ran.err


def test_past_decisions_are_asked_again_newly_denied_and_newly_allowed(lived: Policy, stricter: Path) -> None:
    same = lived("replay", "in-force", "--json").document
    assert (same["counts"]["newly_allowed"], same["counts"]["newly_denied"]) == (0, 0)
    assert (same["moved"], same["lost"]) == (0, 0)
    assert same["decisions"] > 10
    denied = lived("replay", str(stricter), "--json").document
    assert denied["counts"]["newly_denied"] == len(denied["changes"]) > 0
    assert {(one["field"], one["was"], one["would_be"]) for one in denied["changes"]} == {
        ("mobile", "mask", "hide")
    }
    assert lived("draft", str(stricter), "--by", OFFICER).code == 0
    assert lived("replay", "2", "--json").document["changes"] == denied["changes"]
    assert lived("replay", "2", "--last", "0", "--json").document["decisions"] == 0


def test_a_shadow_version_is_what_a_replay_takes_and_ends_when_told(lived: Policy, stricter: Path) -> None:
    lived("draft", str(stricter), "--by", OFFICER)
    assert lived("shadow", "2", "--by", world.AUDITOR.id).code == 3
    assert lived("shadow", "2", "--by", SECOND).code == 0
    assert lived("show", "--json").document["shadow"] == 2
    assert lived("replay", "--json").document["counts"]["newly_denied"] > 0
    assert lived("shadow", "0", "--by", SECOND).code == 0
    assert lived("show", "--json").document["shadow"] is None


def test_a_second_person_says_no(lived: Policy, stricter: Path) -> None:
    lived("draft", str(stricter), "--by", OFFICER)
    assert lived("refuse", "2", "--by", OFFICER).code == 3
    assert lived("refuse", "2", "--by", SECOND).code == 0
    code = lived("publish", "2", "--by", SECOND, "--json").document["seen"]
    assert lived("publish", "2", "--by", SECOND, "--seen", code).code == 1


def test_rules_that_nobody_knows_are_a_wrong_use(lived: Policy) -> None:
    for command in (
        ["show", "nowhere"],
        ["diff", "packaged", "77"],
        ["test", "ffffffffffff"],
        ["replay", "shadow"],
    ):
        ran = lived(*command)
        assert ran.code == 2
        assert "governance policy show" in ran.err
    assert lived("publish", "7", "--by", SECOND).code == 1
    assert lived("nonsense").code == 2
