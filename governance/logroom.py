"""What a process needs around the log, wired once: one place, so that the service stays a short list."""

from __future__ import annotations

from dataclasses import dataclass

from governance.checkpoints import Checkpoints
from governance.logbook import Logbook
from governance.logpruning import LogPruning


@dataclass(frozen=True, slots=True)
class LogRoom:
    """The log's desks."""

    checkpoints: Checkpoints
    book: Logbook
    pruning: LogPruning

    def settle(self) -> None:
        """Give everything that is committed its place; whoever reads the log calls this first.

        Raises:
            StoreError: the database is away.
            LogError: the log is damaged where it would grow.
        """
        self.book.settle()
