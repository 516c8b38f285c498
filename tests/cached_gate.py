"""A gate that breaks the house's first promise: it lets facts grow old for half a second.

The negative control of the withdrawal race. If the checker does not catch this one, it catches nothing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from governance import facts
from governance.wiring import Service

_KEPT_S = 0.5


def let_facts_grow_old(_service: Service) -> None:
    """Answer from facts up to half a second old, as a decision cache would."""
    fresh = facts.collect
    kept: dict[tuple[Any, ...], tuple[float, Any]] = {}

    def collect(tx: Any, book: Any, wanted: Sequence[Any], known: Any, now: int, **how: Any) -> list[Any]:
        found = []
        for one in wanted:
            at, old = kept.get((one,), (0.0, None))
            if time.monotonic() - at > _KEPT_S:
                old = fresh(tx, book, [one], known, now, **how)[0]
                kept[one,] = (time.monotonic(), old)
            found.append(old)
        return found

    facts.collect = collect
