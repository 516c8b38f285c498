"""Places at which a serving process dies by its own hand, as by ``kill -9``: the moments that matter.

``committed``: an entry is durable, and nothing has been revealed. ``signing``: a checkpoint is signed, and
nobody has it. ``swapped``: it stands outside the database, and the database's own copy is not made.
Armed in a process that a test forked; the product knows nothing of it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from audit.lockstore import LockStore

POINTS = ("committed", "signing", "swapped")


def arm(point: str, passes: int) -> None:
    """Let this process die at a point, when it has been passed some times before."""
    left = passes

    def reached() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    if point == "committed":
        from governance.postgres import _PostgresTransaction  # noqa: PLC0415 - as late as the driver itself
        from governance.sqlite import _SqliteTransaction  # noqa: PLC0415

        for kind in (_SqliteTransaction, _PostgresTransaction):
            kind.commit = _then(kind.commit, reached)  # type: ignore[method-assign]
        return
    swap = LockStore.swap

    def swapping(store: LockStore, old: str, new: str) -> bool:
        if point == "signing":
            reached()
        done = swap(store, old, new)
        if done and point == "swapped":
            reached()
        return done

    LockStore.swap = swapping  # type: ignore[method-assign]


def _then(first: Callable[..., Any], second: Callable[[], None]) -> Callable[..., Any]:
    def both(*given: Any) -> Any:
        found = first(*given)
        second()
        return found

    return both
