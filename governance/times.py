"""Times as people and programs read them; inside, a time is milliseconds since the epoch, UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from policies.instants import rfc3339 as rfc3339  # noqa: PLC0414 - one place to look for both spellings

SHANGHAI: Final = ZoneInfo("Asia/Shanghai")


def local(at: int) -> datetime:
    """Return the wall-clock time in Shanghai, for pages."""
    return datetime.fromtimestamp(at / 1000, UTC).astimezone(SHANGHAI)
