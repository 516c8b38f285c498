"""Past decisions asked again under other rules: what would have been decided differently.

Promises that nothing is guessed: the facts are those on record for the instant of the decision
(``governance.recollecting``), and a decision is compared with what the version that made it says to the same
facts, so a fact that has moved since shows as moved and not as an effect of the rules.
People who were erased cannot be asked again, and are counted. Replaying opens ages as facts: it is itself
an entry of the log, committed before anything is told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from audit import ledger
from audit.entry import Actor, Entry, Kind, Party, Verdict
from governance.decision import decide_fields, decide_send
from governance.recollecting import ACTIONS, Past, past, people_behind
from governance.rulekeeping import RulesUnavailableError
from governance.wiring import Service
from policies.book import RuleBook
from policies.plan import Plan, compile_plan
from policies.reasons import Reason
from policies.terms import (
    Action,
    Effect,
    Outcome,
    RuleId,
    ScreeningOutcome,
)
from policies.transaction import Transaction

_PAGE: Final = 500
_RANK: Final = {
    effect: rank for rank, effect in enumerate((Effect.HIDE, Effect.EXISTS, Effect.MASK, Effect.SHOW))
}


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
    service.log.settle()
    with service.database.transaction() as tx:
        entries = list(_decisions(tx, last))
        ledger.append(tx, [_entry(by, other, len(entries), service.clock())])
        tx.commit()
    versions, plan = _Versions(service), compile_plan(other)
    cells: list[Cell] = []
    moved = lost = 0
    with service.database.reading() as tx:
        behind = people_behind(tx, [entry for _, entry in entries])
        for index, entry in entries:
            made_by, question = versions.of(entry.policy), past(entry, behind)
            if made_by is None or question is None:
                lost += 1
                continue
            then = _decide(question, service, tx, *made_by)
            moved += _moved(entry, then)
            cells += _compare(question, index, then, _decide(question, service, tx, other, plan))
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
            if entry.act in ACTIONS and entry.subjects and found < last:
                found += 1
                yield index, entry
        if not page or page[-1][0] == 0:
            return
        before = page[-1][0]


_Answers = dict[str, tuple[str, tuple[RuleId, ...]]]
"""The effect or outcome of each thing asked about, and the rules behind it."""


def _decide(question: Past, service: Service, tx: Transaction, book: RuleBook, plan: Plan) -> _Answers:
    fact = question.facts(service, tx, book)
    if question.action is Action.SEND:
        channel = question.things[0]
        sent = decide_send(book, plan, channel, question.purpose, fact, ScreeningOutcome.ALLOW, slots_left=1)
        return {channel: (sent.outcome.value, sent.rules)}
    decided = decide_fields(book, plan, question.action, question.things, question.purpose, fact)
    return {one.field: (one.effect.value if fact.known else Effect.HIDE.value, one.rules) for one in decided}


def _moved(entry: Entry, then: _Answers) -> bool:
    """Say whether the version that decided would say something else to what is on record today.

    What was absent on its day, or stopped by the text itself, says nothing about facts.
    """
    if entry.message is not None:
        content = any(code.startswith(("content_", "daily_")) for code in entry.why)
        return not content and entry.message.outcome.value != then[f"channel.{entry.message.channel}"][0]
    return any(
        one.effect.value != then[one.name][0]
        for one in entry.fields
        if Reason.NOT_AVAILABLE.value not in one.why
    )


def _compare(question: Past, index: int, then: _Answers, now: _Answers) -> Iterator[Cell]:
    for thing in question.things:
        was, (would_be, rules) = then[thing][0], now[thing]
        change = _change(was, would_be)
        yield Cell(
            question.entry.decision,
            index,
            question.entry.t,
            thing,
            question.purpose,
            change,
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
