"""The shape of the house: five packages, pointing down, small files, nothing hidden in ``__init__``."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("policies", "consent", "audit", "redaction", "governance")
LONGEST = 400


def python_files(*folders: str) -> list[Path]:
    return sorted(file for folder in folders for file in (ROOT / folder).rglob("*.py"))


def test_there_are_five_packages_and_no_sixth() -> None:
    packages = {folder.parent.name for folder in ROOT.glob("*/__init__.py")}
    assert packages == set(ROOMS)


def test_no_module_lies_loose_beside_the_packages() -> None:
    assert not list(ROOT.glob("*.py"))


@pytest.mark.parametrize("room", ROOMS)
def test_each_package_says_that_it_is_typed(room: str) -> None:
    assert (ROOT / room / "py.typed").read_bytes() == b""


def test_a_package_exports_nothing_by_its_init() -> None:
    filled = [file for file in python_files(*ROOMS) if file.name == "__init__.py" and file.stat().st_size]
    assert not filled


def test_no_file_is_longer_than_one_idea() -> None:
    lengths = {
        file.relative_to(ROOT).as_posix(): len(file.read_text(encoding="utf-8").splitlines())
        for file in python_files(*ROOMS, "tests")
    }
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


def test_no_file_has_a_name_that_says_nothing() -> None:
    empty = {
        "utils",
        "util",
        "helpers",
        "helper",
        "manager",
        "base",
        "service",
        "core",
        "data",
        "common",
        "misc",
    }
    assert not [file for file in python_files(*ROOMS) if file.stem in empty]


def test_no_module_of_the_tests_hides_a_package_that_something_imports() -> None:
    """Pytest puts these folders first: a helper named like a dependency would be imported in its place."""
    taken = sys.stdlib_module_names | packages_distributions().keys()
    assert not [file for file in python_files("tests") if file.stem in taken]


def test_every_module_says_what_it_promises() -> None:
    silent = [
        file.relative_to(ROOT).as_posix()
        for file in python_files(*ROOMS)
        if file.name != "__init__.py" and not ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))
    ]
    assert silent == []


def test_imports_point_down_and_plaintext_stays_where_the_contracts_say(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("lint-imports")
    checked = subprocess.run(
        [program, "--no-logo", "--cache-dir", tmp_path], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout


def test_few_modules_may_come_near_keys_and_sealing() -> None:
    """Whoever wants to add one writes a decision first, and changes this number with it."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    plaintext = next(one for one in contracts if "redaction.sealing" in one.get("protected_modules", ()))
    outside = [one for one in plaintext["allowed_importers"] if not one.startswith("redaction.")]
    assert len(outside) <= 4
