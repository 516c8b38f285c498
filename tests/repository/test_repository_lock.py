"""What is installed: exactly what the lock names, hash by hash, from wherever the machine gets packages."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterable
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("policies", "consent", "audit", "redaction", "governance")
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
BLOCKS = [block for block in re.split(r"\n(?=[a-z0-9])", LOCK) if block.strip()]
PIN = re.compile(r"^(?P<name>[a-z0-9][a-z0-9-]*)(?:\[[a-z0-9,-]+\])?==(?P<version>[^\s;]+)")
NAME = re.compile(r"^[A-Za-z0-9._-]+")


def pins() -> dict[str, str]:
    found = {}
    for block in BLOCKS:
        pin = PIN.match(block)
        assert pin is not None, block[:80]
        found[pin["name"]] = pin["version"]
    return found


def names_in(requirements: Iterable[str]) -> set[str]:
    found = [NAME.match(one) for one in requirements]
    return {re.sub(r"[-_.]+", "-", name[0]).lower() for name in found if name is not None}


def declared(*extras: str) -> set[str]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    optional = project["optional-dependencies"]
    return names_in([*project["dependencies"], *(one for extra in extras for one in optional[extra])])


def imported() -> set[str]:
    """Return which distributions the five packages import."""
    modules = set()
    for room in ROOMS:
        for file in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    modules |= {name.name.partition(".")[0] for name in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    modules.add(node.module.partition(".")[0])
    providers = packages_distributions()
    return names_in(one for module in modules - set(ROOMS) for one in providers.get(module, ()))


def test_each_locked_package_has_its_hashes() -> None:
    assert len(BLOCKS) > 50
    without = [block.splitlines()[0] for block in BLOCKS if "--hash=sha256:" not in block]
    assert without == []


def test_the_lock_names_no_address() -> None:
    assert not re.findall(r"://|--(?:extra-)?index|--find-links|--trusted-host|@ ", LOCK)


def test_the_lock_holds_everything_that_is_declared() -> None:
    assert declared("dev") <= pins().keys()


def test_everything_that_is_imported_is_declared() -> None:
    """A package that is there only because another one wants it may be gone tomorrow."""
    extras = {"psycopg-pool"}  # declared as an extra of psycopg
    assert imported() - declared() == extras


def test_nothing_is_declared_that_nobody_imports() -> None:
    data = {"tzdata"}  # time zones, for machines that have none; read by the standard library
    assert declared() - imported() - data == set()


def test_of_the_twins_only_the_maintained_one_is_locked() -> None:
    assert "pycasbin" in pins()
    assert "casbin" not in pins()


def test_what_a_decision_avoids_is_not_brought_along_by_others() -> None:
    """DECISIONS.md says why not: the twin, copyleft log code, a pin that blocks security updates."""
    avoided = {"casbin", "pymerkle", "presidio-anonymizer", "zhconv", "opencc-python-reimplemented"}
    assert not avoided & pins().keys()
