"""What is installed: exactly what the lock names, hash by hash, from wherever the machine gets packages."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
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


def declared() -> set[str]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = [NAME.match(one) for one in wanted]
    return {re.sub(r"[-_.]+", "-", name[0]).lower() for name in names if name is not None}


def test_each_locked_package_has_its_hashes() -> None:
    assert len(BLOCKS) > 50
    without = [block.splitlines()[0] for block in BLOCKS if "--hash=sha256:" not in block]
    assert without == []


def test_the_lock_names_no_address() -> None:
    assert not re.findall(r"://|--(?:extra-)?index|--find-links|--trusted-host|@ ", LOCK)


def test_the_lock_holds_everything_that_is_declared() -> None:
    assert declared() <= pins().keys()


def test_of_the_twins_only_the_maintained_one_is_locked() -> None:
    assert "pycasbin" in pins()
    assert "casbin" not in pins()


def test_what_a_decision_avoids_is_not_brought_along_by_others() -> None:
    """DECISIONS.md says why not: the twin, copyleft log code, a pin that blocks security updates."""
    avoided = {"casbin", "pymerkle", "presidio-anonymizer", "zhconv", "opencc-python-reimplemented"}
    assert not avoided & pins().keys()
