"""The rule library of the text screening: strict loading of ``rules/lexicon/*.toml``.

Promises that a library which loads has no unknown key or word, no missing law, no empty list, no id twice and
no pattern that cannot run in linear time; otherwise ``LexiconError`` lists every fault with file and rule. It
decides nothing: ``redaction.screening`` applies the rules. Each rule brings a text it catches and a near miss
it spares, so that a change can be tried before it is published.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TypeVar

from policies.patterns import Pattern, PatternError, expand, read_pattern
from policies.terms import Audience, Channel, FindingCategory, RuleId, ScreeningOutcome, ScreeningPurpose

_Word = TypeVar("_Word", bound=StrEnum)


class LexiconError(ValueError):
    """The library is unusable. ``faults`` has one line for each fault: file, rule, what is wrong."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


@dataclass(frozen=True, slots=True)
class LexiconRule:
    """One rule. Empty ``channels``, ``audiences`` or ``purposes`` mean all of them.

    A rule with ``terms`` or ``patterns`` finds these. ``exempt`` and ``softened`` are claim-scoped: they only
    act on a hit that lies wholly inside their own match. ``unless_before`` and ``unless_after`` look at the
    rest of the hit's clause. ``beside`` asks for a second thing anywhere in the text. With ``requires`` the
    finding is made only when none of these stands in the text (then terms and patterns may be absent).
    ``whole_words`` asks for word boundaries at both ends of a short hit: 面包|过敏 is no 包过.
    """

    id: RuleId
    category: FindingCategory
    severity: ScreeningOutcome
    law: str
    reason_zh: str
    reason_en: str
    suggestion: str
    catches: tuple[str, ...]
    spares: tuple[str, ...]
    channels: frozenset[Channel] = frozenset()
    audiences: frozenset[Audience] = frozenset()
    purposes: frozenset[ScreeningPurpose] = frozenset()
    terms: tuple[str, ...] = ()
    patterns: tuple[Pattern, ...] = ()
    exempt: tuple[str, ...] = ()
    softened: tuple[str, ...] = ()
    unless_before: tuple[str, ...] = ()
    unless_after: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    whole_words: bool = False

    def applies(self, channel: Channel, purpose: ScreeningPurpose, audience: Audience) -> bool:
        """Say whether the rule speaks about this kind of message at all."""
        return (
            (not self.channels or channel in self.channels)
            and (not self.purposes or purpose in self.purposes)
            and (not self.audiences or audience in self.audiences)
        )


_SENTENCES: Final = ("id", "category", "severity", "law", "reason_zh", "reason_en", "suggestion")
_LISTS: Final = (
    "catches", "spares", "channels", "audiences", "purposes", "terms", "patterns", "exempt", "softened",
    "unless_before", "unless_after", "beside", "requires",
)  # fmt: skip
_SOURCES: Final = ("exempt", "softened", "unless_before", "unless_after", "beside", "requires")
_ID: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


def load_lexicon(folder: Path) -> tuple[LexiconRule, ...]:
    """Return every rule of the folder's ``*.toml`` files, in the order of file name and place.

    Raises:
        LexiconError: with all faults of all files.
    """
    faults: list[str] = []
    tables: list[tuple[str, dict[str, Any]]] = []
    for path in sorted(folder.glob("*.toml")):
        try:
            tables.append((path.name, tomllib.loads(path.read_text(encoding="utf-8"))))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            faults.append(f"{path.name}: not TOML: {error}")
    words = _words(tables, faults)
    rules: list[LexiconRule] = []
    seen: dict[str, str] = {}
    for file, table in tables:
        entries = table.get("rule", [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            faults.append(f"{file}: rule must be written as [[rule]]")
            continue
        for number, entry in enumerate(entries, start=1):
            where = f"{file}: {entry.get('id') or f'rule {number}'}"
            rule = _Draft(entry, words, where, faults).rule()
            if rule is None:
                continue
            if rule.id in seen:
                faults.append(f"{where}: id already used in {seen[rule.id]}")
            seen[rule.id] = file
            rules.append(rule)
    if not rules and not faults:
        faults.append("the library has no rule")
    if faults:
        raise LexiconError(faults)
    return tuple(rules)


def _words(tables: list[tuple[str, dict[str, Any]]], faults: list[str]) -> dict[str, tuple[str, ...]]:
    words: dict[str, tuple[str, ...]] = {}
    for file, table in tables:
        faults += [f"{file}: unknown key {key}" for key in sorted(table.keys() - {"words", "rule"})]
        declared = table.get("words", {})
        if not isinstance(declared, dict):
            faults.append(f"{file}: words must be a table")
            continue
        for name, choices in declared.items():
            if not _are_sentences(choices):
                faults.append(f"{file}: <{name}> must be a list of words that is not empty")
            elif name in words:
                faults.append(f"{file}: <{name}> is declared twice")
            else:
                words[name] = tuple(choices)
    return words


def _are_sentences(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, str) and v.strip() for v in value)


class _Draft:
    """One table of a file on its way to a rule; notes each fault and goes on."""

    def __init__(
        self, entry: Mapping[str, Any], words: Mapping[str, tuple[str, ...]], where: str, faults: list[str]
    ) -> None:
        self._entry = entry
        self._words = words
        self._where = where
        self._faults = faults

    def rule(self) -> LexiconRule | None:
        before = len(self._faults)
        for key in sorted(self._entry.keys() - {*_SENTENCES, *_LISTS, "whole_words"}):
            self._fault(f"unknown key {key}")
        text = {key: self._sentence(key) for key in _SENTENCES}
        lists = {key: self._list(key) for key in _LISTS}
        for key in ("catches", "spares"):
            if not lists[key]:
                self._fault(f"{key} is missing")
        if not (lists["terms"] or lists["patterns"] or lists["requires"]):
            self._fault("nothing to find: terms, patterns or requires")
        if text["id"] and _ID.fullmatch(text["id"]) is None:
            self._fault("id must be small letters, digits and hyphens")
        severity = self._word(ScreeningOutcome, text["severity"])
        if severity is ScreeningOutcome.ALLOW:
            self._fault("severity is review or block")
        whole_words = self._entry.get("whole_words", False)
        if not isinstance(whole_words, bool):
            self._fault("whole_words is true or false")
        category = self._word(FindingCategory, text["category"])
        channels = self._closed(Channel, lists["channels"])
        audiences = self._closed(Audience, lists["audiences"])
        purposes = self._closed(ScreeningPurpose, lists["purposes"])
        patterns = tuple(p for p in map(self._pattern, lists["patterns"]) if p is not None)
        sources = {key: tuple(filter(None, map(self._source, lists[key]))) for key in _SOURCES}
        if len(self._faults) > before or category is None or severity is None:
            return None
        return LexiconRule(
            id=RuleId(text["id"]),
            category=category,
            severity=severity,
            law=text["law"],
            reason_zh=text["reason_zh"],
            reason_en=text["reason_en"],
            suggestion=text["suggestion"],
            catches=lists["catches"],
            spares=lists["spares"],
            terms=lists["terms"],
            patterns=patterns,
            whole_words=whole_words,
            channels=channels,
            audiences=audiences,
            purposes=purposes,
            exempt=sources["exempt"],
            softened=sources["softened"],
            unless_before=sources["unless_before"],
            unless_after=sources["unless_after"],
            beside=sources["beside"],
            requires=sources["requires"],
        )

    def _fault(self, what: str) -> None:
        self._faults.append(f"{self._where}: {what}")

    def _sentence(self, key: str) -> str:
        value = self._entry.get(key)
        if isinstance(value, str) and value.strip():
            return value
        self._fault(f"{key} is missing" if value is None else f"{key} must be a text that is not empty")
        return ""

    def _list(self, key: str) -> tuple[str, ...]:
        if key not in self._entry:
            return ()
        value = self._entry[key]
        if not _are_sentences(value):
            self._fault(f"{key} must be a list of texts that is not empty")
            return ()
        if len(set(value)) < len(value):
            self._fault(f"{key} says something twice")
        return tuple(value)

    def _word(self, words: type[_Word], value: str) -> _Word | None:
        if not value:
            return None
        try:
            return words(value)
        except ValueError:
            self._fault(f"unknown word {value}")
            return None

    def _closed(self, words: type[_Word], values: tuple[str, ...]) -> frozenset[_Word]:
        return frozenset(word for word in (self._word(words, value) for value in values) if word is not None)

    def _pattern(self, source: str) -> Pattern | None:
        try:
            return read_pattern(source, self._words)
        except PatternError as error:
            self._fault(str(error))
            return None

    def _source(self, source: str) -> str:
        try:
            read_pattern(source, self._words)
            return expand(source, self._words)
        except PatternError as error:
            self._fault(str(error))
            return ""
