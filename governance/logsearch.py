"""Searching the log and reading one entry: looked up first, logged second, shown third.

Promises that what a page found is on record, with how many entries it was, before it is told; that a member
or household whom the query names gets an entry of the search in their own view, each one apart, so that each
can be erased apart; and that the words of the query lie beside those entries sealed, with pseudonyms in
place of ids. Somebody unknown and somebody erased are nobody here: they have no hits, and nothing shows it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import bindparam, select

from audit import indexing, ledger, searching
from audit.entry import Actor, Entry, Kind, Party, Verdict
from audit.records import SubjectPseudonym
from audit.search import Query
from audit.searching import Facets, Hit, Page
from governance import details, subjects
from governance.database import ConflictError, Database, StoreError
from governance.opening import Opening
from governance.rulekeeping import RuleKeeper
from governance.subjects import Hold
from policies.terms import SubjectId
from policies.transaction import Transaction

OFFICES: Final = frozenset({"compliance_officer", "auditor"})
"""Who reads the log."""
MOST: Final = 200
"""Entries of one page at most."""
PURPOSE: Final = "audit.review"
_AT_ONCE: Final = 2_048
"""Entries that a search indexes before it looks; what is left then is read from the leaves."""
_PERIOD_S: Final = 1.0
_TRIES: Final = 3
_log = logging.getLogger("governance.logsearch")

_name = SubjectPseudonym.__table__.c
_BEARERS: Final = select(_name.subject_id, _name.pseudonym).where(
    _name.pseudonym.in_(bindparam("names", expanding=True))
)


class _MovedError(Exception):
    """Somebody whom the query names was erased, or got a name, between looking and recording."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads the log, with the offices held, and under which request."""

    party: Party
    roles: tuple[str, ...] = ()
    request: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """One page of a search, already on record; ``facets`` where they were asked for."""

    page: Page
    facets: Facets | None


@dataclass(frozen=True, slots=True)
class Shown:
    """One entry, already on record as read, and its detail if it has one that still opens."""

    hit: Hit
    detail: str | None


class LogSearch:
    """The officers' way into the log."""

    def __init__(
        self, database: Database, keeper: RuleKeeper, opening: Opening, settle: Callable[[], None]
    ) -> None:
        self._database = database
        self._settle = settle
        self._keeper = keeper
        self._opening = opening

    def search(
        self, reader: Reader, query: Query, before: int | None, most: int, *, counted: bool, now: int
    ) -> Found:
        """Return a page of up to ``most`` entries, older than index ``before``; logged before it is told."""
        self._settle()
        self.catch_up(_AT_ONCE)
        for _ in range(_TRIES - 1):
            try:
                return self._searched(reader, query, before, most, counted=counted, now=now)
            except (_MovedError, ConflictError):  # or two searches made the same first key
                continue
        try:
            return self._searched(reader, query, before, most, counted=counted, now=now)
        except _MovedError:
            raise StoreError("moved") from None

    def _searched(
        self, reader: Reader, query: Query, before: int | None, most: int, *, counted: bool, now: int
    ) -> Found:
        with self._database.reading() as tx:
            asked = query.naming(ledger.names_of(tx, query.people()))
            page = searching.page(tx, asked, before, most)
            facets = None
            if counted:
                facets = searching.facets(searching.page(tx, asked, None, searching.FACETS_OVER))
        with self._database.transaction() as tx:
            bearers = self._held(tx, query, asked)
            entry = replace(self._act("audit.searched", reader, tx, now), n=len(page.hits))
            ledger.append(tx, self._entries(tx, entry, bearers, asked.text()))
            tx.commit()
        return Found(page, facets)

    def entry(self, reader: Reader, which: int | str, now: int) -> Shown | None:
        """Return the entry at an index or of an id (``aud_…``), once the look is on record."""
        self._settle()
        with self._database.transaction() as tx:
            found = _found(tx, which)
            if found is None:
                return None
            look = self._act("log.read", reader, tx, now)
            ledger.append(tx, [replace(look, subjects=found.entry.subjects, resource=found.entry.id)])
            tx.commit()
        with self._database.reading() as tx:
            return Shown(found, details.told(tx, self._opening, found.entry))

    def catch_up(self, most: int) -> int:
        """Index up to ``most`` entries that are not indexed yet; return how many there were."""
        return indexing.keep_up(self._database.reading, self._database.transaction, most)

    def rebuild(self, reader: Reader, now: int) -> int:
        """Make the index anew from the leaves, and only the index; return how many entries it covers.

        The columns beside the leaves and the index of subjects were written in the transaction that
        decided: where they differ, that is a trace of somebody, and nothing may wipe it away.
        """
        with self._database.transaction() as tx:
            indexing.empty(tx)
            ledger.append(tx, [self._act("audit.reindexed", reader, tx, now)])
            tx.commit()
        done = made = self.catch_up(_AT_ONCE)
        while made == _AT_ONCE:
            made = self.catch_up(_AT_ONCE)
            done += made
        return done

    async def keep_indexing(self) -> None:
        """Index what is new about once a second until cancelled; a failure is told and tried again."""
        while True:
            await asyncio.sleep(_PERIOD_S)
            try:
                await asyncio.to_thread(self.catch_up, _AT_ONCE)
            except StoreError as error:
                _log.error("the log's index did not grow", extra={"cause": type(error).__name__})

    def _held(self, tx: Transaction, query: Query, asked: Query) -> dict[SubjectId, bytes]:
        """Hold those whom the query names until the commit; return them with their pseudonyms."""
        bearers = {
            SubjectId(subject): bytes(name)
            for subject, name in tx.rows(_BEARERS, {"names": asked.pseudonyms()})
        }
        subjects.rows_of(tx, {*bearers, *map(SubjectId, query.people())}, Hold.DECIDE)
        now_known = _names(tx, {*bearers, *query.people()})
        if query.naming(now_known) != asked or any(now_known.get(one) != bearers[one] for one in bearers):
            raise _MovedError
        return bearers

    def _entries(
        self, tx: Transaction, entry: Entry, bearers: Mapping[SubjectId, bytes], text: str
    ) -> list[Entry]:
        if not bearers:
            return [details.keep(tx, self._opening, entry, details.OWN, text) if text else entry]
        made = []
        for subject, name in sorted(bearers.items()):
            one = _again(entry, name, entry.id if len(bearers) > 1 else "")
            made.append(details.keep(tx, self._opening, one, subject, text))
        return made

    def _act(self, act: str, reader: Reader, tx: Transaction, now: int) -> Entry:
        return Entry(
            t=now,
            kind=Kind.AUDIT,
            act=act,
            dec=Verdict.PERMIT,
            actor=Actor(reader.party, reader.roles),
            purpose=PURPOSE,
            policy=self._keeper.fingerprint(tx),
            request=reader.request,
        )


def _names(tx: Transaction, people: Collection[str]) -> dict[str, bytes]:
    return ledger.names_of(tx, sorted(people))


def _again(entry: Entry, subject: bytes, corr: str) -> Entry:
    """Return an entry of its own about one of those whom the query names."""
    fresh = Entry(entry.t, entry.kind, entry.act, entry.dec, entry.actor)
    return replace(entry, id=fresh.id, salt=fresh.salt, subjects=(subject,), corr=corr)


def _found(tx: Transaction, which: int | str) -> Hit | None:
    if isinstance(which, str):
        found = ledger.entry_with_id(tx, which)
        return None if found is None else Hit(*found)
    newest = ledger.recent(tx, which + 1, 1)
    return Hit(*newest[0]) if newest and newest[0][0] == which else None
