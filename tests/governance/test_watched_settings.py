"""Who watches the log from outside: both files are read strictly, and every fault is told at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit.checkpoint import Cosigner
from governance.settings import SettingsError, read_settings
from governance.witnesssettings import UNWATCHED, Copy, Watched
from policies.book import packaged_rules

EAST = Cosigner("east.example/w", b"\x09" * 32).key.text
INSIDE = "10.1.2.3"
MAIL = {"GOVERNANCE_SMTP_URL": "smtps://mail.example", "GOVERNANCE_SMTP_FROM": "log@house.example"}


def watched(folder: Path, policy: str | None, copies: str | None, **more: str) -> Watched:
    environment = dict(more)
    for word, text in (("WITNESSES", policy), ("CHECKPOINT_COPIES", copies)):
        if text is not None:
            path = folder / word
            path.write_text(text, "utf-8")
            environment[f"GOVERNANCE_{word}"] = str(path)
    return read_settings(environment, packaged_rules()).watched


def test_nobody_watches_where_nothing_is_said() -> None:
    assert read_settings({}, packaged_rules()).watched == UNWATCHED
    assert UNWATCHED.policy.is_quorum(set())


def test_witnesses_and_copies_are_read_from_their_files(tmp_path: Path) -> None:
    policy = f"witness east {EAST} http://{INSIDE}:8090/w/\nquorum east\n"
    copies = (
        f"# who keeps what\nfile {tmp_path}/copy.jsonl\n\nwebhook https://bureau.example/log\n"
        "webhook https://other.example/log every 5\nmail audit@bureau.example every 3600\n"
    )
    found = watched(tmp_path, policy, copies, **MAIL)
    assert [one.name for one in found.policy.witnesses] == ["east"]
    assert found.copies == (
        Copy("file", f"{tmp_path}/copy.jsonl", 0),
        Copy("webhook", "https://bureau.example/log", 60),
        Copy("webhook", "https://other.example/log", 5),
        Copy("mail", "audit@bureau.example", 3600),
    )


@pytest.mark.parametrize(
    "line",
    [
        "file relative/path",
        "file /no/such/folder/copy",
        "file /tmp/copy every 5",
        "webhook http://bureau.example/log",
        "webhook https://127.0.0.1/log",
        f"webhook https://{INSIDE}/log",
        "webhook https://bureau.example/log every 0",
        "webhook https://bureau.example/log each 5",
        "webhook https://bureau.example/log every",
        "mail audit@bureau.example every 599",
        "mail Audit <audit@bureau.example>",
        "mail bureau.example",
        "sms 13800000000",
        "file",
    ],
)
def test_a_wrong_line_of_the_copies_is_named(tmp_path: Path, line: str) -> None:
    with pytest.raises(SettingsError) as refused:
        watched(tmp_path, None, f"# first\n{line}\n", **MAIL)
    assert str(refused.value).startswith("GOVERNANCE_CHECKPOINT_COPIES: line 2: ")


def test_a_mail_needs_a_mail_server_and_no_place_stands_twice(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="GOVERNANCE_SMTP_URL"):
        watched(tmp_path, None, "mail audit@bureau.example\n")
    with pytest.raises(SettingsError, match="line 2"):
        watched(tmp_path, None, "webhook https://a.example/\nwebhook https://a.example/ every 5\n")


@pytest.mark.parametrize("url", ["", "ftp://east.example", "east.example", "https://" + "u:p@east.example"])
def test_a_witness_is_asked_at_an_address(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError, match="GOVERNANCE_WITNESSES: witness east"):
        watched(tmp_path, f"witness east {EAST} {url}\nquorum east\n", None)


def test_every_fault_of_both_files_and_of_the_other_settings_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        watched(tmp_path, "nonsense\nquorum none", "fax 1\nfile x\n", GOVERNANCE_NONSENSE="x")
    told = str(refused.value).split("\n")
    assert [line.partition(":")[0] for line in told] == [
        "GOVERNANCE_NONSENSE",
        "GOVERNANCE_WITNESSES",
        "GOVERNANCE_WITNESSES",
        "GOVERNANCE_CHECKPOINT_COPIES",
        "GOVERNANCE_CHECKPOINT_COPIES",
    ]


def test_a_file_that_is_not_there_stops_the_start() -> None:
    for word in ("WITNESSES", "CHECKPOINT_COPIES"):
        with pytest.raises(SettingsError, match=f"GOVERNANCE_{word}: cannot be read"):
            read_settings({f"GOVERNANCE_{word}": "/no/such/file"}, packaged_rules())
