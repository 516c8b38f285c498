"""A run with bodies that the retention deleted: exported where the log says so, and shown to a stranger.

The log has 700 entries, one every half day, then its own statement that the first 300 are pruned, then four
more. What may be missing are the first 299: the milestone stays.
"""

from __future__ import annotations

import json
import subprocess
import sys
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from audit_making import LI, NOW, WANG, a_read
from bundle_making import MADE_AT, MemoryLog, checked, found, lines_changed, made, members, packed

from audit import bundle, pruned, standalone
from audit.bundlefile import CSV, JSONL, MANIFEST, PRUNED, parse_manifest
from audit.bundlemain import lines
from audit.bundlepruned import NONE, Excuse, excuse_of
from audit.entry import Actor, ActorType, Entry, Kind, Party, Verdict, encode
from audit.policyfile import pinned
from audit.pruned import DAY_MS
from audit.tiles import node_reader
from audit.tree import EMPTY, extend, root
from audit.verdicts import What

SIZE, PREFIX, STEP = 700, 300, DAY_MS // 2
SAID_AT = SIZE
CUTOFF = NOW + PREFIX * STEP


def a_log(prefix: int = PREFIX, cutoff: int = CUTOFF) -> MemoryLog:
    end = SIZE * STEP
    entries = [a_read(n * STEP, LI if n % 3 == 2 else WANG) for n in range(SIZE)]
    said = Entry(
        t=NOW + end,
        kind=Kind.AUDIT,
        act=pruned.ACT,
        dec=Verdict.PERMIT,
        actor=Actor(Party(ActorType.SYSTEM, "retention")),
        resource=str(cutoff),
        n=prefix,
    )
    return MemoryLog([encode(one) for one in (*entries, said, *(a_read(end + n) for n in range(4)))])


LOG = a_log()
FULL = len(LOG.leaves)


def top_of(log: MemoryLog) -> bytes:
    return root(extend(EMPTY, log.hashes))


def excuse(log: MemoryLog = LOG, statements: tuple[int, ...] = (SAID_AT,)) -> Excuse:
    return excuse_of(
        statements, lambda at: log.leaves[at], node_reader(log.tile), len(log.leaves), top_of(log)
    )


def exported(
    first: int = 0,
    end: int = FULL,
    gone: Callable[[int], bool] = lambda index: index < PREFIX - 1,
    allowed: Excuse | None = None,
    accept: bundle.Accept | None = None,
    log: MemoryLog = LOG,
) -> bytes:
    source = log.source()._replace(
        leaves=lambda a, b: ((i, log.leaves[i]) for i in range(a, b) if not gone(i)),
        excuse=excuse(log) if allowed is None else allowed,
    )
    order = bundle.Order(first, end, MADE_AT, accept, "" if accept is None else "about:li")
    return b"".join(bundle.pieces(source, order, lambda _done, _of: None))


def manifest_changed(data: bytes, **changes: Any) -> bytes:
    parts = members(data)
    told = parse_manifest(parts[MANIFEST].decode())._replace(**changes)
    return packed(parts | {MANIFEST: told.text.encode()})


def said_changed(data: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    parts = members(data)
    tree = json.loads(parts[PRUNED])
    change(tree)
    return packed(parts | {PRUNED: json.dumps(tree).encode()})


@pytest.mark.parametrize(("first", "end"), [(0, FULL), (10, 600), (0, PREFIX - 1), (290, 310), (255, 257)])
def test_a_run_with_deleted_bodies_is_exported_and_complete(first: int, end: int) -> None:
    data = exported(first, end)
    report = checked(data, pinned(LOG.signer.key))
    gone = min(end, PREFIX - 1) - first
    assert found(report) == (0, None, None)
    assert report.manifest is not None
    assert (report.report.pruned, report.manifest.pruned) == (gone, gone)
    assert report.manifest.entries == end - first - gone
    assert report.excuse == excuse()
    read = [json.loads(line) for line in members(data)[JSONL].splitlines()]
    assert [one["index"] for one in read] == list(range(first, end))
    assert [one for one in read if "pruned" in one] == [
        {"index": index, "leaf_hash": b64encode(LOG.hashes[index]).decode(), "pruned": True}
        for index in range(first, first + gone)
    ]
    assert members(data)[CSV].count(b"\r\n") in (report.manifest.entries + 1, 0)


def test_bodies_that_are_held_stay_in_and_the_rest_is_counted() -> None:
    data = exported(gone=lambda index: index < PREFIX - 1 and index % 7 != 0)
    report = checked(data)
    assert found(report) == (0, None, None)
    assert report.report.pruned == sum(1 for index in range(PREFIX - 1) if index % 7)


def test_the_verifier_says_how_many_and_by_which_entry() -> None:
    said = "\n".join(lines(checked(exported())))
    assert "One unbroken run: 705 entries, none missing." in said
    assert "299 bodies were deleted under the retention" in said
    assert f"at entry {SAID_AT}, which was checked" in said


def test_a_filter_never_matches_what_is_gone_and_the_bundle_says_what_it_could_not_see() -> None:
    data = exported(accept=lambda _index, leaf: LI.hex().encode() in leaf)
    report = checked(data)
    assert found(report) == (0, None, None)
    assert report.manifest is not None
    assert report.manifest.pruned == PREFIX - 1
    assert all(b"leaf_b64" in line for line in members(data)[JSONL].splitlines())
    assert "allows for 299 at most" in "\n".join(lines(report))


def test_a_bundle_without_deleted_bodies_is_as_before() -> None:
    data = exported(400, 500)
    assert PRUNED not in members(data)
    assert b"pruned" not in members(data)[MANIFEST]
    assert data == made(LOG, 400, 500)


@pytest.mark.parametrize("index", [PREFIX - 1, PREFIX, 500])
def test_a_missing_body_that_no_statement_covers_still_refuses(index: int) -> None:
    with pytest.raises(bundle.DamagedLogError) as caught:
        exported(gone=lambda at: at == index)
    assert caught.value.index == index


def test_without_a_statement_nothing_may_be_missing() -> None:
    with pytest.raises(bundle.DamagedLogError) as caught:
        exported(allowed=NONE)
    assert caught.value.index == 0


@pytest.mark.parametrize(
    ("prefix", "cutoff"),
    [(PREFIX, NOW + SIZE * STEP), (PREFIX, CUTOFF - 2 * DAY_MS), (SIZE + 2, CUTOFF)],
    ids=["younger than the floor", "a milestone that is younger than the cutoff", "beyond itself"],
)
def test_a_statement_that_breaks_its_own_rules_excuses_nothing(prefix: int, cutoff: int) -> None:
    assert excuse(a_log(prefix, cutoff)) == NONE
    assert excuse(LOG, (5,)) == NONE
    assert excuse(LOG, (FULL, -1)) == NONE


def test_a_body_that_goes_while_the_export_is_written_stops_it() -> None:
    times = iter([PREFIX - 9, PREFIX - 1])

    def leaves(first: int, end: int) -> Any:
        until = next(times)
        return ((i, LOG.leaves[i]) for i in range(first, end) if i >= until)

    source = LOG.source()._replace(leaves=leaves, excuse=excuse())
    with pytest.raises(bundle.DamagedLogError):
        list(bundle.pieces(source, bundle.Order(0, FULL, MADE_AT), lambda _done, _of: None))


# --- what somebody may do to such a bundle


def withheld(index: int) -> bytes:
    """Return a bundle from which a body was taken, and which claims that the retention did it."""
    data = exported()

    def take(read: list[bytes]) -> None:
        hashed = b64encode(LOG.hashes[index]).decode()
        read[index] = json.dumps({"index": index, "leaf_hash": hashed, "pruned": True}).encode() + b"\n"

    cut = lines_changed(lines_changed(data, take), lambda rows: rows.pop(1 + index - (PREFIX - 1)), CSV)
    return manifest_changed(cut, entries=FULL - PREFIX, pruned=PREFIX)


@pytest.mark.parametrize("index", [PREFIX - 1, PREFIX, 500, FULL - 1])
def test_a_body_that_the_statement_does_not_cover_is_not_taken_for_pruned(index: int) -> None:
    assert found(checked(withheld(index))) == (5, What.UNSAID, index)


def test_a_claim_without_the_logs_statement_is_not_believed() -> None:
    parts = members(exported())
    del parts[PRUNED]
    assert found(checked(packed(parts))) == (5, What.UNSAID, 0)


def test_a_filtered_bundle_cannot_claim_more_than_the_statement_allows() -> None:
    data = exported(accept=lambda _index, leaf: LI.hex().encode() in leaf)
    assert found(checked(manifest_changed(data, pruned=PREFIX))) == (5, What.UNSAID, 0)


def test_a_statement_of_another_log_excuses_nothing() -> None:
    other = a_log()
    parts = members(exported())
    parts[PRUNED] = excuse(other).text.encode()
    assert found(checked(packed(parts))) == (5, What.UNSAID, 0)


def _wider(tree: dict[str, Any]) -> None:
    for one in tree["entries"]:
        leaf = b64decode(one["leaf_b64"])
        one["leaf_b64"] = b64encode(leaf.replace(b'"n":300', b'"n":400')).decode()


def _other_place(tree: dict[str, Any]) -> None:
    tree["statement"] -= 1


def _without_milestone(tree: dict[str, Any]) -> None:
    tree["entries"] = [one for one in tree["entries"] if one["index"] != PREFIX - 1]


def _moved(tree: dict[str, Any]) -> None:
    tree["entries"][0]["index"] += 1


@pytest.mark.parametrize("change", [_wider, _other_place, _without_milestone, _moved])
def test_a_statement_that_was_changed_excuses_nothing(change: Callable[[dict[str, Any]], object]) -> None:
    assert found(checked(said_changed(exported(), change))) == (5, What.UNSAID, 0)


@pytest.mark.parametrize(
    "text",
    [
        b"nothing",
        b"[]",
        b'{"statement":700}',
        b'{"statement":"700","entries":[]}',
        b'{"statement":true,"entries":[]}',
        b'{"statement":700,"entries":{}}',
        b'{"statement":700,"entries":[{"index":1,"leaf_b64":"!","proof":[]}]}',
        b'{"statement":700,"entries":[{"index":-1,"leaf_b64":"","proof":["eA=="]}]}' + b" " * 300_000,
        b'{"statement":700,"entries":[' + b",".join([b'{"index":1,"leaf_b64":"","proof":[]}'] * 6) + b"]}",
        b"[" * 5000,
    ],
)
def test_a_statement_of_another_form_makes_no_bundle(text: bytes) -> None:
    report = checked(packed(members(exported()) | {PRUNED: text}))
    assert found(report)[:2] in ((6, What.NO_BUNDLE), (5, What.UNSAID))
    assert report.report.findings


@pytest.mark.parametrize(
    ("change", "what", "index"),
    [
        (lambda read: read.pop(3), What.LEFT_OUT, 3),
        (lambda read: read.insert(3, read[3]), What.REORDERED, 3),
        (lambda read: read.__setitem__(3, read[4].replace(b'"index":4', b'"index":3')), What.ALTERED, 3),
        (lambda read: read.__setitem__(3, read[3].replace(b"true", b"1")), What.ALTERED, 3),
    ],
)
def test_lines_without_a_body_are_judged_like_others(
    change: Callable[[list[bytes]], object], what: What, index: int
) -> None:
    report = checked(lines_changed(exported(), change))
    assert (what, index) in [(one.what, one.first) for one in report.report.findings]


def test_a_count_that_hides_some_is_noticed() -> None:
    assert found(checked(manifest_changed(exported(), pruned=5)))[:2] == (5, What.COUNT)
    assert found(checked(manifest_changed(exported(), pruned=0)))[:2] == (5, What.COUNT)


def test_a_hash_that_stands_for_no_body_of_the_log_gives_another_root() -> None:
    lie = b64encode(b"\x01" * 32)
    first = b64encode(LOG.hashes[0])
    report = checked(lines_changed(exported(), lambda read: read.__setitem__(0, read[0].replace(first, lie))))
    assert found(report) == (1, What.ALTERED, 0)


def test_the_program_in_the_bundle_says_the_same(tmp_path: Path) -> None:
    (tmp_path / "verify.py").write_text(standalone.source(), "utf-8")
    (tmp_path / "export.zip").write_bytes(exported())
    run = subprocess.run(
        [sys.executable, "-I", "verify.py", "export.zip"],
        cwd=tmp_path, capture_output=True, text=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert (run.returncode, run.stderr) == (0, "")
    assert "299 bodies were deleted under the retention" in run.stdout
