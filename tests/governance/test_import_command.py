"""``governance consent import`` as an operator meets it: exit codes, the bar, the report, what it says."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import living
import pytest
from living import DAY, Template

from governance import world
from governance.__main__ import main
from governance.times import rfc3339
from governance.wiring import wall_clock

pytestmark = pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
Command = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def command(
    seeded_copy: tuple[Template, Path, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    """Run the command in the house; gives exit code, JSON document and what went to stderr."""
    settings = living.copy_home(*seeded_copy)
    monkeypatch.setenv("GOVERNANCE_HOME", str(settings.home))

    def run(file: Path, *more: str) -> tuple[int, Any, str]:
        code = main(["consent", "import", str(file), "--json", *more])
        said = capsys.readouterr()
        return code, json.loads(said.out) if said.out else None, said.err

    return run


def consents(folder: Path, *evidence: str) -> Path:
    given = wall_clock() - DAY
    file = folder / "consents.csv"
    lines = ["member,purpose,categories,notice,given_at,confirmed_at,evidence"]
    notice = "archive.health@3#" + "5" * 64
    lines += [
        f"{world.LI_QIANG.id},service.health,health.record,{notice},{rfc3339(given)},{rfc3339(given)},{one}"
        for one in evidence
    ]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def test_what_is_imported_is_counted_reported_and_not_imported_twice(
    command: Command, tmp_path: Path
) -> None:
    file = consents(tmp_path, "a/1", "a/2")
    code, said, beside = command(file)
    assert (code, said["imported"], said["refused"], said["already_imported"]) == (0, 2, 0, False)
    assert "100%" in beside
    report = tmp_path / "consents.csv.report.jsonl"
    assert said["report"] == str(report)
    assert stat.S_IMODE(report.stat().st_mode) == 0o600
    assert [json.loads(line)["line"] for line in report.read_text("utf-8").splitlines()] == [2, 3]
    code, again, _ = command(file)
    assert (code, again["already_imported"], again["import"]) == (0, True, said["import"])


def test_a_refused_line_is_a_failed_check(command: Command, tmp_path: Path) -> None:
    code, said, _ = command(consents(tmp_path, "a/1", ""), "--by", world.OFFICER.id)
    assert (code, said["imported"], said["refused"]) == (1, 1, 1)


def test_a_dry_run_says_so_and_leaves_the_file_to_be_imported(command: Command, tmp_path: Path) -> None:
    file = consents(tmp_path, "a/1")
    code, said, _ = command(file, "--dry-run")
    assert (code, said["dry_run"], said["imported"], said["import"]) == (0, True, 1, None)
    code, said, _ = command(file)
    assert (code, said["already_imported"], said["imported"]) == (0, False, 1)


def test_what_is_no_file_of_consents_is_a_fault_of_usage(command: Command, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("name,phone\n", encoding="utf-8")
    for file, more in ((wrong, ()), (tmp_path / "nowhere.csv", ()), (wrong, ("--by", "somebody"))):
        code, said, beside = command(file, *more)
        assert (code, said) == (2, None)
        assert beside.startswith("governance consent import: ")
        assert any("\u4e00" <= sign <= "\u9fff" for sign in beside), "Chinese first"
        assert " / " in beside
    assert not list(tmp_path.glob("*.jsonl")), "no empty report is left behind"


def test_an_import_in_the_name_of_nobody_leaves_no_report(command: Command, tmp_path: Path) -> None:
    file = consents(tmp_path, "a/1")
    code, _, beside = command(file, "--by", "stf_019a0000-0000-7d47-8433-b18122cd4e5d")
    assert code == 1
    assert "工作人员" in beside
    assert not list(tmp_path.glob("*.jsonl"))


def test_a_report_is_not_written_through_a_link(command: Command, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("mine", encoding="utf-8")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    code, _, _ = command(consents(tmp_path, "a/1"), "--report", str(tmp_path / "link"))
    assert code == 2
    assert (tmp_path / "elsewhere").read_text("utf-8") == "mine"
