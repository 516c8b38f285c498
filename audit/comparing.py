"""Entries against the tiles of level 0: which one differs, and what was done to it.

Promises an exact index and the plainest explanation: altered, removed (with or without renumbering what
follows), slipped in, or re-ordered. Works on one tile at a time, whatever the size of the log. Standard
library only, Python 3.9.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice
from typing import NamedTuple

from audit.tiles import WIDTH, hashes_in
from audit.tree import HASH_BYTES, leaf_hash
from audit.verdicts import KEPT, Findings, What

Tiles = Callable[[int, int], bytes]
"""``tiles(level, index)``: a tile's stored bytes, empty when there is none."""


class Block(NamedTuple):
    """The leaf hashes of one tile: as the tile tells them, as the entries are. None: some are missing."""

    told: list[bytes] | None
    seen: list[bytes] | None


class Comparison:
    """Reads entries beside tiles, block by block.

    ``entries`` is one more than the last index stored: only a log with fewer entries than it should have
    can have been closed up after a removal. Bodies below ``excused`` may be missing (``audit.pruned``): then
    the tree's own hash stands for them, and ``pruned`` counts them.
    """

    def __init__(
        self,
        leaves: Iterable[tuple[int, bytes]],
        tiles: Tiles,
        size: int,
        entries: int,
        findings: Findings,
        excused: int = 0,
    ) -> None:
        self._source = ((index, leaf_hash(leaf)) for index, leaf in leaves)
        self._tiles, self._size, self._entries, self._findings = tiles, size, entries, findings
        self._excused = excused
        self.pruned = 0
        self._ahead: deque[tuple[int, bytes]] = deque()
        # How far the numbering of the entries lags behind their places in the tree.
        self._shift = 0

    def block(self, start: int, width: int) -> Block:
        """Return the next ``width`` leaf hashes, from index ``start`` on."""
        data = self._tiles(0, start // WIDTH)[: width * HASH_BYTES]
        data = data[: len(data) // HASH_BYTES * HASH_BYTES]
        told = hashes_in(data)
        if len(told) < width:
            self._findings.note(What.TILE_MISSING, start + len(told), start + width)
        self._fill(width)
        if len(told) == width and self._nothing_left(start + width):
            self.pruned += width
            return Block(told, told)
        first = start - self._shift
        whole = len(self._ahead) >= width and all(
            index == place for place, (index, _) in enumerate(islice(self._ahead, width), first)
        )
        if whole and b"".join(hashed for _, hashed in islice(self._ahead, width)) == data:
            for _ in range(width):
                self._ahead.popleft()
            return Block(told, told)
        return Block(told if len(told) == width else None, self._seen(start, width, told))

    def _nothing_left(self, end: int) -> bool:
        """Tell whether everything up to ``end`` was pruned."""
        return end <= self._excused and not self._shift and (not self._ahead or self._ahead[0][0] >= end)

    def _seen(self, start: int, width: int, told: list[bytes]) -> list[bytes] | None:
        seen: list[bytes] = []
        complete = True
        for slot in range(start, start + width):
            expected = told[slot - start] if slot - start < len(told) else None
            hashed = self._entry(slot, expected)
            if hashed is None and expected is not None and slot < self._excused:
                self.pruned += 1
                hashed = expected
            if hashed is None:
                self._findings.note(What.REMOVED, slot)
                complete = False
            else:
                seen.append(hashed)
        return seen if complete else None

    def _entry(self, slot: int, expected: bytes | None) -> bytes | None:
        """Return the hash of the entry that stands for ``slot``, or None when it was removed."""
        while True:
            self._fill(2)
            if not self._ahead or self._ahead[0][0] > slot - self._shift:
                return None
            if self._ahead[0][0] < slot - self._shift or self._slipped_in(expected):
                self._findings.note(What.ADDED, slot)
                self._shift -= self._ahead.popleft()[0] == slot - self._shift
            elif expected in (None, self._ahead[0][1]) or not self._closed_up(slot):
                return self._explained(slot, expected)

    def _slipped_in(self, expected: bytes | None) -> bool:
        """Tell whether the entry at hand belongs nowhere and the one after it belongs here."""
        if len(self._ahead) < 2 or self._ahead[1][1] != expected or self._ahead[0][1] == expected:  # noqa: PLR2004
            return False
        return self._place(self._ahead[0][1]) is None

    def _closed_up(self, slot: int) -> bool:
        """Tell whether entries were taken out here and the rest renumbered; if so, follow the numbering."""
        index, hashed = self._ahead[0]
        if self._findings.count >= KEPT or self._entries >= self._size - self._shift:
            return False
        place = self._place(hashed)
        if place is None or place <= slot:
            return False
        if len(self._ahead) > 1:
            at = (place + 1) % WIDTH * HASH_BYTES
            after = self._tiles(0, (place + 1) // WIDTH)[at : at + HASH_BYTES]
            if self._ahead[1][1] != after:
                return False
        elif place != self._size - 1:
            return False
        self._shift = place - index
        return True

    def _explained(self, slot: int, expected: bytes | None) -> bytes:
        hashed = self._ahead.popleft()[1]
        if expected is not None and hashed != expected:
            moved = self._findings.count < KEPT and self._place(hashed) is not None
            self._findings.note(What.REORDERED if moved else What.ALTERED, slot)
        return hashed

    def _place(self, hashed: bytes) -> int | None:
        """Return where in the log this leaf hash belongs. Reads all tiles, so only after a mismatch."""
        for number in range((self._size + WIDTH - 1) // WIDTH):
            data = self._tiles(0, number)
            at = data.find(hashed)
            while at % HASH_BYTES and at > 0:
                at = data.find(hashed, at + 1)
            if at >= 0:
                return number * WIDTH + at // HASH_BYTES
        return None

    def _fill(self, count: int) -> None:
        missing = count - len(self._ahead)
        if missing > 0:
            self._ahead.extend(islice(self._source, missing))
