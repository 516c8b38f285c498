"""How an entry is spelt in files for people and other programs: a JSON line, a CSV row.

Promises that both are made from the leaf's bytes alone and in exactly one way, so that a verifier who has
the leaf can make them again and compare; and that nothing in a leaf can steer what shows it: no formula
starts a cell (OWASP, CSV Injection), no line break ends a line, and control
and direction characters appear by their number. Standard library only, Python 3.9. The characters are named
one by one because the tables of Unicode grow from one Python to the next, and the spelling must not.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, timezone
from typing import Any, Final

_STEERING: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f]"
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What starts a formula in a spreadsheet; full-width signs do in Chinese and Japanese ones."""
BOM: Final = "\ufeff"
"""Stands in front of the CSV, without which Excel does not read it as UTF-8."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)  # noqa: UP017 (datetime.UTC came with 3.11)


def visible(text: str) -> str:
    """Return the text with control, format and direction characters escaped as JSON escapes them."""
    # None of these characters is printable in any Python, and asking that is a hundred times as fast.
    return text if text.isprintable() else _STEERING.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found.group())
    if code <= 0xFFFF:  # noqa: PLR2004 (the last character that one \uXXXX names)
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 | code >> 10:04x}\\u{0xDC00 | code & 0x3FF:04x}"


def line(index: int, leaf: bytes) -> str:
    """Return the entry's line of ``entries.jsonl``, with its line feed: index, leaf bytes, what they say.

    Raises:
        UnicodeDecodeError: the leaf is not text.
    """
    return f'{line_start(index)}{b64encode(leaf).decode()}","decoded":{visible(leaf.decode())}}}\n'


def pruned_line(index: int, hashed: bytes) -> str:
    """Return the line of an entry whose body was deleted under the retention: its place and its hash."""
    return f'{{"index":{index},"leaf_hash":"{b64encode(hashed).decode()}","pruned":true}}\n'


def line_start(index: int) -> str:
    """Return what every line of this index begins with; the leaf in base64 follows."""
    return f'{{"index":{index},"leaf_b64":"'


def header() -> str:
    """Return the first row of ``entries.csv``, with its byte order mark."""
    return BOM + cells(name for name, _ in _COLUMNS)


def row(index: int, leaf: bytes) -> str:
    """Return the entry's row of ``entries.csv``.

    Raises:
        ValueError: the leaf is not a JSON object.
    """
    tree = json.loads(leaf)
    if not isinstance(tree, dict):
        raise ValueError("a leaf is a JSON object")  # noqa: TRY004 (a caller catches one kind)
    return cells([str(index), *(value(tree) for _, value in _COLUMNS[1:])])


def cells(values: Iterable[str]) -> str:
    """Return values as one row of a table: each in quotes, no formula, nothing invisible, quotes doubled."""
    marked = ["'" + cell if cell.startswith(_FORMULA) else cell for cell in values]
    return '"' + visible('","'.join([cell.replace('"', '""') for cell in marked])) + '"\r\n'


def _plain(value: object) -> str:
    """Return any JSON value as one cell; a leaf of another version must not stop the spelling."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return " ".join(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _at(*names: str) -> Callable[[dict[str, Any]], str]:
    """Return the way to one member, however deep."""

    def value(tree: dict[str, Any]) -> str:
        found: Any = tree
        for name in names:
            found = found.get(name) if isinstance(found, dict) else None
        return _plain(found)

    return value


def _time(tree: dict[str, Any]) -> str:
    at = tree.get("t")
    if type(at) is not int:
        return _plain(at)
    try:
        return (_EPOCH + timedelta(milliseconds=at)).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at % 1000:03d}Z"
    except (OverflowError, ValueError):
        return _plain(at)


def _fields(tree: dict[str, Any]) -> str:
    outcomes = tree.get("fields")
    if not isinstance(outcomes, list) or not all(isinstance(one, dict) for one in outcomes):
        return _plain(outcomes)
    return "; ".join(_field(one) for one in outcomes)


def _field(outcome: dict[str, Any]) -> str:
    why = " ".join(part for part in (_plain(outcome.get("why")), _plain(outcome.get("rules"))) if part)
    said = f"{_plain(outcome.get('field'))}: {_plain(outcome.get('effect'))}"
    return f"{said} ({why})" if why else said


_COLUMNS: Final[tuple[tuple[str, Callable[[dict[str, Any]], str]], ...]] = (
    ("index", _at()),
    ("time", _time),
    ("id", _at("id")),
    ("kind", _at("kind")),
    ("act", _at("act")),
    ("dec", _at("dec")),
    ("why", _at("why")),
    ("actor_type", _at("actor", "type")),
    ("actor", _at("actor", "id")),
    ("roles", _at("actor", "role")),
    ("relation", _at("actor", "rel")),
    ("on_behalf_of", _at("actor", "on_behalf_of", "id")),
    ("subjects", _at("subj")),
    ("household", _at("hh")),
    ("resource", _at("res")),
    ("fields", _fields),
    ("message", _at("msg", "id")),
    ("channel", _at("msg", "channel")),
    ("message_outcome", _at("msg", "outcome")),
    ("message_rules", _at("msg", "rules")),
    ("message_sha256", _at("msg", "sha256")),
    ("purpose", _at("purpose")),
    ("consents", _at("basis", "consents")),
    ("ground", _at("basis", "ground")),
    ("policy", _at("policy")),
    ("request", _at("req")),
    ("corr", _at("corr")),
    ("decision", _at("decision")),
    ("n", _at("n")),
    ("detail", _at("detail")),
)
