"""The witness: every public case in order, what a forked log is told, and two requests at once."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from audit_making import ORIGIN, a_signer, vectors
from witness_making import SECONDS, WITNESS, GrowingLog, a_cosigner

from audit import checkpoint, ed25519, note
from audit.lockstore import LockStoreError
from audit.note import COSIGNATURE, Check, Checkpoint, NoteError, key_of, open_note, parse_key
from audit.witness import LONGEST_BODY, PLAIN, SIZE, Answer, Witness, write_request
from audit.witnessstore import WitnessStore

BOTH = pytest.mark.parametrize("check", [checkpoint.check, ed25519.verify], ids=["library", "plain python"])


@pytest.fixture
def store(tmp_path: Path) -> WitnessStore:
    return WitnessStore.create(tmp_path / "witness.sqlite")


@pytest.fixture
def witness(store: WitnessStore) -> Witness:
    return Witness(a_cosigner(), [a_signer().key], store)


def ask(witness: Witness, body: bytes) -> tuple[int, str, str]:
    answer = witness.add_checkpoint(body, SECONDS)
    return answer.status, answer.body, answer.type


def test_every_public_case_is_answered_as_it_should_be(store: WitnessStore) -> None:
    known = vectors("note/witness_add_checkpoint.json")
    log = key_of(known["origin"], bytes.fromhex(known["log_ed25519_pub_hex"]))
    witness = Witness(a_cosigner("example.com/witness"), [log], store)
    for case in known["tests"]:
        status, body, type_ = ask(witness, case["body"].encode())
        assert status == case["status"], case["name"]
        assert case["body_contains"] in body, case["name"]
        assert type_ == (SIZE if status == 409 else PLAIN), case["name"]


@BOTH
def test_a_cosignature_is_one_line_that_opens_the_note_it_is_put_under(
    witness: Witness, check: Check
) -> None:
    log = GrowingLog()
    status, line, type_ = ask(witness, log.request(0, 3))
    assert (status, type_) == (200, PLAIN)
    opened = open_note(log.note(3) + line, [a_cosigner().key], check)
    assert [(one.name, note.time_of(one)) for one in opened.verified] == [(WITNESS, SECONDS)]


@BOTH
def test_a_cosignature_says_when_and_over_what(check: Check) -> None:
    text = Checkpoint(ORIGIN, 3, b"\x01" * 32).text
    made, key = a_cosigner().cosign(text, SECONDS), a_cosigner().key
    assert note.holds(key, text, made.signature, check)
    later = (SECONDS + 1).to_bytes(8, "big") + made.signature[8:]
    beyond = (2**63).to_bytes(8, "big") + made.signature[8:]
    for signature in (later, beyond, made.signature[:-1], made.signature[8:], b""):
        assert not note.holds(key, text, signature, check)
    assert not note.holds(key, text + "more\n", made.signature, check)
    # The same 32 bytes as a log's key do not make a log's signature of it.
    assert not note.holds(key_of(WITNESS, key.public), text, made.signature[8:], check)


def test_a_time_beyond_the_largest_is_refused_even_where_it_was_signed() -> None:
    text = Checkpoint(ORIGIN, 3, b"\x01" * 32).text
    latest, beyond = a_cosigner().cosign(text, 2**63 - 1), a_cosigner().cosign(text, 2**63)
    assert note.holds(a_cosigner().key, text, latest.signature, checkpoint.check)
    assert not note.holds(a_cosigner().key, text, beyond.signature, checkpoint.check)


def test_a_key_is_a_logs_or_a_witnesss_and_is_read_as_the_one_that_is_asked_for() -> None:
    key = a_cosigner().key
    assert parse_key(key.text, COSIGNATURE) == key
    assert key.id != key_of(WITNESS, key.public).id
    with pytest.raises(NoteError):
        parse_key(key.text)
    with pytest.raises(NoteError):
        parse_key(a_signer().key.text, COSIGNATURE)


def test_a_log_grows_under_the_witnesss_eyes_and_is_signed_again_where_it_stands(witness: Witness) -> None:
    log = GrowingLog()
    for old, size in ((0, 0), (0, 3), (3, 3), (3, 300), (300, 700)):
        assert ask(witness, log.request(old, size))[0] == 200, (old, size)
    assert ask(witness, log.request(3, 700)) == (409, "700\n", SIZE)
    assert ask(witness, log.request(700, 700))[0] == 200


def test_another_history_is_never_signed_whatever_is_claimed(witness: Witness, store: WitnessStore) -> None:
    log, other = GrowingLog(), GrowingLog(word="other")
    ask(witness, log.request(0, 5))
    assert ask(witness, other.request(5, 5))[::2] == (409, PLAIN)
    assert ask(witness, other.request(5, 9))[0] == 422
    assert ask(witness, log.request(3, 4)) == (409, "5\n", SIZE)
    assert ask(witness, log.request(5, 4))[0] == 400
    assert store.newest(ORIGIN) == log.checkpoint(5)


def test_nothing_is_told_to_a_stranger_about_sizes(witness: Witness) -> None:
    ask(witness, GrowingLog().request(0, 5))
    stranger = GrowingLog(a_signer(seed=8))
    for old, size in ((0, 3), (5, 9), (9, 5)):
        assert ask(witness, stranger.request(old, size)) == (403, "invalid signature\n", PLAIN)


def test_a_log_may_have_an_old_and_a_new_key(store: WitnessStore) -> None:
    new = a_signer(seed=8)
    witness = Witness(a_cosigner(), [a_signer().key, new.key], store)
    assert ask(witness, GrowingLog().request(0, 3))[0] == 200
    assert ask(witness, GrowingLog(new).request(3, 5))[0] == 200


def test_two_logs_are_kept_apart(store: WitnessStore) -> None:
    second = GrowingLog(a_signer("second.example/log", 8), "second.example/log", "second")
    witness = Witness(a_cosigner(), [a_signer().key, second.signer.key], store)
    assert ask(witness, GrowingLog().request(0, 5))[0] == 200
    assert ask(witness, second.request(0, 2))[0] == 200
    assert ask(witness, second.request(5, 7)) == (409, "2\n", SIZE)


def test_an_extension_line_of_another_log_is_signed_with_it(witness: Witness) -> None:
    text = GrowingLog().checkpoint(3).text + "extension\n"
    status, line, _ = ask(witness, write_request(0, (), a_signer().sign(text)))
    assert status == 200
    assert open_note(a_signer().sign(text) + line, [a_cosigner().key], checkpoint.check).text == text


GOOD = GrowingLog().request(3, 5)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"old 3",
        GOOD.removeprefix(b"old "),
        GOOD.replace(b"old 3", b"old 03"),
        GOOD.replace(b"old 3", b"old -3"),
        GOOD.replace(b"old 3", b"old  3"),
        GOOD.replace(b"old 3", b"old 99999999999999999999"),
        GOOD.replace(b"old 3\n", b"old 3\r\n"),
        GOOD.replace(b"old 3\n", b"old 3\nAQEB\n"),
        GOOD.replace(b"old 3\n", b"old 3\nno base64\n"),
        GOOD.replace(b"old 3\n", b"old 3\n" + b"KgEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n" * 62),
        GOOD.replace(b"\n\n", b"\n"),
        GOOD[:-1],
        GOOD + b"\xff",
        b"old 0\n\n" + b"x" * LONGEST_BODY,
    ],
)
def test_a_malformed_request_is_told_so(witness: Witness, body: bytes) -> None:
    assert ask(witness, body) == (400, "invalid input\n", PLAIN)


def test_of_two_requests_at_once_one_is_signed_and_the_other_is_told_the_size(tmp_path: Path) -> None:
    log, path, meet = GrowingLog(), tmp_path / "w.sqlite", threading.Barrier(2)
    store = WitnessStore.create(path)
    Witness(a_cosigner(), [a_signer().key], store).add_checkpoint(log.request(0, 3), SECONDS)

    class Meeting(WitnessStore):
        """Both requests have read the state before either of them moves it."""

        def advance(self, old: Checkpoint | None, new: Checkpoint, note: str) -> bool:
            meet.wait(10)
            return super().advance(old, new, note)

    answers: dict[int, Answer] = {}

    def one(size: int) -> None:
        witness = Witness(a_cosigner(), [a_signer().key], Meeting(path))
        answers[size] = witness.add_checkpoint(log.request(3, size), SECONDS)

    threads = [threading.Thread(target=one, args=(size,)) for size in (5, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (won,) = [size for size, answer in answers.items() if answer.status == 200]
    (lost,) = [answer for answer in answers.values() if answer.status != 200]
    assert lost == Answer(409, f"{won}\n", SIZE)
    assert store.newest(ORIGIN) == log.checkpoint(won)


def test_the_first_of_two_first_requests_is_signed(store: WitnessStore) -> None:
    log = GrowingLog()
    assert store.advance(None, log.checkpoint(3), "note")
    assert not store.advance(None, log.checkpoint(2), "note")
    assert store.newest(ORIGIN) == log.checkpoint(3)


def test_what_cannot_be_remembered_is_not_signed(store: WitnessStore) -> None:
    class Full(WitnessStore):
        def advance(self, *_: object) -> bool:
            raise LockStoreError("disk full")

    with pytest.raises(LockStoreError):
        Witness(a_cosigner(), [a_signer().key], Full(store._path)).add_checkpoint(
            GrowingLog().request(0, 3), SECONDS
        )
    assert store.newest(ORIGIN) is None


def test_a_witness_without_its_memory_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(LockStoreError):
        WitnessStore(tmp_path / "gone.sqlite")
    WitnessStore.create(tmp_path / "made.sqlite")
    with pytest.raises(LockStoreError):
        WitnessStore.create(tmp_path / "made.sqlite")
    assert (tmp_path / "made.sqlite").stat().st_mode & 0o777 == 0o600
    (tmp_path / "bad.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(LockStoreError):
        WitnessStore(tmp_path / "bad.sqlite")
