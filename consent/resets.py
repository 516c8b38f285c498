"""The protective reset at 14 and 18, as long as nobody has recorded it: what can be hidden counts as hidden.

Pure. A daily job records the hiding (``governance.transitions``); a decision must not wait for it, or whoever
looks in the hours between would see what the person never chose to show. Whoever came to us after the day
has no reset: that somebody was here before is seen by the events recorded before it, and in the first days
nobody is asked for a proof.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

from consent.ages import CONSENT_AGE, DAY_MS, MAJORITY, reached_at
from consent.events import Capacity, Event, EventKind

RECORDER: Final = "lifecycle"
"""Who the events of the reset name as their actor."""

_GRACE_MS: Final = 30 * DAY_MS


def awaits_reset(events: Sequence[Event], birth: date | None, now: int) -> bool:
    """Say whether the subject of these events has reached 14 or 18 and the reset is not on record yet."""
    if birth is None:
        return False
    for years in (MAJORITY, CONSENT_AGE):
        reached = reached_at(birth, years)
        if reached > now:
            continue
        if any(_is_reset(event) and event.occurred_at >= reached for event in events):
            return False
        return now < reached + _GRACE_MS or any(event.recorded_at < reached for event in events)
    return False


def _is_reset(event: Event) -> bool:
    return (event.kind, event.actor_id, event.capacity) == (EventKind.HIDDEN, RECORDER, Capacity.SERVICE)
