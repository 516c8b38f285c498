"""Where words end in Chinese text, for the doubtful cases only.

A short forbidden word may appear across two innocent ones: 面包|过敏 is no 包过. Promises a linear-time
answer from the segmenter's bundled dictionary; no file is read, nothing is fetched. Loading costs a third of
a second and is done at the first doubt or by ``ready``.
"""

from __future__ import annotations

from functools import cache
from types import ModuleType
from typing import Final

_WINDOW: Final = 12
"""Signs before and after the hit that the segmenter sees."""


@cache
def _segmenter() -> ModuleType:
    import rjieba  # noqa: PLC0415 - 60 MB and 0.3 s that a process without doubts need not pay

    return rjieba


def ready() -> None:
    """Load the dictionary now."""
    _segmenter().cut("预热")


def tagged(text: str) -> list[tuple[str, str]]:
    """Return the words of the text with their part-of-speech tags; together they are the text."""
    words: list[tuple[str, str]] = _segmenter().tag(text)
    return words


def straddled(text: str, start: int, end: int) -> bool:
    """Say whether ``text[start:end]`` cuts through a word that reaches out of it on one side only."""
    left = max(0, start - _WINDOW)
    at = left
    for word in _segmenter().cut(text[left : end + _WINDOW]):
        to = at + len(word)
        reaches_out = at < start or to > end
        reaches_in = at < end and to > start
        holds_all = at <= start and to >= end
        if reaches_in and reaches_out and not holds_all:
            return True
        at = to
    return False
