"""Further kinds of resources that a rule book may declare, with attributes and conditions about them.

Promises that documents, projects or anything else a company guards beside its households are decided by
the same rows, the same plan and the same strictness. ``resources.toml`` declares types and their verbs,
attributes, conditions over attributes, and the subjects and resources that are known by name. An
attribute counts as a caller states it only where the book says ``asked``; otherwise only the book's own
value counts. An attribute that nobody knows makes its condition unknown, and unknown never opens anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Final

from policies.entries import ANY, RoleEntry, Title
from policies.rulefile import Entry, Fault, Schema, read_entries
from policies.terms import Condition, Role, Scope

Scalar = str | bool | int
"""What an attribute's value can be; values of different kinds are never equal."""

RESERVED: Final = frozenset({"member", "household", "staff", "service", "field", "purpose"})
"""Type names that the households have taken; a rule book cannot declare them anew."""

_LONGEST_NAME: Final = 200
_TITLES: Final = frozenset({"zh", "en"})
_SCHEMAS: Final = {
    "type": Schema(frozenset({"id", "verbs"}) | _TITLES),
    "attribute": Schema(frozenset({"of", "name", "asked"})),
    "condition": Schema(
        frozenset({"id", "of", "attribute"}) | _TITLES, frozenset({"is", "is_not", "has", "same_as"})
    ),
    "subject": Schema(frozenset({"type", "id", "roles"}), frozenset({"attributes"})),
    "resource": Schema(frozenset({"type", "id"}), frozenset({"attributes"})),
}
_TESTS: Final = ("is", "is_not", "has", "same_as")
_MAY_BE_MISSING: Final = frozenset({"attribute", "condition", "subject", "resource"})


class Of(StrEnum):
    """Whose attribute it is: the four parts of a question."""

    SUBJECT = "subject"
    RESOURCE = "resource"
    ACTION = "action"
    CONTEXT = "context"


@dataclass(frozen=True, slots=True)
class TypeEntry:
    """A kind of resource and what can be done with it. ``objects`` are the words grants know it by."""

    id: str
    verbs: frozenset[str]
    title: Title
    objects: tuple[str, ...]

    def admits(self, action: str) -> bool:
        """Say whether the verb is one of the type's own."""
        return action in self.verbs


@dataclass(frozen=True, slots=True)
class AttributeTest:
    """A named condition: one attribute compared with a value, or with another attribute."""

    id: str
    of: Of
    attribute: str
    test: str
    value: Scalar
    title: Title

    def holds(self, known: Mapping[tuple[Of, str], object]) -> bool | None:
        """Say whether the condition holds; None when an attribute it needs is not known."""
        value = known.get((self.of, self.attribute))
        wanted: object = self.value
        if self.test == "same_as":
            of, _, name = str(self.value).partition(".")
            wanted = known.get((Of(of), name))
        if value is None or wanted is None:
            return None
        if self.test == "has":
            return isinstance(value, list) and any(_same(one, wanted) for one in value)
        return _same(value, wanted) is not (self.test == "is_not")


@dataclass(frozen=True, slots=True)
class Named:
    """A subject or resource that the book knows by name, with its attributes; resources hold no roles."""

    type: str
    id: str
    attributes: Mapping[str, object]
    roles: frozenset[tuple[Scope, Role]] = frozenset()


@dataclass(frozen=True, slots=True)
class Resources:
    """Everything that ``resources.toml`` declares; empty for a book that is about households alone."""

    types: Mapping[str, TypeEntry] = field(default_factory=dict)
    asked: frozenset[tuple[Of, str]] = frozenset()
    conditions: Mapping[str, AttributeTest] = field(default_factory=dict)
    subjects: Mapping[tuple[str, str], Named] = field(default_factory=dict)
    resources: Mapping[tuple[str, str], Named] = field(default_factory=dict)

    @property
    def subject_types(self) -> frozenset[str]:
        """The types of the subjects that are known by name."""
        return frozenset(type_ for type_, _ in self.subjects)

    def facts(
        self, subject: Named, resource: Named, action: Mapping[str, object], context: Mapping[str, object]
    ) -> dict[str, bool]:
        """Return the declared conditions that are known to hold or not to hold.

        The four arguments are what a caller states; of that only ``asked`` attributes count, and they
        count before the book's own values.
        """
        stated = {
            Of.SUBJECT: subject.attributes,
            Of.RESOURCE: resource.attributes,
            Of.ACTION: action,
            Of.CONTEXT: context,
        }
        known: dict[tuple[Of, str], object] = {}
        for of, declared, one in (
            (Of.SUBJECT, self.subjects, subject),
            (Of.RESOURCE, self.resources, resource),
        ):
            named = declared.get((one.type, one.id))
            if named is not None:
                known |= {(of, name): value for name, value in named.attributes.items()}
        known |= {(of, name): stated[of][name] for of, name in self.asked if name in stated[of]}
        known[Of.SUBJECT, "id"], known[Of.RESOURCE, "id"] = subject.id, resource.id
        found = {name: test.holds(known) for name, test in self.conditions.items()}
        return {name: fact for name, fact in found.items() if fact is not None}

    def roles_of(self, subject: Named) -> frozenset[tuple[Scope, Role]]:
        """Return the roles a subject holds by the book; somebody the book does not know holds none."""
        named = self.subjects.get((subject.type, subject.id))
        return frozenset() if named is None else named.roles


NO_RESOURCES: Final = Resources()


def read_resources(path: Path, roles: Mapping[Role, RoleEntry], faults: list[Fault]) -> Resources:
    """Read ``resources.toml``, reporting every fault."""
    mine: list[Fault] = []
    entries = read_entries(path, _SCHEMAS, mine)
    types = {entry.word("id"): _type(entry) for entry in entries["type"]}
    _refuse_twins(entries["type"], lambda entry: entry.word("id"))
    attributes = {_attribute(entry) for entry in entries["attribute"]}
    _refuse_twins(entries["attribute"], lambda entry: (entry.values.get("of"), entry.values.get("name")))
    conditions = {entry.word("id"): _condition(entry, attributes) for entry in entries["condition"]}
    _refuse_twins(entries["condition"], lambda entry: entry.word("id"))
    subjects = [_named(entry, Of.SUBJECT, attributes, roles) for entry in entries["subject"]]
    things = [_named(entry, Of.RESOURCE, attributes, roles) for entry in entries["resource"]]
    for kind in ("subject", "resource"):
        _refuse_twins(entries[kind], lambda entry: (entry.values.get("type"), entry.values.get("id")))
    for entry, thing in zip(entries["resource"], things, strict=True):
        if thing.type not in types:
            entry.fault("type", f"unknown type {thing.type!r}")
    # A kind of table that may be missing is no empty set; types are what the file is for.
    optional = {f"no [[{kind}]]: an empty set" for kind in _MAY_BE_MISSING}
    faults.extend(fault for fault in mine if fault.text not in optional)
    return Resources(
        types=MappingProxyType(types),
        asked=frozenset((of, name) for of, name, asked in attributes if asked),
        conditions=MappingProxyType(conditions),
        subjects=MappingProxyType({(one.type, one.id): one for one in subjects}),
        resources=MappingProxyType({(one.type, one.id): one for one in things}),
    )


_Attribute = tuple[Of, str, bool]


def _title(entry: Entry) -> Title:
    return Title(entry.text("zh"), entry.text("en"))


def _type(entry: Entry) -> TypeEntry:
    name = entry.word("id")
    if name in RESERVED:
        entry.fault("id", f"{name} is a word of the households and cannot be declared anew")
    return TypeEntry(name, frozenset(entry.words("verbs")), _title(entry), (f"type:{name}", ANY))


def _attribute(entry: Entry) -> _Attribute:
    of, name, asked = entry.choice("of", Of), entry.word("name"), entry.flag("asked")
    if name == "id":
        entry.fault("name", "id is known of every subject and resource and is not declared")
    if of in (Of.ACTION, Of.CONTEXT) and not asked:
        entry.fault("asked", f"nobody but the caller knows an attribute of the {of}, so asked must be true")
    return of, name, asked


def _condition(entry: Entry, attributes: set[_Attribute]) -> AttributeTest:
    name, of, attribute = entry.word("id"), entry.choice("of", Of), entry.word("attribute")
    if name in Condition.__members__.values():
        entry.fault("id", f"{name} is a word of the households and cannot be declared anew")
    _check_attribute(entry, "attribute", of, attribute, attributes)
    tests = [test for test in _TESTS if test in entry.values]
    if len(tests) != 1:
        entry.fault("id", f"a condition has exactly one of {', '.join(_TESTS)}")
    test = tests[0] if tests else "is"
    value = entry.values.get(test, "")
    if not isinstance(value, Scalar):
        entry.fault(test, f"{test} must be a text, a whole number, true or false")
        value = ""
    if test == "same_as":
        other, _, other_name = str(value).partition(".")
        if other in Of.__members__.values():
            _check_attribute(entry, test, Of(other), other_name, attributes)
        else:
            entry.fault(test, f"same_as must be of the form subject.id, not {value!r}")
            value = "subject.id"
    return AttributeTest(name, of, attribute, test, value, _title(entry))


def _check_attribute(entry: Entry, key: str, of: Of, name: str, attributes: set[_Attribute]) -> None:
    if name == "id" and of in (Of.SUBJECT, Of.RESOURCE):
        return
    if not any((of, name) == (known_of, known) for known_of, known, _ in attributes):
        entry.fault(key, f"unknown attribute {name!r} of the {of}")


def _named(entry: Entry, of: Of, attributes: set[_Attribute], roles: Mapping[Role, RoleEntry]) -> Named:
    type_, name = entry.word("type"), entry.text("id")
    if type_ in RESERVED:
        entry.fault("type", f"{type_} is a word of the households and cannot be declared anew")
    if len(name) > _LONGEST_NAME:
        entry.fault("id", f"an id has at most {_LONGEST_NAME} characters")
    values = entry.values.get("attributes", {})
    if not isinstance(values, dict):
        entry.fault("attributes", "attributes must be a table such as { status = 'draft' }")
        values = {}
    for key, value in values.items():
        _check_attribute(entry, "attributes", of, key, attributes)
        several = isinstance(value, list) and value and all(isinstance(one, Scalar) for one in value)
        if not isinstance(value, Scalar) and not several:
            entry.fault("attributes", f"{key} must be a text, a whole number, true, false or a list of such")
    held: set[tuple[Scope, Role]] = set()
    for word in entry.words("roles"):
        role = roles.get(Role(word))
        if role is None:
            entry.fault("roles", f"unknown role {word!r}")
        elif Scope.ORG not in role.scopes:
            entry.fault("roles", f"{word} is never held in {Scope.ORG}")
        else:
            held.add((Scope.ORG, role.id))
    return Named(type_, name, MappingProxyType(dict(values)), frozenset(held))


def _same(one: object, other: object) -> bool:
    return type(one) is type(other) and one == other


def _refuse_twins(entries: tuple[Entry, ...], name: object) -> None:
    """Report each entry whose name repeats an earlier one's."""
    assert callable(name)
    first: dict[object, int] = {}
    for entry in entries:
        key = name(entry)
        if first.setdefault(key, entry.line) != entry.line:
            entry.fault("", f"duplicate {entry.kind}, first in line {first[key]}")
