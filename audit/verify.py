"""Checks a whole log from its bytes: entries against tiles, tiles against head, all against signatures.

Promises to stream (a million entries need one tile's worth of memory), to name the first bad entry and
what was done to it, and to trust neither the database nor this service: hashes come from the leaf bytes,
history from checkpoints signed earlier and from the note kept outside the database. Without such a note
or checkpoint it can only say that the log agrees with itself. Standard library only, Python 3.9, so that
an auditor runs it without us.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from audit import ed25519, pruned
from audit.comparing import Comparison, Tiles
from audit.note import Check, Key, NoteError, open_checkpoint, parse, parse_checkpoint
from audit.pruned import LeafAt
from audit.tiles import HEIGHT, WIDTH, hashes_in, tile_root
from audit.tree import EMPTY, EMPTY_ROOT, HASH_BYTES, Frontier, extend, frontier_of_bytes, root
from audit.verdicts import Finding, Findings, Report, What


class Head(NamedTuple):
    """What the log says about itself. ``entries`` is one more than the last stored index."""

    origin: str
    size: int
    root: bytes
    frontier: bytes
    entries: int


class _Mark(NamedTuple):
    """A root that the tree must have had at a size, and who says so, most reliable first."""

    size: int
    source: int
    root: bytes


_CHECKPOINT, _LOCK, _HEAD = 0, 1, 2


class Pruning(NamedTuple):
    """Where statements about pruned entries are said to stand, newest first; how to look an entry up."""

    statements: Sequence[int]
    leaf_at: LeafAt


def verify(
    leaves: Iterable[tuple[int, bytes]],
    tiles: Tiles,
    head: Head | None,
    *,
    checkpoints: Iterable[str] = (),
    keys: Sequence[Key] = (),
    lock: str | None = None,
    check: Check = ed25519.verify,
    pruning: Pruning | None = None,
) -> Report:
    """Check a log and report.

    ``leaves`` come in ascending index and end at the head's size; ``checkpoints`` are the notes stored with
    the log, ``lock`` is the note kept outside it, ``keys`` are the log's keys known from elsewhere, each with
    the sizes that it may sign.
    ``pruning`` leads to the entries that may excuse missing bodies; without it none is excused.
    """
    if head is None:
        return Report(0, EMPTY_ROOT, 0, (Finding(What.NO_HEAD, 0, 0),), 1)
    findings = Findings()
    notes = [(_CHECKPOINT, note) for note in checkpoints]
    if lock is not None:
        notes.append((_LOCK, lock))
    marks = _marks(head, notes, keys, check, findings)
    history = _History(marks, head.size, findings)
    rows = _Rows(tiles, head.size, findings)
    excused = 0 if pruning is None else pruned.excused(*pruning, tiles, head.size)
    comparison = Comparison(leaves, tiles, head.size, head.entries, findings, excused)
    for start in range(0, head.size, WIDTH):
        block = comparison.block(start, min(WIDTH, head.size - start))
        roots = history.add(*block)
        if start + WIDTH <= head.size:
            rows.add(roots)
    rows.finish()
    if not findings.has(What.HEAD) and _stored_root(head) != head.root:
        findings.note(What.HEAD, history.signed, head.size)
    listed = tuple(findings.listed)
    return Report(head.size, history.root(), history.signed, listed, findings.count, comparison.pruned)


def _stored_root(head: Head) -> bytes | None:
    try:
        return root(frontier_of_bytes(head.size, head.frontier))
    except ValueError:
        return None


def _marks(
    head: Head, notes: Iterable[tuple[int, str]], keys: Sequence[Key], check: Check, findings: Findings
) -> list[_Mark]:
    """Return the roots that signatures vouch for and the head's own, by size; note what does not hold."""
    marks = [_Mark(head.size, _HEAD, head.root)]
    for source, note in notes:
        try:
            signed = open_checkpoint(note, keys, check)
        except NoteError:
            findings.note(What.FORGED, _claimed_size(note))
            continue
        if signed.origin != head.origin:
            findings.note(What.ORIGIN, signed.size)
            continue
        marks.append(_Mark(signed.size, source, signed.root))
    largest = max(mark.size for mark in marks)
    if largest > head.size:
        findings.note(What.TRUNCATED, head.size, largest)
    if head.entries > head.size:
        findings.note(What.BEYOND, head.size, head.entries)
    return sorted(mark for mark in marks if mark.size <= head.size)


def _claimed_size(note: str) -> int:
    try:
        return parse_checkpoint(parse(note).text).size
    except NoteError:
        return 0


_Roots = tuple[bytes | None, ...]
"""What the root of a full tile may be; None: not known."""


class _History:
    """The tree as it grew, held against what was said of it at each size.

    ``told`` is the tree the tiles tell of, ``seen`` the tree of the entries as they are. They are the same
    until something was changed; whichever a signature confirms shows what that was. None: not known.
    """

    def __init__(self, marks: Iterable[_Mark], size: int, findings: Findings) -> None:
        self._marks, self._size, self._findings = deque(marks), size, findings
        self._told: Frontier | None = EMPTY
        self._seen: Frontier | None = EMPTY
        self._start = 0
        self.signed = 0
        self._judge(0, [], [])

    def add(self, told: list[bytes] | None, seen: list[bytes] | None) -> _Roots:
        """Take the next tile's leaf hashes; return its roots, by tile and by entries, if it is full."""
        width = min(WIDTH, self._size - self._start)
        self._judge(width, told, seen)
        self._start += width
        same = self._told is self._seen and told == seen
        self._told, tile = _grown(self._told, told)
        if same:
            self._seen = self._told
            return (tile,)
        self._seen, entries = _grown(self._seen, seen)
        return (tile, entries)

    def root(self) -> bytes:
        """Return the root of the entries, or of the tiles where entries are missing."""
        known = self._seen or self._told
        return EMPTY_ROOT if known is None else root(known)

    def _judge(self, width: int, told: list[bytes] | None, seen: list[bytes] | None) -> None:
        """Judge what was said of sizes up to ``width`` beyond what has been added."""
        start = self._start
        while self._marks and self._marks[0].size <= start + width:
            mark = self._marks.popleft()
            tiles = _root_after(self._told, told, mark.size - start)
            entries = _root_after(self._seen, seen, mark.size - start)
            if mark.root in (tiles, entries):
                if mark.source != _HEAD:
                    self.signed = mark.size
                if tiles not in (None, mark.root):
                    self._findings.blame_tiles(mark.size)
            elif (tiles, entries) != (None, None):
                self._contradicted(mark)

    def _contradicted(self, mark: _Mark) -> None:
        if mark.source == _HEAD:
            self._findings.note(What.HEAD, self.signed, self._size)
        elif not self._findings.has(What.REWRITTEN):
            # A note kept outside that the log's own checkpoints do not explain is another history.
            what = What.REWRITTEN if mark.source == _CHECKPOINT else What.FORK
            self._findings.note(what, self.signed, mark.size)


def _grown(frontier: Frontier | None, hashes: list[bytes] | None) -> tuple[Frontier | None, bytes | None]:
    if hashes is None:
        return None, None
    if len(hashes) < WIDTH:
        return (None if frontier is None else extend(frontier, hashes)), None
    node = tile_root(b"".join(hashes))
    return (None if frontier is None else extend(frontier, [node], HEIGHT)), node


def _root_after(frontier: Frontier | None, hashes: list[bytes] | None, count: int) -> bytes | None:
    if frontier is None or hashes is None:
        return None
    return root(extend(frontier, hashes[:count]))


class _Rows:
    """Tiles of the higher levels against the roots of the tiles below them."""

    def __init__(self, tiles: Tiles, size: int, findings: Findings) -> None:
        self._tiles, self._size, self._findings = tiles, size, findings
        self._rows: list[list[_Roots]] = []
        self._numbers: list[int] = []

    def add(self, roots: _Roots, level: int = 1) -> None:
        """Take the roots of the next full tile of the level below."""
        while len(self._rows) < level:
            self._rows.append([])
            self._numbers.append(0)
        self._rows[level - 1].append(roots)
        if len(self._rows[level - 1]) == WIDTH:
            row = self._check(level)
            self._rows[level - 1] = []
            self._numbers[level - 1] += 1
            known = [one for one in row if one is not None]
            self.add((tile_root(b"".join(known)) if len(known) == WIDTH else None,), level + 1)

    def finish(self) -> None:
        """Check the rows that are not full."""
        for level, row in enumerate(self._rows, 1):
            if row:
                self._check(level)

    def _check(self, level: int) -> _Roots:
        """Note where the tile differs from all that lies below it; return the row to go on with."""
        number, row = self._numbers[level - 1], self._rows[level - 1]
        stored = hashes_in(self._tiles(level, number)[: len(row) * HASH_BYTES])
        settled = []
        for at, roots in enumerate(row):
            first = (number * WIDTH + at) << (HEIGHT * level)
            end = first + (1 << (HEIGHT * level))
            if at >= len(stored):
                self._findings.note(What.TILE_MISSING, first, end)
            elif stored[at] not in roots and roots != (None,) * len(roots):
                self._findings.note(What.TILE, first, end)
            settled.append(stored[at] if at < len(stored) and stored[at] in roots else roots[0])
        return tuple(settled)
