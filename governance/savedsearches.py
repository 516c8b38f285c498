"""Searches an officer keeps under a name. They name nobody: a question asked again and again, no watch list.

Promises that each officer has their own, that a query is kept in its canonical spelling, and that one which
names a member or a household is refused (decided so instead of sealing them: what is never kept need not be
found again when a person is erased).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import UniqueConstraint, bindparam, delete, func, insert, select, update
from sqlmodel import Field

from audit.search import Query
from governance.database import ConflictError, Database
from governance.records import Record, text_column, time_column
from policies.identifiers import Prefix, new_id
from policies.terms import ActorId

MOST: Final = 50
"""Searches one officer keeps."""


class SavedSearch(Record, table=True):
    """One search of one officer."""

    __tablename__ = "saved_search"
    __table_args__ = (UniqueConstraint("officer_id", "name"),)
    officer_id: str = Field(sa_column=text_column(key=True))
    id: str = Field(sa_column=text_column(key=True))
    name: str = Field(sa_column=text_column())
    query: str = Field(sa_column=text_column())
    saved_at: int = Field(sa_column=time_column())


_saved = SavedSearch.__table__
_MINE: Final = (
    select(_saved.c.id, _saved.c.name, _saved.c.query, _saved.c.saved_at)
    .where(_saved.c.officer_id == bindparam("officer"))
    .order_by(_saved.c.name)
)
_COUNT: Final = select(func.count()).select_from(_saved).where(_saved.c.officer_id == bindparam("officer"))
_ADD: Final = insert(_saved)
_ONE: Final = (_saved.c.officer_id == bindparam("officer"), _saved.c.id == bindparam("search"))
_CHANGE: Final = (
    update(_saved)
    .where(*_ONE)
    .values(name=bindparam("called"), query=bindparam("asks"), saved_at=bindparam("now"))
)
_DROP: Final = delete(_saved).where(*_ONE)


class NamesSomebodyError(Exception):
    """The query names a member or a household; such searches are asked, not kept."""


class NameTakenError(Exception):
    """This officer has another search of that name."""


class TooManySearchesError(Exception):
    """This officer keeps as many searches as one may."""


class NoSuchSearchError(Exception):
    """This officer keeps no such search."""


class Saved(NamedTuple):
    """One search that is kept; the query is canonical."""

    id: str
    name: str
    query: str
    at: int


class SavedSearches:
    """The searches of officers, each their own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, officer: ActorId) -> list[Saved]:
        """Return an officer's searches by name."""
        return [Saved(*row) for row in self._database.look(_MINE, {"officer": officer})]

    def one(self, officer: ActorId, search: str) -> Saved:
        """Return one of an officer's searches.

        Raises:
            NoSuchSearchError: there is none of this id.
        """
        for saved in self.of(officer):
            if saved.id == search:
                return saved
        raise NoSuchSearchError

    def add(self, officer: ActorId, name: str, query: Query, now: int) -> Saved:
        """Keep a search under a new name.

        Raises:
            NamesSomebodyError: the query is about somebody.
            TooManySearchesError: there are ``MOST`` already.
            NameTakenError: the name is in use.
        """
        saved = Saved(new_id(Prefix.SEARCH), name, _impersonal(query), now)
        row = {"officer_id": officer, "id": saved.id, "name": name, "query": saved.query, "saved_at": now}
        try:
            with self._database.transaction() as tx:
                if tx.rows(_COUNT, {"officer": officer})[0][0] >= MOST:
                    raise TooManySearchesError
                tx.run(_ADD, row)
                tx.commit()
        except ConflictError:
            raise NameTakenError from None
        return saved

    def change(self, officer: ActorId, search: str, name: str, query: Query, now: int) -> Saved:
        """Give a search another name and question; raises as ``add``, and ``NoSuchSearchError``."""
        saved = Saved(search, name, _impersonal(query), now)
        changed = {"officer": officer, "search": search, "called": name, "asks": saved.query, "now": now}
        try:
            with self._database.transaction() as tx:
                _one_row(tx.run(_CHANGE, changed))
                tx.commit()
        except ConflictError:
            raise NameTakenError from None
        return saved

    def drop(self, officer: ActorId, search: str) -> None:
        """Forget a search; raises ``NoSuchSearchError``."""
        with self._database.transaction() as tx:
            _one_row(tx.run(_DROP, {"officer": officer, "search": search}))
            tx.commit()


def _impersonal(query: Query) -> str:
    if query.people() or query.pseudonyms():
        raise NamesSomebodyError
    return query.text()


def _one_row(touched: int) -> None:
    if touched != 1:
        raise NoSuchSearchError
