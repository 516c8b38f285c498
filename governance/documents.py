"""Values inside documents and bodies: finding them by path, treating them, examining them.

Paths are a small, closed part of JSONPath (RFC 9535): ``$``, ``.name``, ``[n]`` and ``[*]``. Filter
expressions are not spoken here: they can hide work without bound. What a path does not find is left
alone; what it finds and may not be shown is removed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from datetime import date
from typing import Final

from governance.problems import Problem, ProblemError
from governance.strictjson import depth_of
from policies.terms import FieldName

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
    for steps, field in paths:
        _walk(copy, steps, lambda value, field=field: _treated(value, field, how))  # type: ignore[misc]
    return copy


_REMOVED: Final = object()


def _treated(value: object, field: str, how: Callable[[str, str], str | None]) -> object:
    text = value if isinstance(value, str) else "\0"
    treated = how(field, text)
    if treated is None:
        return _REMOVED
    if isinstance(value, str):
        return treated
    return value if treated == text else _REMOVED


def _walk(node: object, steps: tuple[Step, ...], how: Callable[[object], object]) -> None:
    step, rest = steps[0], steps[1:]
    for key in _keys(node, step):
        child = node[key]  # type: ignore[index]
        if rest:
            _walk(child, rest, how)
            continue
        treated = how(child)
        if treated is _REMOVED:
            del node[key]  # type: ignore[attr-defined]
        else:
            node[key] = treated  # type: ignore[index]


def _keys(node: object, step: Step) -> list[str] | list[int]:
    if isinstance(node, dict) and isinstance(step, str):
        return [step] if step in node else []
    if isinstance(node, list) and not isinstance(step, str):
        # From the end, so that removing one element does not move the next.
        wanted = range(len(node)) if step is None else range(step, min(step + 1, len(node)))
        return list(reversed(wanted))
    return []


def examine_values(values: Mapping[FieldName, str]) -> None:
    """Refuse values whose form would make later decisions wrong: a birth date must be a date."""
    birth = values.get(FieldName("birth_date"))
    if birth is None:
        return
    try:
        fits = date.fromisoformat(birth).isoformat() == birth
    except ValueError:
        fits = False
    if not fits:
        raise _invalid("/values/birth_date", "not_a_date")
