"""The log as exports read it: a fixed signed head, a run of entries below it, and whom that run is about.

Promises that everything is read as of one signed head, chosen first, however much is written meanwhile, in
short transactions that hold up nobody, and that an entry which cannot be read stops an export.
"""

from __future__ import annotations

from collections.abc import Iterator
from json import loads
from typing import Final, NamedTuple

from sqlalchemy import bindparam, func, select

from audit import ledger, reading
from audit.bundle import Accept, DamagedLogError, Source
from audit.bundlepruned import NONE, Excuse, excuse_of
from audit.entry import MAX_SUBJECTS, Entry, EntryRefusedError, decode
from audit.ledger import LogError
from audit.note import Checkpoint, NoteError, parse, parse_checkpoint
from audit.publishing import NotPublishedError
from audit.records import AuditEntry
from audit.tiles import TileError, node_reader
from governance.checkpoints import Checkpoints
from governance.database import Database
from governance.exportfilter import Filter
from governance.witnessing import Joined

_entry = AuditEntry.__table__.c
_SPAN: Final = select(func.min(_entry.leaf_index), func.max(_entry.leaf_index)).where(
    _entry.t >= bindparam("since"), _entry.t < bindparam("until"), _entry.leaf_index < bindparam("size")
)


class UnfitRunError(ValueError):
    """There is no such run of entries; ``pointer`` says which part of the wish is at fault."""

    def __init__(self, pointer: str, code: str) -> None:
        super().__init__(f"{pointer}: {code}")
        self.pointer, self.code = pointer, code


class Run(NamedTuple):
    """Which entries are wished for: by index, ``end`` exclusive, or by time in milliseconds."""

    first: int | None = None
    end: int | None = None
    since: int | None = None
    until: int | None = None


class Survey(NamedTuple):
    """How many entries an export gives and whom they are about: the first hundred pseudonyms."""

    entries: int
    subjects: tuple[bytes, ...]


class LogSource:
    """Reads the log for exports. Stateless."""

    def __init__(self, database: Database, checkpoints: Checkpoints, joined: Joined) -> None:
        self._database = database
        self._checkpoints = checkpoints
        self._joined = joined

    def head(self, now: int) -> Checkpoint:
        """Return the signed head that an export is taken from, signed now where there is a newer state.

        Raises:
            LogError: the log does not extend what was signed, so that nothing of it is evidence.
        """
        try:
            return self._checkpoints.head(now)
        except NotPublishedError as error:
            raise LogError(str(error)) from None

    def span(self, run: Run, size: int) -> tuple[int, int]:
        """Return the run of indexes that is wished for.

        Times are those of the entries; the run reaches from the first to the last entry within them, with
        whatever a clock that was set back put in between.

        Raises:
            UnfitRunError: there are no such entries.
        """
        if run.since is not None or run.until is not None:
            wanted = {"since": run.since or 0, "until": ledger.NEWEST if run.until is None else run.until}
            with self._database.reading() as tx:
                ((first, last),) = tx.rows(_SPAN, {**wanted, "size": size})
            if first is None:
                raise UnfitRunError("/since", "no_entries")
            return first, last + 1
        first, end = run.first or 0, size if run.end is None else run.end
        if end > size:
            raise UnfitRunError("/end", "no_entries")
        if not 0 <= first < end:
            raise UnfitRunError("/first", "no_entries")
        return first, end

    def source(self, size: int) -> Source:
        """Return the log as it was signed at ``size``, by its key and by the witnesses so far.

        Raises:
            LogError: the note of that size is missing or damaged.
        """
        key = self._checkpoints.key_at(size)
        note = self._checkpoints.note_at(size)
        try:
            with self._database.reading() as tx:
                note = self._joined(tx, size, note)
        except NoteError:
            raise LogError("the checkpoint of this size cannot be read") from None
        return Source(self._leaves, self._tile, note, key.name, key.text, size, self._excuse(note))

    def _excuse(self, note: str) -> Excuse:
        """Return which bodies may be missing by a statement that stands below a signed head."""
        with self._database.reading() as tx:
            stated = reading.statements(tx)
        signed = parse_checkpoint(parse(note).text)
        leaf_at, node = reading.leaf_at(self._database.reading), node_reader(self._tile)
        try:
            return excuse_of(stated, leaf_at, node, signed.size, signed.root)
        except TileError:
            return NONE

    def _leaves(self, first: int, end: int) -> Iterator[tuple[int, bytes]]:
        return reading.leaves(self._database.reading, end, first)

    def _tile(self, level: int, index: int) -> bytes:
        with self._database.reading() as tx:
            return reading.tile_fetch(tx)(level, index)

    def survey(self, first: int, end: int, taken: Filter | None) -> Survey:
        """Count what a run gives and name whom it is about, before anything of it is given."""
        accept = None if taken is None else accepting(taken)
        count = 0 if accept is not None else end - first
        named: dict[bytes, None] = {}
        for index, leaf in self._leaves(first, end):
            if accept is not None:
                if not accept(index, leaf):
                    continue
                count += 1
            elif len(named) >= MAX_SUBJECTS:
                break
            named.update(dict.fromkeys(_subjects(index, leaf)))
        return Survey(count, tuple(named)[:MAX_SUBJECTS])


def accepting(taken: Filter) -> Accept:
    """Return a filter of entries as one of leaves."""
    return lambda index, leaf: taken(index, decoded(index, leaf))


def decoded(index: int, leaf: bytes) -> Entry:
    """Return the entry at an index.

    Raises:
        DamagedLogError: it cannot be read.
    """
    try:
        return decode(leaf)
    except EntryRefusedError:
        raise DamagedLogError(index) from None


def _subjects(index: int, leaf: bytes) -> list[bytes]:
    try:
        return [bytes.fromhex(one) for one in loads(leaf).get("subj", ())]
    except (ValueError, TypeError, AttributeError):
        raise DamagedLogError(index) from None
