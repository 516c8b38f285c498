"""Reads the TOML rule files: categories, fields, channels, purposes, legal bases, roles and limits.

Promises that every reference is to something declared (a field's category, a basis's purpose, a role's
ancestor) and that trees are trees. Faults are collected with their lines; what is returned beside
faults is good for finding more of them and for nothing else. Legal bases are written out one by one:
a category that no basis row names has none (个人信息保护法 第十三条), and a parent's row does not spread to
its children.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, Literal

from policies.entries import (
    ANY,
    OPAQUE,
    BasisEntry,
    CategoryEntry,
    FieldEntry,
    Limits,
    PurposeEntry,
    RoleEntry,
    Title,
)
from policies.rulefile import Entry, Fault, Schema, read_entries, refuse_twins
from policies.terms import (
    Category,
    Channel,
    EntityType,
    FieldName,
    KeyClass,
    Purpose,
    Role,
    Scope,
    ScreeningPurpose,
    SubjectKind,
    Tier,
)

_TITLES: Final = frozenset({"zh", "en"})
_FIELD_SCHEMAS: Final = {
    "category": Schema(frozenset({"id", "tier"}) | _TITLES, frozenset({"parent", "dpv"})),
    "field": Schema(
        frozenset({"name", "subject", "category", "key_class", "mask", "collected_for"}) | _TITLES
    ),
    "channel": Schema(frozenset({"channel", "category"}) | _TITLES),
}
_PURPOSE_SCHEMAS: Final = {
    "purpose": Schema(
        frozenset(
            {"id", "needs_consent", "separate", "double_confirm", "profiled", "screening", "consent_days"}
        )
        | _TITLES,
        frozenset({"dpv"}),
    ),
    "basis": Schema(frozenset({"purpose", "law", "categories", "under_14"})),
}
_ROLE_SCHEMAS: Final = {"role": Schema(frozenset({"id", "scopes"}) | _TITLES, frozenset({"inherits"}))}
_LIMIT_SCHEMAS: Final = {"limit": Schema(frozenset({"id", "value", "source"}) | _TITLES)}

_CHINESE_NUMBER: Final = "[一二三四五六七八九十百千]+"
_PLACE: Final = rf"第{_CHINESE_NUMBER}条(?:第{_CHINESE_NUMBER}款)?(?:第{_CHINESE_NUMBER}项)?"
_ARTICLE: Final = re.compile(rf"[\u4e00-\u9fff]+(?:法|条例|典) {_PLACE}(?:、{_PLACE})*")
_DPV: Final = re.compile(r"(?:dpv|pd):[A-Z][A-Za-z]+")
_LONGEST_CONSENT_DAYS: Final = 365
_LARGEST_LIMIT: Final = 100_000


@dataclass(frozen=True, slots=True)
class Declarations:
    """Everything the TOML files declare."""

    categories: dict[Category, CategoryEntry]
    fields: dict[FieldName, FieldEntry]
    purposes: dict[Purpose, PurposeEntry]
    bases: tuple[BasisEntry, ...]
    roles: dict[Role, RoleEntry]
    limits: Limits


def read_declarations(paths: Mapping[str, Path], faults: list[Fault]) -> Declarations:
    """Read the four TOML files, each at the path that belongs to its name."""
    things = read_entries(paths["fields.toml"], _FIELD_SCHEMAS, faults)
    aims = read_entries(paths["purposes.toml"], _PURPOSE_SCHEMAS, faults)
    roles = read_entries(paths["roles.toml"], _ROLE_SCHEMAS, faults)["role"]
    limits = read_entries(paths["limits.toml"], _LIMIT_SCHEMAS, faults)["limit"]
    categories = _categories(things["category"])
    purposes = {Purpose(entry.word("id")): _purpose(entry) for entry in aims["purpose"]}
    refuse_twins(aims["purpose"], "id")
    return Declarations(
        categories=categories,
        fields=_fields(things["field"], categories, purposes) | _channels(things["channel"], categories),
        purposes=purposes,
        bases=tuple(_basis(entry, purposes, categories) for entry in aims["basis"]),
        roles=_roles(roles),
        limits=_limits(limits),
    )


def _title(entry: Entry) -> Title:
    return Title(entry.text("zh"), entry.text("en"))


def _dpv(entry: Entry) -> str:
    term = entry.text("dpv")
    if term and not _DPV.fullmatch(term):
        entry.fault("dpv", f"dpv {term!r} is not a vocabulary term such as dpv:DeliveryOfGoods")
    return term


def _categories(entries: tuple[Entry, ...]) -> dict[Category, CategoryEntry]:
    refuse_twins(entries, "id")
    names = {entry.word("id") for entry in entries}
    found: dict[Category, CategoryEntry] = {}
    for entry in entries:
        name, parent = Category(entry.word("id")), entry.word("parent")
        if parent != name.rpartition(".")[0] or (parent and parent not in names):
            entry.fault("parent", f"{name!r} must have its prefix as its declared parent, not {parent!r}")
        tier = entry.choice("tier", Tier)
        found[name] = CategoryEntry(
            name, Category(parent) if parent else None, tier, _title(entry), _dpv(entry)
        )
    return found


def _ancestry(category: Category, categories: Mapping[Category, CategoryEntry]) -> list[str]:
    parts = category.split(".")
    line = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return [f"category:{name}" for name in line if Category(name) in categories]


def _known_category(entry: Entry, categories: Mapping[Category, CategoryEntry]) -> CategoryEntry:
    name = Category(entry.word("category"))
    if name not in categories:
        entry.fault("category", f"unknown category {name!r}")
    return categories.get(name, CategoryEntry(name, None, Tier.CLOSED, Title("", ""), ""))


def _fields(
    entries: tuple[Entry, ...],
    categories: Mapping[Category, CategoryEntry],
    purposes: Mapping[Purpose, PurposeEntry],
) -> dict[FieldName, FieldEntry]:
    refuse_twins(entries, "name")
    found: dict[FieldName, FieldEntry] = {}
    for entry in entries:
        name, subject = FieldName(entry.word("name")), entry.choice("subject", SubjectKind)
        category = _known_category(entry, categories)
        aims = tuple(Purpose(word) for word in entry.words("collected_for"))
        for aim in aims:
            if aim not in purposes:
                entry.fault("collected_for", f"unknown purpose {aim!r}")
        found[name] = FieldEntry(
            name=name,
            subject=subject,
            category=category.id,
            tier=category.tier,
            key_class=entry.choice("key_class", KeyClass),
            mask=_mask(entry),
            title=_title(entry),
            collected_for=aims,
            channel=None,
            objects=(
                name,
                *_ancestry(category.id, categories),
                f"tier:{category.tier}",
                f"all:{subject}",
                ANY,
            ),
        )
    return found


def _mask(entry: Entry) -> EntityType | Literal["opaque"]:
    return OPAQUE if entry.values.get("mask") == OPAQUE else entry.choice("mask", EntityType)


def _channels(
    entries: tuple[Entry, ...], categories: Mapping[Category, CategoryEntry]
) -> dict[FieldName, FieldEntry]:
    refuse_twins(entries, "channel")
    found: dict[FieldName, FieldEntry] = {}
    for entry in entries:
        channel, category = entry.choice("channel", Channel), _known_category(entry, categories)
        name = FieldName(f"channel.{channel}")
        found[name] = FieldEntry(
            name=name,
            subject=SubjectKind.MEMBER,
            category=category.id,
            tier=category.tier,
            key_class=None,
            mask=None,
            title=_title(entry),
            collected_for=(),
            channel=channel,
            objects=(name, *_ancestry(category.id, categories), "all:channel", ANY),
        )
    return found


def _purpose(entry: Entry) -> PurposeEntry:
    unscreened = entry.values.get("screening") == "none"
    needs_consent = entry.flag("needs_consent")
    days = entry.number("consent_days", 0, _LONGEST_CONSENT_DAYS)
    if needs_consent and not days:
        entry.fault("consent_days", "a purpose that needs consent needs consent_days of at least 1")
    separate, double_confirm = entry.flag("separate"), entry.flag("double_confirm")
    if not days and (separate or double_confirm):
        entry.fault("separate", "separate and double_confirm mean nothing where consent is never asked")
    return PurposeEntry(
        id=Purpose(entry.word("id")),
        title=_title(entry),
        dpv=_dpv(entry),
        needs_consent=needs_consent,
        separate=separate,
        double_confirm=double_confirm,
        profiled=entry.flag("profiled"),
        screening=None if unscreened else entry.choice("screening", ScreeningPurpose),
        consent_days=days,
    )


def _basis(
    entry: Entry,
    purposes: Mapping[Purpose, PurposeEntry],
    categories: Mapping[Category, CategoryEntry],
) -> BasisEntry:
    purpose, law = Purpose(entry.word("purpose")), entry.text("law")
    if purpose not in purposes:
        entry.fault("purpose", f"unknown purpose {purpose!r}")
    elif purposes[purpose].needs_consent:
        entry.fault("purpose", f"{purpose} needs consent, so it cannot have another basis")
    if not _ARTICLE.fullmatch(law):
        entry.fault("law", f"law {law!r} is not of the form 个人信息保护法 第十三条第一款第二项")
    covered = frozenset(Category(word) for word in entry.words("categories"))
    for name in sorted(covered - categories.keys()):
        entry.fault("categories", f"unknown category {name!r}")
    return BasisEntry(purpose, law, covered, entry.flag("under_14"))


def _roles(entries: tuple[Entry, ...]) -> dict[Role, RoleEntry]:
    refuse_twins(entries, "id")
    parents = {Role(entry.word("id")): entry.words("inherits") for entry in entries}
    found: dict[Role, RoleEntry] = {}
    for entry in entries:
        name = Role(entry.word("id"))
        closure: set[Role] = set()
        waiting = [name]
        while waiting:
            role = waiting.pop()
            if role not in parents:
                entry.fault("inherits", f"unknown role {role!r}")
            elif role not in closure:
                closure.add(role)
                waiting.extend(Role(parent) for parent in parents[role])
        if any(name in parents.get(role, ()) for role in closure):
            entry.fault("inherits", f"{name} inherits from itself")
        found[name] = RoleEntry(name, _scopes(entry), _title(entry), frozenset(closure))
    return found


def _scopes(entry: Entry) -> frozenset[Scope]:
    words = entry.words("scopes")
    for word in words:
        if word not in Scope.__members__.values():
            entry.fault("scopes", f"unknown scope {word!r}; known: {', '.join(Scope)}")
    return frozenset(scope for scope in Scope if scope in words)


def _limits(entries: tuple[Entry, ...]) -> Limits:
    refuse_twins(entries, "id")
    known = [field.name for field in fields(Limits)]
    values = dict.fromkeys(known, 0)
    for entry in entries:
        name, value = entry.word("id"), entry.number("value", 1, _LARGEST_LIMIT)
        entry.text("source")
        _title(entry)
        if name in values:
            values[name] = value
        elif name:
            entry.fault("id", f"unknown limit {name!r}; known: {', '.join(known)}")
    for name in known:
        if entries and not values[name]:
            entries[0].faults.append(Fault(entries[0].file, 1, f"no [[limit]] with id {name!r}"))
    return Limits(**values)
