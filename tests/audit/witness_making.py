"""A growing log, a witness and requests to it, for the tests of both. Everybody here is fictional."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from audit_making import NOW, ORIGIN, a_read, a_signer

from audit import ledger
from audit.checkpoint import Cosigner, Signer, sign
from audit.lockstore import LockStore
from audit.note import Checkpoint, Key
from audit.policyfile import Policy, parse_policy
from audit.publishing import first_note, publish
from audit.tiles import grow, node_reader
from audit.tree import EMPTY, consistency, extend, leaf_hash, root
from audit.witness import Answer, write_request
from governance.database import Database
from governance.egress import Egress
from governance.loopback import serving
from governance.witnessing import Target, Witnessing
from governance.witnessserver import application, make_home, open_home
from governance.witnesstargets import WitnessTarget

WITNESS = "witness.example/compliance"
SECONDS = 1_770_000_000


def a_cosigner(name: str = WITNESS, seed: int = 9) -> Cosigner:
    """A witness's key that is used nowhere else."""
    return Cosigner(name, bytes([seed]) * 32)


@dataclass
class GrowingLog:
    """A log of numbered leaves that can tell its state and its proofs at every size."""

    signer: Signer = field(default_factory=a_signer)
    origin: str = ORIGIN
    word: str = "leaf"

    def hashes(self, size: int) -> list[bytes]:
        return [leaf_hash(f"{self.word} {number}".encode()) for number in range(size)]

    def checkpoint(self, size: int) -> Checkpoint:
        return Checkpoint(self.origin, size, root(extend(EMPTY, self.hashes(size))))

    def note(self, size: int) -> str:
        return sign(self.signer, self.checkpoint(size))

    def proof(self, old: int, size: int) -> tuple[bytes, ...]:
        tiles = {(one.level, one.number): one.data for one in grow(0, self.hashes(size), lambda *_: b"")}
        return consistency(old, size, node_reader(lambda level, at: tiles.get((level, at), b"")))

    def request(self, old: int, size: int) -> bytes:
        return write_request(old, self.proof(min(old, size), size), self.note(size))


@dataclass
class Stage:
    """A log that is published, with a clock that a test moves."""

    database: Database
    lock: LockStore
    now: int = NOW
    made: int = 0

    def clock(self) -> int:
        return self.now

    def grow(self, many: int = 1) -> int:
        """Append and publish; return the size."""
        with self.database.transaction() as tx:
            ledger.append(tx, [a_read(self.made + at) for at in range(many)])
            tx.commit()
        self.made += many
        return publish(self.database.transaction, a_signer(), self.lock, self.now).checkpoint.size

    def witnessing(self, policy: Policy, *copies: Target) -> Witnessing:
        inside = Egress(inside=True)
        asked = [WitnessTarget(self.database, one, inside, self.clock) for one in policy.witnesses]
        return Witnessing(self.database, policy, [*asked, *copies], self.clock)

    def result(self, witnessing: Witnessing) -> str:
        witnessing.step(witnessing.targets[0])
        return witnessing.tellings()[0].result


def a_stage(database: Database, folder: Path) -> Stage:
    """An empty log in an empty database, with its lock store."""
    with database.transaction() as tx:
        ledger.create(tx, ORIGIN)
        tx.commit()
    return Stage(database, LockStore.create(folder / "lock.sqlite", first_note(ORIGIN, a_signer())))


@dataclass
class Played:
    """A witness that answers as a test says, and remembers what it was asked."""

    port: int = 0
    answer: Callable[[bytes], Answer] = lambda _: Answer(500, "")
    asked: list[bytes] = field(default_factory=list)
    arrived: threading.Event = field(default_factory=threading.Event)


@contextmanager
def playing(played: Played) -> Iterator[Played]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            played.asked.append(body)
            played.arrived.set()
            answer = played.answer(body)
            self.send_response(answer.status)
            self.send_header("content-type", answer.type)
            self.end_headers()
            self.wfile.write(answer.body.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    played.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield played
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def real_witnesses(folder: Path, *names: str) -> Iterator[dict[str, tuple[Key, int]]]:
    """Serve witnesses of these names; gives key and port of each."""
    with ExitStack() as stack:
        served = {}
        for name in names:
            key = make_home(folder / name, f"{name}.example/w")
            app = application(open_home(folder / name, [a_signer().key]), lambda: SECONDS)
            served[name] = (key, stack.enter_context(serving(app, 0)))
        yield served


def policy_of(served: dict[str, tuple[Key, int]], needed: str = "all") -> Policy:
    lines = [f"witness {name} {key.text} http://127.0.0.1:{port}\n" for name, (key, port) in served.items()]
    return parse_policy(f"{''.join(lines)}group g {needed} {' '.join(served)}\nquorum g\n")
