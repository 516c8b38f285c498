"""How quickly consents of other systems come in, beside the bare inserts of the same rows in the same run.

``measure()`` gives rows of bench.json. Ours is the whole import of a CSV file on SQLite with durable
commits: strict reading, authority and standing of each act, events, one log entry and one announcement each,
and the report. The floor inserts as many rows of the same events with no question asked.
"""

from __future__ import annotations

import csv
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

import apsw

from governance.settings import read_settings
from governance.times import rfc3339
from governance.wiring import Service, assemble, initialise
from policies.book import packaged_rules
from policies.identifiers import Prefix, new_id
from policies.terms import HouseholdId, MemberId, Role

MEMBERS, EACH = 2_500, 4
GOAL = 2_000
Row = dict[str, Any]


def town(service: Service) -> list[str]:
    """Enter members of many households, with their birth dates."""
    now = service.clock() - 60_000
    members = []
    with service.database.transaction() as tx:
        for _ in range(MEMBERS // 4):
            home = HouseholdId(new_id(Prefix.HOUSEHOLD))
            service.lifecycle.add_household(tx, home, now)
            for _ in range(4):
                member = MemberId(new_id(Prefix.MEMBER))
                service.lifecycle.add_member(
                    tx, member, home, (Role("adult_member"),), date(1986, 5, 17), now
                )
                members.append(member)
        tx.commit()
    return members


def write(file: Path, members: list[str], now: int) -> None:
    """Write the file, in the order in which a system that exports by date would: members mixed."""
    with file.open("w", encoding="utf-8", newline="") as out:
        table = csv.writer(out)
        table.writerow(("member", "purpose", "categories", "notice", "given_at", "confirmed_at", "evidence"))
        for turn in range(EACH):
            for number, member in enumerate(members):
                given = now - 86_400_000 * 100 + turn * 60_000
                notice = "archive.health@3#" + "5" * 64  # of the system that the consents come from
                when = (rfc3339(given), rfc3339(given + 30_000))
                table.writerow(
                    (member, "service.health", "health.record", notice, *when, f"a/{turn}/{number}")
                )


def floor_per_s(folder: Path, source: Path, members: list[str]) -> float:
    """Insert the events of as many consents into a bare table, two hundred consents a durable commit."""
    events = apsw.Connection(str(source)).execute("SELECT * FROM consent_event").fetchall()
    bare = apsw.Connection(str(folder / "bare.sqlite"))
    bare.execute("PRAGMA journal_mode=WAL")
    bare.execute("PRAGMA synchronous=FULL")
    places = ",".join("?" * len(events[0]))
    bare.execute(f"CREATE TABLE t ({','.join(f'c{n}' for n in range(len(events[0])))}, PRIMARY KEY (c0, c1))")
    begun = time.perf_counter()
    for start in range(0, len(events), 600):
        bare.execute("BEGIN IMMEDIATE")
        bare.executemany(f"INSERT INTO t VALUES ({places})", events[start : start + 600])
        bare.execute("COMMIT")
    return len(members) * EACH / (time.perf_counter() - begun)


def measure() -> list[Row]:
    """Return the rows of this bench."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = read_settings({"GOVERNANCE_HOME": str(folder / "home")}, packaged_rules())
        initialise(settings)
        service = assemble(settings)
        try:
            members = town(service)
            file = folder / "consents.csv"
            write(file, members, service.clock())
            with (folder / "report.jsonl").open("w+", encoding="utf-8") as report:
                begun = time.perf_counter()
                tally = service.importing.run(file, report)
                ours = tally.imported / (time.perf_counter() - begun)
            assert (tally.imported, tally.refused) == (MEMBERS * EACH, 0)
        finally:
            service.close()
        floor = floor_per_s(folder, settings.home / "governance.sqlite", members)
    return [
        {
            "id": "consent.import",
            "what": f"{MEMBERS * EACH:,} consents imported from CSV, SQLite, durable",
            "value": round(ours),
            "unit": "1/s",
            "beside": "bare inserts of the same events",
            "beside_value": round(floor),
            "ratio": round(floor / ours, 1),
            "goal": f">= {GOAL:,} 1/s",
            "meets": ours >= GOAL,
        }
    ]


if __name__ == "__main__":
    for one in measure():
        print(one)
