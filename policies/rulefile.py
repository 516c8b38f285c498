"""Strict reading of rule files: every fault is kept with its file and line, none stops the reading.

Promises that nothing in a rule file is guessed, skipped or filled in: an unknown key, a missing key, a
value of the wrong kind, an empty list or a capital letter where a small one belongs becomes a fault. A
rule file is a list of TOML tables (``[[kind]]``) and each table is handed out as an ``Entry`` that knows
its lines. It never raises for what an officer wrote; the rule book raises once, with all faults.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeVar

WORD: Final = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*\Z")
"""A declared word: small letters, digits and underscores, dotted from general to special."""

_HEADER: Final = re.compile(r"\s*\[\[\s*([A-Za-z0-9_.-]+)\s*\]\]")
_KEY: Final = re.compile(r"\s*([A-Za-z0-9_-]+)\s*=")
_TOML_LINE: Final = re.compile(r"at line (\d+)")
_Choice = TypeVar("_Choice", bound=StrEnum)


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing that is wrong in a rule file. Lines count from 1."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


@dataclass(frozen=True, slots=True)
class Schema:
    """The keys that one kind of table must and may have."""

    required: frozenset[str]
    optional: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Entry:
    """One table of a rule file. Its getters report a fault and then return something harmless."""

    file: str
    kind: str
    line: int
    values: Mapping[str, object]
    lines: Mapping[str, int]
    faults: list[Fault]

    def fault(self, key: str, text: str) -> None:
        """Report a fault at the line of ``key``, or of the table when the key is absent."""
        self.faults.append(Fault(self.file, self.lines.get(key, self.line), text))

    def text(self, key: str) -> str:
        """Return a sentence or title: one non-empty line without surrounding blanks."""
        value = self.values.get(key)
        if isinstance(value, str) and value and value == value.strip() and value.isprintable():
            return value
        if key in self.values:
            self.fault(key, f"{key} must be one line of text, not empty")
        return ""

    def word(self, key: str) -> str:
        """Return a declared word, or an empty string when the optional key is absent."""
        value = self.values.get(key)
        if value is None:
            return ""
        return value if self._is_word(key, value) and isinstance(value, str) else ""

    def words(self, key: str) -> tuple[str, ...]:
        """Return a list of different words with at least one member."""
        value = self.values.get(key)
        if value is None:
            return ()
        if not isinstance(value, list):
            self.fault(key, f"{key} must be a list of words")
            return ()
        if not value:
            self.fault(key, f"{key} is an empty set")
        for index, item in enumerate(value):
            if self._is_word(key, item) and item in value[:index]:
                self.fault(key, f"{key} names {item!r} twice")
        return tuple(item for item in value if isinstance(item, str))

    def choice(self, key: str, kind: type[_Choice]) -> _Choice:
        """Return a member of a closed set of words."""
        value = self.values.get(key)
        for member in kind:
            if value == member.value:
                return member
        if key in self.values:
            self.fault(key, f"{key} must be one of {', '.join(kind)}, not {value!r}")
        return next(iter(kind))

    def flag(self, key: str) -> bool:
        """Return true or false."""
        value = self.values.get(key)
        if not isinstance(value, bool) and key in self.values:
            self.fault(key, f"{key} must be true or false")
        return value is True

    def number(self, key: str, low: int, high: int) -> int:
        """Return a whole number from ``low`` to ``high``, both included."""
        value = self.values.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        if key in self.values:
            self.fault(key, f"{key} must be a whole number from {low} to {high}")
        return low

    def _is_word(self, key: str, value: object) -> bool:
        if isinstance(value, str) and WORD.match(value):
            return True
        capital = isinstance(value, str) and WORD.match(value.lower())
        hint = "has capital letters where small ones belong" if capital else "is not a word"
        self.fault(key, f"{key}: {value!r} {hint}")
        return False


def read_entries(
    path: Path, schemas: Mapping[str, Schema], faults: list[Fault], optional: Collection[str] = ()
) -> dict[str, tuple[Entry, ...]]:
    """Read one TOML rule file into entries per kind; every kind but the optional ones must occur."""
    content = read_text(path, faults)
    found: dict[str, tuple[Entry, ...]] = dict.fromkeys(schemas, ())
    if content is None:
        return found
    try:
        document = tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        place = _TOML_LINE.search(str(error))
        line = int(place.group(1)) if place else len(content.splitlines())
        faults.append(Fault(path.name, max(line, 1), f"not TOML: {error}"))
        return found
    places = _places(content)
    for kind, tables in document.items():
        if kind not in schemas or not isinstance(tables, list):
            first = next((line for name, line, _ in places if name == kind), _key_line(content, kind))
            faults.append(Fault(path.name, first, f"unknown table {kind!r}"))
            continue
        spots = [(line, keys) for name, line, keys in places if name == kind]
        found[kind] = tuple(
            _checked(Entry(path.name, kind, line, table, keys, faults), schemas[kind])
            for table, (line, keys) in zip(tables, spots, strict=False)
        )
        if len(tables) != len(spots):
            faults.append(Fault(path.name, 1, f"every {kind} must be written as [[{kind}]] with keys below"))
    missing = [kind for kind in schemas if not found[kind] and kind not in optional]
    faults.extend(Fault(path.name, 1, f"no [[{kind}]]: an empty set") for kind in missing)
    return found


def read_text(path: Path, faults: list[Fault]) -> str | None:
    """Return a rule file's text (UTF-8, no byte order mark), or None after reporting why not."""
    try:
        content = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        faults.append(Fault(path.name, 1, "the file is missing"))
    except UnicodeDecodeError as error:
        faults.append(Fault(path.name, error.object[: error.start].count(b"\n") + 1, "not UTF-8"))
    else:
        if not content.startswith("\ufeff"):
            return content
        faults.append(Fault(path.name, 1, "the file starts with a byte order mark"))
    return None


def refuse_twins(entries: Iterable[Entry], key: str) -> None:
    """Report each entry whose ``key`` repeats an earlier one's."""
    first: dict[object, int] = {}
    for entry in entries:
        value = entry.values.get(key)
        if isinstance(value, str) and first.setdefault(value, entry.line) != entry.line:
            entry.fault(key, f"duplicate {key} {value!r}, first in line {first[value]}")


def _checked(entry: Entry, schema: Schema) -> Entry:
    for key in entry.values:
        if key not in schema.required and key not in schema.optional:
            entry.fault(key, f"unknown key {key!r} in [[{entry.kind}]]")
    for key in sorted(schema.required - entry.values.keys()):
        entry.fault("", f"[[{entry.kind}]] has no {key!r}")
    return entry


def _places(content: str) -> list[tuple[str, int, dict[str, int]]]:
    """Return each table's kind, its line and the lines of its keys."""
    places: list[tuple[str, int, dict[str, int]]] = []
    for number, line in enumerate(content.splitlines(), start=1):
        if header := _HEADER.match(line):
            places.append((header.group(1), number, {}))
        elif places and (key := _KEY.match(line)):
            places[-1][2].setdefault(key.group(1), number)
    return places


def _key_line(content: str, key: str) -> int:
    for number, line in enumerate(content.splitlines(), start=1):
        if line.lstrip(" [").startswith(key):
            return number
    return 1
