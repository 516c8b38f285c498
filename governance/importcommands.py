"""``governance consent import``: bring consents in that another system holds.

The progress bar goes to stderr, the result to stdout, what became of each line into a report beside the
file. Exit codes: 0 every row is on record, 1 some were refused or the import stopped, 2 the file does not
have the agreed form.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

from governance.commands import DONE, FAILED, USAGE, settings
from governance.importing import ImportStoppedError, Tally
from governance.importrows import NEEDED, OPTIONAL, HeaderError
from governance.wiring import assemble
from policies.identifiers import Prefix, kind_of
from policies.terms import ActorId

_WIDTH: Final = 24
_COLUMNS: Final = f"columns: {', '.join(NEEDED)}; as needed: {', '.join(OPTIONAL)}"
_NOTICES: Final = (
    "A row may name a notice of the system it comes from. Where a notice with that id is published here, the "
    "row must fit it (text, purpose, categories, recipient) and must not be older than its taking effect; a "
    "notice whose id is not published here is taken as the row states it, until one is published"
)


def add_to(
    names: argparse._SubParsersAction[argparse.ArgumentParser], spoken: argparse.ArgumentParser
) -> None:
    """Declare the command among the others of ``governance consent``."""
    text = "import consents from CSV or JSON lines, each with the reference of its evidence"
    said = f"{text}; {_COLUMNS}. {_NOTICES}"
    one = names.add_parser("import", help=text, description=said, parents=[spoken])
    one.set_defaults(run=import_consents)
    one.add_argument("file", type=Path)
    one.add_argument(
        "--dry-run", action="store_true", help="say what would become of each line, change nothing"
    )
    one.add_argument("--by", metavar="STAFF_ID", help="who imports, by staff id (default: the operator)")
    one.add_argument("--report", type=Path, help="where to report each line (default: beside the file)")


def import_consents(chosen: argparse.Namespace) -> int:
    """Import a file of consents."""
    if chosen.by is not None and kind_of(chosen.by) is not Prefix.STAFF:
        print("governance consent import: --by 须为工作人员编号 / --by is a staff id", file=sys.stderr)
        return USAGE
    ending = ".dry-run.jsonl" if chosen.dry_run else ".report.jsonl"
    path = chosen.report or chosen.file.with_name(chosen.file.name + ending)
    service = assemble(settings())
    bar = _Bar(sys.stderr, time.monotonic)
    try:
        with _report(path, afresh=chosen.dry_run) as report:
            tally = service.importing.run(
                chosen.file,
                report,
                importer=None if chosen.by is None else ActorId(chosen.by),
                dry=chosen.dry_run,
                progress=bar.show,
            )
    except (HeaderError, OSError) as error:
        said = f"文件无法读写 / {error.strerror}" if isinstance(error, OSError) else error
        print(f"governance consent import: {said}", file=sys.stderr)
        return USAGE
    except ImportStoppedError as error:
        print(f"governance consent import: {error}", file=sys.stderr)
        return FAILED
    finally:
        bar.end()
        service.close()
    _say(chosen, tally, path)
    return FAILED if tally.refused else DONE


@contextmanager
def _report(path: Path, *, afresh: bool) -> Iterator[TextIO]:
    """Lend the report; where an import fails before it could report a line, no empty file stays behind."""
    known = path.exists()
    with _opened(path, afresh=afresh) as report:
        try:
            yield report
        except BaseException:
            if not known and not path.stat().st_size:
                path.unlink()
            raise


def _opened(path: Path, *, afresh: bool) -> TextIO:
    """Open the report for its owner only; an earlier one is kept, for an import that goes on."""
    if path.is_symlink():
        raise OSError(0, "the report is a symbolic link")
    mode = os.O_RDWR | os.O_CREAT | (os.O_TRUNC if afresh else 0)
    return os.fdopen(os.open(path, mode, 0o600), "r+", encoding="utf-8", newline="\n")


def _say(chosen: argparse.Namespace, tally: Tally, path: Path) -> None:
    document = {
        "import": None if chosen.dry_run else tally.id,
        "sha256": tally.sha256,
        "dry_run": chosen.dry_run,
        "already_imported": tally.again,
        "resumed": tally.resumed,
        "imported": tally.imported,
        "known": tally.known,
        "refused": tally.refused,
        "report": str(path),
    }
    if tally.again:
        text = "这个文件已经导入过，没有改动任何内容 / this file was imported before; nothing was changed"
    else:
        would = "将" if chosen.dry_run else ""
        may = "would be " if chosen.dry_run else ""
        text = (
            f"{would}导入 {tally.imported}，已有 {tally.known}，拒绝 {tally.refused} / "
            f"{may}imported {tally.imported}, known {tally.known}, refused {tally.refused}\n"
            f"逐行结果 / each line: {path}"
        )
    print(json.dumps(document, ensure_ascii=False) if chosen.json else text)


@dataclass
class _Bar:
    """A progress bar: drawn in place on a terminal, a line for each tenth elsewhere."""

    stream: TextIO
    now: Callable[[], float]
    begun: float | None = None
    first: int = 0
    tenth: int = -1

    def show(self, tally: Tally) -> None:
        """Draw how far the file has been read."""
        if self.begun is None:
            self.begun, self.first = self.now(), tally.rows
        share = tally.bytes_done / max(tally.size, 1)
        passed = max(self.now() - self.begun, 1e-3)
        filled = int(_WIDTH * share)
        line = (
            f"[{'#' * filled}{'.' * (_WIDTH - filled)}] {share:4.0%}  {tally.rows:,} 行 rows  "
            f"{(tally.rows - self.first) / passed:,.0f}/s"
        )
        if self.stream.isatty():
            self.stream.write(f"\r{line}\x1b[K")
        elif int(share * 10) > self.tenth:
            self.tenth = int(share * 10)
            self.stream.write(line + "\n")
        self.stream.flush()

    def end(self) -> None:
        """Leave the line."""
        if self.begun is not None and self.stream.isatty():
            self.stream.write("\n")
