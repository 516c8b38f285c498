"""The command line as a script sees it: what it prints as JSON, and with which code it exits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from governance import world
from governance.__main__ import main


class Ran(NamedTuple):
    """One command: its exit code and what it said."""

    code: int
    out: str
    err: str


Governance = Callable[..., Ran]


@pytest.fixture
def governance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Governance:
    """Run commands on a home of their own; in this process, because starting one takes seconds."""
    for name in [name for name in os.environ if name.startswith("GOVERNANCE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GOVERNANCE_HOME", str(tmp_path / "home"))

    def run(*words: str) -> Ran:
        code = main(words)
        said = capsys.readouterr()
        return Ran(code, said.out, said.err)

    return run


def test_a_log_verifies_until_one_byte_of_it_is_changed_and_then_the_entry_is_named(
    governance: Governance,
) -> None:
    assert governance("init").code == 0
    assert governance("demo", "tamper").code == 1  # nothing in it yet
    assert governance("demo", "play", "--rounds", "1").code == 0

    sound = governance("audit", "verify", "--json")
    assert sound.code == 0
    document = json.loads(sound.out)
    assert document["first_bad_index"] is None
    assert document["signed_size"] == document["size"] > 30

    assert governance("demo", "tamper").code == 0
    broken = governance("audit", "verify", "--json")
    assert broken.code == 1
    document = json.loads(broken.out)
    assert document["first_bad_index"] == document["findings"][0]["index"] >= 30
    spoken = governance("audit", "verify")
    assert f"first bad index: {document['first_bad_index']}" in spoken.out.splitlines()


@pytest.mark.parametrize(
    ("words", "code"), [(("serve",), 1), (("audit", "verify"), 5), (("explain", "dec_unknown"), 1)]
)
def test_a_command_that_lacks_a_deployment_says_how_to_make_one(
    governance: Governance, words: tuple[str, ...], code: int
) -> None:
    refused = governance(*words)
    assert refused.code == code
    assert "governance init" in refused.err


def test_a_misspelt_setting_is_a_usage_error_that_names_it(
    governance: Governance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOVERNANCE_PROFLE", "prod")
    monkeypatch.setenv("GOVERNANCE_HOEM", "x")
    refused = governance("init")
    assert refused.code == 2
    assert {line.partition(":")[0] for line in refused.err.splitlines()} == {
        "GOVERNANCE_PROFLE",
        "GOVERNANCE_HOEM",
    }


def test_what_keeps_verify_from_looking_is_told_from_what_it_finds(
    governance: Governance, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert governance("init").code == 0
    for what, code in (("verify", 6), ("search", 2)):
        with pytest.raises(SystemExit) as left:
            governance("audit", what, "--nonsense")
        assert left.value.code == code
    monkeypatch.setenv("GOVERNANCE_DATABASE_URL", "postgresql+psycopg://nobody@127.0.0.1:1/none")
    away = governance("audit", "verify")
    assert away.code == 5
    assert "governance doctor" in away.err
    monkeypatch.setenv("GOVERNANCE_HOEM", "x")
    assert governance("audit", "verify").code == 6


def test_the_doctor_says_what_is_not_well(governance: Governance) -> None:
    ill = governance("doctor", "--json")
    assert ill.code == 1
    found = {one["check"]: one["well"] for one in json.loads(ill.out)["checks"]}
    assert found["rules"]
    assert not found["key ring"]
    assert governance("init").code == 0
    assert governance("doctor").code == 0


def test_a_plain_terminal_gets_chinese_sentences_and_no_traceback(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "governance", "init"],
        env={"PATH": os.environ["PATH"], "GOVERNANCE_HOME": str(tmp_path / "home"), "LC_ALL": "C"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("已就绪 / ready")


def test_an_operator_sees_consents_and_takes_a_receipt_and_both_stand_in_the_log(
    governance: Governance,
) -> None:
    assert governance("demo", "play", "--rounds", "1").code == 0
    shown = governance("consent", "show", world.ZHANG_LI.id, "--json")
    consents = json.loads(shown.out)["data"]
    assert {one["state"]["code"] for one in consents} == {"consent_given"}
    assert len(governance("consent", "show", world.ZHANG_LI.id).out.splitlines()) == len(consents)
    taken = governance("consent", "receipt", consents[0]["consent_id"])
    document = json.loads(taken.out)
    assert document["@type"] == "dpv:ConsentReceipt"
    assert not taken.out.endswith("\n"), "as it was signed, byte for byte"
    log = json.loads(governance("audit", "verify", "--json").out)
    assert document["hh:logIndex"] == log["size"] - 1


def test_who_is_not_there_has_neither_consents_nor_receipts(governance: Governance) -> None:
    assert governance("init").code == 0
    assert governance("consent", "show", world.ZHANG_LI.id).code == 1
    assert governance("consent", "receipt", "con_unknown").code == 1
