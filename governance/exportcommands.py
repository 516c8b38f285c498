"""``governance audit export`` and ``governance audit verify --bundle``.

Exit codes of ``verify --bundle`` are the contract's, as those of the ``verify.py`` in every bundle.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from audit import bundlemain, checkpoint, standalone
from audit.bundle import DamagedLogError
from audit.bundlemain import UsageError
from audit.verdicts import Exit
from governance import commands
from governance.exportfilter import UnfitQueryError
from governance.logexports import Wish
from governance.logsource import Run, UnfitRunError
from governance.times import instant
from governance.wiring import assemble

_PARTS: Final = 20
"""How many lines of progress an export prints at most."""


def add_export(export: argparse.ArgumentParser) -> None:
    """Declare the options of ``export``."""
    export.add_argument("--from", dest="first", type=int, metavar="INDEX", help="first entry (default: 0)")
    export.add_argument("--to", dest="end", type=int, metavar="INDEX", help="end, exclusive (default: all)")
    export.add_argument("--since", metavar="TIME", help="from this time on, e.g. 2026-11-22T00:00:00Z")
    export.add_argument("--until", metavar="TIME", help="before this time")
    export.add_argument("--query", default="", help="which entries, e.g. 'decision:deny -action:check'")
    export.add_argument("--format", choices=["bundle", "ocsf"], default="bundle", help="ocsf: JSON lines")
    export.add_argument("--policy", type=Path, metavar="FILE", help="put this witness policy in the bundle")
    export.add_argument("--out", type=Path, required=True, metavar="FILE", help="must not exist yet")
    export.set_defaults(run=export_log)


def export_log(chosen: argparse.Namespace) -> int:
    """Export part of the log to a file; that it happened is in the log before the first byte."""
    try:
        wish, policy = _wish(chosen), "" if chosen.policy is None else _text(chosen.policy)
        if chosen.out.exists():
            raise UsageError(f"{chosen.out} is there already")  # noqa: TRY301 - one place tells usage
    except UsageError as error:
        print(error, file=sys.stderr)
        return commands.USAGE
    service = assemble(commands.settings())
    try:
        # The file is made first: an export that is on record and then has no place is a reading in vain.
        with _new_file(chosen.out) as file:
            run, pieces = service.log.exports.by_operator(
                wish, service.clock(), _Progress(), policy, ocsf=chosen.format == "ocsf"
            )
            file.writelines(pieces)
    except OSError as error:
        print(f"无法写入文件 / the file cannot be written: {error.strerror}", file=sys.stderr)
        return commands.FAILED
    except (UnfitRunError, UnfitQueryError) as error:
        print(error, file=sys.stderr)
        return commands.USAGE
    except DamagedLogError as error:
        print(error, file=sys.stderr)
        return commands.FAILED
    finally:
        service.close()
    document = {
        "file": str(chosen.out),
        "first": run.first,
        "end": run.end,
        "log_size": run.size,
        "entries": run.survey.entries,
    }
    commands.say(
        chosen,
        document,
        f"已导出 {run.survey.entries} 条 / entries exported ({run.first}–{run.end}): {chosen.out}",
    )
    return commands.DONE


def _wish(chosen: argparse.Namespace) -> Wish:
    by_index, by_time = (chosen.first, chosen.end), (chosen.since, chosen.until)
    if by_index != (None, None) and by_time != (None, None):
        raise UsageError("name a run by index or by time, not both")
    times = [None if text is None else instant(text) for text in by_time]
    if any(text is not None and at is None for text, at in zip(by_time, times, strict=True)):
        raise UsageError("a time is written like 2026-11-22T00:00:00Z")
    return Wish(Run(*by_index, *times), chosen.query)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        raise UsageError(f"{path} cannot be read") from None


@contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    """Give a file that is there whole or not at all, and that nobody else may read."""
    part = path.with_name(f"{path.name}.part")
    begun = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)  # another's part stays untouched
    try:
        with os.fdopen(begun, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


class _Progress:
    """Prints how far an export has come, on stderr, at most twenty times."""

    def __init__(self) -> None:
        self._told = 0

    def __call__(self, done: int, of: int) -> None:
        part = done * _PARTS // max(of, 1)
        if part > self._told:
            self._told = part
            print(f"{part * 100 // _PARTS:3d}%  {done} / {of}", file=sys.stderr, flush=True)


def verify_bundle(chosen: argparse.Namespace) -> int:
    """Check a bundle with the code of its own ``verify.py``, and say whether that one is this program's."""
    try:
        found = bundlemain.examine(chosen.bundle, chosen, checkpoint.check)
    except UsageError as error:
        print(error, file=sys.stderr)
        return int(Exit.USAGE)
    ours = found.verifier == standalone.digest()
    if chosen.json:
        print(json.dumps({**bundlemain.document(found), "verifier_is_ours": ours}, ensure_ascii=False))
        return int(found.report.exit)
    print("\n".join(bundlemain.lines(found)))
    if found.verifier and not ours:
        print("导出自带的 verify.py 与本程序的不同 / the bundle's verify.py is not the one of this program")
    return int(found.report.exit)
