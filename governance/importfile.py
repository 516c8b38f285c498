"""A file of consents, read line by line, digested as it is read, never more than a batch in memory."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import BinaryIO, Final

from governance.importrows import LONGEST_LINE, Fault, Line, header_of, read

_CHUNK: Final = 1 << 20


class Lines:
    """Reads a file line by line, never holding more than one batch of it, and digests what it reads."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._sum = sha256()
        self.done = 0
        first = source.read(4)
        source.seek(0)
        self._json = first.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{"
        self._header = None if self._json else header_of(self._next() or b"")

    def _next(self) -> bytes | None:
        raw = self._source.readline(LONGEST_LINE)
        if not raw:
            return None
        self._sum.update(raw)
        part = raw
        while len(part) == LONGEST_LINE and not part.endswith(b"\n"):  # the rest of a line that is too long
            part = self._source.readline(LONGEST_LINE)
            self._sum.update(part)
        self.done += 1
        return raw

    def skip(self, rows: int) -> None:
        """Pass over what an earlier run has done."""
        while self.done < rows and self._next() is not None:
            pass

    def batches(self, size: int) -> Iterator[list[tuple[int, Line | Fault]]]:
        """Yield the rest in batches: each line's number and what it says. Empty lines are no rows."""
        batch: list[tuple[int, Line | Fault]] = []
        while (raw := self._next()) is not None:
            if raw.strip():
                batch.append((self.done, read(raw, self._header)))
            if len(batch) == size:
                yield batch
                batch = []
        if batch:
            yield batch

    def hexdigest(self) -> str:
        """Return the digest of everything that was read."""
        return self._sum.hexdigest()


def digest(source: BinaryIO) -> tuple[str, int]:
    """Return the SHA-256 and the size of a whole file."""
    total, size = sha256(), 0
    while chunk := source.read(_CHUNK):
        total.update(chunk)
        size += len(chunk)
    return total.hexdigest(), size
