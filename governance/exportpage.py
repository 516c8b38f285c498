"""An export as one page to read: every part of it, one table each.

Pure. Promises that the page needs nothing else (no script, no style, no picture) and that no value becomes
markup.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Final

from governance.languages import noted, saying

_PARTS: Final = {
    "fields": (noted("我的信息"), ("title", "value")),
    "households": (noted("我的家庭"), ("household", "role", "since", "until")),
    "household_fields": (noted("家庭共享的信息"), ("household", "title", "value")),
    "guardianships": (noted("监护关系"), ("guardian", "ward", "since", "until")),
    "consents": (
        noted("我的同意"),
        ("title", "recipient", "capacity", "text", "given_at", "expires_at", "withdrawn_at"),
    ),
    "refusals": (noted("我拒绝和反对的处理"), ("kind", "purpose", "at")),
    "shares_given": (noted("我共享出去的"), ("viewer", "category", "since", "until", "ended_at")),
    "shares_received": (noted("共享给我的"), ("from", "category", "since", "until", "ended_at")),
    "hides": (noted("我隐藏的"), ("category", "viewer", "since")),
    "approvals": (noted("审批"), ("at", "asked_by", "act", "purpose", "state", "decided_at")),
    "accesses": (noted("谁看过我"), ("at", "who", "on_behalf_of", "action", "purpose", "fields", "blocked")),
    "requests": (noted("我的请求"), ("at", "kind", "purpose", "decision_id", "values", "status")),
}
"""Every part that an export can have, with its heading and columns."""


def as_page(document: Mapping[str, object], language: str) -> str:
    """Return an export as one page of HTML."""
    say = saying(language)
    limited = document.get("limited")
    amounts = document.get("amounts")
    body = "" if limited is None else f"<p>{html.escape(str(limited))}</p>\n"
    for part, (title, columns) in _PARTS.items():
        rows = document.get(part)
        if isinstance(rows, list):
            body += f"<h2>{html.escape(say(title))}</h2>\n<table>\n{_rows(rows, columns)}</table>\n"
        elif isinstance(amounts, Mapping):
            body += f"<h2>{html.escape(say(title))}</h2>\n<p>{amounts.get(part, 0)}</p>\n"
    spoken = "en" if language == "en" else "zh-CN"
    heading = html.escape(say("关于我的全部记录"))
    return (
        f'<!doctype html>\n<html lang="{spoken}">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{heading}</title>\n</head>\n<body>\n<h1>{heading}</h1>\n"
        f"<p>{html.escape(str(document['controller']))} · {html.escape(str(document['made_at']))}</p>\n"
        f"{body}</body>\n</html>\n"
    )


def _rows(entries: list[dict[str, object]], columns: tuple[str, ...]) -> str:
    head = "".join(f"<th>{html.escape(key)}</th>" for key in columns)
    lines = ("".join(f"<td>{html.escape(_cell(entry, key))}</td>" for key in columns) for entry in entries)
    return f"<tr>{head}</tr>\n" + "".join(f"<tr>{line}</tr>\n" for line in lines)


def _cell(entry: Mapping[str, object], key: str) -> str:
    value = entry.get(key)
    if value is None and key == "value":
        reasons = entry.get("reasons")
        return "; ".join(str(one["text"]) for one in reasons) if isinstance(reasons, list) else ""
    match value:
        case None:
            return ""
        case list():
            return "; ".join(map(str, value))
        case dict():
            return "; ".join(f"{name}: {text}" for name, text in value.items())
        case _:
            return str(value)
