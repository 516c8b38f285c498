"""Makes a bundle: part of a log, as of one signed checkpoint, that a stranger can check offline.

Promises to stream (no part of it is held but one bit for each entry of a filtered run), to be the same for
the same head however much is written meanwhile, and to stop rather than hand out an entry that does not fit
the tree: whoever sees it stop runs the verifier. Standard library only but for nothing it needs to know of
databases: entries and hashes come from functions of the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import IO, Final, NamedTuple, cast
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from audit import standalone
from audit.bundlefile import (
    CHECKPOINT,
    CSV,
    HASHES,
    JSONL,
    MANIFEST,
    POLICY,
    PROOF,
    PRUNED,
    VERIFIER,
    Manifest,
    proof_text,
)
from audit.bundlepruned import NONE, Excuse
from audit.ranges import prove_range
from audit.spelling import header, line, pruned_line, row
from audit.tiles import WIDTH, Fetch, TileError, node_reader
from audit.tree import HASH_BYTES, leaf_hash

Leaves = Callable[[int, int], Iterable[tuple[int, bytes]]]
"""``leaves(first, end)``: the stored entries of a run, in order."""
Accept = Callable[[int, bytes], bool]
"""Says whether an entry, by index and leaf, belongs into a filtered export."""
Progress = Callable[[int, int], None]
"""``progress(done, of)``: called now and then with entries passed over and entries in all."""
_STEP: Final = 256
_LEVEL: Final = 3
_WHEN: Final = (1980, 1, 1, 0, 0, 0)


class DamagedLogError(Exception):
    """The log does not fit its tree at ``index``; nothing of it is exported as evidence."""

    def __init__(self, index: int) -> None:
        super().__init__(f"the log is damaged at entry {index}; run: governance audit verify")
        self.index = index


class Source(NamedTuple):
    """A log to export from: its entries and tiles, and the signed checkpoint at ``size`` entries."""

    leaves: Leaves
    tiles: Fetch
    note: str
    origin: str
    key: str
    size: int
    excuse: Excuse = NONE
    """Which bodies may be missing, by the log's own statement."""


class Order(NamedTuple):
    """What to export: entries ``[first, end)``, all or what ``accept`` takes, described by ``filter``."""

    first: int
    end: int
    made_at: str
    accept: Accept | None = None
    filter: str = ""
    policy: str = ""


def pieces(source: Source, order: Order, progress: Progress) -> Iterator[bytes]:
    """Yield the bundle in pieces of some ten kilobytes.

    Raises:
        DamagedLogError: an entry is missing or does not fit the tree. What was yielded is no bundle then.
    """
    sink = _Sink()
    with ZipFile(cast("IO[bytes]", sink), "w", ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        writing = _Writing(archive, source, order, progress)
        for _ in writing.run():
            yield from sink.taken()
    yield from sink.taken(everything=True)


class _Sink:
    """Takes what the archive writes until it is fetched; cannot seek, so nothing is written twice."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._held = 0

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        self._held += len(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing: what was written is there."""

    def taken(self, *, everything: bool = False) -> Iterator[bytes]:
        if self._held > 1 << 14 or (everything and self._held):
            piece = b"".join(self._parts)
            self._parts, self._held = [], 0
            yield piece


class _Writing:
    """The members one after another; a step ends where what was written may be taken away."""

    def __init__(self, archive: ZipFile, source: Source, order: Order, progress: Progress) -> None:
        self._archive, self._source, self._order, self._progress = archive, source, order, progress
        self._chosen = bytearray(0 if order.accept is None else (order.end - order.first + 7) // 8)
        self._count = self._pruned = 0
        self._held = -1, b""

    def run(self) -> Iterator[None]:
        order, source = self._order, self._source
        self._small(VERIFIER, standalone.source())
        self._small(CHECKPOINT, source.note)
        if order.policy:
            self._small(POLICY, order.policy)
        try:
            proof = prove_range(order.first, order.end, source.size, node_reader(source.tiles))
        except TileError:
            raise DamagedLogError(order.first) from None
        self._small(PROOF, proof_text(proof))
        yield
        yield from self._hashes()
        yield from self._lines()
        yield from self._rows()
        if self._pruned:
            self._small(PRUNED, source.excuse.text)
        self._small(MANIFEST, self._manifest())
        yield

    def _manifest(self) -> str:
        source, order = self._source, self._order
        return Manifest(
            source.origin,
            source.key,
            source.size,
            order.first,
            order.end,
            self._count,
            order.accept is not None,
            order.filter,
            order.made_at,
            self._pruned,
        ).text

    def _small(self, name: str, text: str) -> None:
        self._archive.writestr(_member(name), text.encode(), compresslevel=_LEVEL)

    def _long(self, name: str) -> IO[bytes]:
        return self._archive.open(_member(name), "w", force_zip64=True)

    def _hashes(self) -> Iterator[None]:
        """Write the leaf hashes of the run as the tiles tell them."""
        order = self._order
        with self._long(HASHES) as member:
            for number in range(order.first // WIDTH, -(-order.end // WIDTH)):
                member.write(self._tile(number))
                yield

    def _tile(self, number: int) -> bytes:
        """Return the hashes of one tile, as many as belong to the run."""
        begin = max(self._order.first - number * WIDTH, 0)
        end = min(self._order.end - number * WIDTH, WIDTH)
        packed = self._source.tiles(0, number)[begin * HASH_BYTES : end * HASH_BYTES]
        if len(packed) != (end - begin) * HASH_BYTES:
            raise DamagedLogError(number * WIDTH + begin)
        return packed

    def _lines(self) -> Iterator[None]:
        accept, first = self._order.accept, self._order.first
        with self._long(JSONL) as member:
            for index, leaf in self._checked():
                if leaf is None:
                    self._pruned += 1
                    if accept is None:
                        member.write(pruned_line(index, self._hash(index)).encode())
                elif accept is None or accept(index, leaf):
                    member.write(line(index, leaf).encode())
                    self._count += 1
                    if accept is not None:
                        self._chosen[(index - first) >> 3] |= 1 << ((index - first) & 7)
                if not index % _STEP:
                    self._progress((index - first) // 2, self._order.end - first)
                    yield

    def _rows(self) -> Iterator[None]:
        """Write the same entries again as a table: a ZIP takes one member after the other."""
        order, gone = self._order, 0
        with self._long(CSV) as member:
            member.write(header().encode())
            for index, leaf in self._checked():
                if leaf is None:
                    gone += 1
                    if gone > self._pruned:  # it went while the lines were written; ask again
                        raise DamagedLogError(index)
                elif self._is_chosen(index - order.first):
                    member.write(row(index, leaf).encode())
                if not index % _STEP:
                    done = order.end - order.first + index - order.first
                    self._progress(done // 2, order.end - order.first)
                    yield
        self._progress(order.end - order.first, order.end - order.first)

    def _is_chosen(self, place: int) -> bool:
        # What a filter takes may depend on names that are erased meanwhile: the first answer stands.
        return not self._chosen or bool(self._chosen[place >> 3] >> (place & 7) & 1)

    def _checked(self) -> Iterator[tuple[int, bytes | None]]:
        """Yield the entries of the run, each held against its hash in the tiles; None: its body is gone."""
        order = self._order
        wanted = order.first
        for index, leaf in self._source.leaves(order.first, order.end):
            yield from self._gone(wanted, index)
            if not wanted <= index < order.end or leaf_hash(leaf) != self._hash(index):
                raise DamagedLogError(index if index < order.end else wanted)
            yield index, leaf
            wanted = index + 1
        yield from self._gone(wanted, order.end)

    def _gone(self, first: int, end: int) -> Iterator[tuple[int, None]]:
        """Yield the indexes of bodies that are gone by the log's own statement."""
        for index in range(first, end):
            if not self._source.excuse.covers(index):
                raise DamagedLogError(index)
            yield index, None

    def _hash(self, index: int) -> bytes:
        number = index // WIDTH
        if self._held[0] != number:
            self._held = number, self._tile(number)
        at = (index - max(self._order.first, number * WIDTH)) * HASH_BYTES
        return self._held[1][at : at + HASH_BYTES]


def _member(name: str) -> ZipInfo:
    """Return a member that says nothing of the machine it was made on."""
    member = ZipInfo(name, _WHEN)
    member.compress_type = ZIP_STORED if name == HASHES else ZIP_DEFLATED
    member.external_attr = 0o644 << 16
    return member
