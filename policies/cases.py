"""Policy tests as data: who asks what of whom, what comes out, by which rules, and why that is right.

Promises that ``cases.toml`` is read as strictly as every other rule file: a row has all its columns and
stands on a line of its own, each word is declared, no question is asked twice, a set is not empty. The
file is part of the rules and of their fingerprint. Whether the cases come out as written is not looked
at here (``policies.trials``): a book whose cases fail must load, or nobody could see which ones do. So a
rule named in ``by`` need not exist; a case that names one that is gone fails with its line.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeVar

from policies.entries import FieldEntry
from policies.grants import RULE_ID, Vocabulary
from policies.questions import Holder
from policies.resources import NO_PURPOSE
from policies.rulefile import Fault, read_text
from policies.terms import (
    Action,
    Condition,
    FieldName,
    Level,
    Purpose,
    Relation,
    Role,
    RuleId,
    SubjectKind,
)

COLUMNS: Final = ("who", "person", "relation", "act", "what", "purpose", "facts", "level", "by", "why")
"""The cells of a row about a member or a household."""

RESOURCE_COLUMNS: Final = ("who", "act", "what", "facts", "level", "by", "why")
"""The cells of a row about a further type of resource."""

NOBODY: Final = "-"
"""In ``who``: somebody without a role."""

PERSONS: Final[Mapping[str, Mapping[str, bool]]] = {
    "adult": {Condition.UNDER_14: False, Condition.UNDER_18: False},
    "teen": {Condition.UNDER_14: False, Condition.UNDER_18: True},
    "child": {Condition.UNDER_14: True, Condition.UNDER_18: True},
    "ageless": {},
    "household": {Condition.UNDER_14: False, Condition.UNDER_18: False},
}
"""The persons a case may be about, and what their age means."""

STATED: Final = (
    Condition.CONSENT,
    Condition.SHARED,
    Condition.HIDDEN,
    Condition.UNAPPROVED,
    Condition.TICKET,
    Condition.SAME_GENDER_ASKED,
    Condition.OTHER_GENDER,
    Condition.EMERGENCY,
)
"""The conditions that ``facts`` may name. The age comes from the person, profiling from the purpose."""

_LISTS: Final = {"rows": COLUMNS, "resource_rows": RESOURCE_COLUMNS}
_OPENING: Final = re.compile(r"\s*([a-z_]+)\s*=\s*\[\s*(?:#.*)?\Z")
_ROW: Final = re.compile(r"\s*\[.*\]\s*,?\s*(?:#.*)?\Z")
_AT_LINE: Final = re.compile(r"at line (\d+)")
_WHOLE: Final = frozenset({Level.HIDDEN, Level.FULL})
_Word = TypeVar("_Word", Relation, Action)


@dataclass(frozen=True, slots=True)
class Case:
    """One question with the answer that was signed. The parts of the question are those of a verdict.

    ``by`` are the deny rows that hold the level, otherwise the allow rows that apply. ``cells`` is the
    row as it was written, without its last cell ``why``.
    """

    line: int
    cells: tuple[str, ...]
    roles: frozenset[Holder]
    thing: str
    action: str
    relation: Relation
    purpose: Purpose
    facts: Mapping[str, bool]
    level: Level
    by: tuple[RuleId, ...]
    why: str

    @property
    def question(self) -> tuple[frozenset[Holder], str, str, Relation, Purpose]:
        """What is asked, in the order in which a plan takes it; the facts come after."""
        return self.roles, self.thing, self.action, self.relation, self.purpose


def read_cases(path: Path, words: Vocabulary, faults: list[Fault]) -> tuple[Case, ...]:
    """Read all cases in the order of the file, reporting every fault."""
    content = read_text(path, faults)
    if content is None:
        return ()
    try:
        document = tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        place = _AT_LINE.search(str(error))
        faults.append(Fault(path.name, int(place.group(1)) if place else 1, f"not TOML: {error}"))
        return ()
    lines = _lines(content)
    cases: list[Case] = []
    for name, rows in document.items():
        at = lines.get(name, [])
        if name not in _LISTS or not isinstance(rows, list):
            faults.append(Fault(path.name, 1, f"unknown list {name!r}; known: {', '.join(_LISTS)}"))
        elif len(at) != len(rows):
            faults.append(Fault(path.name, 1, f"every row of {name} must stand on a line of its own"))
        else:
            read = _Row.resource if name == "resource_rows" else _Row.household
            for line, cells in zip(at, rows, strict=True):
                row = _Row(path.name, line, words, faults)
                if row.complete(cells, _LISTS[name]) and (case := read(row, cells)):
                    cases.append(case)
    if not any(document.values()):
        faults.append(Fault(path.name, 1, "no rows: an empty set of cases"))
    _refuse_twins(path.name, cases, faults)
    return tuple(cases)


def _lines(content: str) -> dict[str, list[int]]:
    """Return the lines on which the rows of each list stand."""
    found: dict[str, list[int]] = {}
    name = ""
    for number, line in enumerate(content.splitlines(), start=1):
        if opening := _OPENING.match(line):
            name = opening.group(1)
        elif _ROW.match(line):
            found.setdefault(name, []).append(number)
    return found


def _refuse_twins(file: str, cases: list[Case], faults: list[Fault]) -> None:
    first: dict[object, int] = {}
    for case in cases:
        line = first.setdefault((case.question, frozenset(case.facts.items())), case.line)
        if line != case.line:
            faults.append(Fault(file, case.line, f"the same question as in line {line}"))


@dataclass(frozen=True, slots=True)
class _Row:
    file: str
    line: int
    words: Vocabulary
    faults: list[Fault]

    def fault(self, text: str) -> None:
        self.faults.append(Fault(self.file, self.line, text))

    def complete(self, cells: object, columns: tuple[str, ...]) -> bool:
        if not isinstance(cells, list) or not all(isinstance(cell, str) for cell in cells):
            self.fault("a row is a list of texts")
        elif len(cells) != len(columns):
            self.fault(f"{len(cells)} cells instead of {len(columns)}: {', '.join(columns)}")
        elif any(" ".join(cell.split()) != cell or not cell.isprintable() for cell in cells):
            self.fault("a cell is one line without blanks at its ends or in a row")
        elif not cells[-1]:
            self.fault("why is empty; each case says why its answer is right")
        else:
            return True
        return False

    def household(self, cells: list[str]) -> Case | None:
        who, person, relation, act, what, purpose, facts, level, by, why = cells
        before = len(self.faults)
        entry = self.words.fields.get(FieldName(what))
        action = self._one_of("act", act, Action)
        tie = self._one_of("relation", relation, Relation)
        if entry is None:
            self.fault(f"unknown field {what!r}")
        elif action is not None and not entry.admits(action):
            self.fault(f"{what} has nothing to {act}")
        if person not in PERSONS:
            self.fault(f"person must be one of {', '.join(PERSONS)}, not {person!r}")
        elif entry is not None and (person == "household") is not _is_shared(entry):
            self.fault(f"{what} belongs to a {entry.subject}, so person cannot be {person}")
        aim = self.words.purposes.get(Purpose(purpose))
        if aim is None:
            self.fault(f"unknown purpose {purpose!r}")
        known = self._facts(facts, [str(condition) for condition in STATED])
        roles, answer = self._roles(who), self._answer(level, by, graded=act == Action.READ)
        if len(self.faults) > before or aim is None or tie is None:
            return None
        known |= {str(name): fact for name, fact in PERSONS[person].items()}
        known[Condition.PROFILED.value] = aim.profiled
        asked = (roles, what, act, tie, aim.id, MappingProxyType(known))
        return Case(self.line, tuple(cells[:-1]), *asked, *answer, why)

    def resource(self, cells: list[str]) -> Case | None:
        who, act, what, facts, level, by, why = cells
        before = len(self.faults)
        entry = self.words.resources.types.get(what)
        if entry is None:
            self.fault(f"unknown type {what!r}")
        elif act not in entry.verbs:
            self.fault(f"act must be one of {', '.join(sorted(entry.verbs))}, not {act!r}")
        roles = self._named(who) if ":" in who else self._roles(who)
        known = self._facts(facts, list(self.words.resources.conditions))
        answer = self._answer(level, by, graded=False)
        if len(self.faults) > before:
            return None
        asked = (roles, f"type:{what}", act, Relation.NONE, NO_PURPOSE, MappingProxyType(known))
        return Case(self.line, tuple(cells[:-1]), *asked, *answer, why)

    def _one_of(self, column: str, cell: str, kind: type[_Word]) -> _Word | None:
        for member in kind:
            if cell == member.value:
                return member
        self.fault(f"{column} must be one of {', '.join(kind)}, not {cell!r}")
        return None

    def _roles(self, cell: str) -> frozenset[Holder]:
        """Return roles, each held wherever it may be: whether it is, is a question of the relation."""
        names = [] if cell == NOBODY else cell.split("+")
        found: set[Holder] = set()
        for name in names:
            entry = self.words.roles.get(Role(name))
            if entry is None:
                self.fault(f"unknown role {name!r}; write {NOBODY} for nobody's")
            elif names.count(name) > 1:
                self.fault(f"who names {name} twice")
            else:
                found |= {(scope, entry.id) for scope in entry.scopes}
        return frozenset(found)

    def _named(self, cell: str) -> frozenset[Holder]:
        kind, _, name = cell.partition(":")
        subject = self.words.resources.subjects.get((kind, name))
        if subject is None:
            self.fault(f"unknown subject {cell!r}")
            return frozenset()
        return subject.roles

    def _facts(self, cell: str, known: list[str]) -> dict[str, bool]:
        """Return each known condition as true when it is named, unknown after a ?, and false otherwise."""
        words = cell.split()
        names = [word.removeprefix("?") for word in words]
        for name in names:
            if name not in known:
                self.fault(f"unknown fact {name!r}; known: {', '.join(known)}")
            elif names.count(name) > 1:
                self.fault(f"facts name {name} twice")
        return {name: name in words for name in known if f"?{name}" not in words}

    def _answer(self, level: str, by: str, *, graded: bool) -> tuple[Level, tuple[RuleId, ...]]:
        known = [one for one in reversed(Level) if graded or one in _WHOLE]
        found = next((one for one in known if one.name.lower() == level), None)
        if found is None:
            names = ", ".join(one.name.lower() for one in known)
            self.fault(f"level must be one of {names}, not {level!r}")
        for rule in by.split():
            if not RULE_ID.fullmatch(rule):
                self.fault(f"by: {rule!r} is not of the form S-AG-02")
        return found or Level.HIDDEN, tuple(RuleId(rule) for rule in by.split())


def _is_shared(entry: FieldEntry) -> bool:
    return entry.subject is SubjectKind.HOUSEHOLD
