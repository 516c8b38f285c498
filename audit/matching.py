"""Whether an entry is what a query asks for, and under which terms an entry can be found. Pure.

Promises that the index and the truth read an entry through the same lines (``values``): what ``matches``
says of a decoded leaf is what counts, and every entry that matches stands under ``terms`` of its own. A
term is a number, 64 bits of BLAKE2b over qualifier and value: short, and it tells nobody who is meant. Two
words that share a number cost a look at an entry that is then left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from audit.entry import Entry, Kind
from audit.search import DOTTED, Qualifier, Query, Term
from policies.identifiers import Prefix, kind_of

_BELOW: Final = ".*"


def _said(word: str) -> set[str]:
    return {word} if word else set()


def _actors(entry: Entry) -> set[str]:
    person = entry.actor.on_behalf_of
    return {entry.actor.party.id} | ({person.id} if person is not None else set())


def _subjects(entry: Entry) -> set[str]:
    return {subject.hex() for subject in entry.subjects}


def _consents(entry: Entry) -> set[str]:
    own = {entry.resource} if kind_of(entry.resource) is Prefix.CONSENT else set()
    return own | set(entry.basis.consents if entry.basis is not None else ())


def _rules(entry: Entry) -> set[str]:
    found = () if entry.message is None else entry.message.rules
    return {*found, *(rule for one in entry.fields for rule in one.rules)}


_VALUES: Final[Mapping[Qualifier, Callable[[Entry], set[str]]]] = {
    Qualifier.ACTOR: _actors,
    Qualifier.MEMBER: _subjects,
    # A household that an entry is about stands among its subjects.
    Qualifier.HOUSEHOLD: lambda entry: _said(entry.household.hex()) | _subjects(entry),
    Qualifier.ACTION: lambda entry: {entry.act},
    Qualifier.FIELD: lambda entry: {one.name for one in entry.fields},
    Qualifier.PURPOSE: lambda entry: _said(entry.purpose),
    Qualifier.DECISION: lambda entry: {entry.dec.value} | _said(entry.decision),
    Qualifier.REASON: lambda entry: {*entry.why, *(reason for one in entry.fields for reason in one.why)},
    Qualifier.RULE: _rules,
    Qualifier.CONSENT: _consents,
    Qualifier.KIND: lambda entry: {entry.kind.value},
    Qualifier.REQUEST: lambda entry: _said(entry.request),
    Qualifier.STORY: lambda entry: _said(entry.corr),
}


def values(entry: Entry, qualifier: Qualifier) -> set[str]:
    """Return what an entry says under one qualifier."""
    return _VALUES[qualifier](entry)


def matches(query: Query, entry: Entry, index: int) -> bool:
    """Say whether the entry that stands at ``index`` is one the query asks for."""
    return (
        (query.since is None or entry.t >= query.since)
        and (query.until is None or entry.t < query.until)
        and (query.first is None or index >= query.first)
        and (query.end is None or index < query.end)
        and all(_has(entry, term) for term in query.wanted)
        and not any(_has(entry, term) for term in query.unwanted)
    )


def _has(entry: Entry, term: Term) -> bool:
    found = values(entry, term.qualifier)
    if term.qualifier not in DOTTED:
        return not found.isdisjoint(term.values)
    return any(
        one.startswith(value[:-1]) if value.endswith(_BELOW) else one == value
        for value in term.values
        for one in found
    )


@lru_cache(65_536)
def _number(qualifier: Qualifier, value: str) -> int:
    digest = blake2b(f"{qualifier.value}\0{value}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def terms(entry: Entry) -> set[int]:
    """Return the numbers under which an entry can be found."""
    return {_number(qualifier, value) for qualifier, value in _spoken(entry)}


def _spoken(entry: Entry) -> Iterator[tuple[Qualifier, str]]:
    for qualifier in Qualifier:
        if qualifier is Qualifier.HOUSEHOLD:  # its subjects stand there once, as members
            if entry.household:
                yield qualifier, entry.household.hex()
            continue
        for value in values(entry, qualifier):
            yield qualifier, value
            if qualifier in DOTTED:
                parts = value.split(".")
                for size in range(1, len(parts)):
                    yield qualifier, ".".join(parts[:size]) + _BELOW


def numbers(term: Term) -> tuple[int, ...]:
    """Return the numbers to look under for one term of a query: any of them, sorted."""
    looked = [(term.qualifier, value) for value in term.values]
    if term.qualifier is Qualifier.HOUSEHOLD:
        looked += [(Qualifier.MEMBER, value) for value in term.values]
    return tuple(sorted({_number(qualifier, value) for qualifier, value in looked}))


EVERY: Final = numbers(Term(Qualifier.KIND, tuple(sorted(Kind))))
"""The numbers that cover the whole log: each entry is of exactly one kind."""
