"""Files of consents to import, and what became of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from living import DAY, START, Living

from governance import world
from governance.importing import Tally
from governance.times import rfc3339
from policies.reasons import Reason
from policies.terms import SubjectId

NOTICE = "archive.health@3#" + "5" * 64
"""A notice of the system that the consents come from; nothing is published here under its id."""
GIVEN = START - 10 * DAY
ROW = {
    "member": world.LI_QIANG.id,
    "purpose": "service.health",
    "categories": "health.record",
    "notice": NOTICE,
    "given_at": rfc3339(GIVEN),
    "confirmed_at": rfc3339(GIVEN + 60_000),
    "evidence": "archive/2026/000123",
}


def row(**changes: object) -> dict[str, object]:
    """Return a sound row with changes; None takes a column away."""
    return {name: value for name, value in {**ROW, **changes}.items() if value is not None}


def jsonl(folder: Path, rows: Sequence[Mapping[str, object] | str], name: str = "consents.jsonl") -> Path:
    file = folder / name
    lines = [one if isinstance(one, str) else json.dumps(one, ensure_ascii=False) for one in rows]
    file.write_text("".join(f"{one}\n" for one in lines), encoding="utf-8")
    return file


def run(house: Living, file: Path, **how: Any) -> tuple[Tally, list[dict[str, Any]]]:
    """Import a file; return the tally and the report."""
    path = file.with_suffix(".report")
    path.touch()
    with path.open("r+", encoding="utf-8") as report:
        tally = house.service.importing.run(file, report, **how)
    return tally, [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def consents(house: Living, person: world.Person) -> dict[str, Reason]:
    mine = house.service.consenting.of_member(SubjectId(person.id), house.clock())
    return {consent.consent_id: reason for consent, reason in mine}


def many(count: int) -> list[dict[str, object]]:
    people = (world.LI_QIANG, world.ZHANG_LI, world.GRANDMOTHER, world.ZHOU_MING)
    return [row(member=people[n % 4].id, evidence=f"archive/{n:06}") for n in range(count)]
