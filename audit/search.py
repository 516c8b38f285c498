r"""What an officer asks the log, in one line: qualifiers, values and exclusions. Pure.

The grammar, the same for page, API, command line and export::

    actor:stf_… action:consent.* -reason:no_consent created:>=2026-01-01 created:<2026-02-01T09:00+08:00

Several values of one qualifier mean any of them, different qualifiers mean all of them, ``-`` excludes
every value it stands before. ``created:`` and ``index:`` are bounds, and all of them hold; they cannot be
excluded. A date without a zone is one in Shanghai, and stands for the whole day (a minute for the whole
minute). ``.*`` at the end of a dotted word finds everything below it. A value with blanks stands in
quotation marks, where ``\`` goes before a mark and before itself. A full-width colon is a colon.

Promises that ``parse(query.text()) == query`` for every query, and that an error says where and what is
wrong, never what was written there. People appear as pseudonyms (32 hex digits); ids of members and
households are accepted, and must be replaced (``Query.naming``) before anything is looked up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from enum import StrEnum
from typing import Final, NamedTuple

from audit.entry import Kind, Verdict
from policies.identifiers import Prefix, kind_of

LONGEST: Final = 1_000
"""Characters of one query."""
MOST_TERMS: Final = 24
"""Values of one query, excluded ones and bounds included."""
MOST_PEOPLE: Final = 5
"""Members and households one query may name: each gets an entry of the search in their own view."""
NOBODY: Final = "nobody"
"""Stands for somebody the log knows nothing of: an unknown or an erased person. Finds no entry."""
SHANGHAI: Final = timezone(timedelta(hours=8))
_LONGEST_VALUE: Final = 128
_LAST_YEAR: Final = 9998
_DAY: Final = 86_400_000
_MINUTE: Final = 60_000
_SECOND: Final = 1_000
_LARGEST: Final = 10**15 - 1


class Fault(StrEnum):
    """What can be wrong with a query."""

    TOO_LONG = "too_long"
    TOO_MANY_TERMS = "too_many_terms"
    TOO_MANY_PEOPLE = "too_many_people"
    QUALIFIER_MISSING = "qualifier_missing"
    QUALIFIER_UNKNOWN = "qualifier_unknown"
    VALUE_MISSING = "value_missing"
    VALUE_TOO_LONG = "value_too_long"
    VALUE_UNFIT = "value_unfit"
    QUOTE_OPEN = "quote_open"
    NOT_A_TIME = "not_a_time"
    NOT_A_NUMBER = "not_a_number"
    CANNOT_EXCLUDE = "cannot_exclude"
    UNPRINTABLE = "unprintable"


class SearchError(ValueError):
    """A query that does not fit; ``position`` counts its characters from 0. Holds nothing of the query."""

    def __init__(self, fault: Fault, position: int) -> None:
        super().__init__(f"{fault.value} at {position}")
        self.fault = fault
        self.position = position


class Qualifier(StrEnum):
    """What a value is looked for in."""

    ACTOR = "actor"
    MEMBER = "member"
    HOUSEHOLD = "household"
    ACTION = "action"
    FIELD = "field"
    PURPOSE = "purpose"
    DECISION = "decision"
    REASON = "reason"
    RULE = "rule"
    CONSENT = "consent"
    KIND = "kind"
    REQUEST = "request"
    STORY = "story"


CREATED: Final = "created"
INDEX: Final = "index"
PEOPLE: Final = (Qualifier.ACTOR, Qualifier.MEMBER, Qualifier.HOUSEHOLD)
DOTTED: Final = (Qualifier.ACTION, Qualifier.FIELD, Qualifier.PURPOSE, Qualifier.REASON)
"""Qualifiers whose values are dotted words, which ``.*`` may end."""


class Term(NamedTuple):
    """The values of one qualifier, sorted, each once."""

    qualifier: Qualifier
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """One question to the log.

    An entry fits if each of ``wanted`` has a value of it, none of ``unwanted`` has one, its time (UTC
    milliseconds) is in ``[since, until)`` and its index in ``[first, end)``; None where there is no bound.
    """

    wanted: tuple[Term, ...] = ()
    unwanted: tuple[Term, ...] = ()
    since: int | None = None
    until: int | None = None
    first: int | None = None
    end: int | None = None

    def text(self) -> str:
        """Return the query in its one canonical spelling."""
        parts = [f"{term.qualifier}:{_spelt(value)}" for term in self.wanted for value in term.values]
        parts += [f"-{term.qualifier}:{_spelt(value)}" for term in self.unwanted for value in term.values]
        for name, low, high, spell in (
            (CREATED, self.since, self.until, _spelt_time),
            (INDEX, self.first, self.end, str),
        ):
            parts += [f"{name}:>={spell(low)}"] if low is not None else []
            parts += [f"{name}:<{spell(high)}"] if high is not None else []
        return " ".join(parts)

    def people(self) -> tuple[str, ...]:
        """Return the ids of members and households that the query names, sorted."""
        return tuple(sorted({value for value in self._people_values() if kind_of(value) in _PERSONS}))

    def pseudonyms(self) -> tuple[bytes, ...]:
        """Return the pseudonyms that the query names, sorted."""
        return tuple(sorted({bytes.fromhex(value) for value in self._people_values() if _HEX(value)}))

    def naming(self, names: Mapping[str, bytes]) -> Query:
        """Return the query with pseudonyms in place of ids; who has none becomes ``nobody``."""

        def renamed(value: str) -> str:
            if kind_of(value) not in _PERSONS:
                return value
            return names[value].hex() if value in names else NOBODY

        def all_of(terms: tuple[Term, ...]) -> tuple[Term, ...]:
            return tuple(
                Term(one.qualifier, tuple(sorted({renamed(value) for value in one.values})))
                if one.qualifier in PEOPLE
                else one
                for one in terms
            )

        return replace(self, wanted=all_of(self.wanted), unwanted=all_of(self.unwanted))

    def _people_values(self) -> list[str]:
        terms = (*self.wanted, *self.unwanted)
        return [value for term in terms if term.qualifier in PEOPLE for value in term.values]


_PERSONS: Final = frozenset({Prefix.MEMBER, Prefix.HOUSEHOLD})
_HEX: Final = re.compile(r"[0-9a-f]{32}").fullmatch
_PLAIN: Final = re.compile(r"[^\s\"\\<>:：]+").fullmatch
_NAME: Final = re.compile(r"[^\s:：\"]*")
_RUN: Final = re.compile(r"[^\s\"]*")
_BOUND: Final = re.compile(r">=|<=|>|<|")
_WORD: Final = re.compile(r"[a-z@][a-z0-9_@-]*(?:\.[a-z0-9_@-]+)*(?:\.\*)?").fullmatch
_SYSTEM: Final = re.compile(r"[a-z][a-z0-9_.]{0,63}").fullmatch
_TIME: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:[Tt](\d{2}:\d{2})(?:(:\d{2})(\.\d{1,3})?)?([Zz]|[+-]\d{2}:\d{2})?)?", re.ASCII
).fullmatch
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,14}").fullmatch


_SOMEBODY: Final = re.compile(r"(?:mem|hh)_[0-9a-f]").search


def _names_nobody(value: str) -> bool:
    return _SOMEBODY(value) is None


def _is_id(*kinds: Prefix) -> Callable[[str], bool]:
    return lambda value: kind_of(value) in kinds


def _is_actor(value: str) -> bool:
    known = kind_of(value) in (Prefix.SERVICE, Prefix.STAFF, Prefix.MEMBER)
    return known or bool(_HEX(value)) or bool(_SYSTEM(value))


def _is_person(kind: Prefix) -> Callable[[str], bool]:
    return lambda value: kind_of(value) is kind or bool(_HEX(value)) or value == NOBODY


_FITS: Final[Mapping[Qualifier, Callable[[str], object]]] = {
    Qualifier.ACTOR: _is_actor,
    Qualifier.MEMBER: _is_person(Prefix.MEMBER),
    Qualifier.HOUSEHOLD: _is_person(Prefix.HOUSEHOLD),
    **dict.fromkeys(DOTTED, lambda value: _WORD(value) and _names_nobody(value)),
    Qualifier.DECISION: lambda value: value in set(Verdict) or kind_of(value) is Prefix.DECISION,
    Qualifier.CONSENT: _is_id(Prefix.CONSENT),
    Qualifier.KIND: lambda value: value in set(Kind),
}
"""What a value must look like. The rest takes any printable text that names no member and no household:
what is said of people stands in the log under pseudonyms, and the words of a query are kept."""


def parse(text: str) -> Query:
    """Return what a line asks for; an empty line asks for everything.

    Raises:
        SearchError: the line has no such meaning; it says where and why.
    """
    if len(text) > LONGEST:
        raise SearchError(Fault.TOO_LONG, LONGEST)
    reading = _Reading(text)
    while reading.more():
        reading.term()
    query = reading.query()
    if len({*query.people(), *query.pseudonyms()}) > MOST_PEOPLE:
        raise SearchError(Fault.TOO_MANY_PEOPLE, 0)
    return query


class _Reading:
    """One pass over a line, from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._terms = 0
        self._values: dict[tuple[bool, Qualifier], set[str]] = {}
        self._low: dict[str, int] = {}
        self._high: dict[str, int] = {}

    def more(self) -> bool:
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1
        return self._at < len(self._text)

    def term(self) -> None:
        begun = self._at
        self._terms += 1
        if self._terms > MOST_TERMS:
            raise SearchError(Fault.TOO_MANY_TERMS, begun)
        excluded = self._text[begun] == "-"
        self._at += excluded
        name = self._taken(_NAME)
        if self._at == len(self._text) or self._text[self._at] not in ":：":
            raise SearchError(Fault.QUALIFIER_MISSING, begun)
        if name not in {*Qualifier, CREATED, INDEX}:
            raise SearchError(Fault.QUALIFIER_UNKNOWN, begun + excluded)
        self._at += 1
        if name in (CREATED, INDEX):
            if excluded:
                raise SearchError(Fault.CANNOT_EXCLUDE, begun)
            self._bound(name)
            return
        at = self._at
        value = self._value()
        if not _FITS.get(Qualifier(name), _names_nobody)(value):
            raise SearchError(Fault.VALUE_UNFIT, at)
        self._values.setdefault((excluded, Qualifier(name)), set()).add(value)

    def query(self) -> Query:
        def terms(excluded: bool) -> tuple[Term, ...]:
            found = {name: values for (out, name), values in self._values.items() if out is excluded}
            return tuple(Term(name, tuple(sorted(found[name]))) for name in Qualifier if name in found)

        return Query(
            terms(excluded=False),
            terms(excluded=True),
            self._low.get(CREATED),
            self._high.get(CREATED),
            self._low.get(INDEX),
            self._high.get(INDEX),
        )

    def _bound(self, name: str) -> None:
        how, at = self._taken(_BOUND), self._at
        value = self._value()
        first, after = _span(value, at) if name == CREATED else _place(value, at)
        if how in ("", ">=", ">"):
            low = after if how == ">" else first
            self._low[name] = max(low, self._low.get(name, low))
        if how in ("", "<=", "<"):
            high = first if how == "<" else after
            self._high[name] = min(high, self._high.get(name, high))

    def _value(self) -> str:
        at = self._at
        value = self._quoted() if self._text[at : at + 1] == '"' else self._taken(_RUN)
        if not value:
            raise SearchError(Fault.VALUE_MISSING, at)
        if len(value) > _LONGEST_VALUE:
            raise SearchError(Fault.VALUE_TOO_LONG, at)
        if not value.isprintable():
            raise SearchError(Fault.UNPRINTABLE, at)
        if self._at < len(self._text) and not self._text[self._at].isspace():
            raise SearchError(Fault.VALUE_UNFIT, self._at)
        return value

    def _quoted(self) -> str:
        begun, found = self._at, ""
        self._at += 1
        while self._at < len(self._text):
            one = self._text[self._at]
            self._at += 1
            if one == '"':
                return found
            if one == "\\" and self._at < len(self._text):
                one = self._text[self._at]
                self._at += 1
                if one not in '"\\':
                    raise SearchError(Fault.VALUE_UNFIT, self._at - 1)
            found += one
        raise SearchError(Fault.QUOTE_OPEN, begun)

    def _taken(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        assert match is not None, "these patterns match an empty text"
        self._at = match.end()
        return match.group()


def _span(value: str, at: int) -> tuple[int, int]:
    """Return the first millisecond of a day, minute, second or millisecond, and the first after it."""
    match = _TIME(value)
    if match is None:
        raise SearchError(Fault.NOT_A_TIME, at)
    day, minute, second, fraction, zone = match.groups()
    spelt = f"{day}T{minute or '00:00'}{second or ':00'}{zone or '+08:00'}"
    try:
        moment = datetime.fromisoformat(spelt.upper())
        begun = int(moment.timestamp()) * 1000 + int(f"{fraction or '.'}000"[1:4])
    except (ValueError, OverflowError):  # a thirtieth of February, a zone of 99 hours
        raise SearchError(Fault.NOT_A_TIME, at) from None
    if not 1970 <= moment.year <= _LAST_YEAR:  # noqa: PLR2004 - the log counts from then
        raise SearchError(Fault.NOT_A_TIME, at)
    long = _DAY if minute is None else _MINUTE if second is None else _SECOND if fraction is None else 1
    return max(begun, 0), max(begun + long, 0)


def _place(value: str, at: int) -> tuple[int, int]:
    if _NUMBER(value) is None:
        raise SearchError(Fault.NOT_A_NUMBER, at)
    return int(value), min(int(value) + 1, _LARGEST)


def _spelt(value: str) -> str:
    if _PLAIN(value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _spelt_time(at: int) -> str:
    seconds, milliseconds = divmod(at, 1000)
    moment = datetime.fromtimestamp(seconds, SHANGHAI)
    if not milliseconds and moment.hour == moment.minute == moment.second == 0:
        return f"{moment:%Y-%m-%d}"
    fraction = f".{milliseconds:03}" if milliseconds else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}+08:00"
