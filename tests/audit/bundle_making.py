"""A log in memory, bundles of it, and what somebody may do to a bundle on its way."""

from __future__ import annotations

import io
import json
import zipfile
from base64 import b64encode
from collections.abc import Callable
from typing import Any

from audit_making import LI, ORIGIN, WANG, a_read, a_signer

from audit import bundle, checkpoint
from audit.bundlecheck import BundleReport, Policy, check_bundle
from audit.bundlefile import HASHES, JSONL, VERIFIER
from audit.entry import Entry, Verdict, encode
from audit.note import Checkpoint
from audit.tiles import grow
from audit.tree import EMPTY, extend, leaf_hash, root
from audit.verdicts import What

SIZE = 700
MADE_AT = "2026-11-24T00:00:00Z"


class MemoryLog:
    """The leaves of a log with its tiles, signed at any size."""

    def __init__(self, leaves: list[bytes], origin: str = ORIGIN, seed: int = 7) -> None:
        self.leaves, self.origin, self.signer = leaves, origin, a_signer(origin, seed)
        self.hashes = [leaf_hash(leaf) for leaf in leaves]
        self._tiles = {(tile.level, tile.number): tile.data for tile in grow(0, self.hashes, lambda *_: b"")}

    def tile(self, level: int, index: int) -> bytes:
        return self._tiles.get((level, index), b"")

    def note(self, size: int | None = None) -> str:
        size = len(self.leaves) if size is None else size
        return checkpoint.sign(
            self.signer, Checkpoint(self.origin, size, root(extend(EMPTY, self.hashes[:size])))
        )

    def source(self, size: int | None = None) -> bundle.Source:
        size = len(self.leaves) if size is None else size
        return bundle.Source(
            lambda first, end: ((index, self.leaves[index]) for index in range(first, end)),
            self.tile,
            self.note(size),
            self.origin,
            self.signer.key.text,
            size,
        )


def entry(number: int) -> Entry:
    """Two in three are about 王, every fifth is a denial."""
    about = (LI,) if number % 3 == 2 else (WANG,)
    return a_read(number, *about, dec=Verdict.DENY if number % 5 == 0 else Verdict.PERMIT)


def small_log(size: int = SIZE) -> MemoryLog:
    return MemoryLog([encode(entry(number)) for number in range(size)])


def made(
    log: MemoryLog, first: int, end: int, *, accept: bundle.Accept | None = None, size: int | None = None
) -> bytes:
    """Return a bundle."""
    order = bundle.Order(first, end, MADE_AT, accept, "" if accept is None else "dec:deny")
    return b"".join(bundle.pieces(log.source(size), order, lambda _done, _of: None))


def denials(_index: int, leaf: bytes) -> bool:
    return b'"dec":"deny"' in leaf


def members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(parts: dict[str, bytes]) -> bytes:
    """Return the members as a bundle again."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            how = zipfile.ZIP_STORED if name == HASHES else zipfile.ZIP_DEFLATED
            archive.writestr(name, content, how)
    return sink.getvalue()


def changed(data: bytes, name: str, change: Callable[[bytes], bytes]) -> bytes:
    """Return the bundle with one member changed."""
    parts = members(data)
    parts[name] = change(parts[name])
    return packed(parts)


def lines_changed(data: bytes, change: Callable[[list[bytes]], object], name: str = JSONL) -> bytes:
    """Return the bundle with the lines of a member changed in place."""

    def rewrite(text: bytes) -> bytes:
        lines = text.splitlines(keepends=True)
        change(lines)
        return b"".join(lines)

    return changed(data, name, rewrite)


def spelt_line(index: Any, leaf: bytes, decoded: Any) -> bytes:
    tree = {"index": index, "leaf_b64": b64encode(leaf).decode(), "decoded": decoded}
    return json.dumps(tree).encode() + b"\n"


def checked(data: bytes, policy: Policy | None = None, known: str | None = None) -> BundleReport:
    return check_bundle(io.BytesIO(data), checkpoint.check, policy, known)


def found(report: BundleReport) -> tuple[int, What | None, int | None]:
    first = report.report.first
    return int(report.report.exit), first and first.what, first and first.first


def without_verifier(data: bytes) -> bytes:
    return b"".join(content for name, content in members(data).items() if name != VERIFIER)
