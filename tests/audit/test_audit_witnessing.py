"""The service's side of witnessing: pushed, verified, kept, joined; and nobody waits for a target."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from audit_making import NOW, ORIGIN, Insider, a_read, a_signer
from gateways import mail_server
from receivers import receiving
from sqlalchemy import text

from audit import checkpoint, cosignatures, ledger
from audit.lockstore import LockStore
from audit.note import Key
from audit.policyfile import Policy, parse_policy
from audit.publishing import first_note, publish
from audit.witness import Answer
from governance.database import ConflictError, Database, StoreError
from governance.egress import Egress
from governance.loopback import serving
from governance.mailgateway import MailGateway
from governance.witnessing import AHEAD, CONTRADICTED, Target, Witnessing, WitnessWorker
from governance.witnessserver import application, make_home, open_home
from governance.witnesssettings import Copy
from governance.witnesstargets import FileCopy, MailCopy, WebhookCopy, WitnessTarget

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
SECONDS = NOW // 1000


@dataclass
class Stage:
    """A log that is published, with a clock that a test moves."""

    database: Database
    lock: LockStore
    now: int = NOW
    made: int = 0

    def clock(self) -> int:
        return self.now

    def grow(self, many: int = 1) -> int:
        """Append and publish; return the size."""
        with self.database.transaction() as tx:
            ledger.append(tx, [a_read(self.made + at) for at in range(many)])
            tx.commit()
        self.made += many
        return publish(self.database.transaction, a_signer(), self.lock, self.now).checkpoint.size

    def witnessing(self, policy: Policy, *copies: Target) -> Witnessing:
        inside = Egress(inside=True)
        asked = [WitnessTarget(self.database, one, inside, self.clock) for one in policy.witnesses]
        return Witnessing(self.database, policy, [*asked, *copies], self.clock)

    def result(self, witnessing: Witnessing) -> str:
        witnessing.step(witnessing.targets[0])
        return witnessing.tellings()[0].result


@pytest.fixture
def stage(database: Database, tmp_path: Path) -> Stage:
    with database.transaction() as tx:
        ledger.create(tx, ORIGIN)
        tx.commit()
    return Stage(database, LockStore.create(tmp_path / "lock.sqlite", first_note(ORIGIN, a_signer())))


@dataclass
class Played:
    """A witness that answers as a test says, and remembers what it was asked."""

    port: int = 0
    answer: Callable[[bytes], Answer] = lambda _: Answer(500, "")
    asked: list[bytes] = field(default_factory=list)
    arrived: threading.Event = field(default_factory=threading.Event)


@contextmanager
def playing(played: Played) -> Iterator[Played]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            played.asked.append(body)
            played.arrived.set()
            answer = played.answer(body)
            self.send_response(answer.status)
            self.send_header("content-type", answer.type)
            self.end_headers()
            self.wfile.write(answer.body.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    played.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield played
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def real_witnesses(folder: Path, *names: str) -> Iterator[dict[str, tuple[Key, int]]]:
    """Serve witnesses of these names; gives key and port of each."""
    with ExitStack() as stack:
        served = {}
        for name in names:
            key = make_home(folder / name, f"{name}.example/w")
            app = application(open_home(folder / name, [a_signer().key]), lambda: SECONDS)
            served[name] = (key, stack.enter_context(serving(app, 0)))
        yield served


def policy_of(served: dict[str, tuple[Key, int]], needed: str = "all") -> Policy:
    lines = [f"witness {name} {key.text} http://127.0.0.1:{port}\n" for name, (key, port) in served.items()]
    return parse_policy(f"{''.join(lines)}group g {needed} {' '.join(served)}\nquorum g\n")


def test_every_checkpoint_is_cosigned_kept_and_joined_onto_the_note(stage: Stage, tmp_path: Path) -> None:
    with real_witnesses(tmp_path, "east", "west") as served:
        policy = policy_of(served)
        witnessing = stage.witnessing(policy)
        assert witnessing.witnessed() is None
        for many in (1, 4, 300):
            size = stage.grow(many)
            assert [witnessing.step(one) for one in witnessing.targets] == [True, True]
            found = witnessing.witnessed(size)
            assert found is not None
            assert found[0] == size
            assert policy.satisfied(found[1], checkpoint.check)
            assert found[1].startswith(stage.lock.body())
        assert [witnessing.step(one) for one in witnessing.targets] == [False, False]
    assert {(one.size, one.failures, one.result) for one in witnessing.tellings()} == {(305, 0, "done")}


@ON_SQLITE
def test_a_quorum_is_what_the_policy_says(stage: Stage, tmp_path: Path) -> None:
    with real_witnesses(tmp_path, "east", "west") as served:
        all_, any_ = (stage.witnessing(policy_of(served, needed)) for needed in ("all", "any"))
        size = stage.grow()
        any_.step(any_.targets[1])
        assert any_.witnessed(size) is not None
        assert all_.witnessed(size) is None
        all_.step(all_.targets[0])
        assert all_.witnessed(size) is not None
        assert all_.witnessed(size + 1) is None


@ON_SQLITE
def test_without_witnesses_every_published_checkpoint_counts(stage: Stage) -> None:
    witnessing = stage.witnessing(parse_policy("quorum none\n"))
    assert not witnessing.await_quorum(1, 0)
    assert witnessing.await_quorum(stage.grow(), 0)


def test_whoever_waits_for_a_quorum_is_woken_by_the_last_signature(stage: Stage, tmp_path: Path) -> None:
    with real_witnesses(tmp_path, "east", "west") as served:
        witnessing = stage.witnessing(policy_of(served))
        size = stage.grow(3)
        witnessing.step(witnessing.targets[0])
        assert not witnessing.await_quorum(size, 0)
        answers: list[bool] = []
        waiting = threading.Thread(target=lambda: answers.append(witnessing.await_quorum(size, 60)))
        waiting.start()
        witnessing.step(witnessing.targets[1])
        waiting.join()
        assert answers == [True]


def test_a_target_that_never_answers_leaves_the_log_and_the_others_alone(
    stage: Stage, tmp_path: Path
) -> None:
    let_go = threading.Event()

    def hang(_: bytes) -> Answer:
        let_go.wait(60)
        return Answer(503, "")

    hanging = Played(answer=hang)
    with playing(hanging), real_witnesses(tmp_path, "east") as served:
        silent = {"silent": (make_home(tmp_path / "silent", "silent.example/w"), hanging.port)}
        witnessing = stage.witnessing(policy_of({**silent, **served}, "any"))
        worker = WitnessWorker(witnessing, poll_s=0.001)
        size = stage.grow()
        worker.start()
        try:
            assert hanging.arrived.wait(60)
            for _ in range(20):  # appended, published and witnessed, one after the other, while it hangs
                size = stage.grow(2)
                assert witnessing.await_quorum(size, 60)
            assert not let_go.is_set()
            assert len(hanging.asked) == 1
        finally:
            let_go.set()
            worker.stop()
        # What it missed was not queued for it: there is one newest checkpoint, and no other.
        stage.now += 10_000_000
        hanging.answer = lambda _: Answer(503, "")
        witnessing.step(witnessing.targets[0])
        assert b"\n41\n" in hanging.asked[-1]


@ON_SQLITE
def test_a_witness_that_was_told_by_others_is_asked_again_from_where_it_stands(
    stage: Stage, tmp_path: Path
) -> None:
    with real_witnesses(tmp_path, "east") as served:
        witnessing = stage.witnessing(policy_of(served))
        stage.grow(3)
        witnessing.step(witnessing.targets[0])
        size = stage.grow(2)
        with stage.database.transaction() as tx:
            tx.run(text("UPDATE checkpoint_delivery SET size = 1"), {})
            tx.commit()
        assert stage.result(witnessing) == "done"
        assert witnessing.witnessed(size) is not None


def cosign(served_key_home: Path, body: bytes, seconds: int = SECONDS) -> Answer:
    return open_home(served_key_home, [a_signer().key]).add_checkpoint(body, seconds)


@ON_SQLITE
@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (Answer(409, "9\n", "text/x.tlog.size"), AHEAD),
        (Answer(409, "1\n", "text/x.tlog.size"), "witness_moves"),
        (Answer(409, "nine\n", "text/x.tlog.size"), "malformed_answer"),
        (Answer(409, f"{10**30}\n", "text/x.tlog.size"), "malformed_answer"),
        (Answer(409, "another root\n"), CONTRADICTED),
        (Answer(422, "no\n"), CONTRADICTED),
        (Answer(403, "no\n"), "status_403"),
        (Answer(302, ""), "status_302"),
        (Answer(200, ""), "no_cosignature"),
        (Answer(200, "\N{EM DASH} stranger.example/w AAAAAAAAAAAA\n"), "no_cosignature"),
    ],
)
def test_what_a_witness_answers_instead_is_told_and_tried_again(
    stage: Stage, tmp_path: Path, answer: Answer, word: str
) -> None:
    with playing(Played(answer=lambda _: answer)) as played:
        key = make_home(tmp_path / "w", "east.example/w")
        witnessing = stage.witnessing(policy_of({"east": (key, played.port)}))
        stage.grow(3)
        assert stage.result(witnessing) == word
        assert witnessing.witnessed() is None
        first = len(played.asked)
        assert not witnessing.step(witnessing.targets[0])  # not before its pause is over
        stage.now += 1_000
        assert witnessing.step(witnessing.targets[0])
        assert len(played.asked) == 2 * first
        assert witnessing.tellings()[0].failures == 2
        stage.now += 1_999
        assert not witnessing.step(witnessing.targets[0])


@ON_SQLITE
def test_a_cosignature_over_something_else_or_from_the_future_is_not_kept(
    stage: Stage, tmp_path: Path
) -> None:
    key = make_home(tmp_path / "w", "east.example/w")
    with playing(Played(answer=lambda body: cosign(tmp_path / "w", body, SECONDS + 3_601))) as played:
        witnessing = stage.witnessing(policy_of({"east": (key, played.port)}))
        stage.grow(3)
        assert stage.result(witnessing) == "no_cosignature"
        good = cosign(tmp_path / "w", played.asked[0].replace(b"old 0", b"old 3"))
        assert good.status == 200
        played.answer = lambda _: good
        size = stage.grow()
        stage.now += 1_000
        assert stage.result(witnessing) == "no_cosignature"  # a line that is good for the size before
        assert witnessing.witnessed(size) is None


@ON_SQLITE
def test_a_line_that_an_insider_spoilt_does_not_spoil_the_note(stage: Stage, tmp_path: Path) -> None:
    with real_witnesses(tmp_path, "east", "west") as served:
        policy = policy_of(served, "any")
        witnessing = stage.witnessing(policy)
        size = stage.grow()
        for one in witnessing.targets:
            witnessing.step(one)
        insider = Insider(stage.database)
        insider.run("DROP TRIGGER audit_cosignature_no_update")
        insider.run("UPDATE audit_cosignature SET line = replace(line, 'A', 'B') WHERE witness LIKE 'east%'")
        found = witnessing.witnessed(size)
        assert found is not None
        assert policy.cosigners(found[1], checkpoint.check) == {"west"}
        insider.run("UPDATE audit_cosignature SET line = 'no line'")
        assert witnessing.witnessed(size) is None


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit_cosignature SET t = 0", "DELETE FROM audit_cosignature", "TRUNCATE audit_cosignature"],
)
def test_cosignatures_are_only_ever_added(stage: Stage, tmp_path: Path, statement: str) -> None:
    with real_witnesses(tmp_path, "east") as served:
        witnessing = stage.witnessing(policy_of(served))
        stage.grow()
        witnessing.step(witnessing.targets[0])
    with stage.database.transaction() as tx, pytest.raises(StoreError):
        tx.run(text(statement), {})


def test_a_witness_is_kept_once_for_a_size(stage: Stage, tmp_path: Path) -> None:
    with real_witnesses(tmp_path, "east") as served:
        witnessing = stage.witnessing(policy_of(served))
        size = stage.grow()
        witnessing.step(witnessing.targets[0])
        key = served["east"][0]
    with stage.database.transaction() as tx:
        note = cosignatures.joined(tx, size, stage.lock.body(), policy_of(served))
        line = checkpoint.open_note(note, [key]).verified[0]
        cosignatures.keep(tx, size, key, line)
        tx.commit()
    with stage.database.transaction() as tx, pytest.raises(ConflictError):
        tx.run(
            text("INSERT INTO audit_cosignature (size, witness, line, t) VALUES (:s, :w, 'x', 0)"),
            {"s": size, "w": key.text},
        )


def test_of_two_processes_one_asks(stage: Stage, tmp_path: Path) -> None:
    kept = tmp_path / "copy.jsonl"
    inner: list[bool] = []

    class Meeting(FileCopy):
        """While this process tells, another one looks whether something is to be told."""

        def tell(self, known: int, size: int, note: str) -> str:
            other = stage.witnessing(none, FileCopy(copy, stage.clock))
            inner.append(other.step(other.targets[0]))
            return super().tell(known, size, note)

    none, copy = parse_policy("quorum none\n"), Copy("file", str(kept), 0)
    witnessing = stage.witnessing(none, Meeting(copy, stage.clock))
    stage.grow()
    assert witnessing.step(witnessing.targets[0])
    assert inner == [False]
    assert len(kept.read_text("utf-8").splitlines()) == 1


@ON_SQLITE
def test_a_process_that_died_while_telling_is_followed_by_another_when_its_lease_is_over(
    stage: Stage, tmp_path: Path
) -> None:
    class DiedError(Exception):
        pass

    class Dying(FileCopy):
        def tell(self, *_: object) -> str:
            raise DiedError

    none, copy = parse_policy("quorum none\n"), Copy("file", str(tmp_path / "copy.jsonl"), 0)
    dying = stage.witnessing(none, Dying(copy, stage.clock))
    stage.grow()
    with pytest.raises(DiedError):
        dying.step(dying.targets[0])
    other = stage.witnessing(none, FileCopy(copy, stage.clock))
    assert not other.step(other.targets[0])
    stage.now += 60_000
    assert other.step(other.targets[0])


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
