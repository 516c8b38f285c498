"""How long a page of the officers' search takes over a million entries, on SQLite.

The log is generated and appended in large batches; its index is written in the order of the key. The
questions are a mix: common and rare terms, conjunctions of both, of two common ones that rarely or never
meet, exclusions alone and with others, times wide, narrow and empty, and people. Beside it stands one page of
the newest entries, read by their numbers and decoded, without any search.
"""

from __future__ import annotations

import os
import random
import statistics
import tempfile
import time
from array import array
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import insert

from audit import indexing, ledger, matching, searching
from audit.entry import (
    Actor,
    ActorType,
    Basis,
    Entry,
    FieldOutcome,
    Kind,
    Party,
    Verdict,
)
from audit.records import AuditSpan, AuditTerm
from audit.search import parse
from governance.database import Database
from governance.schema import migrate
from governance.wiring import open_database
from policies.terms import Effect

ENTRIES = int(os.environ.get("SEARCH_ENTRIES", "1000000"))
PAGE = 50
ROUNDS = 5
GOAL_MS = 100
START = 1_767_225_600_000
STEP = 7_000
"""Milliseconds between two entries: a million of them are 81 days."""
PIECE = 5_000

_dice = random.Random(20_260_101)  # the same log and the same questions each time


def _id(prefix: str, number: int) -> str:
    return f"{prefix}01900000-0000-7000-8000-{number:012x}"


STAFF = [_id("stf_", number) for number in range(400)]
SERVICES = [_id("svc_", number) for number in range(12)]
MEMBERS = [_dice.randbytes(16) for _ in range(40_000)]
HOMES = [_dice.randbytes(16) for _ in range(12_000)]
FIELDS = [
    "name",
    "mobile",
    "email",
    "address",
    "birth_date",
    "blood_pressure",
    "allergy",
    "schedule",
    "notes",
]
PURPOSES = ["service.delivery", "service.health", "marketing.direct", "account.manage", "legal.compliance"]
REFUSED = ["no_consent", "no_rule", "not_available", "minor_protected", "revoked"]


def entry(number: int) -> Entry:
    """Return one entry of the generated log: nine of ten are reads, a tenth of those denied."""
    dice = random.Random(number)
    kind = dice.random()
    who = Party(ActorType.SERVICE, SERVICES[min(int(dice.expovariate(0.5)), 11)])
    person = Party(ActorType.STAFF, STAFF[min(int(dice.expovariate(0.02)), 399)])
    member = dice.randrange(len(MEMBERS))
    common = {
        "t": START + number * STEP + dice.randrange(3_000),
        "subjects": (MEMBERS[member],),
        "household": HOMES[member % len(HOMES)],
        "purpose": PURPOSES[min(int(dice.expovariate(0.9)), 4)],
        "policy": "ab" * 32,
        "request": _id("req_", number),
        "salt": dice.randbytes(16),
        "id": _id("aud_", number),
    }
    if kind < 0.9:
        denied = dice.random() < 0.1
        why = (REFUSED[min(int(dice.expovariate(1.2)), 4)],) if denied else ("rule_allows",)
        effect = Effect.HIDE if denied else Effect.SHOW
        fields = tuple(
            FieldOutcome(name, effect, why, (f"S-{dice.randrange(60):02}",))
            for name in dice.sample(FIELDS, 2)
        )
        return Entry(
            kind=Kind.DECISION,
            act="read",
            dec=Verdict.DENY if denied else Verdict.PERMIT,
            actor=Actor(who, ("agent",), "assigned", person),
            decision=_id("dec_", number),
            fields=fields,
            basis=None if denied else Basis((_id("con_", member),)),
            n=0 if denied else 2,
            **common,
        )
    act = ("consent.confirmed", "consent.withdrawn", "write", "deliver", "records.hidden", "log.read")[
        min(int(dice.expovariate(0.8)), 5)
    ]
    return Entry(
        kind=Kind.AUDIT if act == "log.read" else Kind.CHANGE,
        act=act,
        dec=Verdict.PERMIT,
        actor=Actor(person, ("compliance_officer",)),
        **common,
    )


def fill(database: Database, size: int) -> None:
    """Put a log of ``size`` entries and its index into an empty database."""
    terms: dict[int, array[int]] = {}
    spans: dict[int, list[int]] = {}
    with database.transaction() as tx:
        ledger.create(tx, "bench.example/audit")
        tx.commit()
    for first in range(0, size, PIECE):
        some = [(number, entry(number)) for number in range(first, min(first + PIECE, size))]
        with database.transaction() as tx:
            ledger.append(tx, [one for _, one in some])
            tx.commit()
        for number, one in some:
            for term in matching.terms(one):
                terms.setdefault(term, array("q")).append(number)
            span = spans.setdefault(number // indexing.BLOCK, [number, one.t, one.t])
            span[:] = [number + 1, min(span[1], one.t), max(span[2], one.t)]
    with database.transaction() as tx:
        for rows in _in_order(terms):
            tx.run(insert(AuditTerm.__table__), rows)
        tx.run(
            insert(AuditSpan.__table__),
            [
                {"block": block, "upto": upto, "earliest": low, "latest": high}
                for block, (upto, low, high) in spans.items()
            ],
        )
        tx.commit()


def _in_order(terms: dict[int, array[int]]) -> Iterator[list[dict[str, int]]]:
    rows: list[dict[str, int]] = []
    for term in sorted(terms):
        rows += [{"term": term, "leaf_index": number} for number in terms[term]]
        if len(rows) >= PIECE * 10:
            yield rows
            rows = []
    if rows:
        yield rows


def questions(size: int) -> dict[str, str]:
    """Return the mix, by what each question is like."""
    member, home, other = MEMBERS[7].hex(), HOMES[7].hex(), MEMBERS[20_001].hex()
    middle, day = START + size // 2 * STEP, 86_400_000

    def moment(at: int) -> str:
        return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(at / 1000))}Z"

    return {
        "everything": "",
        "common": "action:read",
        "common, dotted": "action:consent.* purpose:service.*",
        "rare": "reason:revoked",
        "two common": "decision:deny purpose:service.delivery",
        "common and rare": f"action:read actor:{STAFF[399]}",
        "rare pair": f"actor:{STAFF[200]} reason:revoked field:allergy",
        "never together": "action:consent.withdrawn reason:rule_allows",
        "never, both large": f"kind:change field:name decision:permit actor:{SERVICES[0]}",
        "not known": "reason:nothing_like_it",
        "one person": f"member:{member}",
        "one person, denied": f"member:{member} decision:deny",
        "one household": f"household:{home}",
        "two people, one staff": f"member:{member} member:{other} actor:{STAFF[0]}",
        "excluding the most": "-action:read",
        "excluding all but little": "-decision:permit -reason:no_consent -reason:no_rule",
        "excluding everything": "-kind:decision -kind:change -kind:audit",
        "one day": f"created:>={moment(middle)} created:<{moment(middle + day)} action:read",
        "one minute": f"created:>={moment(middle)} created:<{moment(middle + 60_000)}",
        "a time before the log": "created:<2020-01-01",
        "a wide time, rare": f"created:<{moment(middle)} reason:revoked field:notes",
        "one entry": f"decision:{_id('dec_', size // 3)}",
        "a request": f"request:{_id('req_', size // 5)}",
        "a rule in a stretch": f"index:>={size // 4} index:<{size // 2} rule:S-07",
    }


def _timed(database: Database, line: str, before: int | None) -> tuple[float, searching.Page]:
    begun = time.perf_counter()
    with database.reading() as tx:
        page = searching.page(tx, parse(line), before, PAGE)
    return (time.perf_counter() - begun) * 1000, page


def measure() -> list[dict[str, object]]:
    """Return the rows of this bench, as ``run.py`` prints them."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'bench.sqlite'}"
        migrate(url)
        database = open_database(url)
        try:
            fill(database, ENTRIES)
            return [*_pages(database), _catching_up(database)]
        finally:
            database.close()


def _pages(database: Database) -> list[dict[str, object]]:
    spent: list[float] = []
    plain: list[float] = []
    with_facets: list[float] = []
    for _ in range(ROUNDS):
        for name, line in questions(ENTRIES).items():
            before: int | None = None
            for _page in range(3):  # a first page, and two that go on from a cursor
                took, page = _timed(database, line, before)
                spent.append(took)
                before = page.next
                if os.environ.get("SEARCH_TELL"):
                    print(f"{name:<26} {took:7.1f} ms  {len(page.hits):>3} found  on from {before}")
                if before is None:
                    break
        begun = time.perf_counter()
        with database.reading() as tx:
            assert len(ledger.recent(tx, None, PAGE)) == PAGE
        plain.append((time.perf_counter() - begun) * 1000)
        begun = time.perf_counter()
        with database.reading() as tx:
            searching.facets(searching.page(tx, parse("decision:deny"), None, searching.FACETS_OVER))
        with_facets.append((time.perf_counter() - begun) * 1000)
    spent.sort()
    p95 = spent[int(len(spent) * 0.95)]
    beside = statistics.median(plain)
    return [
        _row(
            "search.page",
            f"a page of a filtered search over {ENTRIES:,} entries, p95 of a mix",
            p95,
            "the newest entries, unfiltered",
            beside,
            f"<= {GOAL_MS} ms",
            p95 <= GOAL_MS,
        ),
        _row(
            "search.facets",
            f"counts over the newest {searching.FACETS_OVER} that fit",
            statistics.median(with_facets),
            "the newest entries, unfiltered",
            beside,
            f"<= {GOAL_MS} ms",
            statistics.median(with_facets) <= GOAL_MS,
        ),
    ]


def _catching_up(database: Database) -> dict[str, object]:
    """Index a thousand new entries into the full index: what a second of busy serving leaves behind."""
    new = 1_000
    with database.transaction() as tx:
        begun = time.perf_counter()
        ledger.append(tx, [entry(ENTRIES + number) for number in range(new)])
        appended = (time.perf_counter() - begun) * 1000
        tx.commit()
    begun = time.perf_counter()
    done = indexing.keep_up(database.reading, database.transaction, new)
    spent = (time.perf_counter() - begun) * 1000
    return _row(
        "search.index",
        f"indexing {done:,} new entries",
        spent,
        "appending them",
        appended,
        "< 1,000 ms",
        spent < 1_000,
    )


def _row(
    id_: str, what: str, value: float, beside: str, beside_value: float, goal: str, meets: bool
) -> dict[str, object]:
    return {
        "id": id_,
        "what": what,
        "value": round(value, 1),
        "unit": "ms",
        "beside": beside,
        "beside_value": round(beside_value, 1),
        "ratio": round(value / beside_value, 2) if beside_value else None,
        "goal": goal,
        "meets": meets,
    }


if __name__ == "__main__":
    for one in measure():
        print(one)
