"""Makes entries, keys and public vectors for the tests of the log. Everybody here is fictional."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from audit.checkpoint import Signer
from audit.entry import (
    Actor,
    ActorType,
    Basis,
    Detail,
    Entry,
    FieldOutcome,
    Kind,
    Message,
    Party,
    Verdict,
)
from audit.partitions import WIDTH
from audit.tiles import grow
from audit.tree import EMPTY, extend, leaf_hash, root
from governance.database import Database
from governance.sqlite import SqliteDatabase
from policies.terms import Effect, Outcome

VECTORS = Path(__file__).resolve().parents[3] / "shared" / "vectors"
ORIGIN = "family.example/audit/main"
NOW = 1_770_000_000_000
SERVICE = "svc_01900000-0000-7000-8000-000000000001"
STAFF = "stf_01900000-0000-7000-8000-000000000002"
DECISION = "dec_01900000-0000-7000-8000-000000000003"
WANG = b"pseudonym-wang--"
LI = b"pseudonym-li----"


def vectors(name: str) -> Any:
    """Return a public vector file, or skip the test where the folder is missing."""
    path = VECTORS / name
    if not path.exists():
        pytest.skip("the public vectors are not here")
    return json.loads(path.read_text("utf-8"))


def a_read(number: int = 0, *subjects: bytes, **changes: Any) -> Entry:
    """A read of two fields by a service for a member of staff, at a time that grows with ``number``."""
    parts: dict[str, Any] = {
        "t": NOW + number,
        "kind": Kind.DECISION,
        "act": "read",
        "dec": Verdict.PERMIT,
        "actor": Actor(
            Party(ActorType.SERVICE, SERVICE), ("agent",), "assigned", Party(ActorType.STAFF, STAFF)
        ),
        "subjects": subjects or (WANG,),
        "fields": (
            FieldOutcome("mobile", Effect.MASK, ("masked_by_rule",), ("g12",)),
            FieldOutcome("blood_pressure", Effect.SHOW, ("consent_given",), ("g40",)),
        ),
        "purpose": "service.delivery",
        "n": 2,
    }
    return Entry(**(parts | changes))


def a_full_entry() -> Entry:
    """An entry that uses every part there is."""
    return a_read(
        7,
        WANG,
        LI,
        decision=DECISION,
        why=("own_data",),
        household=b"pseudonym-house-",
        resource="con_01900000-0000-7000-8000-000000000004",
        message=Message("msg_1", "sms", b"\x01" * 32, Outcome.HOLD, ("lex.7", "lex.9")),
        basis=Basis(("con_01900000-0000-7000-8000-000000000004",), "contract"),
        policy="ab" * 32,
        request="请求-1",
        corr="dec_1",
        detail=Detail(1, "k1", b"\x02" * 32),
    )


def a_signer(name: str = ORIGIN, seed: int = 7) -> Signer:
    """A signer with a fixed key that is used nowhere else."""
    return Signer(name, bytes([seed]) * 32)


_GUARDS = {
    True: (
        "SELECT name FROM sqlite_master WHERE type = 'trigger' AND substr(tbl_name, 1, 6) = 'audit_'",
        "DROP TRIGGER {}",
    ),
    False: (
        "SELECT tablename FROM pg_tables WHERE left(tablename, 6) = 'audit_'",
        "ALTER TABLE {} DISABLE TRIGGER ALL",
    ),
}
"""How the guards are listed and dropped, on SQLite and elsewhere."""


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Run the work in as many threads at once; a failure in any of them is the test's."""
    failures: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 - carried to the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


class Insider:
    """Somebody who owns the database: drops the guards and writes what they like."""

    def __init__(self, database: Database) -> None:
        self._database = database
        listing, dropping = _GUARDS[isinstance(database, SqliteDatabase)]
        with database.reading() as tx:
            names = [row[0] for row in tx.rows(text(listing))]
        for name in names:
            self.run(dropping.format(name))

    def run(self, statement: str, **values: object) -> None:
        with self._database.transaction() as tx:
            tx.run(text(statement), values)
            tx.commit()

    def one(self, statement: str, **values: object) -> Any:
        with self._database.reading() as tx:
            return tx.rows(text(statement), values)[0][0]

    def leaf(self, index: int) -> bytes:
        return bytes(self.one("SELECT leaf FROM audit_entry WHERE leaf_index = :i", i=index))

    def put_leaf(self, index: int, leaf: bytes) -> None:
        self.run("UPDATE audit_entry SET leaf = :leaf WHERE leaf_index = :i", i=index, leaf=leaf)

    def alter(self, index: int) -> None:
        self.put_leaf(index, self.leaf(index).replace(b'"permit"', b'"deny"'))

    def swap(self, one: int, other: int) -> None:
        first, second = self.leaf(one), self.leaf(other)
        self.put_leaf(one, second)
        self.put_leaf(other, first)

    def remove(self, first: int, last: int | None = None) -> None:
        span = {"a": first, "b": first if last is None else last}
        self.run("DELETE FROM audit_entry WHERE leaf_index BETWEEN :a AND :b", **span)

    def renumber(self, after: int, by: int) -> None:
        """Move every entry above ``after`` by ``by`` places."""
        far = WIDTH // 2  # where nothing stands, and still in the first piece
        self.run(
            "UPDATE audit_entry SET leaf_index = leaf_index + :by WHERE leaf_index > :a", a=after, by=by + far
        )
        self.run("UPDATE audit_entry SET leaf_index = leaf_index - :far WHERE leaf_index >= :far", far=far)

    def tile(self, level: int, index: int) -> bytes:
        return bytes(self.one("SELECT data FROM audit_tile WHERE level = :l AND idx = :i", l=level, i=index))

    def put_tile(self, level: int, index: int, data: bytes) -> None:
        self.run("UPDATE audit_tile SET data = :d WHERE level = :l AND idx = :i", l=level, i=index, d=data)

    def rebuild(self) -> None:
        """Make tiles and head fit the entries as they are now."""
        with self._database.reading() as tx:
            leaves = [
                bytes(leaf) for (leaf,) in tx.rows(text("SELECT leaf FROM audit_entry ORDER BY leaf_index"))
            ]
        hashes = [leaf_hash(leaf) for leaf in leaves]
        grown = extend(EMPTY, hashes)
        self.run("DELETE FROM audit_tile")
        for tile in grow(0, hashes, lambda _level, _index: b""):
            self.run(
                "INSERT INTO audit_tile (level, idx, data) VALUES (:l, :i, :d)",
                l=tile.level,
                i=tile.number,
                d=tile.data,
            )
        self.run(
            "UPDATE audit_head SET size = :s, frontier = :f, root = :r",
            s=len(hashes),
            f=b"".join(grown.hashes),
            r=root(grown),
        )
