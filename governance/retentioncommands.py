"""``governance retention``: delete what has been kept long enough, or say what would be deleted."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from functools import partial

from governance.commands import DONE, settings
from governance.wiring import assemble


def add_to(retention: argparse.ArgumentParser) -> None:
    """Declare the subcommand and its options."""
    retention.add_argument("what", choices=["run"])
    retention.add_argument("--dry-run", action="store_true", help="say what would be deleted, change nothing")


def run(chosen: argparse.Namespace) -> int:
    """Sweep; a run that was cut off is resumed by running it again."""
    service = assemble(settings())
    try:
        swept = service.retaining.run(service.clock(), dry=chosen.dry_run, progress=_progress)
        pruned = service.log.pruning.run(
            service.clock(), dry=chosen.dry_run, progress=partial(_progress, "log")
        )
    finally:
        service.close()
    document = {
        **asdict(swept),
        "destroyed": swept.destroyed._asdict(),
        "dry_run": chosen.dry_run,
        "log": asdict(pruned),
    }
    if chosen.json:
        print(json.dumps(document, ensure_ascii=False))
        return DONE
    done = "将删除 / would delete" if chosen.dry_run else "已删除 / deleted"
    lines = [f"{done} {name}: {count}" for name, count in swept.fields.items()] or [f"{done}: 0"]
    lines.append(f"保全中 / under legal hold: {swept.held}")
    lines.append(f"{done} 日志正文 / bodies of the log: {pruned.deleted} ({pruned.held} 保全中 / held)")
    if pruned.clock_refused:
        lines.append(
            "日志未清理：时钟与最新的检查点或记录相差超过一天 / the log was left alone: "
            "the clock is more than a day away from its newest checkpoint or entry"
        )
    print("\n".join(lines))
    return DONE


def _progress(name: str, count: int) -> None:
    print(f"  {name}: {count}", file=sys.stderr)
