"""``governance audit``: the log, for the operator and for whoever checks it.

Exit codes of ``verify`` are the contract's: 0 as it should be, 1 altered, 2 rolled back or cut, 3 forked,
4 not signed as it must be, 5 incomplete, 6 usage.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from audit import bundlemain
from audit.verdicts import Exit
from governance import (
    commands,
    exportcommands,
    exposurecommands,
    keycommands,
    reviewcommands,
    rollbackcommands,
    searchcommands,
    witnesscommands,
)
from governance.checkpoints import Checkpoints
from governance.loghistory import history_of
from governance.lostnotes import LostNotes
from governance.wiring import load_ring, open_database

_CODES: Final = (
    "Exit codes: 0 as it should be, 1 altered, 2 rolled back or cut, 3 forked, 4 not signed as it must be, "
    "5 incomplete or not to be checked (no key ring, no database), 6 usage."
)


def add_to(audit: argparse.ArgumentParser, spoken: argparse.ArgumentParser) -> None:
    """Declare the subcommands."""
    names = audit.add_subparsers(dest="what", required=True, metavar="WHAT")
    text = "check the whole log from its bytes"
    one = names.add_parser("verify", help=text, description=text, epilog=_CODES, parents=[spoken])
    one.add_argument("--bundle", type=Path, metavar="FILE", help="check this export, not the log here")
    bundlemain.add_options(one)
    one.set_defaults(run=verify, failed=int(Exit.INCOMPLETE), usage=int(Exit.USAGE))
    keycommands.add_to(names.add_parser("rotate-key", help="replace the log's signing key", parents=[spoken]))
    witnesscommands.add_to(names.add_parser("witness", help="who vouches that the log only grows"), spoken)
    text = "whose which fields an actor or a key's holder could have seen, or anybody in a span of time"
    exposurecommands.add_to(names.add_parser("exposure", help=text, description=text, parents=[spoken]))
    searchcommands.add_to(names, spoken)
    text = "export part of the log as a bundle that anybody can verify offline"
    exportcommands.add_export(names.add_parser("export", help=text, description=text, parents=[spoken]))
    reviewcommands.add_to(names, spoken)
    text = "go on with a log that was put back from a backup; two officers must say so"
    rollbackcommands.add_to(
        names.add_parser("accept-rollback", help=text, description=text, parents=[spoken])
    )


def verify(chosen: argparse.Namespace) -> int:
    """Verify the whole log; the exit code says what was found, the output names the first bad index."""
    if chosen.bundle is not None:
        return exportcommands.verify_bundle(chosen)
    if (chosen.policy, chosen.key, chosen.known) != (None, None, None):
        print("--policy, --key and --known go with --bundle", file=sys.stderr)
        return int(Exit.USAGE)
    current = commands.settings()
    ring = load_ring(current)
    database = open_database(current.database_url)
    try:
        checkpoints = Checkpoints(database, ring, current.lock_store)
        report = checkpoints.verify()
        copied = checkpoints.altered_copies() if report.exit == commands.DONE else []
        history = history_of(database, checkpoints, LostNotes(current.lost_notes))
    finally:
        database.close()
    first = report.first
    code = int(report.exit) or int(bool(copied)) or int(history.exit)
    document = {
        "exit": code,
        "size": report.size,
        "signed_size": report.signed_size,
        "pruned": report.pruned,
        "root": None if report.root is None else report.root.hex(),
        "first_bad_index": None if first is None else first.first,
        "findings": [
            {"index": one.first, "zh": one.sentence("zh"), "en": one.sentence("en")}
            for one in report.findings
        ],
        "altered_copies": [{"index": one.index, "column": one.column} for one in copied[:100]],
        **history.document(),
    }
    lines = [f"日志共 {report.size} 条，签名覆盖到 {report.signed_size} / {report.size} entries"]
    if report.pruned:
        lines.append(
            f"其中 {report.pruned} 条的正文按日志自己的声明已清理 / bodies pruned by the log's statement"
        )
    lines += [f"✗ {one.sentence('zh')}\n  {one.sentence('en')}" for one in report.findings]
    lines += [f"✗ 第 {one.index} 条的检索列 {one.column} 与正文不符 / copy differs" for one in copied[:100]]
    lines += history.lines()
    if not code:
        lines.append("✓ 完整，未被改动 / complete and unaltered" + history.but())
    elif first is not None:
        lines.append(f"first bad index: {first.first}")
    commands.say(chosen, document, "\n".join(lines))
    return code
