"""What a verification can find, in words for people and in exit codes for machines.

Promises that each finding has one exit code of the contract, one sentence in Chinese and one in English,
and never quotes an entry. Standard library only, Python 3.9.
"""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import Final, NamedTuple


class Exit(IntEnum):
    """Exit codes of ``governance audit verify``."""

    OK = 0
    ALTERED = 1
    ROLLED_BACK = 2
    FORKED = 3
    UNSIGNED = 4
    INCOMPLETE = 5
    USAGE = 6


class What(Enum):
    """One kind of finding: its exit code and its sentences.

    In a sentence ``{0}`` is the first index, ``{1}`` the end (exclusive), ``{2}`` the last index.
    """

    exit: Exit
    zh: str
    en: str

    def __new__(cls, code: int, zh: str, en: str) -> What:  # noqa: PYI034 (Self came with 3.11)
        """Number the members and keep the three parts beside them."""
        member = object.__new__(cls)
        member._value_ = len(cls.__members__)
        member.exit, member.zh, member.en = Exit(code), zh, en
        return member

    ALTERED = (1, "序号 {0} 的记录被改动。", "Entry {0} was altered.")
    REMOVED = (1, "序号 {0} 至 {2} 的记录被删除。", "Entries {0} to {2} were removed.")
    REORDERED = (1, "序号 {0} 的记录与别的记录调换了位置。", "Entry {0} changed places with another.")
    ADDED = (1, "序号 {0} 处被插入了记录。", "An entry was slipped in at {0}.")
    TILE = (
        1,
        "序号 {0} 至 {2} 的哈希块被改写。",
        "The hash tiles over entries {0} to {2} were rewritten.",
    )
    REWRITTEN = (
        1,
        "序号 {0} 至 {2} 之间有记录连同哈希一起被改写，与已签名的检查点不符。",
        "Among entries {0} to {2} something was rewritten with its hashes; a signed checkpoint disagrees.",
    )
    HEAD = (
        1,
        "日志头与记录不符，序号 {0} 起无法确认。",
        "The head does not fit the entries; from entry {0} on nothing is confirmed.",
    )
    TRUNCATED = (
        2,
        "日志被截断或回退：现有 {0} 条，已签名的检查点有 {1} 条。",
        "The log was cut or rolled back: it holds {0} entries, a signed checkpoint covers {1}.",
    )
    BEYOND = (
        2,
        "日志头被回退：头记 {0} 条，实际存有 {1} 条。",
        "The head was rolled back: it counts {0} entries, {1} are stored.",
    )
    FORK = (
        3,
        "日志分叉：库外保存的检查点（{1} 条）属于另一段历史，已确认相同的只有前 {0} 条。",
        "The log has forked: the checkpoint kept outside ({1} entries) is of another history; {0} agree.",
    )
    FORGED = (
        4,
        "检查点格式错误或没有有效签名（自称 {0} 条）。",
        "A checkpoint is malformed or not signed by a known key (it claims {0} entries).",
    )
    ORIGIN = (
        4,
        "检查点属于另一个日志（自称 {0} 条）。",
        "A checkpoint belongs to another log (it claims {0} entries).",
    )
    TILE_MISSING = (
        5,
        "序号 {0} 至 {2} 的哈希块缺失。",
        "The hash tile over entries {0} to {2} is missing.",
    )
    NO_HEAD = (5, "没有日志头。", "There is no head of the log.")
    DECODED = (
        1,
        "序号 {0} 的记录：可读部分与原始字节不符。",
        "Entry {0}: what is shown as decoded is not what its bytes say.",
    )
    CSV = (1, "序号 {0} 的记录：CSV 与原始字节不符。", "Entry {0}: the CSV is not what its bytes say.")
    HASHES = (1, "序号 {0} 的叶哈希被改动。", "The leaf hash of entry {0} was altered.")
    SHORT_HEAD = (
        2,
        "检查点只覆盖 {0} 条，导出却声称到第 {1} 条为止。",
        "The checkpoint covers {0} entries, the bundle claims entries up to {1}.",
    )
    QUORUM = (
        4,
        "检查点（{0} 条）没有策略要求的签名。",
        "The checkpoint ({0} entries) lacks the signatures that the policy asks for.",
    )
    LEFT_OUT = (5, "导出缺少序号 {0} 至 {2} 的记录。", "The bundle lacks entries {0} to {2}.")
    UNSAID = (
        5,
        "导出称序号 {0} 的正文已按保存期限清理，日志没有这样声明。",
        "The bundle says that the retention deleted the body of entry {0}; the log does not say so.",
    )
    COUNT = (
        5,
        "清单所记的记录数与导出的内容不符（实有 {0} 条）。",
        "The manifest's count does not fit the entries of the bundle ({0}).",
    )
    MEMBER_MISSING = (5, "导出缺少应有的文件。", "The bundle lacks a file that it must have.")
    NO_BUNDLE = (
        6,
        "这不是可以验证的导出：不是 ZIP、含有不该有的文件，或格式不对。",
        "This is no bundle that can be verified: no ZIP, files that do not belong, or another form.",
    )


class Finding(NamedTuple):
    """One finding; it concerns the entries from ``first`` up to, not including, ``end``."""

    what: What
    first: int
    end: int

    def sentence(self, language: str) -> str:
        """Return the finding in ``"zh"`` or ``"en"``."""
        sentence = self.what.en if language == "en" else self.what.zh
        return sentence.format(self.first, self.end, self.end - 1)


KEPT: Final = 100
"""Findings that a report lists; all are counted."""
_RUNS: Final = (What.REMOVED, What.TILE_MISSING, What.LEFT_OUT)
_RANGES: Final = (What.REWRITTEN, What.HEAD, What.COUNT)


class Findings:
    """What has been found so far, in order."""

    def __init__(self) -> None:
        self.listed: list[Finding] = []
        self.count = 0

    def note(self, what: What, index: int, end: int | None = None) -> None:
        """Add a finding; a run of neighbours that are missing is one."""
        until = index + 1 if end is None else end
        last = self.listed[-1] if self.listed else None
        if last is not None and what in _RUNS and (last.what, last.end) == (what, index):
            self.listed[-1] = Finding(what, last.first, until)
            return
        self.count += 1
        if len(self.listed) < KEPT:
            self.listed.append(Finding(what, index, until))

    def has(self, what: What) -> bool:
        """Tell whether something of this kind has been found."""
        return any(finding.what is what for finding in self.listed)

    def blame(self, what: What, instead: What) -> None:
        """What was taken for one thing has turned out to be another."""
        self.listed = [one._replace(what=instead) if one.what is what else one for one in self.listed]

    def blame_tiles(self, before: int) -> None:
        """The entries before this index are confirmed: what disagreed with them were the tiles."""
        self.listed = [
            Finding(What.TILE, one.first, one.end)
            if one.what in (What.ALTERED, What.REORDERED) and one.first < before
            else one
            for one in self.listed
        ]


class Report(NamedTuple):
    """The result: ``findings`` in the order of discovery, the first 100 of ``total``.

    ``signed_size`` is the largest signed size that the entries fit; what comes after it was compared with
    the database's own tree only. ``pruned`` counts the bodies that are gone by the log's own statement.
    """

    size: int
    root: bytes
    signed_size: int
    findings: tuple[Finding, ...]
    total: int
    pruned: int = 0

    @property
    def exit(self) -> Exit:
        """The gravest finding's code; the lowest number is the gravest."""
        return min((finding.what.exit for finding in self.findings), default=Exit.OK)

    @property
    def first(self) -> Finding | None:
        """The finding that gives the exit code: exact places before ranges, then the lowest index."""
        gravest = [finding for finding in self.findings if finding.what.exit is self.exit]
        return min(gravest, key=lambda one: (one.what in _RANGES, one.first), default=None)
