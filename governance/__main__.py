"""The command line. Exit codes: 0 done, 1 failed check, 2 usage, 3 denied; ``audit verify`` has its own.

Every command says what to do next when it fails, and prints JSON with ``--json``.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from audit.ledger import LogError
from audit.lockstore import LockStoreError
from audit.verdicts import Exit
from governance import auditcommands, commands, consentcommands, retentioncommands, rulecommands
from governance.commands import FAILED, USAGE
from governance.database import SchemaError, StoreError
from governance.databaseroles import RoleNameError
from governance.settings import SettingsError
from governance.starting import StartError
from governance.tampering import NothingToTamperError
from governance.witnesspull import NotFetchedError, NotKeptError
from governance.witnessserver import WitnessHomeError
from policies.book import BookError
from policies.distributions import TwinDistributionsError

_EXPECTED = (
    SettingsError,
    StartError,
    SchemaError,
    BookError,
    LogError,
    LockStoreError,
    TwinDistributionsError,
    NothingToTamperError,
    WitnessHomeError,
    NotFetchedError,
    NotKeptError,
    RoleNameError,
)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="governance",
        description="Consent, policy, sealing, screening and a tamper-evident log for household data.",
        epilog="Settings come from GOVERNANCE_* variables; see the README.",
    )
    spoken = argparse.ArgumentParser(add_help=False)
    spoken.add_argument("--json", action="store_true", help="print JSON")
    names = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        one = names.add_parser(name, help=text, description=text, parents=[spoken])
        one.set_defaults(run=run)
        return one

    add("init", commands.init, "make home, key ring, schema and log; nothing that exists is touched")
    serve = add("serve", commands.serve, "serve the API and the pages")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=8080)
    serve.add_argument("--workers", type=int, default=1)
    worker = add("worker", commands.worker, "deliver webhooks and watch for what is not acknowledged")
    worker.add_argument("--once", action="store_true", help="do what is due now, then end")
    _add_roles(add("migrate", commands.migrate, "bring the database to this version's schema"))
    add("doctor", commands.doctor, "check the set-up; a list of what is good and what to mend")
    add("openapi", commands.openapi, "print the OpenAPI document")
    _add_demo(add("demo", commands.demo, "the world of 张家, served with live traffic"))
    for name, text in (("screen", "screen texts"), ("redact", "find and mask personal data")):
        one = add(name, getattr(commands, name), f"{text}, one JSON object a line from stdin to stdout")
        one.add_argument("--jsonl", action="store_true", required=True, help="JSON lines, the only form")
    explain = add("explain", commands.explain, "explain a decision: the sentence and the ladder")
    explain.add_argument("decision_id")
    explain.add_argument("--language", choices=["zh", "en"], default="zh")
    rules = names.add_parser("policy", help="the rules: show, test, compare, rehearse and publish them")
    rulecommands.add_to(rules, spoken)
    consent = names.add_parser(
        "consent", help="consents: how a member's stand, a signed receipt, those that another system holds"
    )
    consentcommands.add_to(consent, spoken)
    ageing = add("transitions", commands.transitions, "who reaches 14 or 18: announce it, carry it out")
    ageing.add_argument("what", choices=["run"])
    ageing.add_argument("--dry-run", action="store_true", help="say how many, change nothing")
    retentioncommands.add_to(
        add("retention", retentioncommands.run, "delete what has been kept long enough, in batches")
    )
    _add_notice(names.add_parser("notice", help="what people are told: list and publish it"), spoken)
    auditcommands.add_to(
        names.add_parser("audit", help="the log: verify, search, export, review and witness it"), spoken
    )
    return parser


def _add_roles(migrate: argparse.ArgumentParser) -> None:
    migrate.add_argument(
        "--grant-app", metavar="ROLE", help="PostgreSQL: give the service's account its rights, and no more"
    )
    migrate.add_argument(
        "--grant-auditor", metavar="ROLE", help="give an account the right to read the log, and nothing else"
    )
    migrate.add_argument("--print", action="store_true", help="show what would be granted, change nothing")


def _add_notice(notice: argparse.ArgumentParser, spoken: argparse.ArgumentParser) -> None:
    names = notice.add_subparsers(dest="what", required=True, metavar="WHAT")
    names.add_parser("list", help="every version of every notice", parents=[spoken])
    publish = names.add_parser("publish", help="publish a notice, or its next version", parents=[spoken])
    publish.add_argument("file", type=Path, help="the body of POST /v1/notices")
    publish.add_argument("--by", required=True, metavar="STAFF_ID", help="who does it, by staff id")
    notice.set_defaults(run=_notice)


def _notice(chosen: argparse.Namespace) -> int:
    from governance import noticecommands  # noqa: PLC0415 - bodies are checked by the web framework's forms

    return noticecommands.run(chosen)


def _add_demo(demo: argparse.ArgumentParser) -> None:
    demo.add_argument("what", nargs="?", choices=["play", "world", "tamper"])
    demo.add_argument("--headless", action="store_true", help="play the two-minute story with assertions")
    demo.add_argument("--port", type=int, default=0, help="loopback port (default: a free one)")
    demo.add_argument("--rounds", type=int, default=10, help="rounds of traffic for play")


def _parsed(words: Sequence[str]) -> argparse.Namespace:
    try:
        return _parser().parse_args(words)
    except SystemExit as left:
        if left.code == USAGE and list(words[:2]) == ["audit", "verify"]:
            raise SystemExit(int(Exit.USAGE)) from None
        raise


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    # A log line or a page in Chinese must not depend on the terminal's locale.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    chosen = _parsed(sys.argv[1:] if arguments is None else arguments)
    # ``audit verify`` says with 1 and 2 what was found: what keeps it from looking has codes of its own.
    failed, usage = getattr(chosen, "failed", FAILED), getattr(chosen, "usage", USAGE)
    try:
        return int(chosen.run(chosen))
    except SettingsError as error:
        print(error, file=sys.stderr)
        return int(usage)
    except StoreError as error:
        print(f"governance {chosen.command}: the database: {error}; see: governance doctor", file=sys.stderr)
        return int(failed)
    except _EXPECTED as error:
        print(f"governance {chosen.command}: {error}", file=sys.stderr)
        return int(failed)
    except BrokenPipeError:
        # The reader has seen enough (``| head``); close quietly instead of complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(failed)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
