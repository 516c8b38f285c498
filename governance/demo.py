"""The demonstration: one process, a throwaway home, real keys, real HTTP, nothing to install.

``serve_demo`` shows it to people: three links and a live ticker. ``headless`` tells the same story with
assertions and no people. Both leave nothing behind. The ticker names staff, services and relations, and
members by pseudonym; it never holds a value.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from audit import ledger
from governance import identity, seeding, world
from governance.accesses import labels_of
from governance.app import build
from governance.explaining import sentence, verdict
from governance.ladder import Labels
from governance.loopback import DidNotStartError, Program, serving
from governance.settings import read_settings
from governance.story import StoryError, tell_story
from governance.tampering import tamper as tamper  # noqa: PLC0414 - the command line finds it on the stage
from governance.times import local
from governance.traffic import Reading, endless
from governance.traffic import play as play  # noqa: PLC0414 - as above
from governance.wiring import Service, assemble, initialise, open_database
from policies.book import packaged_rules
from policies.terms import ActorId

_PAUSE_S: Final = 2.5
_MARKS: Final = {
    "允许": "✓",
    "放行": "✓",
    "脱敏": "◐",
    "部分允许": "◐",
    "待复核": "…",
    "拒绝": "✕",
    "出错": "!",
}
_GUESTS: Final = (
    ("张丽（成员，主账户）", world.ZHANG_LI),
    ("李强（成员，小满的监护人）", world.LI_QIANG),
    ("赵宁（合规官）", world.OFFICER),
)


def tell(line: str) -> None:
    """Print one line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@contextmanager
def throwaway() -> Iterator[tuple[Service, Mapping[str, str]]]:
    """Give a seeded service in a home that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="governance-demo-") as folder:
        settings = read_settings({"GOVERNANCE_HOME": str(Path(folder) / "home")}, packaged_rules())
        initialise(settings)
        service = assemble(settings)
        try:
            yield service, seeding.seed_once(service)
        finally:
            service.close()


def headless() -> int:
    """Tell the story with assertions; return 0 when every step held, else 1."""
    try:
        with throwaway() as (service, keys):
            tell_story(service, keys, tell)
    except StoryError as error:
        tell(f"✗ {error}")
        return 1
    except Exception as error:  # noqa: BLE001 - a traceback tells a stranger nothing, the class is enough
        tell(f"✗ 演示中断：{type(error).__name__}")
        return 1
    tell("以上都在一个进程里完成，没有 Docker。")
    return 0


def serve_demo(port: int | None) -> int:
    """Serve the demonstration until Ctrl-C; return the exit code."""
    stop = threading.Event()
    before = {one: signal.signal(one, lambda *_: stop.set()) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        with throwaway() as (service, keys):
            links = _links(service)
            with serving(build(service), port or 0) as bound:
                tell("家庭信息守护 · 演示（数据都是虚构的，结束时全部删除）\n")
                for guest, token in links.items():
                    tell(f"  {guest}\n    http://127.0.0.1:{bound}/link/{token}")
                tell(f"\n发给成员的验证码：成员登录后看 http://127.0.0.1:{bound}/centre/outbox")
                tell("链接各用一次。按 Ctrl-C 结束。\n")
                _run(service, keys, bound, stop)
    except DidNotStartError as error:
        tell(f"没有启动：{error}")
        return 1
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
    tell("\n演示结束，演示数据已删除。")
    return 0


def _links(service: Service) -> dict[str, str]:
    with service.database.transaction() as tx:
        links = {
            guest: identity.issue_link(tx, ActorId(person.id), service.clock()) for guest, person in _GUESTS
        }
        tx.commit()
    return links


def _run(service: Service, keys: Mapping[str, str], port: int, stop: threading.Event) -> None:
    """Ask scene after scene over HTTP and show what the log says came of it, until told to stop."""
    crm, sender = Program(port, keys[world.CRM.id]), Program(port, keys[world.SENDER.id])
    ticker = _Ticker(service)
    try:
        for scene in endless():
            if isinstance(scene, Reading):
                crm.post("/v1/reads", scene.body())
            else:
                sender.post("/v1/messages", scene.body())
            ticker.show()
            if stop.wait(_PAUSE_S):
                return
    finally:
        ticker.close()


class _Ticker:
    """Follows the log with a connection of its own, so it also shows what visitors do on the pages."""

    def __init__(self, service: Service) -> None:
        self._database = open_database(service.settings.database_url)
        self._settle = service.log.settle
        self._book = service.rules.book
        with self._database.reading() as tx:
            self._shown = ledger.head(tx).size

    def show(self) -> None:
        """Print a line for each entry since the last call."""
        self._settle()
        with self._database.reading() as tx:
            size = ledger.head(tx).size
            entries = ledger.recent(tx, size, size - self._shown) if size > self._shown else []
            labels = Labels(self._book, labels_of(tx, [entry for _, entry in entries]))
        for _, entry in reversed(entries):
            word = verdict(entry, "zh")
            tell(f"{local(entry.t):%H:%M:%S} {_MARKS.get(word, '·')} {word}  {sentence(entry, labels, 'zh')}")
        self._shown = size

    def close(self) -> None:
        """Give the connection back."""
        self._database.close()
