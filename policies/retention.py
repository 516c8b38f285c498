"""How long a value may be kept and used: days by field, and by field and purpose, from ``retention.toml``.

Pure. Validity is half-open, ``[written, written + days)``, and is computed when a decision is made: from
that instant on a value is as absent, whether or not a sweep has come by (个人信息保护法 第十九条). A value of
a sensitive or closed category must have an end, so rules that give it none do not start. The log has a term
of its own, three years where the file names none, and never one below the floor.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from policies.entries import FieldEntry
from policies.rulefile import Entry, Fault, Schema, read_entries
from policies.terms import FieldName, Purpose, Tier

_SCHEMAS: Final = {
    "retention": Schema(frozenset({"field", "days", "source"}), frozenset({"purpose"})),
    "log": Schema(frozenset({"days", "source"})),
}
LOG_FLOOR_DAYS: Final = 183
"""Six months at least (网络安全法 第二十一条第三项); ``audit.pruned`` has the same floor."""
_GRAVE: Final = frozenset({Tier.SENSITIVE, Tier.CLOSED})
_LONGEST: Final = 36_500
_DAY_MS: Final = 86_400_000


class Keep(NamedTuple):
    """For how many days, and where that comes from."""

    days: int
    source: str


THREE_YEARS: Final = Keep(
    1096,
    "个人信息保护法 第五十六条第二款；网络数据安全管理条例 第十二条第一款：处理情况记录至少保存三年",
)
"""How long bodies of the log are kept where the rules do not say: three years hold up to 1096 days."""


@dataclass(frozen=True, slots=True)
class Retention:
    """Every row. The key's purpose is None where the row ends the value itself; ``log`` is the log's own."""

    rows: Mapping[tuple[FieldName, Purpose | None], Keep] = field(
        default_factory=lambda: MappingProxyType({})
    )
    log: Keep = THREE_YEARS

    def ends_at(self, name: FieldName, purpose: Purpose | None, written_at: int) -> int | None:
        """Return the instant from which a value is as absent for a purpose; None if it has no end.

        With no purpose: the instant from which the value itself is to be deleted.
        """
        keys = {(name, None), (name, purpose)}
        days = [self.rows[key].days for key in keys if key in self.rows]
        return written_at + min(days) * _DAY_MS if days else None

    def lapsed(self, name: FieldName, purpose: Purpose | None, written_at: int, now: int) -> bool:
        """Say whether a value's time is over."""
        end = self.ends_at(name, purpose, written_at)
        return end is not None and now >= end

    def cutoffs(self, now: int) -> dict[FieldName, int]:
        """Return, for each field that ends, the latest instant of writing that is over by now."""
        return {
            name: now - keep.days * _DAY_MS for (name, purpose), keep in self.rows.items() if purpose is None
        }


NO_RETENTION: Final = Retention()


def read_retention(
    path: Path,
    fields: Mapping[FieldName, FieldEntry],
    purposes: Collection[Purpose],
    faults: list[Fault],
) -> Retention:
    """Read the file; every field and purpose in it must be declared, and every row must matter.

    ``fields`` are those that hold a value. A file that is not there has no rows.
    """
    retention = _rows(path, fields, purposes, faults) if path.is_file() else NO_RETENTION
    for name, entry in fields.items():
        if entry.tier in _GRAVE and (name, None) not in retention.rows:
            text = f"{name} is {entry.tier} and no row ends the value itself"
            faults.append(Fault(path.name, 1, text))
    return retention


def _rows(
    path: Path, names: Collection[FieldName], purposes: Collection[Purpose], faults: list[Fault]
) -> Retention:
    found: dict[tuple[FieldName, Purpose | None], Keep] = {}
    read = read_entries(path, _SCHEMAS, faults, optional={"log"})
    entries = read["retention"]
    for entry in entries:
        name, purpose = FieldName(entry.word("field")), Purpose(entry.word("purpose"))
        if name not in names:
            entry.fault("field", f"unknown field {name!r}")
        if purpose and purpose not in purposes:
            entry.fault("purpose", f"unknown purpose {purpose!r}")
        key = (name, purpose or None)
        if key in found:
            entry.fault("field", f"a second row for {name!r} and this purpose")
        found[key] = Keep(entry.number("days", 1, _LONGEST), entry.text("source"))
    for entry in entries:
        name, purpose = FieldName(entry.word("field")), Purpose(entry.word("purpose"))
        whole = found.get((name, None))
        if purpose and whole is not None and whole.days <= found[name, purpose].days:
            entry.fault("days", "the value itself ends before this row could matter")
    return Retention(MappingProxyType(found), _of_log(read["log"]))


def _of_log(entries: Sequence[Entry]) -> Keep:
    for another in entries[1:]:
        another.fault("days", "a second row for the log")
    return next(
        (Keep(one.number("days", LOG_FLOOR_DAYS, _LONGEST), one.text("source")) for one in entries),
        THREE_YEARS,
    )
