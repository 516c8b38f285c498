"""An officer's laptop: what it keeps of the log, and what it says when the log tells another story."""

from __future__ import annotations

import json
import threading
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from audit_making import ORIGIN, a_signer
from witness_making import GrowingLog, a_cosigner

from audit.checkpoint import Signer, sign
from governance.__main__ import main

OLD, NEW = a_signer(), a_signer(seed=8)


@dataclass
class Publisher:
    """A server that tells a log's checkpoint and proofs, of which log and at what size a test says."""

    log: GrowingLog = field(default_factory=GrowingLog)
    size: int = 0
    note: str = ""
    proof: str = ""
    status: int = 200
    asked: list[str] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    url: str = ""

    def answer(self, path: str) -> str:
        if path == "/v1/audit/checkpoint":
            return self.note or self.log.note(self.size)
        old, new = (int(part.partition("=")[2]) for part in path.partition("?")[2].split("&"))
        return self.proof or "".join(f"{b64encode(one).decode()}\n" for one in self.log.proof(old, new))


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    stage = Publisher()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            stage.asked.append(self.path)
            stage.keys.append(self.headers["authorization"])
            body = stage.answer(self.path).encode()
            self.send_response(stage.status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    stage.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield stage
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def look(publisher: Publisher, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Pull once; returns the exit code and the first word that was printed."""

    def pull(*more: str, keys: tuple[Signer, ...] = (OLD,)) -> tuple[int, str]:
        logs = [word for one in keys for word in ("--log", one.key.text)]
        file = ["--file", str(tmp_path / "kept.jsonl")]
        code = main(["audit", "witness", "pull", publisher.url, *logs, *file, *more])
        return code, capsys.readouterr().out.partition(" ")[0]

    return pull


def kept(tmp_path: Path, name: str = "kept.jsonl") -> list[str]:
    path = tmp_path / name
    lines = path.read_text("utf-8").split("\n")[:-1] if path.exists() else []
    return [json.loads(line)["note"] for line in lines]


def test_a_log_that_grows_is_ok_and_each_look_is_one_line(
    publisher: Publisher, look: Any, tmp_path: Path
) -> None:
    for size in (0, 5, 5, 300, 301):
        publisher.size = size
        assert look() == (0, "OK")
    assert kept(tmp_path) == [publisher.log.note(size) for size in (0, 5, 5, 300, 301)]
    assert "/v1/audit/consistency?from=300&to=301" in publisher.asked
    assert (tmp_path / "kept.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_log_that_is_shorter_than_before_was_rolled_back(
    publisher: Publisher, look: Any, tmp_path: Path
) -> None:
    publisher.size = 9
    look()
    publisher.size = 8
    assert look() == (2, "ROLLBACK")
    assert kept(tmp_path) == [publisher.log.note(9)]
    assert kept(tmp_path, "kept.jsonl.contradictions") == [publisher.log.note(8)]


@pytest.mark.parametrize("grown", [9, 12])
def test_another_history_is_a_fork_and_the_signed_contradiction_is_kept(
    publisher: Publisher, look: Any, tmp_path: Path, grown: int
) -> None:
    publisher.size = 9
    look()
    first = publisher.log.note(9)
    publisher.log, publisher.size = GrowingLog(word="other"), grown
    assert look() == (3, "FORK")
    assert kept(tmp_path) == [first]
    assert kept(tmp_path, "kept.jsonl.contradictions") == [publisher.log.note(grown)]


def test_what_no_known_key_signed_is_not_kept(publisher: Publisher, look: Any, tmp_path: Path) -> None:
    publisher.size = 3
    for note in (
        GrowingLog(NEW).note(3),
        GrowingLog().note(3).replace("\n3\n", "\n4\n"),
        "no note",
        OLD.sign("no checkpoint\n"),
        Signer("other.example/log", b"\x07" * 32).sign(GrowingLog().checkpoint(3).text),
        OLD.sign(GrowingLog(origin="other.example/log").checkpoint(3).text),
    ):
        publisher.note = note
        assert look() == (4, "SIGNATURE")
    assert kept(tmp_path) == []


def test_a_kept_line_that_somebody_changed_is_noticed(
    publisher: Publisher, look: Any, tmp_path: Path
) -> None:
    publisher.size = 3
    look()
    path = tmp_path / "kept.jsonl"
    path.write_text(path.read_text("utf-8").replace("\\n3\\n", "\\n2\\n"), "utf-8")
    assert look() == (4, "SIGNATURE")
    path.write_text("no line of ours\n", "utf-8")
    assert look()[0] == 1


@pytest.mark.parametrize("proof", ["no base64\n", "AQEB\nnot\n"])
def test_no_proof_is_no_fork(publisher: Publisher, look: Any, tmp_path: Path, proof: str) -> None:
    publisher.size = 3
    look()
    publisher.size, publisher.proof = 5, proof
    assert look() == (5, "PROOF")
    assert len(kept(tmp_path)) == 1


def test_a_service_that_refuses_or_is_gone_says_nothing_about_the_log(
    publisher: Publisher, look: Any, tmp_path: Path
) -> None:
    publisher.status = 401
    assert look()[0] == 1
    publisher.status = 302
    assert look()[0] == 1
    publisher.url = "http://127.0.0.1:1"
    assert look()[0] == 1
    assert kept(tmp_path) == []


def test_the_api_key_is_sent_and_only_to_a_safe_address(
    publisher: Publisher, look: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = tmp_path / "key"
    secret.write_text("a-key-of-an-officer\n")
    assert look("--key-file", str(secret)) == (0, "OK")
    assert publisher.keys == ["Bearer a-key-of-an-officer"]
    for url in ("http://house.example", "ftp://house.example", "house.example", "https://"):
        publisher.url = url
        assert look("--key-file", str(secret))[0] == 1
    assert "a-key-of-an-officer" not in capsys.readouterr().err


def test_once_the_new_key_has_signed_the_old_one_counts_no_more(
    publisher: Publisher, look: Any, tmp_path: Path
) -> None:
    log = publisher.log
    publisher.size = 3
    look()
    publisher.note = sign(OLD, log.checkpoint(5), NEW)
    publisher.size = 5
    assert look() == (0, "OK")  # whoever knows the old key only can follow this far
    assert look(keys=(OLD, NEW)) == (0, "OK")
    publisher.note, publisher.size = log.note(7), 7
    assert look(keys=(OLD, NEW)) == (4, "SIGNATURE")
    publisher.note = sign(NEW, log.checkpoint(7))
    assert look(keys=(OLD, NEW)) == (0, "OK")
    assert len(kept(tmp_path)) == 4


@pytest.mark.parametrize("words", [["--log", "nonsense"], ["--log", a_cosigner().key.text], []])
def test_a_wrong_command_does_not_look_like_a_rollback(words: list[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["audit", "witness", "pull", "https://house.example", "--file", str(tmp_path / "f"), *words])
    assert caught.value.code == 6


def test_the_result_is_told_as_json_too(publisher: Publisher, tmp_path: Path, capsys: Any) -> None:
    publisher.size = 3
    words = ["--log", OLD.key.text, "--file", str(tmp_path / "kept.jsonl"), "--json"]
    assert main(["audit", "witness", "pull", publisher.url, *words]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"result": "OK", "size": 3, "kept_size": None, "exit": 0}


def test_the_keys_are_of_one_log(publisher: Publisher, look: Any) -> None:
    assert look(keys=(OLD, a_signer("second.example/log")))[0] == 1
    assert OLD.key.name == ORIGIN
    assert publisher.asked == []
