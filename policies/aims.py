"""Reads purposes.toml: what data may be used for, on which basis, and what no consent can lift.

Promises that every reference is to something declared, that each purpose stands in a declared group, and
that the prohibitions the law makes are there: an officer may add to them, not drop them. Legal bases are
written out one by one: a category that no basis row names has none (个人信息保护法 第十三条), and a parent's
row does not spread to its children.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from policies.entries import (
    BasisEntry,
    CategoryEntry,
    GroupEntry,
    Prohibition,
    PurposeEntry,
    Title,
)
from policies.reasons import Reason
from policies.rulefile import Entry, Fault, Schema, read_entries, refuse_twins
from policies.terms import Category, Jurisdiction, Purpose, ScreeningPurpose, Tier

CONSENT_AGE: Final = 14
"""Below it a guardian consents (个人信息保护法 第三十一条)."""
MAJORITY: Final = 18
"""Below it the protection of minors holds (未成年人保护法 第二条)."""
TITLES: Final = frozenset({"zh", "en"})

_SCHEMAS: Final = {
    "group": Schema(frozenset({"id"}) | TITLES),
    "purpose": Schema(
        frozenset(
            {
                "id",
                "needs_consent",
                "separate",
                "double_confirm",
                "both_required",
                "profiled",
                "screening",
                "consent_days",
                "retention_days",
                "jurisdiction",
            }
        )
        | TITLES,
        frozenset({"dpv"}),
    ),
    "basis": Schema(frozenset({"purpose", "law", "categories", "under_14", "jurisdiction"})),
    "prohibition": Schema(
        frozenset({"reason", "law"}) | TITLES,
        frozenset({"purpose", "category", "tier", "screening", "profiled", "under", "others"}),
    ),
}
_AIM: Final = ("purpose", "category", "tier", "screening")
_REFUSALS: Final = (Reason.MINOR_PROTECTED, Reason.COMMS_SECRECY)
"""The reasons that a prohibition may give."""

_CHINESE_NUMBER: Final = "[一二三四五六七八九十百千]+"
_PLACE: Final = rf"第{_CHINESE_NUMBER}条(?:第{_CHINESE_NUMBER}款)?(?:第{_CHINESE_NUMBER}项)?"
_ARTICLE: Final = re.compile(rf"[\u4e00-\u9fff]+(?:法|条例|典) {_PLACE}(?:、{_PLACE})*")
_DPV: Final = re.compile(r"(?:dpv|pd):[A-Z][A-Za-z]+")
_LONGEST_CONSENT_DAYS: Final = 365
_LONGEST_RETENTION_DAYS: Final = 36_500


@dataclass(frozen=True, slots=True)
class Aims:
    """Everything that purposes.toml declares."""

    groups: dict[str, GroupEntry]
    purposes: dict[Purpose, PurposeEntry]
    bases: tuple[BasisEntry, ...]
    prohibitions: tuple[Prohibition, ...]


def read_aims(path: Path, categories: Mapping[Category, CategoryEntry], faults: list[Fault]) -> Aims:
    """Read the file; a fault is added for everything that is wrong in it."""
    entries = read_entries(path, _SCHEMAS, faults)
    for kind in ("group", "purpose"):
        refuse_twins(entries[kind], "id")
    groups = {entry.word("id"): _group(entry) for entry in entries["group"]}
    purposes = {Purpose(entry.word("id")): _purpose(entry, groups) for entry in entries["purpose"]}
    for entry in entries["group"]:
        _refuse_misplaced(entry, groups, purposes)
    prohibitions = tuple(
        _prohibition(entry, groups, purposes, categories) for entry in entries["prohibition"]
    )
    if prohibitions:
        _refuse_gaps(entries, purposes, prohibitions)
    bases = tuple(_basis(entry, purposes, categories) for entry in entries["basis"])
    return Aims(groups, purposes, bases, prohibitions)


def title_of(entry: Entry) -> Title:
    """Return what people read, in both languages."""
    return Title(entry.text("zh"), entry.text("en"))


def dpv_of(entry: Entry) -> str:
    """Return the term of the Data Privacy Vocabulary, or an empty text."""
    term = entry.text("dpv")
    if term and not _DPV.fullmatch(term):
        entry.fault("dpv", f"dpv {term!r} is not a vocabulary term such as dpv:DeliveryOfGoods")
    return term


def law_of(entry: Entry) -> str:
    """Return the article, written as 个人信息保护法 第十三条第一款第二项."""
    law = entry.text("law")
    if not _ARTICLE.fullmatch(law):
        entry.fault("law", f"law {law!r} is not of the form 个人信息保护法 第十三条第一款第二项")
    return law


def ages_of(entry: Entry) -> int:
    """Return the age below which an entry applies: one of the two that standings know."""
    under = entry.number("under", CONSENT_AGE, MAJORITY)
    if under not in (CONSENT_AGE, MAJORITY):
        entry.fault("under", f"under must be {CONSENT_AGE} or {MAJORITY}")
    return under


def _group(entry: Entry) -> GroupEntry:
    name = entry.word("id")
    return GroupEntry(name, name.rpartition(".")[0], title_of(entry))


def _refuse_misplaced(
    entry: Entry, groups: Mapping[str, GroupEntry], purposes: Mapping[Purpose, PurposeEntry]
) -> None:
    name = entry.word("id")
    parent = name.rpartition(".")[0]
    if parent and parent not in groups:
        entry.fault("id", f"{parent!r} is no declared group")
    if name in purposes:
        entry.fault("id", f"{name!r} is a purpose as well")
    if not any(one.startswith(f"{name}.") for one in (*purposes, *groups)):
        entry.fault("id", f"nothing stands in the group {name!r}")


def _purpose(entry: Entry, groups: Mapping[str, GroupEntry]) -> PurposeEntry:
    unscreened = entry.values.get("screening") == "none"
    needs_consent = entry.flag("needs_consent")
    days = entry.number("consent_days", 0, _LONGEST_CONSENT_DAYS)
    if needs_consent and not days:
        entry.fault("consent_days", "a purpose that needs consent needs consent_days of at least 1")
    separate, double_confirm = entry.flag("separate"), entry.flag("double_confirm")
    if not days and (separate or double_confirm):
        entry.fault("separate", "separate and double_confirm mean nothing where consent is never asked")
    name = Purpose(entry.word("id"))
    parent = name.rpartition(".")[0]
    if name and parent not in groups:
        entry.fault("id", f"{name!r} stands in no declared group")
    return PurposeEntry(
        id=name,
        title=title_of(entry),
        dpv=dpv_of(entry),
        needs_consent=needs_consent,
        separate=separate,
        double_confirm=double_confirm,
        profiled=entry.flag("profiled"),
        screening=None if unscreened else entry.choice("screening", ScreeningPurpose),
        consent_days=days,
        both_required=entry.flag("both_required"),
        retention_days=entry.number("retention_days", 0, _LONGEST_RETENTION_DAYS),
        jurisdiction=entry.choice("jurisdiction", Jurisdiction),
        parent=parent,
    )


def _basis(
    entry: Entry,
    purposes: Mapping[Purpose, PurposeEntry],
    categories: Mapping[Category, CategoryEntry],
) -> BasisEntry:
    purpose, law = Purpose(entry.word("purpose")), law_of(entry)
    if purpose not in purposes:
        entry.fault("purpose", f"unknown purpose {purpose!r}")
    elif purposes[purpose].needs_consent:
        entry.fault("purpose", f"{purpose} needs consent, so it cannot have another basis")
    covered = frozenset(Category(word) for word in entry.words("categories"))
    for name in sorted(covered - categories.keys()):
        entry.fault("categories", f"unknown category {name!r}")
    jurisdiction = entry.choice("jurisdiction", Jurisdiction)
    if purpose in purposes and purposes[purpose].jurisdiction is not jurisdiction:
        entry.fault("jurisdiction", f"{purpose} stands under another law")
    return BasisEntry(purpose, law, covered, entry.flag("under_14"), jurisdiction)


def _prohibition(
    entry: Entry,
    groups: Mapping[str, GroupEntry],
    purposes: Mapping[Purpose, PurposeEntry],
    categories: Mapping[Category, CategoryEntry],
) -> Prohibition:
    purpose, category = entry.word("purpose"), entry.word("category")
    if purpose and purpose not in groups and Purpose(purpose) not in purposes:
        entry.fault("purpose", f"unknown purpose {purpose!r}")
    if category and Category(category) not in categories:
        entry.fault("category", f"unknown category {category!r}")
    if not any(key in entry.values for key in _AIM):
        entry.fault("", f"a prohibition names one of {', '.join(_AIM)}")
    return Prohibition(
        reason=_refusal(entry),
        law=law_of(entry),
        title=title_of(entry),
        purpose=purpose,
        category=category,
        tier=entry.choice("tier", Tier) if "tier" in entry.values else None,
        screening=entry.choice("screening", ScreeningPurpose) if "screening" in entry.values else None,
        profiled=entry.flag("profiled"),
        under=ages_of(entry) if "under" in entry.values else 0,
        others=entry.flag("others"),
    )


def _refuse_gaps(
    entries: Mapping[str, tuple[Entry, ...]],
    purposes: Mapping[Purpose, PurposeEntry],
    prohibitions: tuple[Prohibition, ...],
) -> None:
    """Report what the law forbids and no row does: rows may be added to the law's, not taken away.

    未成年人网络保护条例 第二十四条第三款; 未成年人保护法 第六十三条第二款.
    """
    for entry in entries["purpose"]:
        purpose = purposes[Purpose(entry.word("id"))]
        line = _line(purpose.id)
        sells = purpose.screening is ScreeningPurpose.MARKETING or "marketing" in line
        if purpose.profiled and sells and not any(_shields(row, purpose, line) for row in prohibitions):
            entry.fault("id", f"no [[prohibition]] keeps {purpose.id!r} from minors")
    closed = [row for row in prohibitions if row.tier is Tier.CLOSED and not row.under and not row.profiled]
    if not any(row.others and not (row.purpose or row.category or row.screening) for row in closed):
        entries["prohibition"][0].fault("", "no [[prohibition]] closes communications to others")


def _shields(row: Prohibition, purpose: PurposeEntry, line: tuple[str, ...]) -> bool:
    return (
        row.under == MAJORITY
        and not (row.category or row.tier or row.others)
        and (not row.purpose or row.purpose in line)
        and row.screening in (None, purpose.screening)
    )


def _line(name: str) -> tuple[str, ...]:
    """Return a dotted word with everything more general."""
    parts = name.split(".")
    return tuple(".".join(parts[:length]) for length in range(len(parts), 0, -1))


def _refusal(entry: Entry) -> Reason:
    for reason in _REFUSALS:
        if entry.values.get("reason") == reason.value:
            return reason
    if "reason" in entry.values:
        known = ", ".join(reason.value for reason in _REFUSALS)
        entry.fault("reason", f"reason must be one of {known}")
    return _REFUSALS[0]
