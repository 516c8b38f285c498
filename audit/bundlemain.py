"""The verifier of bundles as a program: what it is asked, what it prints, and its exit code.

Promises the exit codes of the contract (0 in order, 1 altered, 2 rolled back or cut, 3 forked, 4 not signed
as it must be, 5 incomplete, 6 usage or no bundle), both languages, and never a traceback. Says plainly where
the signature was held only against the key in the bundle. Standard library only, Python 3.9; the same code
serves ``governance audit verify --bundle`` and ``verify.py``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from audit import ed25519
from audit.bundlecheck import BundleReport, Known, Policy, check_bundle
from audit.bundlefile import Manifest
from audit.note import MAX_NOTE, Check, NoteError, parse_key
from audit.policyfile import parse_policy, pinned
from audit.spelling import visible
from audit.verdicts import Exit

_SELF: Final = (
    "注意：签名只与导出自带的密钥核对过（自我声明）。要证明出处，请用 --key 或 --policy 指定另行取得的密钥。",
    (
        "Note: the signature was checked only against the key in the bundle (self-asserted). "
        "To prove where it comes from, name a key that you got elsewhere with --key or --policy."
    ),
)
_FILTERED: Final = (
    "经过筛选：证明了这一段有 {run} 条、给出 {given} 条且未被改动；不能证明符合条件的都已给出。",
    (
        "Filtered: of the {run} entries of this run {given} are given, unaltered; "
        "that all which fit the filter are given cannot be proved."
    ),
)
_COMPLETE: Final = (
    "连续的一段：{run} 条，没有缺少。",
    "One unbroken run: {run} entries, none missing.",
)
_SHORTENED: Final = (
    "其中 {gone} 条的正文已按保存期限删除，哈希保留：日志自己在序号 {at} 如此声明，已核对。",
    (
        "Of these, {gone} bodies were deleted under the retention, their hashes kept: the log itself says so "
        "at entry {at}, which was checked."
    ),
)
_UNSEARCHED: Final = (
    "导出方称有 {gone} 条正文已按保存期限删除，筛选无法查看；日志的声明（序号 {at}）允许至多 {most} 条。",
    (
        "The exporter says that {gone} bodies were deleted under the retention, so the filter could not look "
        "at them; the log's own statement (entry {at}) allows for {most} at most."
    ),
)
_KNOWN: Final = {
    Known.AGREES: ("与您留存的检查点一致。", "It agrees with the checkpoint that you kept."),
    Known.OUTSIDE: (
        "您留存的检查点不在这一段之内，无法比较；请索取从它起的导出。",
        "The checkpoint that you kept lies outside this run and cannot be compared; ask for one from it on.",
    ),
}


class UsageError(ValueError):
    """What was asked cannot be done; the message says what to do."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options that say whose word counts."""
    parser.add_argument("--policy", type=Path, metavar="FILE", help="whose signatures the checkpoint needs")
    parser.add_argument("--key", metavar="KEY", help="the log's verifier key (name+id+base64), got elsewhere")
    parser.add_argument("--known", type=Path, metavar="FILE", help="a checkpoint of this log that you kept")


def policy_of(chosen: argparse.Namespace) -> Policy | None:
    """Return the policy that the options name, None for the bundle's own key.

    Raises:
        UsageError: they name two, or something that is none.
    """
    if chosen.policy is not None and chosen.key is not None:
        raise UsageError("name a key or a policy, not both")
    try:
        if chosen.key is not None:
            return pinned(parse_key(chosen.key))
        policy = None if chosen.policy is None else parse_policy(_read(chosen.policy))
    except NoteError as error:
        raise UsageError(f"--key: {error}") from None
    except ValueError as error:
        raise UsageError(f"--policy: {error}") from None
    if policy is not None and not policy.logs:
        # It would be satisfied by a checkpoint that no log has signed.
        raise UsageError("--policy: the file names no log whose signature counts; add a line: log KEY")
    return policy


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            text = file.read(MAX_NOTE + 1)
    except OSError:
        raise UsageError(f"{path} cannot be read") from None
    if len(text) > MAX_NOTE:
        raise UsageError(f"{path} is too long")
    try:
        return text.decode()
    except ValueError:
        raise UsageError(f"{path} is not text") from None


def examine(path: Path, chosen: argparse.Namespace, check: Check) -> BundleReport:
    """Check the bundle at a path under the options.

    Raises:
        UsageError: an option or the path leads nowhere.
    """
    policy = policy_of(chosen)
    known = None if chosen.known is None else _read(chosen.known)
    try:
        file = path.open("rb")
    except OSError:
        raise UsageError(f"{path} cannot be read") from None
    with file:
        return check_bundle(file, check, policy, known)


def document(found: BundleReport) -> dict[str, Any]:
    """Return the result for programs."""
    report, manifest = found.report, found.manifest
    first = report.first
    return {
        "exit": int(report.exit),
        "size": report.size,
        "signed_size": report.signed_size,
        "root": report.root.hex(),
        "run": None if manifest is None else {"first": manifest.first, "end": manifest.end},
        "entries": None if manifest is None else manifest.entries,
        "filtered": None if manifest is None else manifest.filtered,
        "pruned": None if manifest is None else manifest.pruned,
        "pruned_by_entry": found.excuse.statement,
        "key": "given" if found.pinned else "self-asserted",
        "verifier_sha256": found.verifier,
        "known_checkpoint": found.known.value,
        "first_bad_index": None if first is None else first.first,
        "findings": [
            {"index": one.first, "zh": one.sentence("zh"), "en": one.sentence("en")}
            for one in report.findings
        ],
        "total_findings": report.total,
    }


def lines(found: BundleReport) -> list[str]:
    """Return the result for people."""
    report, manifest = found.report, found.manifest
    told = []
    if manifest is not None:
        # The name comes with the bundle: as it is, it could move the cursor and write over what follows.
        told.append(f"{visible(manifest.origin)}  {manifest.first}–{manifest.end}  /  {report.size}")
    for one in report.findings:
        told += [f"✗ {one.sentence('zh')}", f"  {one.sentence('en')}"]
    if report.first is not None:
        told.append(f"first bad index: {report.first.first}")
    elif manifest is not None:
        pattern = _FILTERED if manifest.filtered else _COMPLETE
        run = manifest.end - manifest.first
        told += [
            f"{sign} {sentence.format(run=run, given=manifest.entries)}"
            for sign, sentence in zip("✓ ", pattern)  # noqa: B905 (strict came with Python 3.10)
        ]
        told += _gone(found, manifest)
    told += _KNOWN.get(found.known, ())
    return told if found.pinned else [*told, *_SELF]


def _gone(found: BundleReport, manifest: Manifest) -> list[str]:
    """Return what is to be told of bodies that are gone."""
    if not manifest.pruned:
        return []
    pattern = _UNSEARCHED if manifest.filtered else _SHORTENED
    most = found.excuse.most(manifest.first, manifest.end)
    return [one.format(gone=manifest.pruned, at=found.excuse.statement, most=most) for one in pattern]


class _Parser(argparse.ArgumentParser):
    """Leaves with the contract's code for usage."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(int(Exit.USAGE), f"{message}\n")


def main(arguments: Sequence[str]) -> int:
    """Run ``verify.py`` and return its exit code."""
    parser = _Parser(prog="verify.py", description="Checks an export of a tamper-evident log, offline.")
    parser.add_argument("bundle", type=Path, help="the export, a ZIP file")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_options(parser)
    chosen = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        found = examine(chosen.bundle, chosen, ed25519.verify)
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        return int(Exit.USAGE)
    said = json.dumps(document(found), ensure_ascii=False) if chosen.json else "\n".join(lines(found))
    sys.stdout.write(f"{said}\n")
    return int(found.report.exit)
