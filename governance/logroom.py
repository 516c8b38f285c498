"""What a process needs around the log, wired once: one place, so that the service stays a short list."""

from __future__ import annotations

from dataclasses import dataclass

from governance.checkpoints import Checkpoints
from governance.database import Database
from governance.logbook import Logbook
from governance.logexports import LogExports
from governance.logpieces import LogPieces
from governance.logpruning import LogPruning
from governance.logsearch import LogSearch
from governance.opening import Opening
from governance.overseeing import OversightRoom, overseeing
from governance.proofs import Proofs
from governance.rulekeeping import RuleKeeper
from governance.savedsearches import SavedSearches
from governance.witnessing import Witnessing


@dataclass(frozen=True, slots=True)
class LogRoom:
    """The log's desks."""

    checkpoints: Checkpoints
    witnessing: Witnessing
    proofs: Proofs
    book: Logbook
    search: LogSearch
    saved: SavedSearches
    exports: LogExports
    pruning: LogPruning
    pieces: LogPieces
    oversight: OversightRoom

    def settle(self) -> None:
        """Give everything that is committed its place; whoever reads the log calls this first.

        Raises:
            StoreError: the database is away.
            LogError: the log is damaged where it would grow.
        """
        self.book.settle()


def furnished(
    checkpoints: Checkpoints,
    witnessing: Witnessing,
    book: Logbook,
    database: Database,
    keeper: RuleKeeper,
    opening: Opening,
    key: bytes,
) -> LogRoom:
    """Return the desks of the log of one database; ``key`` chooses what is sampled."""
    return LogRoom(
        checkpoints=checkpoints,
        witnessing=witnessing,
        proofs=Proofs(database, checkpoints, book.settle, witnessing.joined),
        book=book,
        search=LogSearch(database, keeper, opening, book.settle),
        saved=SavedSearches(database),
        exports=LogExports(database, keeper, checkpoints, book.settle, witnessing.joined),
        pruning=LogPruning(database, keeper),
        pieces=LogPieces(database),
        oversight=overseeing(database, keeper, opening, key, book.settle),
    )
