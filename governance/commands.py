"""What each command does. Commands that only read text load neither database nor keys."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from typing import Final

from audit.spelling import visible
from governance import databaseroles, seeding
from governance.checkpoints import Checkpoints
from governance.erasureledger import ErasureLedger
from governance.loghistory import history_of
from governance.lostnotes import LostNotes
from governance.settings import Profile, Settings, SettingsError, read_settings
from governance.starting import StartError
from governance.wiring import Service, assemble, initialise, load_ring, load_rules, open_database, wall_clock
from policies.book import packaged_rules

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
DENIED: Final = 3


def settings() -> Settings:
    """Read the settings of this process."""
    return read_settings(os.environ, packaged_rules())


def say(chosen: argparse.Namespace, document: object, text: str) -> None:
    """Print the text, or the document where JSON was asked for; nothing in either steers a terminal."""
    said = json.dumps(document, ensure_ascii=False) if chosen.json else text
    print("\n".join(map(visible, said.split("\n"))))


def init(chosen: argparse.Namespace) -> int:
    """Make what is missing."""
    made = settings()
    initialise(made)
    say(
        chosen,
        {"home": str(made.home)},
        f"已就绪 / ready: {made.home}\n下一步 / next: governance doctor, then governance serve",
    )
    return DONE


def serve(chosen: argparse.Namespace) -> int:
    """Serve until told to stop."""
    import uvicorn  # noqa: PLC0415 - only this command and the demo need the server

    current = settings()
    if current.profile is Profile.PROD and current.on_sqlite and chosen.workers > 1:
        raise StartError("prod does not serve SQLite with several workers; use PostgreSQL or one worker")
    service = assemble(current)  # every fault shows here, once, before any worker starts
    advice = "" if current.on_sqlite else databaseroles.note(service.database)
    service.close()
    if advice and current.profile is Profile.PROD:
        print(advice, file=sys.stderr)
    uvicorn.run(
        "governance.serving:app",
        factory=True,
        host=chosen.host,
        port=chosen.port,
        workers=chosen.workers,
        access_log=False,  # paths and addresses of people do not belong into a log
        server_header=False,
        log_level="warning",
        timeout_graceful_shutdown=10,
    )
    return DONE


def worker(chosen: argparse.Namespace) -> int:
    """Deliver webhooks and do the daily work until told to stop, or (``--once``) what is due now."""
    from governance.delivering import Worker  # noqa: PLC0415 - only this command delivers by itself

    service = assemble(settings())
    try:
        if chosen.once:
            made = service.delivering.round()
            service.tidy()
            service.oversee()
            say(chosen, {"attempts": made}, f"已尝试 {made} 次投递 / delivery attempts made")
            return DONE
        stopping = threading.Event()
        for one in (signal.SIGINT, signal.SIGTERM):
            signal.signal(one, lambda *_: stopping.set())
        worker = Worker(service.delivering, daily=service.tidy, minutely=service.oversee)
        worker.start()
        say(chosen, {"worker": "ready"}, "正在投递，按 Ctrl-C 结束 / delivering; Ctrl-C ends it")
        sys.stdout.flush()
        stopping.wait()
        worker.stop()
    finally:
        service.close()
    return DONE


def migrate(chosen: argparse.Namespace) -> int:
    """Bring the schema forward."""
    from governance import schema  # noqa: PLC0415 - Alembic is for this command alone

    current = settings()
    if chosen.grant_app is None and (chosen.grant_auditor is not None or chosen.print):
        raise SettingsError("--grant-auditor and --print belong to --grant-app ROLE")
    if chosen.grant_app is not None and current.on_sqlite:
        raise SettingsError("a file has no accounts; --grant-app is for PostgreSQL")
    if chosen.print:
        said = databaseroles.statements(chosen.grant_app, chosen.grant_auditor, schema.metadata.tables)
        say(chosen, {"statements": said}, "\n".join(f"{one};" for one in said))
        return DONE
    schema.migrate(current.database_url)
    if chosen.grant_app is not None:
        databaseroles.grant(current.database_url, chosen.grant_app, chosen.grant_auditor)
    say(chosen, {"revision": schema.expected_revision()}, f"schema {schema.expected_revision()}")
    return DONE


def doctor(chosen: argparse.Namespace) -> int:
    """Check each part and say how to mend what is not well."""
    current = settings()
    checks: list[tuple[str, Callable[[], object]]] = [
        ("key ring", lambda: load_ring(current)),
        ("rules", lambda: load_rules(current.rules)),
        ("database and log", lambda: assemble(current).close()),
        ("rules in force", lambda: _examine_rules(current)),
        ("list of erasures", lambda: list(ErasureLedger(current.erasures).entries())),
        ("calendars", lambda: _note_on_calendars(current)),
        ("history of the log", lambda: _note_on_history(current)),
        ("database account", lambda: _note_on_account(current)),
    ]
    found = []
    for name, check in checks:
        try:
            note = check()
        except Exception as error:  # noqa: BLE001 - a doctor reports every illness, whatever it is
            found.append({"check": name, "well": False, "detail": str(error) or type(error).__name__})
        else:
            found.append({"check": name, "well": True, "detail": note if isinstance(note, str) else ""})
    lines = [f"{'✓' if one['well'] else '✗'} {one['check']}  {one['detail']}".rstrip() for one in found]
    say(chosen, {"checks": found}, "\n".join(lines))
    return DONE if all(one["well"] for one in found) else FAILED


def _examine_rules(current: Settings) -> None:
    service = assemble(current)
    try:
        if not service.desk.agrees_with_log():
            raise StartError(
                "the rules in force are not those that the log saw published last: somebody moved "
                "the pointer back with the database's own tools. Publish the right version; the versions "
                "are told by: governance policy show"
            )
    finally:
        service.close()


def _note_on_calendars(current: Settings) -> str:
    """Return what to do where a calendar is missing: advice, as such deadlines are only ever earlier."""
    deadlines = load_rules(current.rules).book.deadlines
    gaps = deadlines.inexact(wall_clock())
    if not gaps:
        return ""
    return (
        f"no calendar of working days for requests of now under {', '.join(gaps)}: their deadlines are "
        "counted in plain days, which is earlier. Add the [[year]] to calendar.toml and publish the rules"
    )


def _note_on_history(current: Settings) -> str:
    """Return what the log's own history must not be silent about: losses and alarms; it ends no start."""
    database = open_database(current.database_url)
    try:
        checkpoints = Checkpoints(database, load_ring(current), current.lock_store)
        history = history_of(database, checkpoints, LostNotes(current.lost_notes))
    finally:
        database.close()
    told = "; ".join(line.strip() for line in history.lines())
    if history.exit:
        raise StartError(told)
    return told


def _note_on_account(current: Settings) -> str:
    """Return what to do where the service's own account could change the log: advice."""
    if current.on_sqlite:
        return ""
    database = open_database(current.database_url)
    try:
        return databaseroles.note(database)
    finally:
        database.close()


def openapi(_chosen: argparse.Namespace) -> int:
    """Print the OpenAPI document; it needs neither keys nor database."""
    from governance.app import describe  # noqa: PLC0415 - the web framework costs most of a start

    print(json.dumps(describe(), ensure_ascii=False, indent=1))
    return DONE


def screen(_chosen: argparse.Namespace) -> int:
    """Screen texts from stdin."""
    from redaction.streaming import screen_lines  # noqa: PLC0415 - only this command streams

    return screen_lines(sys.stdin.buffer, sys.stdout, load_rules(settings().rules).screener)


def redact(_chosen: argparse.Namespace) -> int:
    """Find personal data in texts from stdin."""
    from redaction.finding import Finder  # noqa: PLC0415 - loads the analyser
    from redaction.streaming import redact_lines  # noqa: PLC0415 - only this command streams

    return redact_lines(sys.stdin.buffer, sys.stdout, Finder())


def explain(chosen: argparse.Namespace) -> int:
    """Explain a decision: the sentence, the ladder, and every row of the rules. The look itself is logged."""
    from governance.explaining import look_into  # noqa: PLC0415 - brings the catalogue along

    service = assemble(settings())
    try:
        found = look_into(service, chosen.decision_id, chosen.language)
    finally:
        service.close()
    if found is None:
        print("no such decision in this log", file=sys.stderr)
        return FAILED
    explanation, rows = found
    document = {**explanation.as_document(), "rules": None if rows is None else [asdict(one) for one in rows]}
    lines = [explanation.as_text()]
    for one in rows or ():
        lines += ["", one.title, *(f"    {line}" for line in (*one.rows, *one.nearest))]
    say(chosen, document, "\n".join(lines))
    return DONE


def transitions(chosen: argparse.Namespace) -> int:
    """Announce and carry out who reaches 14 or 18; a dry run opens birth dates, and is logged, as well."""
    service = assemble(settings())
    try:
        report = asdict(service.transitions.run(service.clock(), dry_run=chosen.dry_run))
    finally:
        service.close()
    head = "预演，没有改动任何事 / dry run, nothing was changed" if chosen.dry_run else "已执行 / done"
    say(
        chosen,
        {"dry_run": chosen.dry_run, **report},
        "\n".join([head, *(f"{k} {v}" for k, v in report.items())]),
    )
    return DONE


def demo(chosen: argparse.Namespace) -> int:
    """Serve, play or inspect the demo's world."""
    from governance import demo as stage  # noqa: PLC0415 - brings server and pages along

    if chosen.headless:
        return stage.headless()
    if chosen.what is None:
        return stage.serve_demo(chosen.port or None)
    current = settings()
    if chosen.what == "tamper":
        print(f"改动了第 {stage.tamper(current)} 条的一个字节 / changed one byte of that entry")
        return DONE
    initialise(current)
    service = assemble(current)
    try:
        return _in_world(chosen, service)
    finally:
        service.close()


def _in_world(chosen: argparse.Namespace, service: Service) -> int:
    from governance import demo as stage  # noqa: PLC0415 - as in ``demo``

    keys = seeding.seed_once(service)
    if chosen.what == "world":
        print(json.dumps(seeding.as_document(keys), ensure_ascii=False, indent=None if chosen.json else 1))
        return DONE
    service.finder.ready()
    played = stage.play(service, keys, chosen.rounds)
    service.log.settle()
    service.log.checkpoints.publish(service.clock())
    say(chosen, {"played": played}, f"已记录 {played} 个决定 / decisions recorded")
    return DONE
