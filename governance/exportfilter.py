"""Which entries an export gives: ``actor: action: kind: purpose: decision:``, a minus in front says no.

The one place where the text of a filter becomes a filter; a larger grammar goes in here. Promises that the
text holds words of the rules and ids of services and staff and nothing personal, so that it may be stored,
shown to a second officer and written into the export.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from audit.entry import Entry

Filter = Callable[[int, Entry], bool]
"""Says whether the entry at an index is given."""
LONGEST_QUERY: Final = 500
_GRAMMAR: Final = "a query is made of actor: action: kind: purpose: decision: with ids and words of the log"
_TERM: Final = re.compile(r"(-?)([a-z]+):([a-z0-9][a-z0-9_.-]{0,79})")
_MEMBER: Final = re.compile(r"(?:mem|hh)_")


class UnfitQueryError(ValueError):
    """The text is no filter."""


def _actors(entry: Entry) -> set[str]:
    person = entry.actor.on_behalf_of
    return {entry.actor.party.id} | (set() if person is None else {person.id})


_WORDS: Final[dict[str, Callable[[Entry], set[str]]]] = {
    "actor": _actors,
    "action": lambda entry: {entry.act},
    "kind": lambda entry: {entry.kind.value},
    "purpose": lambda entry: {entry.purpose},
    "decision": lambda entry: {entry.dec.value},
}


def filter_of(query: str) -> Filter | None:
    """Return what a query takes, None where it takes everything.

    Terms of one qualifier are alternatives, different qualifiers all count.

    Raises:
        UnfitQueryError: it is no query of this grammar, or it names a member or a household.
    """
    wanted: dict[str, set[str]] = {}
    unwanted: dict[str, set[str]] = {}
    for term in query.split():
        found = _TERM.fullmatch(term)
        if found is None or found.group(2) not in _WORDS or _MEMBER.match(found.group(3)):
            raise UnfitQueryError(_GRAMMAR)
        side = unwanted if found.group(1) else wanted
        side.setdefault(found.group(2), set()).add(found.group(3))
    if len(query) > LONGEST_QUERY:
        raise UnfitQueryError(_GRAMMAR)
    if not wanted and not unwanted:
        return None

    def takes(_index: int, entry: Entry) -> bool:
        said = {name: _WORDS[name](entry) for name in {*wanted, *unwanted}}
        fits = all(said[name] & values for name, values in wanted.items())
        return fits and not any(said[name] & values for name, values in unwanted.items())

    return takes
