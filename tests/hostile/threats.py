"""A house under attack: its database copied and put back, its history rewritten, its sinks silent."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import apsw
import happenings
import psycopg
from living import Clock, Living
from logbreaking import Insider
from sqlalchemy import make_url

from audit import reading
from audit.checkpoint import Signer, sign
from audit.lockstore import connection_to
from audit.note import Checkpoint
from audit.tiles import grow, node_reader
from audit.tree import EMPTY, consistency, extend, leaf_hash, root
from governance import world
from governance.settings import Settings
from governance.starting import StartError
from governance.wiring import Service, assemble


class Ran(NamedTuple):
    """One command: its exit code, and what it printed."""

    code: int
    out: str

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


def read_names(service: Service, now: int, times: int = 1) -> None:
    """Let the CRM read a name, each time with an entry."""
    for _ in range(times):
        service.gate.read([happenings.reading(world.ZHANG_LI.id, world.ZHANG_LI.id, "name")], now)


def signed(service: Service, now: int, reads: int = 3) -> int:
    """Let the log grow and sign it; return its size."""
    read_names(service, now, reads)
    service.log.settle()
    return service.log.checkpoints.publish(now)


def grown_twice(house: Living) -> tuple[int, int]:
    """Two checkpoints, the second of a longer log; before each stands a read that was permitted."""
    first = signed(house.service, house.clock())
    house.clock.advance(1_000)
    return first, signed(house.service, house.clock())


def refused_start(settings: Settings, clock: Clock) -> str:
    """Return why the service does not start, or nothing when it does."""
    try:
        assemble(settings, clock=clock).close()
    except StartError as error:
        return str(error)
    return ""


# --- whole databases


def _admin(url: str, *statements: str) -> None:
    address = make_url(url).set(drivername="postgresql", database="postgres")
    with psycopg.connect(address.render_as_string(hide_password=False), autocommit=True) as connection:
        for one in statements:
            connection.execute(one)  # type: ignore[call-overload]


@contextmanager
def copied(house: Living, folder: Path) -> Iterator[str]:
    """The URL of a copy of the whole database, made with the engine's own means; nobody may be connected."""
    if house.settings.on_sqlite:
        copy = folder / "copy.sqlite"
        shutil.copyfile(house.url.removeprefix("sqlite:///"), copy)
        yield f"sqlite:///{copy}"
        return
    name = make_url(house.url).database
    _admin(house.url, f"CREATE DATABASE {name}_copy TEMPLATE {name}")
    try:
        yield make_url(house.url).set(database=f"{name}_copy").render_as_string(hide_password=False)
    finally:
        _admin(house.url, f"DROP DATABASE {name}_copy WITH (FORCE)")


def put_back(house: Living, copy: str) -> None:
    """Replace the database by the copy."""
    if house.settings.on_sqlite:
        here = Path(house.url.removeprefix("sqlite:///"))
        for beside in ("-wal", "-shm"):
            here.with_name(here.name + beside).unlink(missing_ok=True)
        shutil.copyfile(copy.removeprefix("sqlite:///"), here)
        return
    name, of = make_url(house.url).database, make_url(copy).database
    _admin(house.url, f"DROP DATABASE {name} WITH (FORCE)", f"CREATE DATABASE {name} TEMPLATE {of}")


# --- histories


@dataclass
class Story:
    """A history of the log: the true one, or one that somebody with the stolen key tells."""

    signer: Signer
    leaves: list[bytes]

    def checkpoint(self, size: int) -> Checkpoint:
        hashes = [leaf_hash(one) for one in self.leaves[:size]]
        return Checkpoint(self.signer.key.name, size, root(extend(EMPTY, hashes)))

    def note(self, size: int) -> str:
        return sign(self.signer, self.checkpoint(size))

    def proof(self, old: int, size: int) -> tuple[bytes, ...]:
        hashes = [leaf_hash(one) for one in self.leaves[:size]]
        tiles = {(one.level, one.number): one.data for one in grow(0, hashes, lambda *_: b"")}
        return consistency(old, size, node_reader(lambda level, at: tiles.get((level, at), b"")))

    def otherwise(self, index: int) -> Story:
        """The same, but for one entry that says something else."""
        told = list(self.leaves)
        told[index] = told[index].replace(b'"permit"', b'"deny"')
        assert told != self.leaves
        return replace(self, leaves=told)


def true_story(house: Living) -> Story:
    """The log as it is, with the key that signs it, stolen from the ring."""
    key = house.service.log.checkpoints.key
    stolen = Signer(key.name, house.service.ring.log_keys().current)
    assert stolen.key.text == key.text
    leaves = [leaf for _, leaf in reading.leaves(house.service.database.reading, house.size())]
    return Story(stolen, leaves)


def tell_otherwise(house: Living, insider: Insider, signer: Signer) -> None:
    """Make everything on this machine fit the entries as they are: tiles, head, checkpoints, lock store."""
    insider.rebuild()
    size = int(insider.one("SELECT size FROM audit_head"))
    top = bytes(insider.one("SELECT root FROM audit_head"))
    note = sign(signer, Checkpoint(signer.key.name, size, top))
    insider.run("DELETE FROM audit_checkpoint")
    insider.run("DELETE FROM audit_subject WHERE leaf_index >= :s", s=size)
    insider.run("INSERT INTO audit_checkpoint (size, note, t) VALUES (:s, :n, 0)", s=size, n=note)
    connection = connection_to(house.settings.lock_store)
    connection.execute("UPDATE lock SET body = ?", (note,))
    connection.close()


def post(port: int, path: str, body: bytes) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", path, body)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


# --- sinks


@dataclass
class Silent:
    """A server that takes what it is sent and answers only when it is let go."""

    port: int = 0
    asked: list[str] = field(default_factory=list)
    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    let_go: threading.Event = field(default_factory=threading.Event)


@contextmanager
def silent() -> Iterator[Silent]:
    stage = Silent()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            stage.asked.append(self.path)
            stage.arrived.release()
            stage.let_go.wait(100)
            with suppress(OSError):  # whoever asked may have given up
                self.send_response(503)
                self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    stage.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield stage
    finally:
        stage.let_go.set()
        server.shutdown()
        thread.join()
        server.server_close()


# --- disks


class TinyDisk:
    """The disk under one SQLite file: every connection learns how much it may still take."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._most = 2**31
        self._connections: list[apsw.Connection] = []

    def __call__(self, connection: apsw.Connection) -> None:
        """Take part in the opening of a connection (``apsw.connection_hooks``)."""
        if connection.filename == self._path:
            self._connections.append(connection)
            self._tell(connection)

    def _tell(self, connection: apsw.Connection) -> None:
        connection.execute(f"PRAGMA max_page_count = {self._most}")

    def fill(self) -> None:
        """From now on the file cannot become larger than it is."""
        self._most = 1
        self._all()

    def give_space(self) -> None:
        self._most = 2**31
        self._all()

    def _all(self) -> None:
        for one in self._connections:
            with suppress(apsw.ConnectionClosedError):
                self._tell(one)


def environment_of(house: Living, **more: str) -> dict[str, str]:
    """What the commands of this house are told by their environment."""
    return {"GOVERNANCE_HOME": str(house.settings.home), "GOVERNANCE_DATABASE_URL": house.url, **more}


Deed = Callable[[Insider, int, int], object]
"""What an insider does to a log that was signed at two sizes."""
Governance = Callable[..., Ran]
"""Runs a command of the house; ``url`` names another database than the house's own."""
