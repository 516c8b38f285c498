"""A bundle as a file: its members, what its manifest and its proof say, and how to open a hostile one.

Promises that a bundle has one form: a ZIP with these members, each at most once, a manifest and a proof in
their one spelling. Whatever else arrives (paths, twins, further members, bombs, endless lines, broken
streams) is one error, ``BundleError``, after reading no more than a small multiple of the file. Standard
library only, Python 3.9.
"""

from __future__ import annotations

import io
import json
from base64 import b64decode, b64encode
from typing import Any, BinaryIO, Final, NamedTuple, cast
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from audit.note import MAX_NOTE
from audit.ranges import RangeProof

FORMAT: Final = "household-governance/audit-bundle/v1"
MANIFEST: Final = "manifest.json"
CHECKPOINT: Final = "checkpoint"
POLICY: Final = "policy"
JSONL: Final = "entries.jsonl"
CSV: Final = "entries.csv"
PROOF: Final = "range-proof.json"
HASHES: Final = "leaf-hashes.bin"
VERIFIER: Final = "verify.py"
PRUNED: Final = "pruned.json"
"""What shows that bodies which are missing are gone by the log's own statement; only where some are."""
REQUIRED: Final = (VERIFIER, CHECKPOINT, PROOF, HASHES, JSONL, CSV, MANIFEST)
"""The members that every bundle has, in the order in which they are written."""
_KNOWN: Final = frozenset({*REQUIRED, POLICY, PRUNED})
_SMALL: Final = {
    MANIFEST: 64 * 1024,
    PROOF: 64 * 1024,
    POLICY: 64 * 1024,
    CHECKPOINT: MAX_NOTE,
    VERIFIER: 1 << 20,
    PRUNED: 256 * 1024,
}
LONGEST_LINE: Final = 256 * 1024
"""A leaf has at most 16 KiB; in base64, decoded with every character escaped, and as a row it stays below."""
_RATIO: Final = 100
"""Entries hold random ids and salts, so that honest ones compress about tenfold."""
_FREE: Final = 1 << 20
_LARGEST: Final = 2**63 - 1
_ENCRYPTED: Final = 0x1

COMPLETE: Final = {
    "zh": "本导出是日志中连续的一段；区间证明表明其中没有缺少任何一条。",
    "en": "This is one unbroken run of the log; the range proof shows that no entry in it is missing.",
}
FILTERED: Final = {
    "zh": "本导出经过筛选。叶哈希清单可以证明：这一段共有多少条，给出了多少条，给出的未被改动。"
    "它不能证明符合条件的记录已全部给出：默克尔日志无法证明筛选的完整性。",
    "en": "This export was filtered. The leaf hashes prove how many entries the run has, how many are given, "
    "and that these are unaltered. They cannot prove that every entry that fits the filter is given: no "
    "Merkle log proves the completeness of a filter.",
}
SHORTENED: Final = {
    "zh": "其中有些记录的正文已按保存期限删除，日志自己的声明见 pruned.json；哈希保留，区间证明完整。"
    "删除的正文不能再查看，也不会被筛选选中。",
    "en": "Some bodies of this run were deleted under the retention; pruned.json has the log's statement. "
    "Their hashes are kept and the range proof is complete. No filter finds a body that is gone.",
}


class BundleError(ValueError):
    """This is no bundle, or not a whole one."""


class MemberMissingError(BundleError):
    """A bundle without a member that it must have."""


class Manifest(NamedTuple):
    """What a bundle says it is: entries ``[first, end)`` of a log signed at ``size``, all or some.

    ``key`` is the log's verifier key as the exporter states it; ``made_at`` a time for people.
    ``pruned`` counts the bodies of the run that are gone under the retention.
    """

    origin: str
    key: str
    size: int
    first: int
    end: int
    entries: int
    filtered: bool
    filter: str
    made_at: str
    pruned: int = 0

    @property
    def text(self) -> str:
        """The manifest in its one spelling."""
        tree = {"format": FORMAT, **self._asdict(), "statement": FILTERED if self.filtered else COMPLETE}
        # Where nothing is gone nothing is said of it, as in bundles from before.
        tree |= {"statement_pruned": SHORTENED} if self.pruned else {}
        if not self.pruned:
            del tree["pruned"]
        return json.dumps(tree, ensure_ascii=False, indent=1) + "\n"


def parse_manifest(text: str) -> Manifest:
    """Return what a manifest says.

    Raises:
        BundleError: it has another form, or numbers that fit no run of a log.
    """
    tree = _parsed(text)
    kinds = {"origin": str, "key": str, "size": int, "first": int, "end": int, "entries": int}
    kinds |= {"filtered": bool, "filter": str, "made_at": str}
    if not isinstance(tree, dict) or any(type(tree.get(name)) is not kind for name, kind in kinds.items()):
        raise BundleError("the manifest has another form")
    pruned = tree.get("pruned", 0)
    if type(pruned) is not int or not 0 <= pruned <= _LARGEST:
        raise BundleError("the manifest has another form")
    told = Manifest(**{name: tree[name] for name in kinds}, pruned=pruned)
    numbers = 0 <= told.first <= told.end <= _LARGEST and 0 <= told.size <= _LARGEST
    if not numbers or not 0 <= told.entries <= _LARGEST or told.text != text:
        raise BundleError("the manifest has another form")
    return told


def proof_text(proof: RangeProof) -> str:
    """Return a proof as the member ``range-proof.json``."""
    sides = {side: [b64encode(one).decode() for one in hashes] for side, hashes in proof._asdict().items()}
    return json.dumps(sides, indent=1) + "\n"


def parse_proof(text: str) -> RangeProof:
    """Return the proof in a member ``range-proof.json``.

    Raises:
        BundleError: it has another form.
    """
    tree = _parsed(text)
    try:
        proof = RangeProof(
            *(tuple(b64decode(one, validate=True) for one in tree[s]) for s in RangeProof._fields)
        )
    except (ValueError, KeyError, TypeError):
        raise BundleError("the range proof has another form") from None
    if proof_text(proof) != text:
        raise BundleError("the range proof has another form")
    return proof


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise BundleError("this is no JSON") from None


class BundleFile:
    """An opened bundle, its member list examined.

    Raises:
        BundleError: (and what ``zipfile`` raises on broken files) this is no bundle.
        MemberMissingError: it lacks a member.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._zip = ZipFile(file)
        members = self._zip.infolist()
        names = [one.filename for one in members]
        if len(set(names)) != len(names) or not _KNOWN.issuperset(names):
            raise BundleError("a bundle has its own members, each once, and no other")
        if not all(_is_honest(one) for one in members):
            raise BundleError("a member is encrypted, packed in another way, or a bomb")
        if not set(names).issuperset(REQUIRED):
            raise MemberMissingError("the bundle lacks a member")
        self._members = {one.filename: one for one in members}

    def text(self, name: str) -> str:
        """Return a small member, empty where there is no such one."""
        if name not in self._members:
            return ""
        with self._zip.open(name) as member:
            read = member.read(_SMALL[name] + 1)
        if len(read) > _SMALL[name]:
            raise BundleError("a member is too long")
        return read.decode()

    def stream(self, name: str) -> io.BufferedReader:
        """Return a long member for reading in pieces; several can be read side by side."""
        return io.BufferedReader(cast("Any", self._zip.open(name)), 1 << 16)

    def size(self, name: str) -> int:
        """Return how many bytes a member has."""
        return self._members[name].file_size


def _is_honest(member: ZipInfo) -> bool:
    if member.flag_bits & _ENCRYPTED or member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        return False
    # Hashes do not compress, so they are stored, and the length of a run is bounded by the file's own.
    if member.filename == HASHES and member.compress_type != ZIP_STORED:
        return False
    return member.file_size <= _RATIO * member.compress_size + _FREE
