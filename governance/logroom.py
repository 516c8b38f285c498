"""What a process needs around the log, wired once: one place, so that the service stays a short list."""

from __future__ import annotations

from dataclasses import dataclass

from governance.checkpoints import Checkpoints
from governance.database import Database
from governance.logsearch import LogSearch
from governance.opening import Opening
from governance.rulekeeping import RuleKeeper
from governance.savedsearches import SavedSearches


@dataclass(frozen=True, slots=True)
class LogRoom:
    """The log's desks."""

    checkpoints: Checkpoints
    search: LogSearch
    saved: SavedSearches


def furnished(checkpoints: Checkpoints, database: Database, keeper: RuleKeeper, opening: Opening) -> LogRoom:
    """Return the desks of the log of one database."""
    return LogRoom(checkpoints, LogSearch(database, keeper, opening), SavedSearches(database))
