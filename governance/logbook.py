"""The log between a commit and the answer: who gives pending entries their places, and who waits for what.

``committed``: the entry is durable. ``integrated``: a checkpoint that covers it is signed and kept outside
the database, so that no later hand on the database can undo it unseen. ``witnessed``: the witnesses whom the
deployment trusts have signed such a checkpoint too. Many who wait are served by one signature.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import text

from audit import ledger
from audit.publishing import NotPublishedError, Standing
from audit.sequencing import Recorded
from governance.checkpoints import CANNOT_SIGN, Checkpoints
from governance.database import Database, StoreError
from policies.terms import Assurance

_PERIOD_S: Final = 0.1
_TRIES: Final = 20
_QUORUM_S: Final = 10.0
"""How long an answer waits for witnesses before it is refused."""
_log = logging.getLogger("governance.logbook")
_PENDING: Final = text("SELECT 1 FROM audit_pending LIMIT 1")


class NotAssuredError(Exception):
    """The entry is committed, but not as surely as its category asks; nothing may be revealed."""


class _Turns:
    """Lets one do the work for all who asked before it began."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._counting = threading.Lock()
        self._turn = threading.Lock()
        self._asked = 0
        self._done = 0

    def take(self) -> None:
        """Return when a run of the work that began after this call has ended."""
        with self._counting:
            self._asked += 1
            mine = self._asked
        with self._turn:
            if self._done >= mine:
                return
            with self._counting:
                covers = self._asked
            self._work()
            self._done = covers


class Logbook:
    """The log between a commit and the answer. One per process."""

    def __init__(
        self,
        database: Database,
        checkpoints: Checkpoints,
        clock: Callable[[], int],
        quorum: Callable[[int, float], bool],
    ) -> None:
        self._database = database
        self._checkpoints = checkpoints
        self._clock = clock
        self._quorum = quorum
        self._settling = _Turns(self._integrate)
        self._signing = _Turns(self._sign)
        self._signed = 0
        self._wanted = 0
        self._wanting = threading.Lock()

    def settle(self) -> None:
        """Give everything that is committed its place, so that whoever reads the log now reads all of it.

        Raises:
            StoreError: the database is away.
            LogError: the log is damaged where it would grow.
        """
        if self._database.concurrent:
            self._settling.take()

    def assure(self, level: Assurance, recorded: Sequence[Recorded]) -> list[Recorded]:
        """Wait until the entries, committed by now, are as sure as the level demands.

        Raises:
            NotAssuredError: they are not, for whatever reason.
        """
        if level is Assurance.COMMITTED or not recorded:
            return list(recorded)
        try:
            placed = self._placed(recorded)
            size = 1 + max(one.index for one in placed if one.index is not None)
            with self._wanting:  # a wish that another one overwrote would be refused for nothing
                self._wanted = max(self._wanted, size)
            # What was signed before may have been another log of this size: each entry asks anew.
            self._signing.take()
            if self._signed < size:
                raise NotAssuredError
            if level is Assurance.WITNESSED and not self._quorum(size, _QUORUM_S):
                raise NotAssuredError
        except CANNOT_SIGN as error:
            _log.error("an entry was committed but not signed", extra={"cause": type(error).__name__})
            raise NotAssuredError from None
        return placed

    def _placed(self, recorded: Sequence[Recorded]) -> list[Recorded]:
        missing = [one.entry_id for one in recorded if one.index is None]
        if not missing:
            return list(recorded)
        self.settle()
        with self._database.reading() as tx:
            places = ledger.places_of(tx, missing)
        placed = [
            one if one.index is not None else Recorded(one.entry_id, places.get(one.entry_id))
            for one in recorded
        ]
        if any(one.index is None for one in placed):
            raise NotAssuredError  # it was changed while it waited; the log says so in its place
        return placed

    def _integrate(self) -> None:
        with self._database.transaction() as tx:
            ledger.integrate(tx, self._clock())
            tx.commit()

    def _sign(self) -> None:
        for _ in range(_TRIES):
            try:
                self._signed = self._checkpoints.publish(self._clock())
            except NotPublishedError as error:
                if error.standing is not Standing.OK:
                    raise
                self._signed = self._checkpoints.signed()  # another signer was faster; for us too, perhaps
            if self._signed >= self._wanted:
                return
        raise NotPublishedError(Standing.OK)

    async def keep_settled(self) -> None:
        """Place what is pending, some times a second, until cancelled; a failure is told and tried again."""
        while self._database.concurrent:
            await asyncio.sleep(_PERIOD_S)
            try:
                await asyncio.to_thread(self._settle_if_pending)
            except (StoreError, ledger.LogError) as error:
                _log.error("entries wait for their place", extra={"cause": type(error).__name__})

    def _settle_if_pending(self) -> None:
        if self._database.look(_PENDING, {}):
            self.settle()
