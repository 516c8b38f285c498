"""Bring a text into one spelling, and keep for every sign its place in the original.

Promises that whatever is found in ``Normalised.text`` can be pointed to in what the sender wrote: offsets are
Unicode code points of the original, end exclusive. Work is linear in the length. Text that cannot be read
safely (too long, a pile of combining marks) raises ``Unreadable``: a gate must refuse it, never skip it.
Two further views help against evasion: ``tighten`` leaves out what was put between Chinese signs, and
``suspect`` tries homophones, pinyin, split signs and leaves out lone letters; a hit there is a guess.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from ahocorasick_rs import AhoCorasick

from redaction.spellings import PLAIN, SPLIT, SUSPECT, SYLLABLES

LONGEST: Final = 50_000
"""Code points. No message is longer; a longer line is an attack or a mistake."""
MOST_MARKS: Final = 30
"""Combining marks in a row that still are a text: the limit of the Stream-Safe Text Format (UAX #15 §13)."""


class Unreadable(ValueError):  # noqa: N818 - what is true of the text, not of the program
    """The text cannot be examined safely, so nothing may be concluded about it."""


@dataclass(frozen=True, slots=True)
class Normalised:
    """``text[i]`` came from ``original[starts[i]:ends[i]]``."""

    text: str
    starts: Sequence[int]
    ends: Sequence[int]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return the place in the original of ``text[start:end]``, which must not be empty."""
        return self.starts[start], self.ends[end - 1]


_ENTITY: Final = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,30});")
_MARKS: Final = re.compile(
    r"[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u0e31-\u0e4e\u1ab0-\u1aff\u1dc0-\u1dff"
    r"\u20d0-\u20ff\u302a-\u302f\u3099\u309a\ufe00-\ufe0f\ufe20-\ufe2f]{" + str(MOST_MARKS + 1) + ",}"
)
_KEPT_CONTROLS: Final = frozenset("\n\t")
_LAST_ASCII: Final = 0x7F


def _fold_ascii(sign: str) -> str:
    if sign >= " " and sign != "\x7f":
        return sign.lower()
    return {"\n": "\n", "\t": " "}.get(sign, "")


class _Folds(dict[str, str]):
    """Each sign's plain spelling, worked out once. Bounded by the number of code points."""

    def __missing__(self, sign: str) -> str:
        plain = _fold(sign)
        self[sign] = plain
        if len(plain) != 1:
            _UNEVEN.add(sign)
        return plain


_UNEVEN: Final[set[str]] = set()
"""Signs whose plain spelling is not one sign long: a text without them needs no map."""


def _fold(sign: str) -> str:
    if ord(sign) <= _LAST_ASCII:
        return _fold_ascii(sign)
    if sign in PLAIN:
        return PLAIN[sign]
    kind = unicodedata.category(sign)
    if kind in {"Cf", "Mn", "Me", "Cc", "Cs", "Co", "Cn"}:
        return ""
    if kind in {"Zl", "Zp"}:
        return "\n"
    compatible = unicodedata.normalize("NFKC", sign)
    spread = unicodedata.normalize("NFD", compatible)
    if spread[0].isascii():
        compatible = "".join(part for part in spread if unicodedata.category(part) != "Mn")
    return "".join(PLAIN.get(part, part) for part in compatible.casefold())


_FOLDS: Final = _Folds()


def normalise(text: str) -> Normalised:
    """Return the plain spelling of the text.

    Entities are decoded, widths and styles folded, invisible signs dropped, traditional signs simplified,
    capital letters made small.

    Raises:
        Unreadable: the text is longer than ``LONGEST`` or piles up combining marks.
    """
    if len(text) > LONGEST:
        raise Unreadable(f"the text is longer than {LONGEST} code points")
    plain = "".join([_FOLDS[sign] for sign in text])
    if "&" not in text and _UNEVEN.isdisjoint(text):
        return Normalised(plain, range(len(text)), range(1, len(text) + 1))
    if _MARKS.search(text) is not None:
        raise Unreadable(f"the text has more than {MOST_MARKS} combining marks in a row")
    return _mapped(text)


def _mapped(text: str) -> Normalised:
    signs: list[str] = []
    starts: list[int] = []
    ends: list[int] = []

    def put(plain: str, start: int, end: int) -> None:
        for sign in plain:
            signs.append(sign)
            starts.append(start)
            ends.append(end)

    at = 0
    for entity in _ENTITY.finditer(text):
        for place in range(at, entity.start()):
            put(_FOLDS[text[place]], place, place + 1)
        decoded = html.unescape(entity.group())
        put("".join(_FOLDS[sign] for sign in decoded), entity.start(), entity.end())
        at = entity.end()
    for place in range(at, len(text)):
        put(_FOLDS[text[place]], place, place + 1)
    return Normalised("".join(signs), starts, ends)


_HAN: Final = r"\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff"
_BETWEEN: Final = r" \-_*~|/\\^=`'\"#.·•・‧∙…—–()\[\]{}<>〈〉《》「」『』〔〕“”‘’"
_FILLER: Final = re.compile(
    rf"[{_BETWEEN}\u2190-\u2bff\u3003-\u3007\u3012-\u303f\U0001f000-\U0001faff]{{1,4}}"
)
_SPACED: Final = re.compile(rf"(?:[{_HAN}]([,、;:!?。\n@&+%$])[ ]?){{2,}}(?=[{_HAN}])")
_STRUCTURE: Final = frozenset("〇〒")


@cache
def _is_han(sign: str) -> bool:
    return "\u3400" <= sign <= "\u9fff" or sign >= "\U00020000"


def tighten(plain: Normalised) -> Normalised:
    """Return the view without what stands between signs of which at least one is Chinese (``最*高*级``).

    Sentence punctuation stays, unless every sign is set apart by it (``最，高，级``). Figures and Latin words
    keep their separators: ``3.5``, ``7-10``, ``top 1``.
    """
    text = plain.text
    if _FILLER.search(text) is None and _SPACED.search(text) is None:
        return plain
    dropped: set[int] = set()
    for run in _FILLER.finditer(text):
        before = text[run.start() - 1] if run.start() else "\n"
        after = text[run.end()] if run.end() < len(text) else "\n"
        if _is_han(before) or _is_han(after) or not run.group().isascii():
            dropped.update(range(run.start(), run.end()))
    for run in _SPACED.finditer(text):
        dropped.update(place for place in range(run.start(), run.end()) if not _is_han(text[place]))
    if not dropped:
        return plain
    kept = [place for place in range(len(text)) if place not in dropped]
    return Normalised(
        "".join([text[place] for place in kept]),
        [plain.starts[place] for place in kept],
        [plain.ends[place] for place in kept],
    )


_SYLLABLE: Final = re.compile(
    rf"(?<=[{_HAN}])(?:{{0}})(?![a-z])|(?<![a-z])(?:{{0}})(?=[{_HAN}])".format(
        "|".join(sorted(SYLLABLES, key=len, reverse=True))
    )
)
_LONE_LETTER: Final = rf"(?<=[{_HAN}])[a-jl-pr-suw-z](?=[{_HAN}])"
_SUSPICIOUS: Final = re.compile(
    "|".join([*map(re.escape, SPLIT), _SYLLABLE.pattern, _LONE_LETTER, "[" + "".join(SUSPECT) + "]"])
)
_MAYBE_SUSPICIOUS: Final = AhoCorasick([*SYLLABLES, *SPLIT, *SUSPECT, *"abcdefghijlmnoprsuwxyz"])


def suspect(view: Normalised) -> tuple[Normalised, frozenset[int]] | None:
    """Return the view with every guess taken, and the places in it that are guesses; None without any."""
    text = view.text
    if not _MAYBE_SUSPICIOUS.find_matches_as_indexes(text) or _SUSPICIOUS.search(text) is None:
        return None
    signs: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    guessed: set[int] = set()
    at = 0
    for found in _SUSPICIOUS.finditer(text):
        signs.extend(text[at : found.start()])
        starts.extend(view.starts[at : found.start()])
        ends.extend(view.ends[at : found.start()])
        written = found.group()
        start, end = view.span(found.start(), found.end())
        guess = SYLLABLES.get(written) or SPLIT.get(written) or SUSPECT.get(written, "")
        if not guess:
            guessed.add(len(signs))
        for sign in guess:
            guessed.add(len(signs))
            signs.append(sign)
            starts.append(start)
            ends.append(end)
        at = found.end()
    signs.extend(text[at:])
    starts.extend(view.starts[at:])
    ends.extend(view.ends[at:])
    return Normalised("".join(signs), starts, ends), frozenset(guessed)
