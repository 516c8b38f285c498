"""How long a proof takes, and an incident dossier, over a log of a million entries.

``measure()`` gives rows of bench.json. The log is made of real leaves, tiles and head, written in bulk into
SQLite; what is timed is what the service runs. Beside the proof stands its verification alone, beside the
dossier the bare reading of the same leaves. Median of five for proofs; a dossier is timed once.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter
from typing import Any

import apsw

from audit import checkpoint, leafscan, ledger, proof, proving, sequencing
from audit.checkpoint import Signer
from audit.entry import Actor, ActorType, Entry, FieldOutcome, Kind, Party, Verdict, encode
from audit.exposure import NEVER, Exposure, Wanted
from audit.leafscan import Damage
from audit.note import Checkpoint
from audit.proving import Signed
from audit.reading import leaves
from audit.tiles import grow
from audit.tree import EMPTY, extend, leaf_hash, root
from governance.schema import migrate
from governance.sqlite import SqliteDatabase
from policies.terms import Effect

SIZE, PEOPLE, STAFF = 1_000_000, 50_000, 50
PROOFS, GOAL_PROOF_MS, GOAL_DOSSIER_S = 200, 5, 10
GOAL_THOROUGH_S = 60
"""Our own: every leaf decoded and compared with the tree, everybody counted."""
ORIGIN = "bench.example/audit/main"
SERVICE = "svc_01900000-0000-7000-8000-000000000001"
Row = dict[str, Any]


def staff(number: int) -> str:
    return f"stf_01900000-0000-7000-8000-{number % STAFF:012d}"


def entries(count: int) -> Iterator[Entry]:
    """Reads of two fields through a CRM by fifty people of staff; two of them look after each member."""
    chance = Random(5)
    people = [chance.randbytes(16) for _ in range(PEOPLE)]
    fields = (
        FieldOutcome("mobile", Effect.MASK, ("masked_by_rule",), ("S-AG-01",)),
        FieldOutcome("name", Effect.SHOW, ("rule_allows",), ("S-AG-01",)),
    )
    for number in range(count):
        person = chance.randrange(PEOPLE)
        who = Party(ActorType.STAFF, staff(person + chance.randrange(2)))
        yield Entry(
            t=1_770_000_000_000 + number,
            kind=Kind.DECISION,
            act="read",
            dec=Verdict.PERMIT,
            actor=Actor(Party(ActorType.SERVICE, SERVICE), ("agent",), "assigned", who),
            decision=f"dec_01900000-0000-7000-8000-{number:012d}",
            subjects=(people[person],),
            fields=fields,
            purpose="service.delivery",
            policy="ab" * 32,
            request=f"req_01900000-0000-7000-8000-{number:012d}",
            n=2,
        )


def fill(path: Path, count: int) -> None:
    """Write leaves, copies, tiles and head in one go, past the ledger: making the log is not timed."""
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("DROP TRIGGER IF EXISTS audit_entry_no_insert")
    columns = ["leaf_index", "leaf", *sequencing.copies(next(entries(1)))]
    marks = ", ".join(f":{name}" for name in columns)
    hashes = []

    def rows() -> Iterator[dict[str, object]]:
        for index, entry in enumerate(entries(count)):
            leaf = encode(entry)
            hashes.append(leaf_hash(leaf))
            # APSW binds plain texts, not members of an enum.
            copied = {name: f"{value}" for name, value in sequencing.copies(entry).items()} | {"t": entry.t}
            yield {"leaf_index": index, "leaf": leaf, **copied}

    with connection:
        connection.executemany(f"INSERT INTO audit_entry ({', '.join(columns)}) VALUES ({marks})", rows())
        connection.executemany(
            "INSERT INTO audit_tile (level, idx, data) VALUES (?, ?, ?)",
            ((tile.level, tile.number, tile.data) for tile in grow(0, hashes, lambda _level, _index: b"")),
        )
        tree = extend(EMPTY, hashes)
        connection.execute(
            "INSERT INTO audit_head (log_id, origin, size, frontier, root) VALUES (0, ?, ?, ?, ?)",
            (ORIGIN, count, b"".join(tree.hashes), root(tree)),
        )
    connection.close()


def proofs(database: SqliteDatabase, count: int) -> Row:
    """Prove and verify single entries, each in a reading transaction of its own, with a cold tile cache."""
    signer, chance = Signer(ORIGIN, bytes([7]) * 32), Random(6)
    with database.reading() as tx:
        head = ledger.head(tx)
    said = Checkpoint(head.origin, head.size, head.root)
    signed = Signed(checkpoint.sign(signer, said), said, 0)
    whole, checked = [], []
    for _ in range(PROOFS):
        index = chance.randrange(count)
        begun = perf_counter()
        with database.reading() as tx:
            made = proving.inclusion_proof(tx, index, None, signed)
        file = proof.write(made)
        between = perf_counter()
        proof.verify(file, made.extra, [signer.key], checkpoint.check)
        ended = perf_counter()
        whole.append((ended - begun) * 1e3)
        checked.append((ended - between) * 1e3)
    value = median(whole)
    return {
        "id": "audit.proof",
        "what": f"inclusion proof at {count:,} entries, proved and verified",
        "value": round(value, 3),
        "unit": "ms",
        "beside": "verifying it alone",
        "beside_value": round(median(checked), 3),
        "ratio": round(value / median(checked), 3),
        "goal": f"<= {GOAL_PROOF_MS} ms",
        "meets": value <= GOAL_PROOF_MS,
    }


def dossiers(database: SqliteDatabase, count: int) -> Iterator[Row]:
    """Add up one person's acts, narrowed by copies, and everybody's from every leaf."""
    begun = perf_counter()
    read = sum(len(leaf) for _, leaf in leaves(database.reading, count))
    bare = perf_counter() - begun
    assert read > count
    everybody = Wanted()
    for id_, what, wanted, thorough, goal in (
        (
            "audit.exposure",
            "dossier on one person of fifty",
            Wanted(staff(7)),
            False,
            GOAL_DOSSIER_S,
        ),
        (
            "audit.exposure.all",
            "dossier on everybody, every leaf read",
            everybody,
            True,
            GOAL_THOROUGH_S,
        ),
    ):
        damage, found = Damage(), Exposure(wanted)
        begun = perf_counter()
        some = (
            leafscan.everything(database.reading, count, damage)
            if thorough
            else leafscan.narrowed(database.reading, wanted.actor, 0, NEVER, count)
        )
        found.take(leafscan.sound(database.reading, some, damage))
        figures = found.figures(lambda name: name)
        spent = perf_counter() - begun
        assert not damage.count
        assert figures.fields
        yield {
            "id": id_,
            "what": f"{what}, {count:,} entries",
            "value": round(spent, 3),
            "unit": "s",
            "beside": "reading the leaves alone",
            "beside_value": round(bare, 3),
            "ratio": round(spent / bare, 3),
            "goal": f"<= {goal} s",
            "meets": spent <= goal,
        }


def measure(count: int = SIZE) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.sqlite"
        migrate(f"sqlite:///{path}")
        fill(path, count)
        database = SqliteDatabase(path)
        try:
            return [proofs(database, count), *dossiers(database, count)]
        finally:
            database.close()
