"""Which entries an export gives: the officers' grammar of searches (``audit.search``).

Promises that the text of a filter names nobody: ids of members and households become pseudonyms before it is
stored, shown to a second officer and written into the export, so that it says no more than the log itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from audit import ledger
from audit.entry import Entry
from audit.matching import matches
from audit.search import Query, SearchError, parse
from policies.transaction import Transaction

Filter = Callable[[int, Entry], bool]
"""Says whether the entry at an index is given."""
LONGEST_QUERY: Final = 500


class UnfitQueryError(ValueError):
    """The text is no filter; the message says where and why and quotes nothing."""


def unnamed(tx: Transaction, query: str) -> str:
    """Return a filter's one spelling, with pseudonyms in place of the people that it names.

    Raises:
        UnfitQueryError: it is no query, or too long.
    """
    asked = _parsed(query)
    return asked.naming(ledger.names_of(tx, asked.people())).text()


def filter_of(query: str) -> Filter | None:
    """Return what a filter takes, None where it takes everything.

    Raises:
        UnfitQueryError: it is no query, or it still names a member or a household.
    """
    asked = _parsed(query)
    if asked.people():
        raise UnfitQueryError("the filter of an export names nobody")
    return None if asked == Query() else lambda index, entry: matches(asked, entry, index)


def _parsed(query: str) -> Query:
    if len(query) > LONGEST_QUERY:
        raise UnfitQueryError(f"a query has at most {LONGEST_QUERY} characters")
    try:
        return parse(query)
    except SearchError as error:
        raise UnfitQueryError(f"no query: {error.fault.value} at character {error.position + 1}") from None
