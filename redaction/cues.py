"""Which kinds of personal data a text could hold at all: one cheap look before the search.

Promises never to leave out a kind whose shape could match: the cues are weaker than the shapes of
``redaction.identifiers``. A message without long numbers, addresses of machines or telling words costs almost
nothing.
"""

from __future__ import annotations

import re
from typing import Final

from ahocorasick_rs import AhoCorasick

from policies.terms import EntityType
from redaction.identifiers import SHAPES

_RUN: Final = re.compile(r"[0-9](?:[ .\-·()]{0,3}[0-9]){3,}")
_DIGITS_OF_A_PHONE: Final = 10
_DIGITS_OF_A_CARD: Final = 15
_HEX_PAIRS: Final = re.compile(r"(?:[0-9a-f]{2}[:\-]){5}")
_HEX_FOURS: Final = re.compile(r"(?:[0-9a-f]{1,4}:){2,}[0-9a-f:]")
_AREA_CODE: Final = re.compile(r"(?<![0-9])0[1-9][0-9]|86[ \-)]?[ ]?[1-9]")
_PREFIX: Final = re.compile(r"1[ .\-]{0,2}[3-9]")
_OCTETS: Final = re.compile(r"[0-9]\.[0-9]{1,3}\.[0-9]")
_PLATE: Final = re.compile(
    r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][a-z][ ·.\-]{0,2}[a-z0-9]"
)
_PASSPORT: Final = re.compile(r"e[a-z0-9][0-9]{7}")
_CODE: Final = re.compile(r"[0-9a-z]{18}")

_SHAPES_OF_THEIR_OWN: Final = (
    (EntityType.CN_PLATE, _PLATE),
    (EntityType.MAC_ADDRESS, _HEX_PAIRS),
    (EntityType.IP_ADDRESS, _HEX_FOURS),
    (EntityType.IP_ADDRESS, _OCTETS),
    (EntityType.CN_PASSPORT, _PASSPORT),
    (EntityType.CN_USCC, _CODE),
)
_WITHOUT_A_LONG_NUMBER: Final = frozenset({EntityType.WECHAT_ID, EntityType.BIRTH_DATE})
_LONG: Final = frozenset({EntityType.CN_ID_CARD, EntityType.CN_FOREIGN_PR, EntityType.BANK_CARD})
_WORDS: Final[dict[str, set[EntityType]]] = {}
for _shape in SHAPES:
    if _shape.only_with_context:
        for _word in _shape.context:
            _WORDS.setdefault(_word, set()).add(_shape.type)
_BY_WORD: Final = tuple(frozenset(kinds) for kinds in _WORDS.values())
_AUTOMATON: Final = AhoCorasick(list(_WORDS))


def possible_kinds(text: str) -> set[EntityType]:
    """Return the structured kinds worth searching for in the normalised text."""
    longest = max((sum(map(str.isdecimal, run.group())) for run in _RUN.finditer(text)), default=0)
    kinds = {kind for kind, cue in _SHAPES_OF_THEIR_OWN if cue.search(text) is not None}
    if "@" in text:
        kinds.add(EntityType.EMAIL)
    if longest >= _DIGITS_OF_A_PHONE and _AREA_CODE.search(text) is not None:
        kinds.add(EntityType.CN_LANDLINE)
    if longest > _DIGITS_OF_A_PHONE and _PREFIX.search(text) is not None:
        kinds.add(EntityType.CN_MOBILE)
    if longest >= _DIGITS_OF_A_CARD:
        kinds |= _LONG
    for word, _, _ in _AUTOMATON.find_matches_as_indexes(text, overlapping=True):
        kinds |= _BY_WORD[word] if longest else _BY_WORD[word] & _WITHOUT_A_LONG_NUMBER
    if longest < _DIGITS_OF_A_PHONE:
        kinds.discard(EntityType.CN_LANDLINE)
    if longest < _DIGITS_OF_A_CARD:
        kinds -= _LONG - {EntityType.CN_FOREIGN_PR}
    return kinds
