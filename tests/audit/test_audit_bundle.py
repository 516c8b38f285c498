"""A bundle proves offline what it holds, and each change to it is found with its place and its exit code."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable
from functools import cache

import pytest
from audit_making import ORIGIN, a_signer
from bundle_making import (
    MADE_AT,
    SIZE,
    MemoryLog,
    changed,
    checked,
    denials,
    entry,
    found,
    lines_changed,
    made,
    members,
    packed,
    small_log,
    spelt_line,
)

from audit import bundle, checkpoint, note
from audit.bundle import DamagedLogError
from audit.bundlecheck import Known
from audit.bundlefile import (
    CHECKPOINT,
    COMPLETE,
    CSV,
    FILTERED,
    HASHES,
    JSONL,
    MANIFEST,
    POLICY,
    PROOF,
    REQUIRED,
)
from audit.entry import Verdict, decode, encode
from audit.note import Checkpoint
from audit.policyfile import parse_policy, pinned
from audit.verdicts import What

FIRST, END = 100, 612
PIN = pinned(a_signer().key)


@cache
def log() -> MemoryLog:
    return small_log()


@cache
def whole() -> bytes:
    return made(log(), FIRST, END)


@cache
def chosen() -> bytes:
    return made(log(), FIRST, END, accept=denials)


# --- what an honest bundle says


@pytest.mark.parametrize("first", [0, 1, 255, 256, 300, SIZE])
@pytest.mark.parametrize("end", [0, 1, 256, 257, 600, SIZE])
def test_every_run_of_a_log_can_be_proved(first: int, end: int) -> None:
    if first > end:
        return
    report = checked(made(log(), first, end), PIN)
    assert found(report) == (0, None, None)
    assert report.manifest is not None
    assert (report.manifest.first, report.manifest.end, report.manifest.entries) == (first, end, end - first)
    assert report.report.signed_size == SIZE


def test_a_bundle_holds_each_leaf_as_it_is_signed_and_what_it_says() -> None:
    lines = members(whole())[JSONL].splitlines()
    assert len(lines) == END - FIRST
    for index, text in enumerate(lines, FIRST):
        tree = json.loads(text)
        assert (tree["index"], b64decode(tree["leaf_b64"])) == (index, log().leaves[index])
        assert tree["decoded"] == json.loads(log().leaves[index])


def test_a_whole_run_says_that_nothing_is_missing_and_a_filtered_one_that_it_cannot() -> None:
    manifests = [json.loads(members(data)[MANIFEST]) for data in (whole(), chosen())]
    assert [one["statement"] for one in manifests] == [COMPLETE, FILTERED]
    assert "不能证明" in FILTERED["zh"]
    assert "cannot prove" in FILTERED["en"]


def test_a_filtered_bundle_proves_counts_and_each_given_entry() -> None:
    report = checked(chosen(), PIN)
    expected = [index for index in range(FIRST, END) if entry(index).dec is Verdict.DENY]
    assert found(report) == (0, None, None)
    assert report.manifest is not None
    assert (report.manifest.entries, report.manifest.filtered) == (len(expected), True)
    assert [json.loads(one)["index"] for one in members(chosen())[JSONL].splitlines()] == expected


def test_what_a_filter_took_first_is_what_both_files_hold_whatever_it_says_later() -> None:
    asked: list[int] = []

    def moody(index: int, leaf: bytes) -> bool:
        asked.append(index)
        return denials(index, leaf)

    data = made(log(), FIRST, END, accept=moody)
    assert asked == list(range(FIRST, END))
    assert found(checked(data, PIN)) == (0, None, None)


def test_an_older_head_is_exported_from_a_log_that_went_on() -> None:
    report = checked(made(log(), 90, 300, size=300), PIN)
    assert (found(report), report.report.size) == ((0, None, None), 300)


def test_two_bundles_of_one_run_differ_in_nothing() -> None:
    assert made(log(), FIRST, END) == whole()


def test_progress_runs_from_nothing_to_all() -> None:
    told: list[tuple[int, int]] = []
    order = bundle.Order(0, SIZE, MADE_AT)
    pieces = list(bundle.pieces(log().source(), order, lambda done, of: told.append((done, of))))
    assert len(pieces) > 3
    assert told == sorted(told)
    assert (told[0], told[-1]) == ((0, SIZE), (SIZE, SIZE))


@pytest.mark.parametrize("harm", ["altered", "missing", "no tile"])
def test_a_damaged_log_is_not_exported_as_evidence(harm: str) -> None:
    source, leaves = log().source(), log().leaves

    def stored(first: int, end: int) -> list[tuple[int, bytes]]:
        rows = [(index, leaves[index]) for index in range(first, end)]
        if harm == "altered":
            rows[137] = (rows[137][0], leaves[0])
        return rows if harm == "altered" else rows[:137] + rows[138:]

    hurt = source._replace(leaves=stored)
    if harm == "no tile":
        hurt = source._replace(
            tiles=lambda level, index: b"" if (level, index) == (0, 1) else log().tile(level, index)
        )
    with pytest.raises(DamagedLogError):
        list(bundle.pieces(hurt, bundle.Order(0, SIZE, MADE_AT), lambda _done, _of: None))


# --- what happens to bundles

Deed = Callable[[bytes], bytes]


BEYOND = spelt_line(END, b"{}", {})


def put(place: int, text: bytes, name: str = JSONL) -> Deed:
    return lambda data: lines_changed(data, lambda lines: lines.__setitem__(place, text), name)


def dropped(place: int, name: str = JSONL) -> Deed:
    return lambda data: lines_changed(data, lambda lines: lines.pop(place), name)


def cut(place: int, name: str = JSONL) -> Deed:
    return lambda data: lines_changed(data, lambda lines: lines.__delitem__(slice(place, None)), name)


def both(one: Deed, other: Deed) -> Deed:
    return lambda data: other(one(data))


def leaf_altered(index: int) -> Deed:
    leaf = encode(decode(log().leaves[index])).replace(b'"n":2', b'"n":1')
    return lambda data: lines_changed(
        data, lambda lines: lines.__setitem__(index - FIRST, spelt_line(index, leaf, json.loads(leaf)))
    )


def shown_otherwise(index: int) -> Deed:
    leaf = log().leaves[index]
    return lambda data: lines_changed(
        data,
        lambda lines: lines.__setitem__(index - FIRST, spelt_line(index, leaf, {**json.loads(leaf), "n": 1})),
    )


def swapped(data: bytes) -> bytes:
    def swap(lines: list[bytes]) -> None:
        lines[50], lines[300] = lines[300], lines[50]

    return lines_changed(data, swap)


def hash_altered(place: int) -> Deed:
    return lambda data: changed(
        data, HASHES, lambda packed_: packed_[: place * 32] + b"\x00" * 32 + packed_[place * 32 + 32 :]
    )


def rewritten_with_its_hash(data: bytes) -> bytes:
    """Alter an entry, its hash and its row consistently."""
    other = MemoryLog([*log().leaves[:200], encode(entry(5_000)), *log().leaves[201:]])
    parts = members(made(other, FIRST, END))
    return packed({**parts, CHECKPOINT: members(data)[CHECKPOINT], PROOF: members(data)[PROOF]})


def manifest_says(**parts: object) -> Deed:
    def change(text: bytes) -> bytes:
        return json.dumps({**json.loads(text), **parts}, ensure_ascii=False, indent=1).encode() + b"\n"

    return lambda data: changed(data, MANIFEST, change)


def signed_by_another(data: bytes) -> bytes:
    text = note.parse(members(data)[CHECKPOINT].decode()).text
    return changed(data, CHECKPOINT, lambda _: a_signer(seed=8).sign(text).encode())


@pytest.mark.parametrize(
    ("deed", "expected"),
    [
        (leaf_altered(FIRST), (1, What.ALTERED, FIRST)),
        (leaf_altered(355), (1, What.ALTERED, 355)),
        (leaf_altered(END - 1), (1, What.ALTERED, END - 1)),
        (shown_otherwise(200), (1, What.DECODED, 200)),
        (dropped(155), (1, What.CSV, 255)),
        (both(dropped(155), dropped(156, CSV)), (5, What.LEFT_OUT, 255)),
        (cut(400), (1, What.CSV, END)),
        (both(cut(400), cut(401, CSV)), (5, What.LEFT_OUT, 500)),
        (lambda data: lines_changed(data, lambda it: it.insert(7, it[3])), (1, What.REORDERED, FIRST + 3)),
        (lambda data: lines_changed(data, lambda it: it.append(BEYOND)), (1, What.ADDED, END)),
        (swapped, (1, What.CSV, FIRST + 50)),
        (put(9, b"{nonsense\n"), (1, What.ALTERED, 109)),
        (lambda data: changed(data, CSV, lambda text: text.replace(b'"131"', b'"132"')), (1, What.CSV, 131)),
        (dropped(41, CSV), (1, What.CSV, 140)),
        (dropped(-1, CSV), (1, What.CSV, END - 1)),
        (lambda data: lines_changed(data, lambda it: it.append(it[-1]), CSV), (1, What.CSV, END)),
        (dropped(0, CSV), (1, What.CSV, FIRST)),
        (hash_altered(20), (1, What.HASHES, FIRST + 20)),
        (rewritten_with_its_hash, (1, What.REWRITTEN, FIRST)),
        (lambda data: changed(data, HASHES, lambda packed_: packed_[:-32]), (5, What.LEFT_OUT, FIRST)),
        (manifest_says(entries=END - FIRST + 1), (5, What.COUNT, END - FIRST)),
        (manifest_says(end=SIZE + 1, size=SIZE + 1), (2, What.SHORT_HEAD, SIZE)),
        (manifest_says(size=SIZE - 1), (5, What.COUNT, END - FIRST)),
        (manifest_says(end=END - 1, entries=END - FIRST - 1), (5, What.LEFT_OUT, FIRST)),
        (manifest_says(origin="other.example/log"), (4, What.ORIGIN, SIZE)),
        (manifest_says(key=a_signer(seed=8).key.text), (4, What.FORGED, SIZE)),
        (manifest_says(key="no key"), (6, What.NO_BUNDLE, 0)),
        (signed_by_another, (4, What.FORGED, SIZE)),
        (lambda data: changed(data, CHECKPOINT, lambda _: b"nothing"), (4, What.FORGED, 0)),
        (lambda data: changed(data, PROOF, lambda it: it.replace(b"[", b'["A",')), (6, What.NO_BUNDLE, 0)),
    ],
)  # fmt: skip
def test_each_deed_is_found_and_named(deed: Deed, expected: tuple[int, What, int]) -> None:
    assert found(checked(deed(whole()))) == expected


@pytest.mark.parametrize("name", REQUIRED)
def test_a_member_that_is_left_out_is_missed(name: str) -> None:
    parts = members(whole())
    del parts[name]
    assert found(checked(packed(parts))) == (5, What.MEMBER_MISSING, 0)


def test_an_altered_proof_proves_nothing() -> None:
    other = members(made(log(), FIRST + 1, END))[PROOF]
    assert found(checked(changed(whole(), PROOF, lambda _: other)))[:2] == (1, What.REWRITTEN)


def test_a_filtered_bundle_cannot_pass_for_a_whole_run() -> None:
    claim = manifest_says(filtered=False, statement=COMPLETE)
    assert found(checked(claim(chosen()))) == (5, What.LEFT_OUT, FIRST + 1)
    boast = manifest_says(statement=COMPLETE)
    assert found(checked(boast(chosen()))) == (6, What.NO_BUNDLE, 0)


def test_an_entry_altered_in_a_filtered_bundle_is_found() -> None:
    def alter(lines: list[bytes]) -> None:
        leaf = b64decode(json.loads(lines[3])["leaf_b64"]).replace(b'"deny"', b'"permit"')
        lines[3] = spelt_line(115, leaf, json.loads(leaf))

    assert found(checked(lines_changed(chosen(), alter))) == (1, What.ALTERED, 115)
    added = lines_changed(chosen(), lambda lines: lines.insert(0, spelt_line(FIRST, b"{}", {})))
    assert found(checked(added)) == (1, What.ALTERED, FIRST)


def test_lines_that_another_program_wrote_again_say_the_same() -> None:
    def again(lines: list[bytes]) -> None:
        lines[:] = [json.dumps(json.loads(one), sort_keys=True).encode() + b"\n" for one in lines]

    assert found(checked(lines_changed(whole(), again))) == (0, None, None)


# --- whose word counts


def test_without_a_key_from_elsewhere_the_report_says_so() -> None:
    assert not checked(whole()).pinned
    assert checked(whole(), PIN).pinned


def test_a_bundle_of_a_made_up_log_agrees_with_itself_and_not_with_the_key() -> None:
    forged = made(MemoryLog(log().leaves, seed=8), FIRST, END)
    assert found(checked(forged)) == (0, None, None)
    assert found(checked(forged, PIN)) == (4, What.QUORUM, SIZE)


def test_a_policy_counts_witnesses() -> None:
    witnesses = [checkpoint.Cosigner(f"witness{n}.example", bytes([20 + n]) * 32) for n in range(3)]
    lines = [f"witness w{n} {one.key.text}" for n, one in enumerate(witnesses)]
    quorum = ["group two 2 w0 w1 w2", "quorum two", ""]
    policy = parse_policy("\n".join([f"log {a_signer().key.text}", *lines, *quorum]))
    text = note.parse(members(whole())[CHECKPOINT].decode()).text
    own = note.parse(log().note()).signatures

    def signed(count: int) -> bytes:
        signatures = [*own, *(one.cosign(text, 1_770_000_000) for one in witnesses[:count])]
        return changed(whole(), CHECKPOINT, lambda _: note.write(text, signatures).encode())

    assert found(checked(signed(1), policy)) == (4, What.QUORUM, SIZE)
    assert found(checked(signed(2), policy)) == (0, None, None)


def test_a_policy_may_lie_in_the_bundle_for_reading_and_is_not_believed() -> None:
    order = bundle.Order(FIRST, END, MADE_AT, policy=a_signer(seed=8).key.text)
    data = b"".join(bundle.pieces(log().source(), order, lambda _done, _of: None))
    assert members(data)[POLICY].decode() == a_signer(seed=8).key.text
    assert found(checked(data)) == (0, None, None)


# --- a checkpoint that the auditor kept


@pytest.mark.parametrize(
    ("size", "expected", "standing"),
    [
        (FIRST, (0, None, None), Known.AGREES),
        (257, (0, None, None), Known.AGREES),
        (END, (0, None, None), Known.AGREES),
        (SIZE, (0, None, None), Known.AGREES),
        (FIRST - 1, (0, None, None), Known.OUTSIDE),
        (END + 1, (0, None, None), Known.OUTSIDE),
    ],
)
def test_a_checkpoint_kept_earlier_agrees_or_says_that_it_cannot_tell(
    size: int, expected: tuple[int, None, None], standing: Known
) -> None:
    report = checked(whole(), PIN, log().note(size))
    assert (found(report), report.known) == (expected, standing)


def test_a_log_cut_back_since_is_a_rollback() -> None:
    report = checked(made(log(), FIRST, 500, size=600), PIN, log().note(SIZE))
    assert (found(report), report.known) == ((2, What.TRUNCATED, 600), Known.DISAGREES)


@pytest.mark.parametrize("size", [FIRST, 257, END, SIZE])
def test_another_history_since_is_a_fork(size: int) -> None:
    other = checkpoint.sign(a_signer(), Checkpoint(ORIGIN, size, b"\x01" * 32))
    report = checked(whole(), PIN, other)
    assert (found(report), report.known) == ((3, What.FORK, 0), Known.DISAGREES)


def test_a_checkpoint_of_another_log_or_none_at_all_is_told() -> None:
    other = checkpoint.sign(a_signer("other.example/log"), Checkpoint("other.example/log", 9, b"\x01" * 32))
    assert found(checked(whole(), PIN, other)) == (4, What.ORIGIN, 9)
    assert found(checked(whole(), PIN, "nothing")) == (4, What.FORGED, 0)
