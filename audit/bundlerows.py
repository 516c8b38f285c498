"""The entries of a bundle, in order: each line and each row against the leaf bytes and their hash.

Promises the index of whatever is altered, left out, slipped in or out of order, and of the first thing that
is shown otherwise than the bytes say. Reads line by line, and gives up after a hundred lines that belong
nowhere. Standard library only, Python 3.9.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from typing import Any, Final, NamedTuple

from audit.bundlefile import CSV, JSONL, LONGEST_LINE, BundleFile, Manifest
from audit.bundlepruned import Excuse
from audit.spelling import header, line, row
from audit.tree import leaf_hash
from audit.verdicts import KEPT, Findings, What

_LINE: Final = re.compile(rb'\{"index":(0|[1-9][0-9]{0,18}),"leaf_b64":"([A-Za-z0-9+/]*={0,2})","decoded":')


_ROW: Final = re.compile(rb'"(0|[1-9][0-9]{0,18})",')


class _Entry(NamedTuple):
    """One line as it was read. ``leaf`` is None where the line cannot be read at all.

    ``kept`` is the hash that stands for a body which is gone, None where the line is an entry's.
    """

    place: int
    leaf: bytes | None
    honest: bool
    kept: bytes | None = None


class Rows:
    """Reads ``entries.jsonl`` and ``entries.csv`` side by side."""

    def __init__(self, bundle: BundleFile, manifest: Manifest, findings: Findings, excuse: Excuse) -> None:
        self._excuse = excuse
        self.pruned = 0
        self._lines, self._table = bundle.stream(JSONL), bundle.stream(CSV)
        self._manifest, self._findings = manifest, findings
        self._next: _Entry | None = None
        self._strays = self._count = self._wrong_rows = 0
        self._ended = False
        self._waiting = b""
        self._whole_table = self._table.readline(LONGEST_LINE) == header().encode()
        if not self._whole_table:
            findings.note(What.CSV, manifest.first)

    def block(self, first: int, hashes: list[bytes]) -> list[bytes] | None:
        """Judge the entries of the next indexes; return their hashes, None where one is missing."""
        found: list[bytes] = []
        for index, told in enumerate(hashes, first):
            entry = self._at(index)
            if entry is None:
                if not self._manifest.filtered:
                    self._findings.note(What.LEFT_OUT, index)
                continue
            if entry.kept is not None:
                found.append(self._gone(entry.place, entry.kept, told))
                continue
            self._count += 1
            hashed = b"" if entry.leaf is None else leaf_hash(entry.leaf)
            found.append(hashed)
            if hashed != told:
                self._findings.note(What.ALTERED, index)
            elif not entry.honest:
                self._findings.note(What.DECODED, index)
            self._row(entry)
        return found if len(found) == len(hashes) else None

    def _gone(self, index: int, kept: bytes, told: bytes) -> bytes:
        """Judge a line that says that a body is gone; return the hash it gives."""
        self.pruned += 1
        if kept != told:
            self._findings.note(What.ALTERED, index)
        elif self._manifest.filtered:
            self._findings.note(What.ADDED, index)
        elif not self._excuse.covers(index):
            self._findings.note(What.UNSAID, index)
        return kept

    def finish(self) -> None:
        """Judge what is left when the run is over, and the counts."""
        end = self._manifest.end
        while not self._ended and self._at(end) is not None:
            self._stray(What.ADDED, end)
        if self._whole_table and (self._waiting or self._table.read(1)):
            self._findings.note(What.CSV, end)
        manifest = self._manifest
        gone_unsaid = manifest.pruned > self._excuse.most(manifest.first, manifest.end)
        if manifest.filtered and gone_unsaid:
            self._findings.note(What.UNSAID, manifest.first)
        if self._count != manifest.entries or (not manifest.filtered and self.pruned != manifest.pruned):
            self._findings.note(What.COUNT, self._count)
        self._lines.close()
        self._table.close()

    def _at(self, index: int) -> _Entry | None:
        """Take the entry of this index, passing over those that should have come earlier."""
        while True:
            if self._next is None:
                self._next = self._read(index)
            entry = self._next
            if entry is None or (entry.place > index and index < self._manifest.end):
                return None
            self._next = None
            if entry.place >= index:
                return entry
            self._stray(What.REORDERED, entry.place)

    def _stray(self, what: What, index: int) -> None:
        self._findings.note(what, index)
        self._strays += 1
        self._ended |= self._strays >= KEPT

    def _read(self, expected: int) -> _Entry | None:
        text = b"" if self._ended else self._lines.readline(LONGEST_LINE + 1)
        if not text:
            self._ended = True
            return None
        if len(text) > LONGEST_LINE:
            self._ended = True
            return _Entry(expected, None, honest=False)
        found = _LINE.match(text)
        if found is not None:
            index, leaf = int(found.group(1)), _leaf(found.group(2))
            if leaf is not None:
                return _Entry(index, leaf, _is_spelt(index, leaf, text))
        return _reformatted(text) or _Entry(expected, None, honest=False)

    def _row(self, entry: _Entry) -> None:
        """Compare the entry's row; rows that belong to earlier entries are told by their own index."""
        while self._whole_table:
            text = self._waiting or self._table.readline(LONGEST_LINE)
            self._waiting = b""
            try:
                if entry.leaf is None or text == row(entry.place, entry.leaf).encode():
                    return
            except (ValueError, RecursionError):
                return  # the leaf is no entry; that is told of the leaf
            named = _ROW.match(text)
            index = entry.place if named is None else int(named.group(1))
            self._findings.note(What.CSV, min(index, entry.place))
            self._wrong_rows += 1
            self._whole_table = bool(text) and self._wrong_rows < KEPT
            if index > entry.place:
                self._waiting = text
            if index >= entry.place:
                return


def _leaf(coded: bytes) -> bytes | None:
    try:
        return b64decode(coded, validate=True)
    except ValueError:
        return None


def _is_spelt(index: int, leaf: bytes, text: bytes) -> bool:
    try:
        return line(index, leaf).encode() == text or _says_the_same(leaf, text)
    except ValueError:
        return False


def _says_the_same(leaf: bytes, text: bytes) -> bool:
    tree = _parsed(text)
    return tree is not None and set(tree) == _MEMBERS and _alike(tree["decoded"], _parsed(leaf))


_MEMBERS: Final = {"index", "leaf_b64", "decoded"}
_GONE: Final = {"index", "leaf_hash", "pruned"}


def _reformatted(text: bytes) -> _Entry | None:
    """Read a line that another program has written again; what it says counts, not how."""
    tree = _parsed(text)
    if tree is not None and set(tree) == _GONE:
        return _without_body(tree)
    if tree is None or set(tree) != _MEMBERS:
        return None
    index, coded = tree["index"], tree["leaf_b64"]
    if type(index) is not int or index < 0 or type(coded) is not str or not coded.isascii():
        return None
    leaf = _leaf(coded.encode())
    return None if leaf is None else _Entry(index, leaf, _alike(tree["decoded"], _parsed(leaf)))


def _without_body(tree: dict[str, Any]) -> _Entry | None:
    """Read a line that holds a hash in the place of a body."""
    index, coded = tree["index"], tree["leaf_hash"]
    if type(index) is not int or index < 0 or type(coded) is not str or tree["pruned"] is not True:
        return None
    kept = _leaf(coded.encode()) if coded.isascii() else None
    return None if kept is None else _Entry(index, None, honest=True, kept=kept)


def _alike(one: object, other: object) -> bool:
    """Tell whether two JSON values are the same in value and kind: 1, 1.0 and true are three."""
    return other is not None and json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _parsed(text: bytes) -> dict[str, Any] | None:
    """Return a JSON object without repeated members, None for anything else."""
    try:
        tree = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return None
    return tree if isinstance(tree, dict) else None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) != len(pairs):
        raise ValueError("a member is repeated")
    return tree
