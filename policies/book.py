"""The rule book: everything an officer may change, loaded strictly, frozen, fingerprinted.

Promises that a book exists only when every file of the folder was read in full and every word in it is
declared; otherwise ``BookError`` lists every fault with file and line and nothing starts. The
fingerprint (SHA-256 over all files) goes into each log entry, so that a decision can be replayed under
the rules that made it. The book never decides; ``policies.plan`` compiles it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

from policies.cases import Case, read_cases
from policies.deadlines import NO_DEADLINES, Deadlines, read_deadlines
from policies.declarations import read_declarations
from policies.entries import (
    AgeTier,
    BasisEntry,
    CategoryEntry,
    FieldEntry,
    Grant,
    GroupEntry,
    Limits,
    Prohibition,
    PurposeEntry,
    RoleEntry,
)
from policies.grants import Vocabulary, read_grants
from policies.lexicon import LexiconError, LexiconRule, load_lexicon
from policies.oversight import NO_OVERSIGHT, Oversight, read_oversight
from policies.reachability import unreachable
from policies.resources import NO_RESOURCES, Resources, read_resources
from policies.retention import NO_RETENTION, Retention, read_retention
from policies.rulefile import Fault, read_text
from policies.terms import Category, Condition, FieldName, Purpose, Role, RuleId

FILES: Final = (
    "model.conf",
    "grants.csv",
    "roles.toml",
    "fields.toml",
    "purposes.toml",
    "limits.toml",
)
"""The files of a rule folder beside its ``lexicon`` folder."""

FURTHER: Final = (
    "resources.toml",
    "shadow.csv",
    "cases.toml",
    "calendar.toml",
    "retention.toml",
    "oversight.toml",
)
"""Files that a rule folder may have: further types of resources, rows that are only rehearsed, cases,
deadlines with working days, how long values are kept, and which accesses people look at. Only a folder with
a ``resources.toml``, where households stay closed, may be without the last one."""

BORROWED: Final = ("model.conf", "fields.toml", "purposes.toml", "limits.toml", "retention.toml")
"""What a folder with a ``resources.toml`` may leave to the packaged rules, and its lexicon with them.

Such a book allows only what its own grants say, so households stay closed unless it speaks of them.
"""

MODEL: Final = "5a033f0ebd328728d523fd1640bed581a283853a97f457cc82e95bbd7ab6cad2"
"""SHA-256 of the one Casbin model that ``policies.plan`` compiles and the tests prove equal to Casbin."""


class BookError(Exception):
    """The rules cannot be used. ``faults`` holds every reason; the message has one per line."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(set(faults)))
        super().__init__("\n".join(str(fault) for fault in self.faults))


@dataclass(frozen=True, slots=True, eq=False)
class RuleBook:
    """All rules of one version. Two books are the same book when their fingerprints are equal."""

    fields: Mapping[FieldName, FieldEntry]
    categories: Mapping[Category, CategoryEntry]
    purposes: Mapping[Purpose, PurposeEntry]
    bases: tuple[BasisEntry, ...]
    prohibitions: tuple[Prohibition, ...]
    age_tiers: tuple[AgeTier, ...]
    roles: Mapping[Role, RoleEntry]
    grants: Mapping[RuleId, Grant]
    limits: Limits
    lexicon: tuple[LexiconRule, ...]
    model: str
    fingerprint: str
    groups: Mapping[str, GroupEntry] = field(default_factory=lambda: MappingProxyType({}))
    resources: Resources = NO_RESOURCES
    shadows: Mapping[RuleId, Grant] = field(default_factory=lambda: MappingProxyType({}))
    cases: tuple[Case, ...] = ()
    deadlines: Deadlines = NO_DEADLINES
    retention: Retention = NO_RETENTION
    oversight: Oversight = NO_OVERSIGHT

    @property
    def conditions(self) -> tuple[str, ...]:
        """Every condition that a row of this book may name."""
        return (*Condition, *self.resources.conditions)

    @property
    def words(self) -> Vocabulary:
        """Every declared word that a row may use."""
        return Vocabulary(self.roles, self.fields, self.purposes, self.resources)

    @property
    def rehearsed(self) -> RuleBook | None:
        """The book as it would be if its shadow rows counted; None if it has none.

        A shadow row with the id of a grant stands in its place, any other is one more.
        """
        if not self.shadows:
            return None
        grants = MappingProxyType({**self.grants, **self.shadows})
        return replace(self, grants=grants, shadows=MappingProxyType({}))

    def basis(self, purpose: Purpose, category: Category) -> BasisEntry | None:
        """Return the legal basis other than consent for using a category, or None."""
        for entry in self.bases:
            if entry.purpose == purpose and category in entry.categories:
                return entry
        return None


def packaged_rules() -> Path:
    """Return the folder of the rules that come with the program."""
    return Path(__file__).resolve().parent / "rules"


def load_book(folder: Path) -> RuleBook:
    """Load and check all rules of a folder.

    Raises:
        BookError: something is wrong; the error lists every fault with its file and line.
    """
    faults: list[Fault] = list(_strangers(folder))
    files = rule_files(folder)
    before = _fingerprint(files)
    model = _model(_at(folder, files, "model.conf"), faults)
    paths = {name: _at(folder, files, name) for name in FILES}
    declared = read_declarations(paths, faults)
    resources = NO_RESOURCES
    if "resources.toml" in files:
        resources = read_resources(files["resources.toml"], declared.roles, faults)
    vocabulary = Vocabulary(declared.roles, declared.fields, declared.aims.purposes, resources)
    grants = read_grants(paths["grants.csv"], vocabulary, faults)
    shadows: tuple[Grant, ...] = ()
    if "shadow.csv" in files:
        shadows = read_grants(files["shadow.csv"], vocabulary, faults, opens=False)
    if not faults:  # with an unknown word somewhere, rows seem idle that are not
        faults.extend(_idle(vocabulary, grants, shadows))
    cases = read_cases(files["cases.toml"], vocabulary, faults) if "cases.toml" in files else ()
    lexicon = _lexicon(_lexicon_folder(folder), faults)
    deadlines = read_deadlines(files["calendar.toml"], faults) if "calendar.toml" in files else NO_DEADLINES
    stored = {name: entry for name, entry in declared.fields.items() if entry.channel is None}
    path = _at(folder, files, "retention.toml")
    retention = read_retention(path, stored, declared.aims.purposes, faults)
    oversight = NO_OVERSIGHT
    if "oversight.toml" in files or "resources.toml" not in files:
        path = _at(folder, files, "oversight.toml")
        calendars = {calendar for calendar, _ in deadlines.years}
        oversight = read_oversight(path, declared.roles, declared.aims.purposes, calendars, faults)
    if _fingerprint(rule_files(folder)) != before:
        faults.append(Fault(folder.name, 1, "a rule file changed while it was being read"))
    if faults:
        raise BookError(faults)
    return RuleBook(
        fields=MappingProxyType(declared.fields),
        categories=MappingProxyType(declared.categories),
        purposes=MappingProxyType(declared.aims.purposes),
        bases=declared.aims.bases,
        prohibitions=declared.aims.prohibitions,
        age_tiers=declared.age_tiers,
        groups=MappingProxyType(declared.aims.groups),
        roles=MappingProxyType(declared.roles),
        grants=MappingProxyType({grant.id: grant for grant in grants}),
        limits=declared.limits,
        lexicon=lexicon,
        model=model,
        fingerprint=before,
        resources=resources,
        shadows=MappingProxyType({grant.id: grant for grant in shadows}),
        cases=cases,
        deadlines=deadlines,
        retention=retention,
        oversight=oversight,
    )


def fingerprint(folder: Path) -> str:
    """Return the SHA-256 (hex) over the names and bytes of all files in canonical order.

    Every name and every content is preceded by its length, so that no two folders share an encoding.
    What a folder borrows from the packaged rules counts like its own.
    """
    return _fingerprint(rule_files(folder))


def rule_files(folder: Path) -> dict[str, Path]:
    """Return every file that makes up a folder's rules, by name, in canonical order."""
    found = {path.relative_to(folder).as_posix(): path for path in _files(folder)}
    if "resources.toml" in found:
        rules = packaged_rules()
        for name in BORROWED:
            found.setdefault(name, rules / name)
        if _lexicon_folder(folder) != folder / "lexicon":
            found |= {f"lexicon/{path.name}": path for path in (rules / "lexicon").glob("*.toml")}
    return {name: found[name] for name in sorted(found, key=str.encode)}


def _at(folder: Path, files: Mapping[str, Path], name: str) -> Path:
    return files.get(name, folder / name)


def _lexicon_folder(folder: Path) -> Path:
    borrows = (folder / "resources.toml").is_file() and not (folder / "lexicon").exists()
    return (packaged_rules() if borrows else folder) / "lexicon"


def _fingerprint(files: Mapping[str, Path]) -> str:
    digest = hashlib.sha256()
    for name, path in files.items():
        for part in (name.encode(), path.read_bytes()):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def _files(folder: Path) -> Iterable[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))


def _strangers(folder: Path) -> Iterable[Fault]:
    """Report files that nobody would read: a rule in a misnamed file must not vanish in silence."""
    for path in _files(folder):
        name = path.relative_to(folder).as_posix()
        if name not in (*FILES, *FURTHER) and not path.match("lexicon/*.toml"):
            known = ", ".join((*FILES, *FURTHER))
            yield Fault(name, 1, f"unknown file; a rule folder has {known} and lexicon/")


def _model(path: Path, faults: list[Fault]) -> str:
    content = read_text(path, faults) or ""
    if content and hashlib.sha256(content.encode()).hexdigest() != MODEL:
        faults.append(Fault(path.name, 1, "not the model that the plan compiles; change both together"))
    return content


def _idle(vocabulary: Vocabulary, grants: tuple[Grant, ...], shadows: tuple[Grant, ...]) -> Iterable[Fault]:
    """Report rows that can never matter; shadow rows are looked at as if they counted."""
    yield from unreachable(vocabulary, grants, "grants.csv")
    if shadows:
        rehearsed = {grant.id: grant for grant in (*grants, *shadows)}
        suspects = {grant.id for grant in shadows}
        yield from unreachable(vocabulary, tuple(rehearsed.values()), "shadow.csv", suspects)


def _lexicon(folder: Path, faults: list[Fault]) -> tuple[LexiconRule, ...]:
    try:
        return load_lexicon(folder)
    except LexiconError as error:
        faults.extend(_placed(folder, text) for text in error.faults)
        return ()


def _placed(folder: Path, text: str) -> Fault:
    """Turn the lexicon's "file: rule: what is wrong" into a fault with the line of that rule."""
    file, _, rest = text.partition(": ")
    if not file.endswith(".toml"):
        return Fault(folder.name, 1, text)
    rule, _, what = rest.partition(": ")
    lines = (folder / file).read_text(encoding="utf-8", errors="replace").splitlines()
    headers = [number for number, line in enumerate(lines, start=1) if line.startswith("[[rule]]")]
    numbered = re.fullmatch(r"rule (\d+)", rule)
    if numbered and int(numbered.group(1)) <= len(headers):
        return Fault(f"{folder.name}/{file}", headers[int(numbered.group(1)) - 1], what)
    named = re.compile(rf"id\s*=\s*[\"']{re.escape(rule)}[\"']")
    places = [number for number, line in enumerate(lines, start=1) if named.match(line)]
    return Fault(f"{folder.name}/{file}", places[-1] if places else 1, rest)
