"""Reads the TOML rule files: categories and what their tiers become, fields, channels, roles and limits.

Promises that every reference is to something declared (a field's category, a role's ancestor) and that
trees are trees. Faults are collected with their lines; what is returned beside faults is good for finding
more of them and for nothing else. What data may be used for is read by ``policies.aims``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, Literal

from policies.aims import CONSENT_AGE, TITLES, Aims, ages_of, dpv_of, law_of, read_aims, title_of
from policies.entries import (
    ANY,
    OPAQUE,
    AgeTier,
    CategoryEntry,
    FieldEntry,
    Limits,
    PurposeEntry,
    RoleEntry,
    Title,
)
from policies.rulefile import Entry, Fault, Schema, read_entries, refuse_twins
from policies.terms import (
    Assurance,
    Category,
    Channel,
    EntityType,
    FieldName,
    KeyClass,
    Purpose,
    Role,
    Scope,
    SubjectKind,
    Tier,
)

_FIELD_SCHEMAS: Final = {
    "category": Schema(
        frozenset({"id", "tier"}) | TITLES, frozenset({"parent", "dpv", "both_required", "record"})
    ),
    "age_tier": Schema(frozenset({"under", "tier", "becomes", "law"})),
    "field": Schema(
        frozenset({"name", "subject", "category", "key_class", "mask", "collected_for"}) | TITLES
    ),
    "channel": Schema(frozenset({"channel", "category"}) | TITLES),
}
_ROLE_SCHEMAS: Final = {"role": Schema(frozenset({"id", "scopes"}) | TITLES, frozenset({"inherits"}))}
_LIMIT_SCHEMAS: Final = {"limit": Schema(frozenset({"id", "value", "source"}) | TITLES)}

_LARGEST_LIMIT: Final = 100_000


@dataclass(frozen=True, slots=True)
class Declarations:
    """Everything the TOML files declare."""

    categories: dict[Category, CategoryEntry]
    age_tiers: tuple[AgeTier, ...]
    fields: dict[FieldName, FieldEntry]
    aims: Aims
    roles: dict[Role, RoleEntry]
    limits: Limits


def read_declarations(paths: Mapping[str, Path], faults: list[Fault]) -> Declarations:
    """Read the four TOML files, each at the path that belongs to its name."""
    things = read_entries(paths["fields.toml"], _FIELD_SCHEMAS, faults)
    roles = read_entries(paths["roles.toml"], _ROLE_SCHEMAS, faults)["role"]
    limits = read_entries(paths["limits.toml"], _LIMIT_SCHEMAS, faults)["limit"]
    categories = _categories(things["category"])
    aims = read_aims(paths["purposes.toml"], categories, faults)
    return Declarations(
        categories=categories,
        age_tiers=_age_tiers(things["age_tier"]),
        fields=_fields(things["field"], categories, aims.purposes) | _channels(things["channel"], categories),
        aims=aims,
        roles=_roles(roles),
        limits=_limits(limits),
    )


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
            name,
            Category(parent) if parent else None,
            tier,
            title_of(entry),
            dpv_of(entry),
            entry.flag("both_required"),
            entry.choice("record", Assurance) if "record" in entry.values else Assurance.COMMITTED,
        )
    return found


_SURENESS: Final = list(Assurance)


def _record(category: Category, categories: Mapping[Category, CategoryEntry]) -> Assurance:
    line = [category, *(above for above in categories if category.startswith(f"{above}."))]
    asked = [categories[one].record for one in line if one in categories]
    return max(asked, key=_SURENESS.index, default=Assurance.COMMITTED)


_GRAVITY: Final = (Tier.BASIC, Tier.HIDEABLE, Tier.SENSITIVE, Tier.CLOSED)
"""The mildest tier first."""


def _age_tiers(entries: tuple[Entry, ...]) -> tuple[AgeTier, ...]:
    """Read what tiers become below an age, the youngest first. A tier may only become graver.

    Under 14 nothing stays below sensitive, whatever an officer would prefer (个人信息保护法 第二十八条).
    """
    found: dict[tuple[int, Tier], AgeTier] = {}
    for entry in entries:
        under, tier, becomes = ages_of(entry), entry.choice("tier", Tier), entry.choice("becomes", Tier)
        if _GRAVITY.index(becomes) <= _GRAVITY.index(tier):
            entry.fault("becomes", f"{tier} can only become graver, not {becomes}")
        if (under, tier) in found:
            entry.fault("tier", f"{tier} under {under} was said already")
        found[under, tier] = AgeTier(under, tier, becomes, law_of(entry))
    for tier in (Tier.BASIC, Tier.HIDEABLE):
        row = found.get((CONSENT_AGE, tier))
        if entries and (row is None or row.becomes not in (Tier.SENSITIVE, Tier.CLOSED)):
            entries[0].fault("", f"under {CONSENT_AGE} {tier} must become sensitive or closed")
    return tuple(found[key] for key in sorted(found, key=lambda key: key[0]))


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
            title=title_of(entry),
            collected_for=aims,
            channel=None,
            objects=(
                name,
                *_ancestry(category.id, categories),
                f"tier:{category.tier}",
                f"all:{subject}",
                ANY,
            ),
            record=_record(category.id, categories),
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
            title=title_of(entry),
            collected_for=(),
            channel=channel,
            objects=(name, *_ancestry(category.id, categories), "all:channel", ANY),
        )
    return found


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
        found[name] = RoleEntry(name, _scopes(entry), title_of(entry), frozenset(closure))
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
        title_of(entry)
        if name in values:
            values[name] = value
        elif name:
            entry.fault("id", f"unknown limit {name!r}; known: {', '.join(known)}")
    for name in known:
        if entries and not values[name]:
            entries[0].faults.append(Fault(entries[0].file, 1, f"no [[limit]] with id {name!r}"))
    return Limits(**values)
