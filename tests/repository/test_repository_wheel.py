"""What is shipped: the five packages with their rules, pages and migrations, and no test."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("policies", "consent", "audit", "redaction", "governance")
DATA = {
    "policies/rules": (".toml", ".csv", ".conf"),
    "governance/templates": (".html",),
    "governance/static": (".css", ".svg"),
    "governance/locale": (".po",),
    "governance/migrations": (".py",),
}


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> frozenset[str]:
    """The names in a wheel built as a release would build it, with no network."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-P", "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
        env={**os.environ, "SOURCE_DATE_EPOCH": "1795312800"},
    )
    (wheel,) = folder.glob("household_governance-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return frozenset(archive.namelist())


def test_the_wheel_holds_the_five_packages_and_nothing_else(shipped: frozenset[str]) -> None:
    tops = {name.partition("/")[0] for name in shipped}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(ROOMS)


def test_the_wheel_holds_every_module(shipped: frozenset[str]) -> None:
    modules = {file.relative_to(ROOT).as_posix() for room in ROOMS for file in (ROOT / room).rglob("*.py")}
    assert modules - shipped == set()


@pytest.mark.parametrize(("folder", "kinds"), DATA.items(), ids=list(DATA))
def test_the_wheel_holds_what_the_code_reads(
    shipped: frozenset[str], folder: str, kinds: tuple[str, ...]
) -> None:
    files = {file.relative_to(ROOT).as_posix() for file in (ROOT / folder).rglob("*") if file.suffix in kinds}
    assert files
    assert files - shipped == set()


def test_the_wheel_says_that_it_is_typed(shipped: frozenset[str]) -> None:
    assert {f"{room}/py.typed" for room in ROOMS} <= shipped


def test_the_wheel_holds_no_test_and_no_leftover(shipped: frozenset[str]) -> None:
    last = {name: name.rpartition("/")[2] for name in shipped}
    tests = {name for name in shipped if last[name].startswith(("test_", "conftest")) or "/tests/" in name}
    leftovers = {name for name in shipped if name.endswith((".pyc", ".sqlite", ".json", ".lock"))}
    assert tests | leftovers == set()


def test_the_wheel_carries_licence_and_command(shipped: frozenset[str]) -> None:
    assert any(name.endswith("licenses/LICENSE") for name in shipped)
    assert any(name.endswith("entry_points.txt") for name in shipped)
