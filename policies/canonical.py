"""The one spelling of a document that is signed (RFC 8785), for texts, whole numbers, lists and objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson

_LARGEST: Final = 2**53 - 1
"""The largest integer that every JSON reader keeps (RFC 8785 section 3.2.2.3)."""


def canonical(document: Mapping[str, object]) -> bytes:
    """Return the one spelling of a document (RFC 8785).

    For texts, whole numbers, lists and objects with ASCII names the sorted, compact form of orjson is that
    spelling; the tests compare it with an implementation of the RFC.

    Raises:
        ValueError: the document holds something else, for which the two could differ.
    """
    _examine(document)
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


def _examine(value: object) -> None:
    match value:
        case bool() | str():
            return
        case int() if abs(value) <= _LARGEST:
            return
        case list() | tuple():
            for one in value:
                _examine(one)
        case Mapping():
            for name, one in value.items():
                if not (isinstance(name, str) and name.isascii()):
                    raise ValueError("a member's name is ASCII text")
                _examine(one)
        case _:
            raise ValueError("a document that is signed holds texts, whole numbers, lists and objects")
