"""``governance notice`` as an officer uses it: publish a file, see it, publish its next version."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import living
import pytest

from governance import world
from governance.__main__ import main

pytestmark = pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
NOTICE: dict[str, Any] = {
    "id": "analytics",
    "purpose": "analytics.usage",
    "categories": ["content.history"],
    "methods": ["use"],
    "retention_days": 30,
    "region": "cn",
    "texts": {
        "zh": {"title": "使用分析", "text": "我们统计观看次数。"},
        "en": {"title": "Usage", "text": "We count views."},
    },
}


class Ran(NamedTuple):
    """One command: its exit code and what it said."""

    code: int
    out: str
    err: str


Notice = Callable[..., Ran]


@pytest.fixture
def notice(
    seeded_copy: tuple[living.Template, Path, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Notice:
    """Run notice commands in this process, on a home of its own."""
    template, home, url = seeded_copy
    living.copy_home(template, home, url)
    monkeypatch.setenv("GOVERNANCE_HOME", str(home))
    monkeypatch.setenv("GOVERNANCE_DATABASE_URL", url)

    def run(*words: str) -> Ran:
        code = main(["notice", *words])
        return Ran(code, *capsys.readouterr())

    return run


def written(folder: Path, body: object) -> str:
    path = folder / "notice.json"
    path.write_text(json.dumps(body, ensure_ascii=False), encoding="utf-8")
    return str(path)


def test_an_officer_publishes_a_file_once_however_often_the_command_runs(
    notice: Notice, tmp_path: Path
) -> None:
    file, by = written(tmp_path, NOTICE), ("--by", world.OFFICER.id)
    first = notice("publish", file, *by, "--json")
    assert (first.code, json.loads(first.out)["version"]) == (0, 1)
    assert notice("publish", file, *by, "--json").out == first.out
    second = notice("publish", written(tmp_path, NOTICE | {"region": "sg"}), *by)
    assert second.code == 0
    assert second.out.startswith("analytics@2  analytics.usage  使用分析  material: region\nanalytics@2#")
    listed = notice("list")
    assert [line.split()[0] for line in listed.out.splitlines()] == [
        *("analytics@1", "analytics@2", "family.care@1", "marketing.direct@1", "service.health@1")
    ]
    assert len(json.loads(notice("list", "--json").out)["notices"]) == 5


@pytest.mark.parametrize("who", [world.AUDITOR.id, world.ZHANG_LI.id, world.CRM.id, "nobody"])
def test_whoever_holds_no_office_for_it_does_not_publish(notice: Notice, tmp_path: Path, who: str) -> None:
    refused = notice("publish", written(tmp_path, NOTICE), "--by", who)
    assert (refused.code, refused.out) == (3, "")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (NOTICE | {"texts": {"zh": NOTICE["texts"]["zh"]}}, "/texts/en: missing"),
        (NOTICE | {"retention_days": 9_999}, "retention_days: longer_than_the_rules_allow"),
        (NOTICE | {"effective_from": "tomorrow"}, "not_a_time"),
    ],
)
def test_a_file_with_a_fault_is_told_where(
    notice: Notice, tmp_path: Path, body: dict[str, Any], said: str
) -> None:
    refused = notice("publish", written(tmp_path, body), "--by", world.OFFICER.id)
    assert refused.code == 1
    assert said in refused.err


def test_a_file_that_is_not_there_is_a_matter_of_usage(notice: Notice, tmp_path: Path) -> None:
    assert notice("publish", str(tmp_path / "none.json"), "--by", world.OFFICER.id).code == 2
