"""The witness's own machine: its home, its one route over real HTTP, and what it needs of the service."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest
from audit_making import vectors
from starlette.types import Message

from audit import checkpoint
from audit.checkpoint import Signer, sign
from audit.note import COSIGNATURE, Checkpoint, Key, key_of, open_note, parse_key
from audit.tree import EMPTY_ROOT
from audit.witness import LONGEST_BODY, write_request
from governance.__main__ import main
from governance.loopback import serving
from governance.witnessserver import WitnessHomeError, application, make_home, open_home

NAME = "witness.example/compliance"
LOG = Signer("family.example/audit/main", b"\x07" * 32)
EMPTY = sign(LOG, Checkpoint(LOG.key.name, 0, EMPTY_ROOT))
NOW = 1_770_000_000


@contextmanager
def a_witness(home: Path, *logs: Key) -> Iterator[Callable[..., tuple[int, str, str]]]:
    """Serve a home over HTTP; gives a function that asks it."""
    with serving(application(open_home(home, logs), lambda: NOW), 0) as port:

        def ask(body: bytes, method: str = "POST", path: str = "/add-checkpoint") -> tuple[int, str, str]:
            connection = HTTPConnection("127.0.0.1", port, timeout=20)
            try:
                connection.request(method, path, body)
                got = connection.getresponse()
                return got.status, got.read().decode(), got.headers["content-type"]
            finally:
                connection.close()

        yield ask


def test_every_public_case_is_answered_over_http_as_it_should_be(tmp_path: Path) -> None:
    known = vectors("note/witness_add_checkpoint.json")
    make_home(tmp_path, "example.com/witness")
    log = key_of(known["origin"], bytes.fromhex(known["log_ed25519_pub_hex"]))
    with a_witness(tmp_path, log) as ask:
        for case in known["tests"]:
            status, body, type_ = ask(case["body"].encode())
            assert status == case["status"], case["name"]
            assert case["body_contains"] in body, case["name"]
            assert (type_ == "text/x.tlog.size") == (status == 409), case["name"]


def test_a_witness_remembers_what_it_signed_when_it_comes_back(tmp_path: Path) -> None:
    key = make_home(tmp_path, NAME)
    with a_witness(tmp_path, LOG.key) as ask:
        status, line, _ = ask(write_request(0, (), EMPTY))
        assert status == 200
        assert [one.name for one in open_note(EMPTY + line, [key], checkpoint.check).verified] == [NAME]
        one = sign(LOG, Checkpoint(LOG.key.name, 1, b"\x01" * 32))
        assert ask(write_request(0, (), one))[0] == 200
    with a_witness(tmp_path, LOG.key) as ask:
        assert ask(write_request(0, (), EMPTY)) == (409, "1\n", "text/x.tlog.size")


def test_a_witness_has_one_route_and_one_method(tmp_path: Path) -> None:
    make_home(tmp_path, NAME)
    with a_witness(tmp_path, LOG.key) as ask:
        assert ask(b"", "GET")[0] == 405
        assert ask(b"", "POST", "/")[0] == 404
        assert ask(b"", "POST", "/add-checkpoint/")[0] == 404
        assert ask(b"old 0\n\n" + b"x" * (3 * LONGEST_BODY))[0] == 400


def test_a_memory_that_is_gone_signs_nothing(tmp_path: Path) -> None:
    make_home(tmp_path, NAME)
    with a_witness(tmp_path, LOG.key) as ask:
        (tmp_path / "witness.sqlite").unlink()
        assert ask(write_request(0, (), EMPTY))[0] == 503


def test_a_body_that_never_ends_is_given_up(tmp_path: Path) -> None:
    make_home(tmp_path, NAME)
    app = application(open_home(tmp_path, [LOG.key]), lambda: NOW, patience_s=0)
    said: list[Message] = []

    async def never() -> Message:
        return await asyncio.Event().wait() and {}  # type: ignore[return-value]  # nothing ever comes

    async def send(message: Message) -> None:
        said.append(message)

    asyncio.run(app({"type": "http", "path": "/add-checkpoint", "method": "POST"}, never, send))
    assert said[0]["status"] == 408


def test_a_home_is_made_once_and_its_key_is_its_owners(tmp_path: Path) -> None:
    key = make_home(tmp_path / "w", NAME)
    assert parse_key(key.text, COSIGNATURE) == key
    assert (tmp_path / "w").stat().st_mode & 0o777 == 0o700
    secret = tmp_path / "w" / "witness.key"
    assert secret.stat().st_mode & 0o777 == 0o600
    with pytest.raises(WitnessHomeError):
        make_home(tmp_path / "w", NAME)
    secret.chmod(0o644)
    with pytest.raises(WitnessHomeError, match="chmod"):
        open_home(tmp_path / "w", [LOG.key])


@pytest.mark.parametrize("text", ["", "PRIVATE+KEY+a+b", "PRIVATE+KEY+name+00000000+BAcHBwc=", "\n"])
def test_a_damaged_key_stops_the_start(tmp_path: Path, text: str) -> None:
    make_home(tmp_path, NAME)
    (tmp_path / "witness.key").write_text(text)
    with pytest.raises(WitnessHomeError, match="damaged"):
        open_home(tmp_path, [LOG.key])


def test_a_key_under_another_name_stops_the_start(tmp_path: Path) -> None:
    make_home(tmp_path, NAME)
    secret = tmp_path / "witness.key"
    secret.write_text(secret.read_text().replace(NAME, "other.example/w"))
    with pytest.raises(WitnessHomeError, match="damaged"):
        open_home(tmp_path, [LOG.key])


@pytest.mark.parametrize("name", ["", "two words", "a+b", "line\nbreak", "\x07"])
def test_a_witness_has_a_name_that_can_stand_in_a_key(tmp_path: Path, name: str) -> None:
    with pytest.raises(WitnessHomeError):
        make_home(tmp_path / "w", name)
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize("gone", ["witness.key", "witness.sqlite"])
def test_a_witness_that_lost_a_file_does_not_start(tmp_path: Path, gone: str) -> None:
    make_home(tmp_path, NAME)
    (tmp_path / gone).unlink()
    with pytest.raises(WitnessHomeError):
        open_home(tmp_path, [LOG.key])


def test_the_commands_need_none_of_the_services_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOVERNANCE_NONSENSE", "a setting that the service would refuse")
    assert main(["audit", "witness", "init", "--home", str(tmp_path / "w"), "--name", NAME]) == 0
    assert parse_key(capsys.readouterr().out.strip(), COSIGNATURE).name == NAME
    gone = ["audit", "witness", "serve", "--home", str(tmp_path / "gone"), "--log", LOG.key.text]
    assert main(gone) == 1
    assert "governance audit witness init" in capsys.readouterr().err


def test_a_served_witness_answers_from_a_process_of_its_own(tmp_path: Path) -> None:
    make_home(tmp_path, NAME)
    words = ["audit", "witness", "serve", "--home", str(tmp_path), "--port", "0", "--log", LOG.key.text]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GOVERNANCE_")}
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "governance", *words], stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline().rpartition(":")[2])
        connection = HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("POST", "/add-checkpoint", write_request(0, (), EMPTY))
        assert connection.getresponse().status == 200
        connection.close()
    finally:
        process.terminate()
        process.communicate(timeout=20)
