"""Find names of natural persons: a surname, the segmenter's tags, and the words around.

A name is reported when its company says so (姓名：, 客户, 女士), or when the segmenter takes three or four
signs that begin with a surname for a name. Everyday words that begin with a surname (高兴, 黄金周), brands
and places are left alone. Without a model this finds the plain cases; it promises no more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from ahocorasick_rs import AhoCorasick

from policies.terms import EntityType
from redaction.entities import Entity
from redaction.names import COMPOUND_SURNAMES, LABELS, NOT_IN_NAMES, NOT_NAMES, SURNAMES, TITLES
from redaction.words import tagged

_COMPOUND: Final = "(?:" + "|".join(COMPOUND_SURNAMES) + ")"
_TITLES: Final = "(?:" + "|".join(TITLES) + ")"
_LABELS: Final = "(?:" + "|".join(LABELS) + ")"
_HAN: Final = r"[\u4e00-\u9fff]"
_STOP: Final = r"(?=$|[ ,，。.;!?:、()\[\]\n0-9a-z*]|"
_LABELLED: Final = re.compile(
    rf"{_LABELS}(?:名字|姓名)?[ ]?(?:[:]|为|是|叫)?[ ]?(?P<v>{_COMPOUND}{_HAN}{{1,2}}|{_HAN}{{2,3}})"
    rf"{_STOP}{_TITLES}|已|的|于|您|与|和|及|在)"
)
_COMPOUND_NAME: Final = re.compile(rf"{_COMPOUND}{_HAN}{{1,2}}{_STOP}{_TITLES}|已|的|您)")
_TITLE_AHEAD: Final = re.compile(_TITLES)
_LABEL_BEHIND: Final = re.compile(_LABELS + r"[ ]?(?:[:]|为|是|叫)?[ ]?$")
_COMPOUND_START: Final = re.compile(_COMPOUND)
_TITLED: Final = re.compile(rf".{_TITLES}")
_CUES: Final = AhoCorasick([*LABELS, *COMPOUND_SURNAMES])
_NAME_TAGS: Final = frozenset({"nr", "nrt", "nrfg", "nrj"})
_SHORTEST: Final = 2
_LONGEST: Final = 4
_SURE: Final = 0.85
_LIKELY: Final = 0.6
_LABELLED_SURE: Final = 0.9
_REACH: Final = 8


def people(text: str) -> list[Entity]:
    """Return the names in the normalised text."""
    found: dict[tuple[int, int], float] = {}
    if _CUES.find_matches_as_indexes(text):
        found.update((match.span(), _LIKELY) for match in _COMPOUND_NAME.finditer(text))
        found.update(
            (match.span("v"), _LABELLED_SURE) for match in _LABELLED.finditer(text) if _is_name(match["v"])
        )
    for start, end in _tagged_names(text):
        if _TITLE_AHEAD.match(text, end) or _LABEL_BEHIND.search(text, max(0, start - _REACH), start):
            found.setdefault((start, end), _SURE)
        elif end - start > _SHORTEST:
            found.setdefault((start, end), _LIKELY)
    return [Entity(EntityType.PERSON, start, end, score) for (start, end), score in found.items()]


def _tagged_names(text: str) -> Iterator[tuple[int, int]]:
    """Return what the segmenter takes for names, a surname joined with the given name behind it."""
    at = 0
    pieces = tagged(text)
    for place, (word, tag) in enumerate(pieces):
        start, at = at, at + len(word)
        if tag not in _NAME_TAGS or word[0] not in SURNAMES:
            continue
        end = at
        if len(word) == 1 and place + 1 < len(pieces) and _is_given_name(*pieces[place + 1]):
            end += len(pieces[place + 1][0])
        if _SHORTEST <= end - start <= _LONGEST and _is_name(text[start:end]):
            yield start, end


def _is_name(name: str) -> bool:
    if name in NOT_NAMES or name[:_SHORTEST] in NOT_NAMES or _TITLED.fullmatch(name) is not None:
        return False
    if not NOT_IN_NAMES.isdisjoint(name):
        return False
    return name[0] in SURNAMES or _COMPOUND_START.match(name) is not None


def _is_given_name(word: str, tag: str) -> bool:
    return len(word) <= _SHORTEST and tag.startswith(("nr", "nz")) and re.fullmatch(_TITLES, word) is None
