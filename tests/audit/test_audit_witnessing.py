"""The service's side of witnessing: pushed, verified, kept, joined; and nobody waits for a target."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from audit_making import Insider, a_signer
from sqlalchemy import text
from witness_making import SECONDS, Played, Stage, a_stage, playing, policy_of, real_witnesses

from audit import checkpoint, cosignatures
from audit.policyfile import parse_policy
from audit.witness import Answer
from governance.database import ConflictError, Database, StoreError
from governance.witnessing import AHEAD, CONTRADICTED, WitnessWorker
from governance.witnessserver import make_home, open_home
from governance.witnesssettings import Copy
from governance.witnesstargets import FileCopy

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def stage(database: Database, tmp_path: Path) -> Stage:
    return a_stage(database, tmp_path)


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
def test_without_witnesses_nothing_is_witnessed(stage: Stage) -> None:
    witnessing = stage.witnessing(parse_policy("quorum none\n"))
    assert not witnessing.await_quorum(1, 0)
    assert not witnessing.await_quorum(stage.grow(), 0)


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
