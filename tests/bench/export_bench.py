"""Verifying a whole log from its bytes, beside hashing the same bytes alone; making and verifying a bundle.

``measure()`` gives rows of bench.json. The log lies in a SQLite file with full durability, made by the
service's own append, with entries as the walks write them.
"""

from __future__ import annotations

import io
import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, Final

from audit import bundle, checkpoint, ledger
from audit.bundlecheck import check_bundle
from audit.entry import Actor, ActorType, Entry, FieldOutcome, Kind, Party, Verdict
from audit.lockstore import LockStore
from audit.publishing import first_note, publish
from audit.reading import leaves, verify_database
from audit.tree import EMPTY, extend, leaf_hash
from governance.checkpoints import Checkpoints
from governance.database import Database
from governance.logsource import LogSource
from governance.schema import migrate
from governance.wiring import open_database
from policies.identifiers import Prefix, new_id
from policies.terms import Effect
from redaction.logkeys import LogKeys

ENTRIES: Final = 200_000
BATCH: Final = 1_000
ROUNDS: Final = 3
ORIGIN: Final = "bench.example/audit/main"
KEY: Final = bytes(range(32))


class OneKey:
    """A ring of one key that is never replaced."""

    def log_keys(self) -> LogKeys:
        return LogKeys(KEY)

    def prepare_rotation(self, since: int) -> LogKeys:
        raise AssertionError(since)

    def finish_rotation(self, last: int) -> LogKeys:
        raise AssertionError(last)


NOW: Final = 1_795_312_800_000
SERVICE, STAFF = new_id(Prefix.SERVICE), new_id(Prefix.STAFF)
PEOPLE: Final = tuple(os.urandom(16) for _ in range(500))
Row = dict[str, Any]


def entry(number: int) -> Entry:
    """A read of three fields by staff through a service, as the walk of reads writes it."""
    return Entry(
        t=NOW + number,
        kind=Kind.DECISION,
        act="read",
        dec=Verdict.DENY if number % 7 == 0 else Verdict.PERMIT,
        actor=Actor(Party(ActorType.SERVICE, SERVICE), ("agent",), "assigned", Party(ActorType.STAFF, STAFF)),
        decision=new_id(Prefix.DECISION),
        subjects=(PEOPLE[number % len(PEOPLE)],),
        fields=(
            FieldOutcome("name", Effect.SHOW, ("rule_allows",), ("g12",)),
            FieldOutcome("mobile", Effect.MASK, ("masked_by_rule",), ("g13",)),
            FieldOutcome("email", Effect.HIDE, ("no_consent",), ("g14",)),
        ),
        purpose="service.household",
        policy="ab" * 32,
        request=new_id(Prefix.REQUEST),
        n=2,
    )


def filled(folder: Path) -> tuple[Database, LockStore]:
    """Return a database whose log has ENTRIES entries, signed a few times on the way."""
    url = f"sqlite:///{folder}/log.sqlite"
    migrate(url)
    database = open_database(url)
    signer = checkpoint.Signer(ORIGIN, KEY)
    lock = LockStore.create(folder / "lock", first_note(ORIGIN, signer))
    with database.transaction() as tx:
        ledger.create(tx, ORIGIN)
        tx.commit()
    for start in range(0, ENTRIES, BATCH):
        with database.transaction() as tx:
            ledger.append(tx, [entry(number) for number in range(start, start + BATCH)])
            tx.commit()
        if start % 20_000 == 0:
            publish(database.transaction, signer, lock, NOW + start)
    publish(database.transaction, signer, lock, NOW + ENTRIES)
    return database, lock


def seconds(work: object) -> float:
    assert callable(work)
    spent = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        work()
        spent.append(time.perf_counter() - begun)
        print(".", end="", flush=True)
    return median(spent)


def measure() -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        database, lock = filled(folder)
        try:
            return rows(database, lock, folder)
        finally:
            database.close()


def rows(database: Database, lock: LockStore, folder: Path) -> list[Row]:
    key = checkpoint.Signer(ORIGIN, KEY).key

    def verify() -> None:
        report = verify_database(database.reading, [key], lock.body())
        assert (int(report.exit), report.size) == (0, ENTRIES)

    def hash_alone() -> None:
        tree = EMPTY
        for _, leaf in leaves(database.reading, ENTRIES):
            tree = extend(tree, [leaf_hash(leaf)])
        assert tree.size == ENTRIES

    floor, whole = ENTRIES / seconds(hash_alone), ENTRIES / seconds(verify)
    unseen = Checkpoints(database, OneKey(), folder / "lock")
    source = LogSource(database, unseen, lambda _tx, _size, note: note)
    return [
        row("log.verify", f"verifying a whole log of {ENTRIES:,} entries", whole, "reading and hashing alone",
            floor, ">= 50,000 entries/s", meets=whole >= 50_000),
        *bundle_rows(source),
    ]  # fmt: skip


def bundle_rows(source: LogSource) -> list[Row]:
    """Measure a bundle of a tenth of the log; told as information, there is no goal."""
    share = ENTRIES // 10
    order = bundle.Order(0, share, "2026-11-24T00:00:00Z")
    made: list[bytes] = []

    def make() -> None:
        made[:] = bundle.pieces(source.source(ENTRIES), order, lambda _done, _of: None)

    def check() -> None:
        found = check_bundle(io.BytesIO(b"".join(made)), checkpoint.check)
        assert int(found.report.exit) == 0

    making, checking = share / seconds(make), share / seconds(check)
    return [
        row("bundle.make", f"making a bundle of {share:,} entries", making, "verifying it", checking),
        row("bundle.verify", "verifying that bundle as verify.py does", checking, "making it", making),
    ]  # fmt: skip


def row(
    id_: str,
    what: str,
    value: float,
    beside: str,
    beside_value: float,
    goal: str = "told",
    *,
    meets: bool = True,
) -> Row:
    return {
        "id": id_, "what": what, "value": round(value), "unit": "entries/s", "beside": beside,
        "beside_value": round(beside_value), "ratio": round(value / beside_value, 3), "goal": goal,
        "meets": bool(meets),
    }  # fmt: skip


if __name__ == "__main__":
    for one in measure():
        print(one)
