"""The compiled plan: one verdict in microseconds, the same answer as stock Casbin, however many rules.

Promises, for every question: the level is the highest any matching allow row reaches, cut to one below
the lowest level any matching deny row forbids; no row means hidden. A fact nobody gave is false on
allow rows and true on deny rows. The answer names every row that applied and every allow row that
failed only by its conditions. A plan never changes: a new rule book is a new plan, published by storing
one reference. What is remembered inside is keyed by role sets and declared words, bounded, and never by
person, so a revoked consent or assignment leaves nothing to invalidate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Never

from policies import resources
from policies.book import RuleBook
from policies.entries import ANY, FieldEntry, Grant
from policies.resources import TypeEntry
from policies.terms import (
    Condition,
    Level,
    Purpose,
    Relation,
    Role,
    RuleId,
    Scope,
)

LADDERS: Final = 16_384
"""How many questions are remembered; when there are more, remembering starts afresh."""

PATTERNS: Final = 128
"""How many fact patterns are remembered for one question; further ones are worked out each time."""

NO_PURPOSE: Final = resources.NO_PURPOSE
"""The purpose of a question about a further type of resource: only rows for any purpose speak of it."""

_RELATIONS: Final = frozenset(Relation)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules say about one field. It has no truth value: ask for its level.

    ``rules``: every row that applied, in the order of grants.csv. ``denied_by``: the deny rows that
    hold the level where it is. ``duties``: what the allow rows that reach the level oblige the receiver
    to. ``unmet``: allow rows that would have applied but for these conditions. ``remedies``: the duties of
    the deny rows that hold the level, where each of them names one and doing it all would raise the level.
    """

    level: Level
    rules: tuple[RuleId, ...]
    duties: tuple[str, ...]
    unmet: tuple[tuple[RuleId, tuple[str, ...]], ...]
    denied_by: tuple[RuleId, ...]
    remedies: tuple[str, ...] = ()

    def __bool__(self) -> Never:
        raise TypeError("a verdict has no truth value; compare its level")


NO_RULE: Final = Verdict(Level.HIDDEN, (), (), (), ())
"""The verdict on an unknown field, purpose, relation or role, and wherever no row speaks."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A grant with its conditions as bits; ``place`` is its position in grants.csv."""

    place: int
    grant: Grant
    needs: int

    def applies(self, true: int, false: int) -> bool:
        """An allow row needs every fact true; a deny row needs no fact known to be false."""
        return not self.needs & (~true if self.grant.allows else false)


class _Ladder:
    """All rows that speak about one question; only the facts are still open."""

    __slots__ = ("_width", "asks", "rows", "seen")

    def __init__(self, rows: tuple[_Row, ...], bits: Mapping[str, int]) -> None:
        needed = 0
        for row in rows:
            needed |= row.needs
        self.rows = rows
        self.asks = tuple((condition, bit) for condition, bit in bits.items() if needed & bit)
        self.seen: dict[int, Verdict] = {}
        self._width = len(bits)

    def answer(self, facts: Mapping[Condition, bool] | Mapping[str, bool]) -> Verdict:
        pattern = 0
        known: Mapping[Any, bool] = facts
        for condition, bit in self.asks:
            fact = known.get(condition)
            if fact is True:
                pattern |= bit
            elif fact is False:
                pattern |= bit << self._width
        verdict = self.seen.get(pattern)
        return self.judge(pattern) if verdict is None else verdict

    def judge(self, pattern: int) -> Verdict:
        true, false = pattern & ((1 << self._width) - 1), pattern >> self._width
        applied = [row for row in self.rows if row.applies(true, false)]
        allows = [row.grant for row in applied if row.grant.allows]
        denies = [row.grant for row in applied if not row.grant.allows]
        reached = max((grant.level for grant in allows), default=Level.HIDDEN)
        cap = Level(min((grant.level for grant in denies), default=Level.FULL + 1) - 1)
        level = min(reached, cap)
        carrying = (grant for grant in allows if grant.level >= level > Level.HIDDEN)
        holding = [grant for grant in denies if grant.level - 1 == level]
        curable = reached > level and all(grant.duties for grant in holding)
        verdict = Verdict(
            level=level,
            rules=tuple(row.grant.id for row in applied),
            duties=tuple(dict.fromkeys(duty for grant in carrying for duty in grant.duties)),
            unmet=tuple(
                (row.grant.id, tuple(condition for condition, bit in self.asks if row.needs & ~true & bit))
                for row in self.rows
                if row.grant.allows and row.needs & ~true
            ),
            denied_by=tuple(grant.id for grant in holding),
            remedies=tuple(dict.fromkeys(duty for grant in holding for duty in grant.duties if curable)),
        )
        if len(self.seen) < PATTERNS:
            self.seen[pattern] = verdict
        return verdict


class Plan:
    """A rule book ready to answer. Make one with ``compile_plan``; share it between threads freely."""

    __slots__ = ("_bits", "_book", "_index", "_ladders", "_things", "fingerprint")

    def __init__(self, book: RuleBook) -> None:
        self.fingerprint = book.fingerprint
        self._book = book
        self._things: dict[str, FieldEntry | TypeEntry] = {
            **{str(name): entry for name, entry in book.fields.items()},
            **{f"type:{name}": entry for name, entry in book.resources.types.items()},
        }
        self._bits: dict[str, int] = {name: 1 << place for place, name in enumerate(book.conditions)}
        self._index: dict[tuple[str, str, str, str | None], list[_Row]] = {}
        self._ladders: dict[tuple[frozenset[tuple[Scope, Role]], str, str, str, str], _Ladder] = {}
        for place, grant in enumerate(book.grants.values()):
            row = _Row(place, grant, sum(self._bits[condition] for condition in grant.conditions))
            self._index.setdefault((grant.scope, grant.role, grant.object, grant.action), []).append(row)

    def verdict(  # one question has six parts, and every caller knows them in this order
        self,
        roles: frozenset[tuple[Scope, Role]],
        field: str,
        action: str,
        relation: Relation,
        purpose: Purpose,
        facts: Mapping[Condition, bool] | Mapping[str, bool],
    ) -> Verdict:
        """Return what the rules say when someone with these roles and this relation asks.

        ``field`` is a declared field or channel, or ``type:`` and a declared type of further resources, for
        which ``action`` is one of the type's verbs, the relation ``none`` and the purpose ``NO_PURPOSE``.
        ``roles`` are the roles held in the scopes that concern this subject, without inherited ones.
        ``facts`` maps each condition to True or False; anything else, and anything absent, is unknown.
        Unknown words give ``NO_RULE`` and leave nothing behind.
        """
        ladder = self._ladders.get((roles, field, action, relation, purpose))
        if ladder is None:
            ladder = self._find(roles, field, action, relation, purpose)
            if ladder is None:
                return NO_RULE
        return ladder.answer(facts)

    def rows_about(
        self,
        roles: frozenset[tuple[Scope, Role]],
        field: str,
        action: str,
        relation: Relation,
        purpose: Purpose,
    ) -> tuple[Grant, ...]:
        """Return the rows that speak about a question, in the book's order, whatever the facts are."""
        ladder = self._find(roles, field, action, relation, purpose)
        return () if ladder is None else tuple(row.grant for row in ladder.rows)

    def judge(self, rows: Iterable[Grant], facts: Mapping[Condition, bool] | Mapping[str, bool]) -> Verdict:
        """Return the verdict of these rows alone: how a question would go with other rows about it."""
        needs = self._bits
        ladder = _Ladder(
            tuple(
                _Row(place, grant, sum(needs[condition] for condition in grant.conditions))
                for place, grant in enumerate(rows)
            ),
            needs,
        )
        return ladder.answer(facts)

    def _find(
        self,
        roles: frozenset[tuple[Scope, Role]],
        field: str,
        action: str,
        relation: Relation,
        purpose: Purpose,
    ) -> _Ladder | None:
        entry = self._things.get(field)
        if entry is None or relation not in _RELATIONS or not entry.admits(action):
            return None
        if not (purpose in self._book.purposes if isinstance(entry, FieldEntry) else purpose == NO_PURPOSE):
            return None
        declared = frozenset(pair for pair in roles if self._declared(*pair))
        key = (declared, field, action, relation, purpose)
        ladder = self._ladders.get(key)
        if ladder is None:
            rows = self._rows(declared, entry.objects, action)
            ladder = _Ladder(
                tuple(
                    row
                    for row in rows
                    if row.grant.covers_relation(relation) and row.grant.covers_purpose(purpose)
                ),
                self._bits,
            )
            if len(self._ladders) >= LADDERS:
                self._ladders = {}
            self._ladders[key] = ladder
        return ladder

    def _declared(self, scope: Scope, role: Role) -> bool:
        entry = self._book.roles.get(role)
        return entry is not None and scope in entry.scopes

    def _rows(
        self, roles: Iterable[tuple[Scope, Role]], objects: tuple[str, ...], action: str
    ) -> Iterable[_Row]:
        """Return the rows for these roles (with what they inherit), each once, in the book's order."""
        holders = {(ANY, ANY)}
        for scope, role in roles:
            for inherited in self._book.roles[role].closure:
                holders |= {(scope.value, inherited), (ANY, inherited)}
        found = {
            row.place: row
            for holder in holders
            for thing in objects
            for act in (action, None)
            for row in self._index.get((*holder, thing, act), ())
        }
        return (found[place] for place in sorted(found))


def compile_plan(book: RuleBook) -> Plan:
    """Compile a rule book. Costs milliseconds at a thousand rules; do it once per version."""
    return Plan(book)
