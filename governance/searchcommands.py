"""``governance audit search`` and ``governance audit reindex``: the log's index, for the operator.

The grammar is the officers' (``audit.search``), and what is searched here is on record likewise, as the
operator's. ``reindex --check`` compares and repairs nothing: a copy that differs is a trace.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Final

from audit.search import SearchError, parse
from audit.searching import Hit
from governance import commands
from governance.acting import OPERATOR
from governance.checkpoints import Checkpoints
from governance.entrybody import entry_body, labels_for
from governance.logsearch import MOST, Reader
from governance.times import local
from governance.wiring import Service, assemble, load_ring, open_database

if TYPE_CHECKING:
    from argparse import _SubParsersAction

_SHOWN: Final = 100
_EXAMPLE: Final = '"action:read -decision:permit created:>=2026-01-01"'


def add_to(names: _SubParsersAction[argparse.ArgumentParser], spoken: argparse.ArgumentParser) -> None:
    """Declare the subcommands."""
    text = "search the log; the search itself is logged"
    one = names.add_parser("search", help=text, description=text, parents=[spoken])
    one.add_argument("q", metavar="Q", help=f"e.g. {_EXAMPLE}")
    one.add_argument("--limit", type=int, default=50, help=f"entries to show, at most {MOST}")
    one.add_argument("--before", type=int, help="only entries older than this index")
    one.add_argument("--language", choices=["zh", "en"], default="zh")
    one.set_defaults(run=search)
    text = "make the search index anew from the leaves, or compare every copy with them"
    again = names.add_parser("reindex", help=text, description=text, parents=[spoken])
    again.add_argument("--check", action="store_true", help="compare only, and name the entries that differ")
    again.set_defaults(run=reindex)


def search(chosen: argparse.Namespace) -> int:
    """Print the newest entries that fit."""
    try:
        query = parse(chosen.q)
    except SearchError as error:
        where = f"at character {error.position + 1}; a query is like {_EXAMPLE}"
        print(f"governance audit search: {error.fault.value}, {where}", file=sys.stderr)
        return commands.USAGE
    if not 1 <= chosen.limit <= MOST or (chosen.before is not None and chosen.before < 0):
        print(f"governance audit search: --limit is from 1 to {MOST}, --before from 0", file=sys.stderr)
        return commands.USAGE
    service = assemble(commands.settings())
    try:
        found = service.log.search.search(
            Reader(OPERATOR), query, chosen.before, chosen.limit, counted=False, now=service.clock()
        )
        entries = _bodies(service, found.page.hits, chosen.language)
    finally:
        service.close()
    document = {"query": query.text(), "entries": entries, "before": found.page.next}
    lines = [
        f"{hit.index}  {local(hit.entry.t):%Y-%m-%d %H:%M:%S}  {body['verdict']}  {body['sentence']}"
        for hit, body in zip(found.page.hits, entries, strict=True)
    ]
    lines += [f"✗ {index}: 无法读取 / cannot be read" for index in found.page.unreadable]
    if found.page.next is not None:
        lines.append(f"… --before {found.page.next}")
    commands.say(chosen, document | {"unreadable": found.page.unreadable}, "\n".join(lines))
    return commands.FAILED if found.page.unreadable else commands.DONE


def _bodies(service: Service, hits: list[Hit], language: str) -> list[dict[str, object]]:
    labels = labels_for(service, hits)
    return [entry_body(hit, labels, language) for hit in hits]


def reindex(chosen: argparse.Namespace) -> int:
    """Make the index anew, or check every copy; the check needs no sound log."""
    if chosen.check:
        return _check(chosen)
    service = assemble(commands.settings())
    try:
        entries = service.log.search.rebuild(Reader(OPERATOR), service.clock())
    finally:
        service.close()
    commands.say(chosen, {"indexed": entries}, f"已为 {entries} 条重建索引 / entries indexed anew")
    return commands.DONE


def _check(chosen: argparse.Namespace) -> int:
    current = commands.settings()
    ring = load_ring(current)
    database = open_database(current.database_url)
    try:
        found = Checkpoints(database, ring, current.lock_store).altered_copies()
    finally:
        database.close()
    differ = [{"index": one.index, "column": one.column} for one in found[:_SHOWN]]
    lines = [f"✗ 第 {one.index} 条的 {one.column} 与正文不符 / copy differs" for one in found[:_SHOWN]]
    if not found:
        lines = ["✓ 所有副本都与正文相符 / every copy says what the leaf says"]
    commands.say(chosen, {"differences": len(found), "altered_copies": differ}, "\n".join(lines))
    return commands.FAILED if found else commands.DONE
