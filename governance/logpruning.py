"""The log's own retention: bodies older than its term go, but for those that a legal hold keeps.

Promises that the log says so before anything goes (``audit.pruning``); that each batch is one transaction in
which the holds are asked under the locks of all whom it speaks of, so that a hold counts from its commit on;
that what a hold kept goes when the hold is over, by the next run; that nothing goes by a clock that the log
does not bear out; and that a run that was cut off is resumed by running it again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

from audit import pruning
from audit.pruning import ClockError, Old
from consent.ages import DAY_MS
from governance import holds, moving, subjects
from governance.database import Database
from governance.rulekeeping import RuleKeeper
from governance.subjects import Hold
from policies.terms import SubjectId
from policies.transaction import Transaction

_LOCKED_AT_ONCE: Final = 500


@dataclass(slots=True)
class Pruned:
    """What a run did, or (dry) would have done: bodies deleted, bodies that a hold keeps, the prefix stated.

    ``clock_refused``: nothing went, because the clock is more than a day away from the newest checkpoint or
    entry.
    """

    deleted: int = 0
    held: int = 0
    size: int = 0
    clock_refused: bool = False


class LogPruning:
    """Prunes the log. Stateless."""

    def __init__(self, database: Database, keeper: RuleKeeper) -> None:
        self._database = database
        self._keeper = keeper

    def run(
        self, now: int, *, dry: bool = False, progress: Callable[[int], None] = lambda _count: None
    ) -> Pruned:
        """Delete the bodies whose time is over; ``progress`` hears how many went so far.

        Raises:
            ValueError: the rules keep the log for less than the floor.
            LogError: the log is damaged; nothing more is deleted then.
        """
        try:
            done = Pruned(size=self._stated(now, dry=dry))
        except ClockError:
            return Pruned(clock_refused=True)
        after: int | None = -1
        while after is not None:
            after = self._batch(done, after, now, dry=dry)
            progress(done.deleted)
        return done

    def _stated(self, now: int, *, dry: bool) -> int:
        """Let the log say what is pruned by now, unless it has; return the size of the prefix."""
        cutoff = now - self._keeper.latest.book.retention.log.days * DAY_MS
        with self._database.transaction() as tx:
            stated, reached = pruning.sizes(tx, cutoff)
            if not reached:
                return 0
            # Without an entry of today and its signature nothing shows that today is today; then a hold might
            # only seem to be over as well. Leaving an idle log alone for a day costs nothing.
            pruning.refuse_wrong_clock(tx, now)
            # The milestone stays, so a prefix of one entry lets none go.
            if reached <= max(stated, 1):
                return stated
            if not dry:
                pruning.state(tx, reached, cutoff, now, self._keeper.fingerprint(tx))
                tx.commit()
            return reached

    def _batch(self, done: Pruned, after: int, now: int, *, dry: bool) -> int | None:
        """Deal with the next entries above ``after``; return the last of them, None where there are none."""
        with self._database.transaction() as tx:
            found = pruning.old(tx, done.size, after)
            if not found:
                return None
            kept = self._held(tx, found, now, Hold.NONE if dry else Hold.CHANGE)
            gone = [one for one in found if not one.about & kept]
            if gone and not dry:
                pruning.drop(tx, gone)
                tx.commit()
        done.deleted += len(gone)
        done.held += len(found) - len(gone)
        return found[-1].place

    def _held(self, tx: Transaction, found: Collection[Old], now: int, lock: Hold) -> frozenset[bytes]:
        """Return the pseudonyms of those whom a hold, or one on a home of theirs, keeps."""
        who = pruning.known(tx, frozenset[bytes]().union(*(one.about for one in found)))
        homes = {subject: moving.homes_of(tx, subject, now) for subject in set(who.values())}
        everybody = sorted({*homes, *(home for several in homes.values() for home in several)})
        held: set[str] = set()
        for start in range(0, len(everybody), _LOCKED_AT_ONCE):
            some = everybody[start : start + _LOCKED_AT_ONCE]
            subjects.rows_of(tx, [SubjectId(one) for one in some], lock)
            held |= holds.held(tx, some, now)
        return frozenset(
            name for name, subject in who.items() if held.intersection([subject, *homes[subject]])
        )
