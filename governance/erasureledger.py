"""Who was erased, in a file outside the database: what a restored backup must not bring back.

Promises that a line is on the disk, with its folder entry, before ``append`` returns, that lines are only
ever added, and that a line which a crash cut short is passed over and never runs into the next one. It lies
beside the lock store, so that whoever restores the database does not restore it as well. A line holds a
member's id, which is random, the request's id and the instant; nothing else.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from policies.identifiers import Prefix, kind_of
from policies.terms import SubjectId

_FORMAT: Final = 1


class ErasureLedgerError(Exception):
    """The file is missing, readable by others or damaged; the message says what to do."""


class Erased(NamedTuple):
    """One erasure, as it was ordered; ``at`` in milliseconds."""

    subject: SubjectId
    request: str
    at: int


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
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        _keep_name(path)
        return cls(path)

    def append(self, erased: Erased) -> None:
        """Add one erasure. When this returns it survives a power cut.

        Raises:
            ErasureLedgerError: it could not be written; then nothing may be erased either.
        """
        body = {"v": _FORMAT, "subject": erased.subject, "request": erased.request, "at": erased.at}
        try:
            handle = os.open(self._path, os.O_RDWR | os.O_APPEND)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                end = os.lseek(handle, 0, os.SEEK_END)
                # A line that a crash cut short is closed first, so that it spoils itself and no other.
                torn = end > 0 and os.pread(handle, 1, end - 1) != b"\n"
                line = (b"\n" if torn else b"") + json.dumps(body, separators=(",", ":")).encode() + b"\n"
                if os.write(handle, line) != len(line):
                    raise ErasureLedgerError("the list of erasures cannot be written")
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError:
            raise ErasureLedgerError("the list of erasures cannot be written") from None

    def entries(self) -> Iterator[Erased]:
        """Return every erasure, oldest first; a line that was cut short is passed over.

        Raises:
            ErasureLedgerError: a whole line is none of ours.
        """
        for line in self._path.read_bytes().split(b"\n"):
            try:
                body = json.loads(line)
            except ValueError:
                continue  # never acknowledged: ``append`` did not return
            if not isinstance(body, dict) or body.get("v") != _FORMAT:
                raise ErasureLedgerError(f"{self._path} holds a line of another version")
            if kind_of(str(body["subject"])) is not Prefix.MEMBER:
                raise ErasureLedgerError(f"{self._path} is damaged; restore it from its backup")
            yield Erased(SubjectId(body["subject"]), str(body["request"]), int(body["at"]))


def _keep_name(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
