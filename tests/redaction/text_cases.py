"""Reads the tables of texts in ``cases/``: one case a line, columns between bars, ``#`` for remarks."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import policies
from policies.lexicon import LexiconRule, load_lexicon
from policies.terms import Audience, Channel, ScreeningPurpose
from redaction.finding import Finder
from redaction.screening import Draft, Screener

CASES = Path(__file__).parent / "cases"
LEXICON = Path(policies.__file__).parent / "rules" / "lexicon"
_MARK = re.compile(r"\[\[([A-Z_]+):(.*?)\]\]")


def table(name: str, columns: int) -> list[tuple[str, ...]]:
    """Return the rows of a table; the last column keeps bars of its own."""
    lines = (CASES / name).read_text(encoding="utf-8").splitlines()
    return [
        tuple(cell.strip() for cell in line.split("|", columns - 1))
        for line in lines
        if line.strip() and not line.startswith("#")
    ]


def marked(line: str) -> tuple[str, list[tuple[str, int, int]]]:
    """Return the text without its marks, and what the marks say: kind, start, end."""
    text = ""
    said = []
    at = 0
    for mark in _MARK.finditer(line):
        text += line[at : mark.start()]
        said.append((mark[1], len(text), len(text) + len(mark[2])))
        text += mark[2]
        at = mark.end()
    return text + line[at:], said


@functools.cache
def rules() -> tuple[LexiconRule, ...]:
    """Return the shipped library."""
    return load_lexicon(LEXICON)


@functools.cache
def finder() -> Finder:
    """Return the one finder of the test run; loading it takes seconds."""
    return Finder()


@functools.cache
def screener() -> Screener:
    """Return the shipped library, ready to run."""
    return Screener(rules(), finder())


def draft(
    text: str,
    channel: str = "mini_program",
    purpose: str = "marketing",
    audience: str = "general",
) -> Draft:
    """Return a draft; a mini program's message needs neither signature nor opt-out."""
    return Draft(text, Channel(channel), ScreeningPurpose(purpose), Audience(audience))
