"""Outside copies of checkpoints: a file, a webhook and a mailbox, each in its own time."""

from __future__ import annotations

from pathlib import Path

import pytest
from audit_making import a_signer
from gateways import mail_server
from receivers import receiving
from witness_making import Stage, a_stage

from audit import checkpoint
from audit.policyfile import parse_policy
from governance.database import Database
from governance.egress import Egress
from governance.mailgateway import MailGateway
from governance.witnessing import Target
from governance.witnesssettings import Copy
from governance.witnesstargets import FileCopy, MailCopy, WebhookCopy

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def stage(database: Database, tmp_path: Path) -> Stage:
    return a_stage(database, tmp_path)


@ON_SQLITE
def test_copies_go_to_a_file_a_webhook_and_a_mailbox_each_in_its_own_time(
    stage: Stage, tmp_path: Path
) -> None:
    with receiving() as receiver, mail_server() as server:
        copies: list[Target] = [
            FileCopy(Copy("file", str(tmp_path / "copy.jsonl"), 0), stage.clock),
            WebhookCopy(Copy("webhook", receiver.url, 60), Egress(loopback=True)),
            MailCopy(Copy("mail", "audit@bureau.example", 86_400), MailGateway(server.access)),
        ]
        witnessing = stage.witnessing(parse_policy("quorum none\n"), *copies)
        sizes = []
        for _ in range(3):
            sizes.append(stage.grow())
            for one in witnessing.targets:
                witnessing.step(one)
            stage.now += 30_000
        assert len((tmp_path / "copy.jsonl").read_text("utf-8").splitlines()) == 3
        assert [one.body.decode().split("\n")[1] for one in receiver.got] == ["1", "3"]
        ((to, mail),) = server.mails
        assert to == ["audit@bureau.example"]
        note = mail.get_content().replace("\r\n", "\n")
        assert checkpoint.open_checkpoint(note, [a_signer().key]).size == 1
    names = {one.target for one in witnessing.tellings()}
    assert not any("127.0.0.1" in name or "@" in name for name in names)


@ON_SQLITE
def test_a_copy_that_cannot_be_made_is_tried_again(stage: Stage, tmp_path: Path) -> None:
    with receiving() as receiver, mail_server() as server:
        receiver.answer = lambda _: 503
        server.refusal = "550 no"
        copies: list[Target] = [
            FileCopy(Copy("file", str(tmp_path / "gone" / "copy"), 0), stage.clock),
            WebhookCopy(Copy("webhook", receiver.url, 60), Egress(loopback=True)),
            WebhookCopy(Copy("webhook", f"{receiver.url}/inside", 60), Egress()),
            MailCopy(Copy("mail", "audit@bureau.example", 86_400), MailGateway(server.access)),
        ]
        witnessing = stage.witnessing(parse_policy("quorum none\n"), *copies)
        stage.grow()
        for one in witnessing.targets:
            witnessing.step(one)
        results = sorted(one.result for one in witnessing.tellings())
        assert results == ["503", "https_only", "not_sent", "not_written"]
        (tmp_path / "gone").mkdir()
        stage.now += 1_000
        assert witnessing.step(copies[0])
        assert (tmp_path / "gone" / "copy").stat().st_mode & 0o777 == 0o600
