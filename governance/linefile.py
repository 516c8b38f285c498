"""A file of JSON lines that only grows: what must outlive the database stands in one.

Promises that a line is on the disk before ``add`` returns, that a line which a crash cut short never runs
into the next one, and that a whole line that was changed afterwards is found: it carries a digest of itself.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

_SUM: Final = 16


def create(path: Path) -> None:
    """Make an empty file (0600), with its name on the disk; OSError where there is one."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def add(path: Path, body: Mapping[str, object]) -> bool:
    """Add one line (flat: no object in it) with its digest; say whether it was written whole.

    Where it was, it survives a power cut when this returns.

    Raises:
        OSError: it could not be written.
    """
    handle = os.open(path, os.O_RDWR | os.O_APPEND)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        end = os.lseek(handle, 0, os.SEEK_END)
        # A line that a crash cut short is closed first, so that it spoils itself and no other.
        torn = end > 0 and os.pread(handle, 1, end - 1) != b"\n"
        line = (b"\n" if torn else b"") + _spelt({**body, "sum": digest(body)}) + b"\n"
        whole = os.write(handle, line) == len(line)
        os.fsync(handle)
    finally:
        os.close(handle)
    return whole


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Return every line that was written whole, with its number; any other was never acknowledged.

    Raises:
        OSError: the file cannot be read.
    """
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if line.endswith(b"}"):
            yield number, line


def digest(body: Mapping[str, object]) -> str:
    """Return the digest that a line carries of the rest of itself."""
    return hashlib.sha256(_spelt(body)).hexdigest()[:_SUM]


def _spelt(body: Mapping[str, object]) -> bytes:
    # A line is whole where it ends with its brace; so no text in it may hold one that looks like the end.
    inner = json.dumps(body, separators=(",", ":"))[:-1].replace("}", "\\u007d")
    return f"{inner}}}".encode()
