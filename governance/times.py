"""Times as people and programs read them; inside, a time is milliseconds since the epoch, UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

SHANGHAI: Final = ZoneInfo("Asia/Shanghai")


def rfc3339(at: int) -> str:
    """Return ``2026-11-22T01:46:00.000Z``."""
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def local(at: int) -> datetime:
    """Return the wall-clock time in Shanghai, for pages."""
    return datetime.fromtimestamp(at / 1000, UTC).astimezone(SHANGHAI)
