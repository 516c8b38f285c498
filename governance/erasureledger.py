"""Who was erased, in a file outside the database: what a restored backup must not bring back.

Promises that a line is on the disk, with its folder entry, before ``append`` returns, that lines are only
ever added, that a line which a crash cut short is passed over and never runs into the next one, and that a
whole line that was changed afterwards is found: it carries a digest of itself. The file lies beside the lock
store, so that whoever restores the database does not restore it as well. A line holds a member's id, which
is random, the request's id and the instant; nothing else.

An order is written before the erasure is committed, so a commit that fails leaves an order for somebody who
is still there. If the request is then taken back or denied, a line that calls the order off is written before
that commit: it must hold in a backup from before, where the request still waits, as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from governance import linefile
from policies.identifiers import Prefix, kind_of
from policies.terms import SubjectId

_UNDONE: Final = 3
"""A line that calls off what was ordered before under the same request: its erasure was never committed."""
_FORMAT: Final = 2
_PLAIN: Final = 1
"""The lines of older versions, which carry no digest."""


class ErasureLedgerError(Exception):
    """The file is missing, readable by others or damaged; the message says what to do."""


class Erased(NamedTuple):
    """One erasure, as it was ordered; ``at`` in milliseconds."""

    subject: SubjectId
    request: str
    at: int
    undone: bool = False
    """Whether this line calls the order off instead."""


class ErasureLedger:
    """An opened ledger. Opening never creates: a missing file must not look like nobody was erased."""

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.is_file():
            raise ErasureLedgerError(
                f"no list of erasures at {path}; put it back, or make a new one with: governance init"
            )

    @classmethod
    def create(cls, path: Path) -> ErasureLedger:
        """Make an empty ledger (0600); an existing file is never touched."""
        linefile.create(path)
        return cls(path)

    def append(self, erased: Erased) -> None:
        """Add one line. When this returns it survives a power cut.

        Raises:
            ErasureLedgerError: it could not be written; then nothing may be erased either.
        """
        body: dict[str, object] = {
            "v": _UNDONE if erased.undone else _FORMAT,
            "subject": erased.subject,
            "request": erased.request,
            "at": erased.at,
        }
        try:
            whole = linefile.add(self._path, body)
        except OSError:
            whole = False
        if not whole:
            raise ErasureLedgerError("the list of erasures cannot be written")

    def orders(self) -> dict[tuple[SubjectId, str], Erased]:
        """Return what is ordered and not called off, by member and request; errors as ``entries``."""
        found: dict[tuple[SubjectId, str], Erased] = {}
        for one in self.entries():
            if one.undone:
                found.pop((one.subject, one.request), None)
            else:
                found[one.subject, one.request] = one
        return found

    def call_off(self, subject: SubjectId, request: str, now: int) -> None:
        """Call off what a request ordered, if it did: before the commit that closes the request.

        Raises:
            ErasureLedgerError: it cannot be read or written; then the request may not be closed either.
        """
        if (subject, request) in self.orders():
            self.append(Erased(subject, request, now, undone=True))

    def entries(self) -> Iterator[Erased]:
        """Return every line, oldest first; one that was cut short is passed over.

        Raises:
            ErasureLedgerError: a whole line is none of ours, or the list is away.
        """
        try:
            lines = list(linefile.lines(self._path))
        except OSError:
            raise ErasureLedgerError("the list of erasures cannot be read") from None
        for number, line in lines:
            yield self._entry(line, number)

    def _entry(self, line: bytes, number: int) -> Erased:
        damaged = ErasureLedgerError(
            f"line {number} of {self._path} is damaged; restore the file from its backup"
        )
        try:
            body = json.loads(line)
            version, subject = body["v"], str(body["subject"])
            undone = version == _UNDONE
            erased = Erased(SubjectId(subject), str(body["request"]), int(body["at"]), undone)
        except (ValueError, TypeError, KeyError, RecursionError):
            raise damaged from None
        if version not in (_UNDONE, _FORMAT, _PLAIN):
            raise ErasureLedgerError(f"line {number} of {self._path} is of another version")
        if version != _PLAIN and body.pop("sum", None) != linefile.digest(body):
            raise damaged
        if kind_of(subject) is not Prefix.MEMBER:
            raise damaged
        return erased
