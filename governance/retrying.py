"""When an attempt is made again, and when an answer counts. Pure.

The schedule is the one Standard Webhooks 1.0 recommends: at once, then 5 s, 5 min, 30 min, 2 h, 5 h, 10 h,
14 h, 20 h and 24 h, each spread by up to a fifth so that many failures do not come back as one wave.
"""

from __future__ import annotations

from typing import Final

_SECOND_MS: Final = 1_000
AFTER_S: Final = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds to the next attempt, after the first, the second … failure; after the last there is none."""
SPREAD: Final = 0.2
LONGEST_PAUSE_S: Final = 1_800
"""How long an address in trouble is left alone at most; single events may wait longer."""
_GONE: Final = "410"
_OF_THE_EVENT: Final = frozenset({"408", "429"})


def next_attempt(failures: int, now: int, chance: float) -> int | None:
    """Return when to try again after this many failures, None when never; ``chance`` is in [0, 1)."""
    if failures > len(AFTER_S):
        return None
    return now + _spread(AFTER_S[failures - 1], chance)


def resume(failures: int, now: int, chance: float) -> int:
    """Return until when an address is left alone after this many failures in a row."""
    return now + _spread(min(AFTER_S[min(failures, len(AFTER_S)) - 1], LONGEST_PAUSE_S), chance)


def _spread(seconds: int, chance: float) -> int:
    return int(seconds * _SECOND_MS * (1 - SPREAD + 2 * SPREAD * chance))


def acknowledged(result: str) -> bool:
    """Say whether an attempt's result means that the event has arrived: any 2xx."""
    return len(result) == len(_GONE) and result.startswith("2")


def gone(result: str) -> bool:
    """Say whether the address asks never to be called again."""
    return result == _GONE


def troubles_address(result: str) -> bool:
    """Say whether a failure is about the whole address rather than about this one event."""
    return not result.startswith("4") or result in _OF_THE_EVENT
