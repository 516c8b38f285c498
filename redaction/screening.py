"""Examine an outbound text by the rule library: pure, linear in the length of the text, all findings at once.

Promises that every finding names its rule, its legal source and its place in what the sender wrote (code
points, end exclusive), and that a hit which needs a guess (homophone, pinyin, split sign) is never graver
than review. Exemptions act on the claim they cover, never on the sentence around it
(广告绝对化用语执法指南, 2023). It never changes the text and never fetches anything; finding personal data is
another's craft, given to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, Protocol

from ahocorasick_rs import AhoCorasick

from policies.lexicon import LexiconRule
from policies.patterns import compiled
from policies.terms import Audience, Channel, FindingCategory, RuleId, ScreeningOutcome, ScreeningPurpose
from redaction.entities import Entity
from redaction.exposure import exposures
from redaction.normalise import Normalised, normalise, suspect, tighten
from redaction.words import straddled

_GRAVITY: Final = {ScreeningOutcome.ALLOW: 0, ScreeningOutcome.REVIEW: 1, ScreeningOutcome.BLOCK: 2}
_CLAUSE_ENDS: Final = frozenset(",。!?;\n")
_ACCIDENT: Final = 4
"""A longer hit does not come about by two innocent words standing side by side."""
_CLAUSE: Final = 16
"""How many signs before or after a hit still belong to its claim."""


class FindsPersonalData(Protocol):
    """Whoever can find personal data in a normalised text; places are those of the original."""

    def search(self, plain: Normalised) -> tuple[Entity, ...]:
        """Return the personal data in the text."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A text that somebody wants to send, and to whom."""

    text: str = field(repr=False)
    channel: Channel
    purpose: ScreeningPurpose
    audience: Audience


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong at ``original[start:end]``; a missing element points at the whole text."""

    rule: RuleId
    category: FindingCategory
    start: int
    end: int
    text: str = field(repr=False)
    law: str
    reason_zh: str
    reason_en: str
    suggestion: str
    severity: ScreeningOutcome


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the screening says. It has no truth value: look at ``outcome``."""

    outcome: ScreeningOutcome
    findings: tuple[Finding, ...]

    def __bool__(self) -> NoReturn:
        raise TypeError("a verdict has no truth value; look at its outcome")


@dataclass(frozen=True, slots=True)
class _Look:
    """One way to look at a draft: its view, and which places of it are guesses (None: nothing is)."""

    draft: Draft
    view: Normalised
    guesses: frozenset[int] | None


class _Program:
    """One rule made ready to run."""

    def __init__(self, rule: LexiconRule) -> None:
        self.rule = rule
        self.patterns = tuple(compiled(pattern.source) for pattern in rule.patterns)
        self._exempt = _any_of(rule.exempt)
        self._softened = _any_of(rule.softened)
        self._before = _any_of(rule.unless_before, ending="$")
        self._after = _any_of(rule.unless_after)
        self._beside = _any_of(rule.beside)
        self._requires = _any_of(rule.requires)

    def spared(self, text: str, start: int, end: int) -> bool:
        """Say whether the hit is no breach after all."""
        if self.rule.whole_words and end - start <= _ACCIDENT and straddled(text, start, end):
            return True
        if _covers(self._exempt, text, start, end):
            return True
        if self._before is not None and self._before.search(_clause_before(text, start)) is not None:
            return True
        return self._after is not None and self._after.search(_clause_after(text, end)) is not None

    def softened(self, text: str, start: int, end: int) -> bool:
        """Say whether the hit may be lawful with evidence, which a person must look at."""
        return _covers(self._softened, text, start, end)

    def speaks(self, text: str) -> bool:
        """Say whether what must stand beside a hit is there and what would satisfy the rule is not."""
        if self._beside is not None and self._beside.search(text) is None:
            return False
        return self._requires is None or self._requires.search(text) is None


class Screener:
    """The library, ready to run. Immutable after construction and safe to share between threads."""

    def __init__(self, rules: Sequence[LexiconRule], finder: FindsPersonalData) -> None:
        self._finder = finder
        self._programs = tuple(_Program(rule) for rule in rules)
        needles: dict[str, int] = {}
        uses: list[list[tuple[int, int]]] = []
        self._also: dict[tuple[int, int], tuple[frozenset[int], ...]] = {}

        def needle(text: str) -> int:
            if text not in needles:
                needles[text] = len(uses)
                uses.append([])
            return needles[text]

        self._standing: list[int] = []
        for number, rule in enumerate(rules):
            if not rule.terms and not rule.patterns:
                self._standing.append(number)
            for term in rule.terms:
                uses[needle(tighten(normalise(term)).text)].append((number, _TERM))
            for place, pattern in enumerate(rule.patterns):
                first, *also = (frozenset(map(needle, need)) for need in pattern.needs)
                for index in first:
                    uses[index].append((number, place))
                self._also[number, place] = tuple(also)
        self._uses = tuple(tuple(use) for use in uses)
        self._automaton = AhoCorasick(list(needles))
        self._applicable: dict[tuple[Channel, ScreeningPurpose, Audience], frozenset[int]] = {}

    def screen(self, draft: Draft) -> Verdict:
        """Return the outcome and every finding, in the order of their places.

        Raises:
            Unreadable: the text cannot be examined; treat it as refused.
        """
        plain = normalise(draft.text)
        view = tighten(plain)
        findings = list(self._hits(_Look(draft, view, None)))
        guessed = suspect(view)
        if guessed is not None:
            findings += self._hits(_Look(draft, *guessed))
        findings += self._missing(draft, view)
        findings += [
            Finding(
                exposure.rule,
                FindingCategory.PRIVACY_EXPOSURE,
                exposure.start,
                exposure.end,
                draft.text[exposure.start : exposure.end],
                exposure.law,
                exposure.reason_zh,
                exposure.reason_en,
                exposure.suggestion,
                exposure.severity,
            )
            for exposure in exposures(draft.text, self._finder.search(plain), draft.channel, draft.purpose)
        ]
        kept = _reduced(findings)
        outcome = max((f.severity for f in kept), key=_GRAVITY.__getitem__, default=ScreeningOutcome.ALLOW)
        return Verdict(outcome, kept)

    def _hits(self, look: _Look) -> Iterator[Finding]:
        text = look.view.text
        hits = self._automaton.find_matches_as_indexes(text, overlapping=True)
        if not hits:
            return
        applicable = self._applicable_to(look.draft)
        seen = {needle for needle, _, _ in hits}
        to_run: set[tuple[int, int]] = set()
        for needle, start, end in hits:
            for number, place in self._uses[needle]:
                if number not in applicable:
                    continue
                if place != _TERM:
                    to_run.add((number, place))
                elif _is_word(text, start, end):
                    yield from _judged(look, self._programs[number], start, end)
        for number, place in sorted(to_run):
            if any(seen.isdisjoint(need) for need in self._also[number, place]):
                continue
            program = self._programs[number]
            for found in program.patterns[place].finditer(text):
                yield from _judged(look, program, found.start(), found.end())

    def _applicable_to(self, draft: Draft) -> frozenset[int]:
        """Return the numbers of the rules that speak about such a message; worked out once for each kind."""
        kind = (draft.channel, draft.purpose, draft.audience)
        if kind not in self._applicable:
            self._applicable[kind] = frozenset(
                number for number, program in enumerate(self._programs) if program.rule.applies(*kind)
            )
        return self._applicable[kind]

    def _missing(self, draft: Draft, view: Normalised) -> Iterator[Finding]:
        applicable = self._applicable_to(draft)
        for number in self._standing:
            if number in applicable and self._programs[number].speaks(view.text):
                rule = self._programs[number].rule
                yield _finding(rule, draft.text, 0, len(draft.text), rule.severity)


_TERM: Final = -1


def _judged(look: _Look, program: _Program, start: int, end: int) -> Iterator[Finding]:
    guess = look.guesses is not None
    if start == end or (look.guesses is not None and look.guesses.isdisjoint(range(start, end))):
        return
    text = look.view.text
    while end - start > 1 and text[end - 1] in _CLAUSE_ENDS:
        end -= 1
    if program.spared(text, start, end) or not program.speaks(text):
        return
    doubtful = guess or program.softened(text, start, end)
    severity = ScreeningOutcome.REVIEW if doubtful else program.rule.severity
    yield _finding(program.rule, look.draft.text, *look.view.span(start, end), severity)


def _finding(rule: LexiconRule, original: str, start: int, end: int, severity: ScreeningOutcome) -> Finding:
    return Finding(
        rule.id,
        rule.category,
        start,
        end,
        original[start:end],
        rule.law,
        rule.reason_zh,
        rule.reason_en,
        rule.suggestion,
        severity,
    )


def _any_of(sources: Iterable[str], ending: str = "") -> Any:
    joined = "|".join(f"(?:{source}){ending}" for source in sources)
    return compiled(joined) if joined else None


def _covers(program: Any, text: str, start: int, end: int) -> bool:
    if program is None:
        return False
    left = max(0, start - 2 * _CLAUSE)
    window = text[left : end + 2 * _CLAUSE]
    return any(
        left + found.start() <= start and end <= left + found.end() for found in program.finditer(window)
    )


def _clause_before(text: str, start: int) -> str:
    at = start
    while at > 0 and start - at < _CLAUSE and text[at - 1] not in _CLAUSE_ENDS:
        at -= 1
    return text[at:start]


def _clause_after(text: str, end: int) -> str:
    at = end
    while at < len(text) and at - end < _CLAUSE and text[at] not in _CLAUSE_ENDS:
        at += 1
    return text[end:at]


def _is_word(text: str, start: int, end: int) -> bool:
    """Latin letters and figures are a hit only as a whole word: no ``vx`` in ``avxb``."""
    return not (_joins(text[start - 1 : start], text[start]) or _joins(text[end - 1], text[end : end + 1]))


def _joins(left: str, right: str) -> bool:
    return left.isascii() and right.isascii() and left.isalnum() and right.isalnum()


def _reduced(findings: list[Finding]) -> tuple[Finding, ...]:
    """Return the findings without those that say less about a place that another one covers."""
    ordered = sorted(findings, key=lambda f: (-_GRAVITY[f.severity], f.start - f.end, f.start, f.rule))
    kept: list[Finding] = []
    for finding in ordered:
        if not any(
            other.category is finding.category and other.start <= finding.start and finding.end <= other.end
            for other in kept
        ):
            kept.append(finding)
    return tuple(sorted(kept, key=lambda f: (f.start, f.end, f.rule)))
