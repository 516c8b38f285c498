"""Checks a bundle from its bytes: signature, run, every entry, and every way in which it is shown.

Promises that hashes come from the leaf bytes and are held against the signed root, that what is shown
beside them (decoded JSON, CSV) is made again and compared, that the first bad index is named, and that no
bundle, however hostile, ends in anything but a report. Needs one piece of memory for any length. Whose key
counts is the caller's word: without one the bundle's own is taken, which proves only that it agrees with
itself. Standard library only, Python 3.9.
"""

from __future__ import annotations

import struct
import zlib
from enum import Enum
from hashlib import sha256
from typing import BinaryIO, Final, NamedTuple, Protocol
from zipfile import BadZipFile

from audit.bundlefile import (
    CHECKPOINT,
    HASHES,
    MANIFEST,
    POLICY,
    PROOF,
    PRUNED,
    VERIFIER,
    BundleError,
    BundleFile,
    Manifest,
    MemberMissingError,
    parse_manifest,
    parse_proof,
)
from audit.bundlepruned import NONE, Excuse, read_excuse
from audit.bundlerows import Rows
from audit.note import Check, Checkpoint, NoteError, parse, parse_checkpoint, parse_key
from audit.policyfile import pinned
from audit.ranges import RangeProof, finish, start
from audit.tree import EMPTY_ROOT, HASH_BYTES, Frontier, extend, root
from audit.verdicts import Findings, Report, What

BLOCK: Final = 256
_BROKEN: Final = (
    BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError, struct.error,
    MemoryError, OverflowError, TypeError, KeyError, IndexError,
)  # fmt: skip
"""What ``zipfile`` raises on files made to break it; RecursionError is a RuntimeError."""


class Policy(Protocol):
    """What a caller asks of a checkpoint's signatures; ``audit.policyfile`` has one."""

    def satisfied(self, note: str, check: Check) -> bool:
        """Tell whether the signatures on a note are those that are asked for."""
        ...


class Known(Enum):
    """What became of the comparison with a checkpoint that the auditor kept. Compare it; it has no order."""

    NONE = "none"
    AGREES = "agrees"
    DISAGREES = "disagrees"
    OUTSIDE = "outside"


class BundleReport(NamedTuple):
    """The result: the findings, and what the bundle holds as far as it could be read.

    ``pinned``: the signature was held against a key or policy from elsewhere. ``known``: how the bundle
    stands to the checkpoint kept earlier; OUTSIDE where that one lies beside the run and proves nothing here.
    ``excuse`` is the log's own statement about bodies that are gone, as far as the bundle proves one.
    ``verifier`` is the SHA-256 of the bundle's ``verify.py`` in hex, which nobody has vouched for.
    """

    report: Report
    manifest: Manifest | None
    pinned: bool
    known: Known
    verifier: str
    excuse: Excuse = NONE


class Told(NamedTuple):
    """The small members of a bundle."""

    manifest: Manifest
    note: str
    proof: RangeProof


def check_bundle(
    file: BinaryIO, check: Check, policy: Policy | None = None, known: str | None = None
) -> BundleReport:
    """Check the bundle in a seekable file and report; never raises for what is in the file.

    ``policy`` says whose signatures count, ``known`` is a checkpoint that the auditor kept earlier: a bundle
    from a log that was rolled back or forked since does not agree with it.
    """
    findings = Findings()
    checking = _Checking(check, policy, known, findings)
    try:
        checking.run(file)
    except MemberMissingError:
        findings.note(What.MEMBER_MISSING, 0)
    except _BROKEN:
        findings.note(What.NO_BUNDLE, 0)
    return checking.result()


class _Checking:
    """One check; what is known so far stays readable when the file breaks in the middle."""

    def __init__(self, check: Check, policy: Policy | None, known: str | None, findings: Findings) -> None:
        self._check, self._policy, self._findings = check, policy, findings
        self._known_note = known
        self._known: Checkpoint | None = None
        self._standing = Known.NONE
        self._manifest: Manifest | None = None
        self._verifier = ""
        self._signed = Checkpoint("", 0, EMPTY_ROOT)
        self._vouched = 0
        self._excuse = NONE
        self._pruned = 0

    def result(self) -> BundleReport:
        listed = tuple(self._findings.listed)
        signed, count = self._signed, self._findings.count
        report = Report(signed.size, signed.root, self._vouched, listed, count, self._pruned)
        pinned = self._policy is not None
        return BundleReport(report, self._manifest, pinned, self._standing, self._verifier, self._excuse)

    def run(self, file: BinaryIO) -> None:
        bundle = BundleFile(file)
        self._manifest = manifest = parse_manifest(bundle.text(MANIFEST))
        bundle.text(POLICY)  # for people; whose signatures count is the caller's word
        self._verifier = sha256(bundle.text(VERIFIER).encode()).hexdigest()
        told = Told(manifest, bundle.text(CHECKPOINT), parse_proof(bundle.text(PROOF)))
        if not self._signature(told) or not self._fits(manifest):
            return
        self._remember(told)
        if text := bundle.text(PRUNED):
            self._excuse = read_excuse(text, self._signed.size, self._signed.root)
        length = manifest.end - manifest.first
        if bundle.size(HASHES) != length * HASH_BYTES:
            self._findings.note(What.LEFT_OUT, manifest.first, manifest.end)
            return
        self._entries(bundle, told)

    def _satisfies(self, note: str, policy: Policy) -> bool:
        try:
            return policy.satisfied(note, self._check)
        except NoteError:
            return False

    def _signature(self, told: Told) -> bool:
        """Open the checkpoint; False where nothing can be held against it."""
        try:
            self._signed = parse_checkpoint(parse(told.note).text)
        except NoteError:
            self._findings.note(What.FORGED, 0)
            return False
        if self._policy is None:
            try:
                own = pinned(parse_key(told.manifest.key))
            except NoteError:
                raise BundleError("the bundle names no key") from None
            signed = self._satisfies(told.note, own)
        else:
            signed = self._satisfies(told.note, self._policy)
        if signed:
            self._vouched = self._signed.size
        else:
            what = What.FORGED if self._policy is None else What.QUORUM
            self._findings.note(what, self._signed.size)
        if self._signed.origin != told.manifest.origin:
            self._findings.note(What.ORIGIN, self._signed.size)
        return True

    def _fits(self, manifest: Manifest) -> bool:
        if manifest.end > self._signed.size or manifest.size > self._signed.size:
            self._findings.note(What.SHORT_HEAD, self._signed.size, max(manifest.end, manifest.size))
        elif manifest.size != self._signed.size:
            self._findings.note(What.COUNT, manifest.entries)
        return manifest.end <= self._signed.size

    def _remember(self, told: Told) -> None:
        """Hold the bundle against the checkpoint that the auditor kept, as far as sizes alone tell."""
        if self._known_note is None:
            return
        try:
            known = parse_checkpoint(parse(self._known_note).text)
        except NoteError:
            self._findings.note(What.FORGED, 0)
            return
        if known.origin != self._signed.origin:
            self._findings.note(What.ORIGIN, known.size)
        elif known.size > self._signed.size:
            self._standing = Known.DISAGREES
            self._findings.note(What.TRUNCATED, self._signed.size, known.size)
        elif known.size == self._signed.size:
            self._compare(known, self._signed.root)
        elif told.manifest.first <= known.size <= told.manifest.end:
            self._known = known
        else:
            self._standing = Known.OUTSIDE

    def _compare(self, known: Checkpoint, found: bytes) -> None:
        self._standing = Known.AGREES if known.root == found else Known.DISAGREES
        if self._standing is Known.DISAGREES:
            self._findings.note(What.FORK, 0, known.size)

    def _entries(self, bundle: BundleFile, told: Told) -> None:
        manifest = told.manifest
        listed: Frontier | None
        seen: Frontier | None
        try:
            listed = seen = start(manifest.first, told.proof.left)
        except ValueError:
            listed = seen = None
        rows = Rows(bundle, manifest, self._findings, self._excuse)
        with bundle.stream(HASHES) as hashes:
            for first in range(manifest.first, manifest.end, BLOCK):
                width = min(BLOCK, manifest.end - first)
                packed = hashes.read(width * HASH_BYTES)
                block = [packed[at : at + HASH_BYTES] for at in range(0, len(packed), HASH_BYTES)]
                found = rows.block(first, block)
                listed = self._extended(listed, block)
                seen = None if seen is None or found is None else extend(seen, found)
            hashes.read(1)  # the end of the stream is where its checksum is compared
        rows.finish()
        self._pruned = rows.pruned
        if self._known is not None and self._known.size == manifest.first and listed is not None:
            self._compare(self._known, root(start(manifest.first, told.proof.left)))
        fits = self._gives_root(listed, told.proof)
        if not fits and not manifest.filtered and self._gives_root(seen, told.proof):
            self._findings.blame(What.ALTERED, What.HASHES)
        elif not fits:
            self._findings.note(What.REWRITTEN, manifest.first, manifest.end)

    def _extended(self, frontier: Frontier | None, block: list[bytes]) -> Frontier | None:
        if frontier is None:
            return None
        known = self._known
        if known is not None and frontier.size < known.size <= frontier.size + len(block):
            self._compare(known, root(extend(frontier, block[: known.size - frontier.size])))
        return extend(frontier, block)

    def _gives_root(self, frontier: Frontier | None, proof: RangeProof) -> bool:
        if frontier is None:
            return False
        try:
            return finish(frontier, self._signed.size, proof.right) == self._signed.root
        except ValueError:
            return False
