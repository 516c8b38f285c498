"""Values inside documents and bodies: finding them by path, treating them, examining them.

Paths are a small, closed part of JSONPath (RFC 9535): ``$``, ``.name``, ``[n]`` and ``[*]``. Filter
expressions are not spoken here: they can hide work without bound. What a path does not find is left
alone; what it finds and may not be shown is removed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, cast

from governance.problems import Problem, ProblemError
from governance.strictjson import depth_of
from policies.terms import FieldName, Gender

_DEEPEST: Final = 32
_PATH: Final = re.compile(r"\$(?:\.[A-Za-z_][A-Za-z0-9_]{0,63}|\[(?:\*|0|[1-9][0-9]{0,5})\]){1,16}\Z")
_STEP: Final = re.compile(r"\.([A-Za-z_][A-Za-z0-9_]*)|\[(\*|[0-9]+)\]")

Step = str | int | None
"""A member's name, an element's index, or None for every element."""


def _invalid(pointer: str, code: str) -> ProblemError:
    return ProblemError(Problem.INVALID_REQUEST, errors=[{"pointer": pointer, "code": code}])


def parse_mapping(mapping: Mapping[str, str], document: object) -> list[tuple[tuple[Step, ...], str]]:
    """Return the paths of a filter's mapping as steps, or raise the 422 that names what is wrong."""
    if depth_of(document) > _DEEPEST:
        raise ProblemError(Problem.TOO_DEEP)
    if not all(_PATH.match(path) for path in mapping):
        raise _invalid("/mapping", "unknown_path")
    return [(tuple(_steps(path)), field) for path, field in mapping.items()]


def _steps(path: str) -> Iterable[Step]:
    for name, index in _STEP.findall(path):
        yield name or (None if index == "*" else int(index))


def treat(
    document: Mapping[str, object],
    paths: Iterable[tuple[tuple[Step, ...], str]],
    how: Callable[[str, str], str | None],
) -> object:
    """Return a copy in which each mapped value is what ``how(field, text)`` returns, or removed for None.

    A value that is not text is shown unchanged only if its text form would be; otherwise it is removed,
    because a mask of a structure would promise more than it hides.
    """
    copy = deepcopy(dict(document))
    # All places are found before anything changes: removing one element must not move another away from
    # the path that names it.
    mapped: dict[tuple[int, str | int], _Place] = {}
    for steps, field in paths:
        for node, key in _places(copy, steps):
            mapped.setdefault((id(node), key), _Place(node, key, [])).fields.append(field)
    removed = []
    for place in mapped.values():
        value = place.node[place.key]
        for field in place.fields:
            value = _treated(value, field, how)
            if value is _REMOVED:
                removed.append(place)
                break
        else:
            place.node[place.key] = value
    # Of a list the last elements go first, for the same reason.
    for place in sorted(
        removed, key=lambda place: place.key if isinstance(place.key, int) else 0, reverse=True
    ):
        del place.node[place.key]
    return copy


@dataclass(frozen=True, slots=True)
class _Place:
    """One mapped place of a document, and every field it is mapped to."""

    node: Any
    key: str | int
    fields: list[str]


_REMOVED: Final = object()


def _treated(value: object, field: str, how: Callable[[str, str], str | None]) -> object:
    text = value if isinstance(value, str) else "\0"
    treated = how(field, text)
    if treated is None:
        return _REMOVED
    if isinstance(value, str):
        return treated
    return value if treated == text else _REMOVED


def _places(node: object, steps: tuple[Step, ...]) -> Iterable[tuple[Any, str | int]]:
    step, rest = steps[0], steps[1:]
    for key in _keys(node, step):
        if rest:
            yield from _places(cast("Any", node)[key], rest)
        else:
            yield node, key


def _keys(node: object, step: Step) -> Sequence[str | int]:
    if isinstance(node, dict) and isinstance(step, str):
        return [step] if step in node else []
    if isinstance(node, list) and not isinstance(step, str):
        return range(len(node)) if step is None else range(step, min(step + 1, len(node)))
    return []


def examine_values(values: Mapping[FieldName, str]) -> None:
    """Refuse values whose form would make later decisions wrong: dates, and words that decisions know."""
    gender = values.get(FieldName("gender"))
    if gender is not None and gender not in Gender.__members__.values():
        raise _invalid("/values/gender", "not_a_gender")
    birth = values.get(FieldName("birth_date"))
    if birth is None:
        return
    try:
        fits = date.fromisoformat(birth).isoformat() == birth
    except ValueError:
        fits = False
    if not fits:
        raise _invalid("/values/birth_date", "not_a_date")
