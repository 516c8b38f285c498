"""Commands of a house under attack."""

from __future__ import annotations

import os

import pytest
from living import Living
from threats import Governance, Ran, environment_of

from governance.__main__ import main


@pytest.fixture
def governance(
    house: Living, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Governance:
    """Run commands of the house, on its database or on another that is named by its URL."""
    for name in [name for name in os.environ if name.startswith("GOVERNANCE_")]:
        monkeypatch.delenv(name)

    def run(*words: str, url: str = "") -> Ran:
        environment = environment_of(house)
        environment["GOVERNANCE_DATABASE_URL"] = url or house.url
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        capsys.readouterr()
        code = main(words)
        return Ran(code, capsys.readouterr().out)

    return run
