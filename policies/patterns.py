r"""The small pattern language of the rule library, and the fixed words a pattern cannot do without.

A rule file may use literal signs, ``[classes]``, ``(groups|of|choices)``, ``? * + {m,n}``, ``.``, ``\d``
and the like, and ``<word>`` for a list declared in the library. Everything is matched in linear time (RE2).
Promises that each accepted pattern names its ``needs``: strings of which one stands in every match, so that
two thousand patterns cost one pass over the text. A pattern without such a word is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

import re2

MOST_NEEDS: Final = 400
"""A pattern that could start from more words than this is a dictionary and belongs in ``terms``."""
_MOST_SPELLINGS: Final = 60
_DEEPEST_WORD: Final = 5
_MOST_SETS: Final = 4


class PatternError(ValueError):
    """The pattern cannot be used; the message says why, for the person who wrote the rule."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A checked pattern: its RE2 source, and sets of strings: every match contains one of each set."""

    source: str
    needs: tuple[frozenset[str], ...]


@dataclass(frozen=True, slots=True)
class _Language:
    """What is known of a piece: all its spellings, if they are few, and what each match contains."""

    spellings: frozenset[str] | None
    needs: tuple[frozenset[str], ...] = ()

    def all_needs(self) -> tuple[frozenset[str], ...]:
        """Return the needs, best first, the spellings themselves among them."""
        candidates = (*self.needs, self.spellings) if self.spellings is not None else self.needs
        return _sorted(candidates)


_EMPTY: Final = _Language(frozenset({""}))
_ANYTHING: Final = _Language(None)


@cache
def compiled(source: str) -> re2._Regexp:
    """Return the RE2 program of an accepted pattern; rules that share one share its program."""
    options = re2.Options()
    options.log_errors = False
    return re2.compile(source, options)


def read_pattern(source: str, words: Mapping[str, tuple[str, ...]]) -> Pattern:
    """Return the checked pattern with its ``<words>`` filled in.

    Raises:
        PatternError: bad syntax, an unknown word, no fixed word, or it matches the empty text.
    """
    full = expand(source, words)
    language = _Reader(full).read()
    try:
        program = compiled(full)
    except re2.error as error:
        raise PatternError(f"bad pattern: {source}") from error
    if program.fullmatch("") is not None:
        raise PatternError(f"pattern matches the empty text: {source}")
    needs = language.all_needs()
    if not needs:
        raise PatternError(f"pattern has no fixed word in it: {source}")
    return Pattern(full, needs)


def expand(source: str, words: Mapping[str, tuple[str, ...]], depth: int = 0) -> str:
    """Return the pattern with every ``<word>`` replaced by its choices."""
    if depth > _DEEPEST_WORD:
        raise PatternError("words refer to each other in a circle")
    parts: list[str] = []
    rest = source
    while "<" in rest:
        before, _, rest = rest.partition("<")
        name, closed, rest = rest.partition(">")
        if not closed or name not in words:
            raise PatternError(f"unknown word <{name}>")
        choices = "|".join(expand(choice, words, depth + 1) for choice in words[name])
        parts += [before, "(?:", choices, ")"]
    return "".join([*parts, rest])


def _sorted(candidates: Iterable[frozenset[str]]) -> tuple[frozenset[str], ...]:
    usable = {c for c in candidates if c and "" not in c and len(c) <= MOST_NEEDS}
    return tuple(sorted(usable, key=lambda c: (-min(map(len, c)), len(c), sorted(c)))[:_MOST_SETS])


def _in_a_row(pieces: Iterable[_Language]) -> _Language:
    """Join pieces; a run of known spellings stays whole for as long as it has few."""
    whole = True
    needs: list[frozenset[str]] = []
    run = frozenset({""})
    for piece in pieces:
        needs += piece.needs
        if piece.spellings is not None and len(run) * len(piece.spellings) <= _MOST_SPELLINGS:
            run = frozenset(a + b for a in run for b in piece.spellings)
            continue
        whole = False
        needs.append(run)
        run = frozenset({""}) if piece.spellings is None else piece.spellings
    return _Language(run if whole else None, _sorted([*needs, run]))


def _either(choices: list[_Language]) -> _Language:
    if len(choices) == 1:
        return choices[0]
    spellings: frozenset[str] | None = frozenset()
    for choice in choices:
        spellings = None if spellings is None or choice.spellings is None else spellings | choice.spellings
    if spellings is not None and len(spellings) > MOST_NEEDS:
        spellings = None
    best = [choice.all_needs()[:1] for choice in choices]
    needs = () if not all(best) else _sorted([frozenset().union(*(sets[0] for sets in best))])
    return _Language(spellings, needs)


class _Reader:
    """A recursive reading of one pattern."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._at = 0

    def read(self) -> _Language:
        language = self._choices()
        if self._at < len(self._source):
            raise PatternError(f"unexpected ) in pattern: {self._source}")
        return language

    def _peek(self) -> str:
        return self._source[self._at : self._at + 1]

    def _choices(self) -> _Language:
        choices = [self._sequence()]
        while self._peek() == "|":
            self._at += 1
            choices.append(self._sequence())
        return _either(choices)

    def _sequence(self) -> _Language:
        pieces: list[_Language] = []
        while self._peek() not in {"", "|", ")"}:
            pieces.append(self._repeated())
        return _in_a_row(pieces)

    def _repeated(self) -> _Language:
        piece = self._piece()
        sign = self._peek()
        if sign in {"?", "*"}:
            self._at += 1
            may_be_absent = _Language(piece.spellings | {""}) if piece.spellings is not None else _ANYTHING
            return may_be_absent if sign == "?" else _ANYTHING
        if sign == "+":
            self._at += 1
            return _Language(None, piece.all_needs())
        if sign == "{":
            end = self._source.find("}", self._at)
            least = self._source[self._at + 1 : end].partition(",")[0]
            if end < 0 or not least.isdigit():
                raise PatternError(f"bad repetition in pattern: {self._source}")
            self._at = end + 1
            return _Language(None, piece.all_needs()) if int(least) else _ANYTHING
        return piece

    def _piece(self) -> _Language:
        sign = self._peek()
        self._at += 1
        if sign == "(":
            if self._source.startswith("?:", self._at):
                self._at += 2
            language = self._choices()
            if self._peek() != ")":
                raise PatternError(f"missing ) in pattern: {self._source}")
            self._at += 1
            return language
        if sign == "[":
            return self._class()
        if sign == "\\":
            escaped = self._peek()
            self._at += 1
            return _ANYTHING if escaped.isalnum() or not escaped else _Language(frozenset({escaped}))
        if sign == ".":
            return _ANYTHING
        if sign in {"^", "$"}:
            return _EMPTY
        if sign in {"?", "*", "+", "{", "}", "]"}:
            raise PatternError(f"unexpected {sign} in pattern: {self._source}")
        return _Language(frozenset({sign}))

    def _class(self) -> _Language:
        end = self._at + 1
        while end < len(self._source) and self._source[end] != "]":
            end += 2 if self._source[end] == "\\" else 1
        if end >= len(self._source):
            raise PatternError(f"missing ] in pattern: {self._source}")
        signs = self._source[self._at : end]
        self._at = end + 1
        if signs.startswith("^") or "-" in signs or "\\" in signs or len(signs) > _MOST_SPELLINGS:
            return _ANYTHING
        return _Language(frozenset(signs))
