"""Past decisions asked again under other rules: what would have been decided differently.

Promises that nothing is guessed: the facts are those on record for the instant of the decision (relations
have terms, consents are events that only grow), and a decision is compared with what the version that made
it says to the same facts, so a fact that has moved since shows as moved and not as an effect of the rules.
People who were erased cannot be asked again, and are counted. Replaying opens ages as facts: it is itself
an entry of the log, committed before anything is told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from sqlalchemy import bindparam, select

from audit import ledger
from audit.entry import Actor, ActorType, Entry, Kind, Party, Verdict
from audit.records import SubjectPseudonym
from governance import facts, subjects
from governance.decision import Facts, decide_fields, decide_send
from governance.rulekeeping import RulesUnavailableError
from governance.subjects import Hold
from governance.wiring import Service
from policies.book import RuleBook
from policies.plan import Plan, compile_plan
from policies.terms import (
    Action,
    ActorId,
    Effect,
    FieldName,
    Outcome,
    Purpose,
    RuleId,
    ScreeningOutcome,
    SubjectId,
)
from policies.transaction import Transaction

_PAGE: Final = 500
_ACTIONS: Final = {"read": Action.READ, "check": Action.READ, "write": Action.WRITE, "send": Action.SEND}
_RANK: Final = {
    effect: rank for rank, effect in enumerate((Effect.HIDE, Effect.EXISTS, Effect.MASK, Effect.SHOW))
}
_name = SubjectPseudonym.__table__
_BEHIND: Final = select(_name.c.pseudonym, _name.c.subject_id).where(
    _name.c.pseudonym.in_(bindparam("names", expanding=True))
)


class Change(StrEnum):
    """What other rules would have made of a past decision; the gravest first."""

    NEWLY_ALLOWED = "newly_allowed"
    NEWLY_DENIED = "newly_denied"
    UNCHANGED = "unchanged"


class Cell(NamedTuple):
    """One field (or channel) of one past decision, then and under the other rules."""

    decision_id: str
    receipt: int
    at: int
    field: str
    purpose: str
    change: Change
    was: str
    would_be: str
    rules: tuple[RuleId, ...]


@dataclass(frozen=True, slots=True)
class Replay:
    """What came of it: the changed cells, newly allowed first, and how many there were of each kind.

    ``moved``: decisions whose facts are no longer those of their day, compared all the same.
    ``lost``: decisions about or by people who were erased, or made by rules that nobody can load.
    """

    decisions: int
    cells: tuple[Cell, ...]
    counts: dict[Change, int]
    moved: int
    lost: int


class _Versions:
    """The books and plans that made past decisions, by fingerprint."""

    def __init__(self, service: Service) -> None:
        self._keeper = service.keeper
        self._known: dict[str, tuple[RuleBook, Plan] | None] = {}

    def of(self, fingerprint: str) -> tuple[RuleBook, Plan] | None:
        if fingerprint not in self._known:
            try:
                rules = self._keeper.version(fingerprint)
            except RulesUnavailableError:
                self._known[fingerprint] = None
            else:
                self._known[fingerprint] = (rules.book, rules.plan)
        return self._known[fingerprint]


def replay(service: Service, other: RuleBook, last: int, by: Party) -> Replay:
    """Ask the ``last`` decisions of the log again under other rules."""
    with service.database.transaction() as tx:
        entries = list(_decisions(tx, last))
        ledger.append(tx, [_entry(by, other, len(entries), service.clock())])
        tx.commit()
    versions, plan = _Versions(service), compile_plan(other)
    cells: list[Cell] = []
    moved = lost = 0
    with service.database.reading() as tx:
        behind = _people(tx, [entry for _, entry in entries])
        for index, entry in entries:
            made_by = versions.of(entry.policy)
            asked = _Asked.of(entry, behind)
            if made_by is None or asked is None:
                lost += 1
                continue
            then, now = asked.decide(service, tx, *made_by), asked.decide(service, tx, other, plan)
            moved += any(recorded not in (was, "") for _, recorded, was in asked.recorded(then))
            cells += asked.compare(index, then, now)
    counts = Counter(cell.change for cell in cells)
    order = list(Change)
    changed = sorted(
        (cell for cell in cells if cell.change is not Change.UNCHANGED),
        key=lambda cell: (order.index(cell.change), -cell.receipt),
    )
    return Replay(len(entries) - lost, tuple(changed), {one: counts[one] for one in Change}, moved, lost)


def _decisions(tx: Transaction, last: int) -> Iterator[tuple[int, Entry]]:
    before: int | None = None
    found = 0
    while found < last:
        page = ledger.recent(tx, before, _PAGE)
        for index, entry in page:
            if entry.act in _ACTIONS and entry.subjects and found < last:
                found += 1
                yield index, entry
        if not page or page[-1][0] == 0:
            return
        before = page[-1][0]


def _people(tx: Transaction, entries: Sequence[Entry]) -> dict[str, str]:
    """Return who stands behind the pseudonyms of these entries, as far as the log still knows."""
    names = {name for entry in entries for name in entry.subjects}
    for entry in entries:
        for party in (entry.actor.party, entry.actor.on_behalf_of):
            if party is not None and party.type is ActorType.MEMBER:
                names.add(bytes.fromhex(party.id))
    known: dict[str, str] = {}
    ordered = sorted(names)
    for start in range(0, len(ordered), _PAGE):
        rows = tx.rows(_BEHIND, {"names": ordered[start : start + _PAGE]})
        known |= {bytes(name).hex(): subject for name, subject in rows}
    return known


class _Asked(NamedTuple):
    """One past question, with the people it was about and by."""

    entry: Entry
    subject: SubjectId
    acting: ActorId
    action: Action

    @classmethod
    def of(cls, entry: Entry, behind: dict[str, str]) -> _Asked | None:
        party = entry.actor.on_behalf_of or entry.actor.party
        acting = behind.get(party.id) if party.type is ActorType.MEMBER else party.id
        subject = behind.get(entry.subjects[0].hex())
        if acting is None or subject is None:
            return None
        return cls(entry, SubjectId(subject), ActorId(acting), _ACTIONS[entry.act])

    @property
    def things(self) -> tuple[FieldName, ...]:
        if self.entry.message is not None:
            return (FieldName(f"channel.{self.entry.message.channel}"),)
        return tuple(FieldName(one.name) for one in self.entry.fields)

    def decide(
        self, service: Service, tx: Transaction, book: RuleBook, plan: Plan
    ) -> dict[str, tuple[str, tuple[RuleId, ...]]]:
        """Return the effect or outcome of each thing asked about, and the rules behind it."""
        purpose = Purpose(self.entry.purpose)
        fact = self._facts(service, tx, book)
        if self.action is Action.SEND:
            channel = self.things[0]
            sent = decide_send(book, plan, channel, purpose, fact, ScreeningOutcome.ALLOW, slots_left=1)
            return {channel: (sent.outcome.value, sent.rules)}
        decided = decide_fields(book, plan, self.action, self.things, purpose, fact._replace(present=None))
        hidden = not fact.known
        return {one.field: (Effect.HIDE.value if hidden else one.effect.value, one.rules) for one in decided}

    def _facts(self, service: Service, tx: Transaction, book: RuleBook) -> Facts:
        wanted = facts.Wanted(self.subject, self.acting, Purpose(self.entry.purpose), self.things)
        rows = subjects.rows_of(tx, [self.subject], Hold.NONE)
        known = facts.Known(
            {one: row.kind for one, row in rows.items() if row.active},
            lambda _: None,
            lambda subject: service.opening.birth_of(tx, subject),
        )
        return facts.collect(tx, book, [wanted], known, self.entry.t)[0]

    def recorded(self, then: dict[str, tuple[str, tuple[RuleId, ...]]]) -> Iterator[tuple[str, str, str]]:
        """Return each thing with what the log says and what its own version says to today's records.

        What was absent on its day, or stopped by the text itself, says nothing about the rules.
        """
        if self.entry.message is not None:
            told = self.entry.message.outcome
            content = any(code.startswith(("content_", "daily_")) for code in self.entry.why)
            yield self.things[0], "" if content else told.value, then[self.things[0]][0]
            return
        for one in self.entry.fields:
            absent = "not_available" in one.why
            yield one.name, "" if absent else one.effect.value, then[one.name][0]

    def compare(
        self,
        index: int,
        then: dict[str, tuple[str, tuple[RuleId, ...]]],
        now: dict[str, tuple[str, tuple[RuleId, ...]]],
    ) -> Iterator[Cell]:
        for thing in self.things:
            was, (would_be, rules) = then[thing][0], now[thing]
            yield Cell(
                self.entry.decision,
                index,
                self.entry.t,
                thing,
                self.entry.purpose,
                _change(was, would_be),
                was,
                would_be,
                rules,
            )


def _change(was: str, would_be: str) -> Change:
    if was == would_be:
        return Change.UNCHANGED
    risen = _rank(would_be) > _rank(was)
    return Change.NEWLY_ALLOWED if risen else Change.NEWLY_DENIED


def _rank(word: str) -> int:
    return _RANK[Effect(word)] if word in Effect.__members__.values() else int(word == Outcome.ADMIT)


def _entry(by: Party, other: RuleBook, asked: int, now: int) -> Entry:
    return Entry(
        t=now,
        kind=Kind.AUDIT,
        act="rules.replayed",
        dec=Verdict.PERMIT,
        actor=Actor(by),
        policy=other.fingerprint,
        n=asked,
    )
