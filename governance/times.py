"""Times as people and programs read them; inside, a time is milliseconds since the epoch, UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from policies.instants import rfc3339 as rfc3339  # noqa: PLC0414 - one place to look for both spellings

SHANGHAI: Final = ZoneInfo("Asia/Shanghai")
_UTC: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{3})?Z")


def local(at: int) -> datetime:
    """Return the wall-clock time in Shanghai, for pages."""
    return datetime.fromtimestamp(at / 1000, UTC).astimezone(SHANGHAI)


def instant(text: str) -> int | None:
    """Return the instant that a time such as ``2026-11-22T01:46:00Z`` names; None for what is none."""
    if _UTC.fullmatch(text) is None:
        return None
    try:
        return round(datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError:  # a thirteenth month, a thirtieth of February
        return None
