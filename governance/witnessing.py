"""Tells witnesses and outside copies of the newest checkpoint, and says when enough have signed it.

Promises that nobody waits for them: appending and publishing know nothing of this module. Each target has a
thread that takes the newest checkpoint out of the database when it is ready for one, so what it missed
costs no memory, and a target that never answers costs its own thread and nothing else. One row for each
target, moved ahead before anybody is asked, makes one of several processes ask (``CheckpointDelivery``).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from sqlalchemy import bindparam, select, text, update

from audit import cosignatures
from audit.policyfile import Policy
from governance.database import Database, StoreError
from governance.egress import DEADLINE_S
from governance.witnessrecords import CheckpointDelivery
from policies.transaction import Transaction

DONE: Final = "done"
AHEAD: Final = "witness_is_ahead"
CONTRADICTED: Final = "another_history"
ALARMS: Final = frozenset({AHEAD, CONTRADICTED})
"""Results that say something about the log and not about the way there."""
LEASE_MS: Final = 60_000
LONGEST_PAUSE_MS: Final = 300_000
_FIRST_PAUSE_MS: Final = 1_000
_DOUBLINGS: Final = 9
_POLL_S: Final = 0.5
_LOOK_S: Final = 0.25

_log = logging.getLogger("governance.witnessing")
_row = CheckpointDelivery.__table__
_KNOWN: Final = select(_row.c.size, _row.c.next_at, _row.c.failures).where(_row.c.target == bindparam("of"))
_ALL: Final = select(_row.c.target, _row.c.size, _row.c.failures, _row.c.result).order_by(_row.c.target)
_NEW: Final = text(
    "INSERT INTO checkpoint_delivery (target, size, next_at, failures, result)"
    " VALUES (:target, -1, 0, 0, '') ON CONFLICT (target) DO NOTHING"
)
_CLAIM: Final = (
    update(_row)
    .where(_row.c.target == bindparam("of"), _row.c.next_at == bindparam("was"))
    .values(next_at=bindparam("until"))
)
_NOTE: Final = (
    update(_row)
    .where(_row.c.target == bindparam("of"), _row.c.next_at == bindparam("until"))
    .values(
        size=bindparam("now_size"),
        next_at=bindparam("then"),
        failures=bindparam("times"),
        result=bindparam("word"),
    )
)


@dataclass(frozen=True, slots=True)
class Telling:
    """How a target stands: the largest size it has taken, failures in a row, and the last result."""

    target: str
    size: int
    failures: int
    result: str


Joined = Callable[[Transaction, int, str], str]
"""Returns the note of a checkpoint of this size with the lines of the witnesses that have signed it."""


class Target(Protocol):
    """A witness or a copy. ``tell`` takes as long as its own deadline lets it, and holds nothing."""

    name: str
    every_ms: int

    def tell(self, known: int, size: int, note: str) -> str:
        """Tell of a checkpoint, ``known`` being the last size it took; return ``done`` or a word."""
        ...


class Witnessing:
    """The desk of all targets, and of the question whether a checkpoint has been witnessed."""

    def __init__(
        self, database: Database, policy: Policy, targets: Sequence[Target], clock: Callable[[], int]
    ) -> None:
        self._database, self._policy, self._clock = database, policy, clock
        self.targets = targets
        self._told = threading.Condition()

    def step(self, target: Target) -> bool:
        """Tell one target of the newest checkpoint if it is due; return whether it was asked."""
        now = self._clock()
        with self._database.reading() as tx:
            newest = cosignatures.newest_note(tx)
            known = tx.rows(_KNOWN, {"of": target.name})
        if newest is None or (known and (known[0][0] >= newest[0] or known[0][1] > now)):
            return False
        with self._database.transaction() as tx:
            if not known:
                tx.run(_NEW, {"target": target.name})
                known = tx.rows(_KNOWN, {"of": target.name})
            size, was, failures = known[0]
            until = max(now + LEASE_MS, was + 1)
            if tx.run(_CLAIM, {"of": target.name, "was": was, "until": until}) != 1:
                return False  # another process asks
            tx.commit()
        # Nothing is held while the other side takes its time. Dying here leaves a lease that runs out.
        word = target.tell(max(size, 0), *newest)
        done = word == DONE
        pause = (
            target.every_ms if done else min(_FIRST_PAUSE_MS << min(failures, _DOUBLINGS), LONGEST_PAUSE_MS)
        )
        came = {
            "of": target.name,
            "until": until,
            "now_size": newest[0] if done else size,
            "then": self._clock() + pause,
            "times": 0 if done else failures + 1,
            "word": word,
        }
        with self._database.transaction() as tx:
            tx.run(_NOTE, came)
            tx.commit()
        if not done:
            level = logging.CRITICAL if word in ALARMS else logging.WARNING
            _log.log(level, "a checkpoint was not taken", extra={"target": target.name, "result": word})
        with self._told:
            self._told.notify_all()
        return True

    def tellings(self) -> list[Telling]:
        """Return how every target stands that was ever told."""
        with self._database.reading() as tx:
            return [Telling(*row) for row in tx.rows(_ALL)]

    def witnessed(self, least: int = 0) -> tuple[int, str] | None:
        """Return the newest checkpoint of at least this size that a quorum has signed: size and note.

        Where no witness is configured, every checkpoint counts.
        """
        with self._database.reading() as tx:
            return cosignatures.witnessed(tx, least, self._policy)

    def joined(self, tx: Transaction, size: int, note: str) -> str:
        """Return a checkpoint's note with the lines of all witnesses that signed it."""
        return cosignatures.joined(tx, size, note, self._policy)

    def await_quorum(self, size: int, deadline_s: float) -> bool:
        """Wait until a quorum has signed a checkpoint of at least ``size``; False when time is up.

        For what the level ``witnessed`` demands: call it after the commit, before anything is revealed. False
        where no witness is configured: nobody can vouch for it then.
        """
        if not self._policy.witnesses:
            return False
        until = time.monotonic() + deadline_s
        while self.witnessed(size) is None:
            left = until - time.monotonic()
            if left <= 0:
                return False
            with self._told:  # told by our own threads; another process's work is looked for
                self._told.wait(min(left, _LOOK_S))
        return True


def _pause(failures: int) -> int:
    return min(_FIRST_PAUSE_MS << min(failures, _DOUBLINGS), LONGEST_PAUSE_MS)


class WitnessWorker:
    """A thread for each target, until told to stop."""

    def __init__(self, witnessing: Witnessing, poll_s: float = _POLL_S) -> None:
        self._witnessing, self._poll_s = witnessing, poll_s
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._keep_telling, args=(one,), name="witnessing", daemon=True)
            for one in witnessing.targets
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let what is under way end by its own deadline, all at once."""
        self._stopping.set()
        until = time.monotonic() + 3 * DEADLINE_S
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _keep_telling(self, target: Target) -> None:
        while not self._stopping.is_set():
            try:
                asked = self._witnessing.step(target)
            except StoreError as error:
                _log.error("nobody was told", extra={"target": target.name, "cause": type(error).__name__})
                asked = False
            if not asked:
                self._stopping.wait(self._poll_s)
