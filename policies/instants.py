"""How an instant is spelt for programs: RFC 3339 in UTC, to the millisecond."""

from __future__ import annotations

from datetime import UTC, datetime


def rfc3339(at: int) -> str:
    """Return ``2026-11-22T01:46:00.000Z`` for milliseconds since the epoch."""
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
