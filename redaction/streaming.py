"""The bodies of ``governance screen --jsonl`` and ``governance redact --jsonl``: one JSON object a line.

Promises one answer line for each question line, in the same order. A line that cannot be answered (no JSON, a
missing or unknown word, a text that cannot be read) gives ``{"id":…,"error":…}`` and the exit code 1 at the
end, never a stop. An error names what is wrong and never repeats what was sent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, Final, Protocol, TextIO, TypeVar

from policies.terms import Audience, Channel, ScreeningPurpose
from redaction.entities import Entity, Unfinished
from redaction.masking import mask_spans
from redaction.normalise import Unreadable
from redaction.screening import Draft, Finding, Screener

_Word = TypeVar("_Word", bound=StrEnum)
_Id = str | int | float | None

DONE: Final = 0
SOME_FAILED: Final = 1


class Finds(Protocol):
    """Whoever finds personal data in a raw text."""

    def find(self, text: str) -> tuple[Entity, ...]:
        """Return the personal data; places are code points of the text."""


class _Malformed(ValueError):  # noqa: N818 - what is true of the line
    """The line is no question; the message is for the sender and holds nothing of the line."""


def screen_lines(stream_in: Iterable[str | bytes], stream_out: TextIO, screener: Screener) -> int:
    """Screen each line's text; return the exit code."""

    def answer(asked: Mapping[str, Any]) -> dict[str, Any]:
        draft = Draft(
            _text(asked),
            _word(asked, "channel", Channel),
            _word(asked, "purpose", ScreeningPurpose),
            _word(asked, "audience", Audience),
        )
        verdict = screener.screen(draft)
        return {"outcome": verdict.outcome.value, "findings": [finding_json(f) for f in verdict.findings]}

    return _answer_lines(stream_in, stream_out, answer)


def redact_lines(stream_in: Iterable[str | bytes], stream_out: TextIO, finder: Finds) -> int:
    """Find and mask the personal data of each line's text; return the exit code."""

    def answer(asked: Mapping[str, Any]) -> dict[str, Any]:
        text = _text(asked)
        entities = finder.find(text)
        return {"entities": [entity_json(e) for e in entities], "masked": mask_spans(text, entities)}

    return _answer_lines(stream_in, stream_out, answer)


def finding_json(finding: Finding, language: str = "zh") -> dict[str, Any]:
    """Return a finding as the contract spells it; ``reason`` in ``"zh"`` or ``"en"``."""
    return {
        "rule": finding.rule,
        "category": finding.category.value,
        "start": finding.start,
        "end": finding.end,
        "text": finding.text,
        "law": finding.law,
        "reason": finding.reason_en if language == "en" else finding.reason_zh,
        "suggestion": finding.suggestion,
        "severity": finding.severity.value,
    }


def entity_json(entity: Entity) -> dict[str, Any]:
    """Return an entity as the contract spells it."""
    return {
        "type": entity.type.value,
        "start": entity.start,
        "end": entity.end,
        "score": round(entity.score, 2),
    }


def _answer_lines(
    stream_in: Iterable[str | bytes],
    stream_out: TextIO,
    answer: Callable[[Mapping[str, Any]], dict[str, Any]],
) -> int:
    code = DONE
    for line in stream_in:
        if not line.strip():
            continue
        name: _Id = None
        try:
            asked = _object(line)
            name = _name(asked)
            told = {"id": name, **answer(asked)}
        except (_Malformed, Unreadable) as error:
            told = {"id": name, "error": str(error)}
        except Unfinished:
            told = {"id": name, "error": "the search for personal data ran out of time"}
        except Exception:  # noqa: BLE001 - one line must never take the next lines down
            told = {"id": name, "error": "this line could not be examined"}
        if "error" in told:
            code = SOME_FAILED
        stream_out.write(_line(told))
        stream_out.flush()
    return code


def _object(line: str | bytes) -> Mapping[str, Any]:
    try:
        asked = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _Malformed("the line is no JSON object") from error
    if not isinstance(asked, dict):
        raise _Malformed("the line is no JSON object")
    return asked


def _name(asked: Mapping[str, Any]) -> _Id:
    name = asked.get("id")
    if isinstance(name, bool) or not isinstance(name, str | int | float):
        raise _Malformed("id is missing or neither a text nor a number")
    return name


def _text(asked: Mapping[str, Any]) -> str:
    text = asked.get("text")
    if not isinstance(text, str):
        raise _Malformed("text is missing or no text")
    return text


def _word(asked: Mapping[str, Any], key: str, words: type[_Word]) -> _Word:
    value = asked.get(key)
    if not isinstance(value, str) or value not in set(words):
        raise _Malformed(f"{key} is not one of: {' '.join(words)}")
    return words(value)


def _line(told: Mapping[str, Any]) -> str:
    """Chinese stays readable; half a surrogate pair, which no encoding can carry, is escaped."""
    line = json.dumps(told, ensure_ascii=False)
    try:
        line.encode()
    except UnicodeEncodeError:
        line = json.dumps(told)
    return line + "\n"
