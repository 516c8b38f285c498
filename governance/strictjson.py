"""JSON bodies, read strictly (RFC 8259, I-JSON RFC 7493).

Promises one meaning for each body: UTF-8 without BOM, no duplicate keys at any depth (a consent body
with ``granted`` twice would be worthless as evidence), no NaN, Infinity or overflowing number, no lone
surrogate, no NUL, no nesting that exhausts the parser. What is refused is named by a problem code, never
by its content.
"""

from __future__ import annotations

import json
import math
import re
from typing import Final, NoReturn

from governance.problems import Problem, ProblemError

_SUSPECT_ESCAPE: Final = re.compile(rb"\\u(?:[dD][89a-fA-F]|0000)")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ProblemError(Problem.DUPLICATE_KEY)
    return found


def _constant(_text: str) -> NoReturn:
    raise ProblemError(Problem.NUMBER_OUT_OF_RANGE)


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ProblemError(Problem.NUMBER_OUT_OF_RANGE)
    return value


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_constant, parse_float=_float, strict=True
)


def parse(body: bytes) -> object:
    """Return the value of a JSON body, or raise ``ProblemError`` with the code of what is wrong."""
    if not body:
        raise ProblemError(Problem.EMPTY_BODY)
    try:
        text = body.decode("utf-8", "strict")
    except UnicodeDecodeError:
        raise ProblemError(Problem.NOT_UTF8) from None
    if text[0] == "\ufeff":
        raise ProblemError(Problem.NOT_UTF8)
    try:
        value: object = _DECODER.decode(text)
    except RecursionError:
        raise ProblemError(Problem.TOO_DEEP) from None
    except ValueError:
        raise ProblemError(Problem.MALFORMED_JSON) from None
    if _SUSPECT_ESCAPE.search(body):
        _refuse_unstorable(value)
    return value


def depth_of(value: object) -> int:
    """Return how deeply a parsed value is nested; a scalar has depth 0."""
    deepest, level = 0, [value]
    while level := [
        inner
        for one in level
        if isinstance(one, dict | list)
        for inner in (one.values() if isinstance(one, dict) else one)
    ]:
        deepest += 1
    return deepest


def _refuse_unstorable(value: object) -> None:
    """Refuse text that no database stores and no UTF-8 spells: NUL and lone surrogates."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            if "\0" in one or any("\ud800" <= char <= "\udfff" for char in one):
                raise ProblemError(Problem.UNSTORABLE_TEXT)
        elif isinstance(one, dict):
            waiting.extend(one)
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
