"""How many different people a reader has really been shown, so that nobody carries a register away (S23).

Promises that the counting and the decision are one transaction: whoever counts holds the reader's own row
(``facts.collect``), so two batches of one reader cannot both find the last room. One statement reads what
all readers of a batch have seen, one writes what is new. Counted are staff, and services that ask in their
own name; a member who reads, through whichever application, is not. A repeated look at the same person within
a minute writes nothing: a person therefore counts for up to a minute longer than the window, never shorter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import LargeBinary, bindparam, case, cast, delete, func, literal_column, null, select, text

from governance.asking import Ask
from governance.grounds import Allowance, Facts, FieldDecision
from governance.oversightrecords import LimitLift, ShownRow
from policies.book import RuleBook
from policies.identifiers import Prefix, kind_of
from policies.oversight import DAY_MS, HOUR_MS, MINUTE_MS, Bulk, Ceiling
from policies.terms import Action, Effect, Role, Scope
from policies.transaction import Transaction

_shown, _lift = ShownRow.__table__.c, LimitLift.__table__.c
_KIND_OF: Final = {Prefix.STAFF: "staff", Prefix.SERVICE: "service"}
_DAY: Final = DAY_MS + MINUTE_MS
_HOUR: Final = HOUR_MS + MINUTE_MS
_COUNTS, _SEEN, _LIFTS = 0, 1, 2

_readers: Final = _shown.actor_id.in_(bindparam("readers", expanding=True))
_STATE: Final = (
    select(
        literal_column("0"),
        _shown.actor_id,
        cast(null(), LargeBinary),
        func.count(case((_shown.shown_at > bindparam("hour_ago"), 1))),
        func.count(),
    )
    .where(_readers, _shown.shown_at > bindparam("day_ago"))
    .group_by(_shown.actor_id)
    .union_all(
        select(
            literal_column("1"), _shown.actor_id, _shown.subject, _shown.shown_at, literal_column("0")
        ).where(_readers, _shown.subject.in_(bindparam("subjects", expanding=True))),
        select(
            literal_column("2"), _lift.actor_id, cast(null(), LargeBinary), _lift.per_hour, _lift.per_day
        ).where(
            _lift.actor_id.in_(bindparam("lifted", expanding=True)),
            _lift.ends_at > bindparam("now"),
            _lift.state == "granted",
        ),
    )
)
_PUT: Final = text(
    "INSERT INTO shown (actor_id, subject, shown_at) VALUES (:reader, :subject, :moment)"
    " ON CONFLICT (actor_id, subject) DO UPDATE SET shown_at = excluded.shown_at"
)
_ROOM: Final = (
    select(_shown.shown_at)
    .where(_shown.actor_id == bindparam("reader"))
    .order_by(_shown.shown_at.desc())
    .limit(1)
    .offset(bindparam("before"))
)
_SWEEP: Final = delete(ShownRow.__table__).where(_shown.shown_at <= bindparam("day_ago"))


def is_counted(ask: Ask) -> bool:
    """Say whether it is counted whom this ask shows: values for staff, or for a service's own ends."""
    return ask.reveal and ask.action is Action.READ and kind_of(ask.acting) in _KIND_OF


class Meter:
    """What the readers of one batch have seen, kept true while the batch is decided ask by ask."""

    def __init__(
        self, tx: Transaction, book: RuleBook, asks: Sequence[Ask], names: Mapping[str, bytes], now: int
    ) -> None:
        self._tx, self._book, self._names, self._now = tx, book, names, now
        self._hour: dict[str, int] = {}
        self._day: dict[str, int] = {}
        self._seen: dict[tuple[str, bytes], int] = {}
        self._lifts: dict[str, tuple[int, int]] = {}
        self._new: dict[tuple[str, bytes], int] = {}
        self.crossed: set[str] = set()
        """The decisions with which a reader went over a soft limit."""
        # Asks of a batch share their readers and roles: each pair is looked up once.
        self._bulks: dict[tuple[str, frozenset[tuple[Scope, Role]]], Bulk | None] = {}
        counted = [ask for ask in asks if is_counted(ask)]
        self._readers = {ask.acting for ask in counted}
        if counted and book.oversight.bulk:
            self._load(counted)

    def _load(self, asks: Sequence[Ask]) -> None:
        readers = sorted({ask.acting for ask in asks})
        asked = {
            "readers": readers,
            "lifted": readers,
            "subjects": sorted({self._names[ask.subject] for ask in asks}),
            "hour_ago": self._now - _HOUR,
            "day_ago": self._now - _DAY,
            "now": self._now,
        }
        for tag, reader, subject, one, other in self._tx.rows(_STATE, asked):
            if tag == _COUNTS:
                self._hour[reader], self._day[reader] = one, other
            elif tag == _SEEN:
                self._seen[reader, bytes(subject)] = one
            else:
                hour, day = self._lifts.get(reader, (0, 0))
                self._lifts[reader] = max(hour, one), max(day, other)

    def measured(self, ask: Ask, fact: Facts) -> Facts:
        """Return the facts with the reader's allowance as it is at this ask."""
        bulk = self._limit(ask, fact)
        if bulk is None:
            return fact
        return fact._replace(allowance=self._allowance(ask, bulk))

    def note(self, ask: Ask, fact: Facts, decisions: Sequence[FieldDecision]) -> None:
        """Count the subject of an ask, if anything of it is shown."""
        bulk = self._limit(ask, fact)
        if bulk is None or not any(one.effect in (Effect.SHOW, Effect.MASK) for one in decisions):
            return
        reader, key = ask.acting, (ask.acting, self._names[ask.subject])
        was = self._seen.get(key, -_DAY)
        for counts, window, ceiling in self._windows(bulk):
            if was <= self._now - window:
                counts[reader] = counts.get(reader, 0) + 1
                if counts[reader] == ceiling.soft + 1:
                    self.crossed.add(ask.decision_id)
        if was <= self._now - MINUTE_MS:
            self._new[key] = self._seen[key] = self._now

    def save(self) -> None:
        """Write whom the readers have seen; before the entries are appended."""
        if self._new:
            rows = sorted(self._new.items())
            self._tx.run(_PUT, [{"reader": key[0], "subject": key[1], "moment": at} for key, at in rows])

    def _windows(self, bulk: Bulk) -> tuple[tuple[dict[str, int], int, Ceiling], ...]:
        return (self._hour, _HOUR, bulk.hour), (self._day, _DAY, bulk.day)

    def _limit(self, ask: Ask, fact: Facts) -> Bulk | None:
        if ask.acting not in self._readers or not ask.reveal:
            return None
        key = (ask.acting, fact.roles)
        if key not in self._bulks:
            kind = kind_of(ask.acting)
            assert kind is not None, "only readers with an id are counted"
            roles = {role for _, role in fact.roles}
            self._bulks[key] = self._book.oversight.limit_of(roles, _KIND_OF[kind])
        return self._bulks[key]

    def _allowance(self, ask: Ask, bulk: Bulk) -> Allowance:
        was = self._seen.get((ask.acting, self._names[ask.subject]), -_DAY)
        waits = []
        lifts = self._lifts.get(ask.acting, (0, 0))
        for (counts, window, ceiling), lifted in zip(self._windows(bulk), lifts, strict=True):
            hard = max(ceiling.hard, lifted)
            if was <= self._now - window and counts.get(ask.acting, 0) >= hard:
                waits.append(self._room_at(ask.acting, hard, window))
        return Allowance(spent=bool(waits), retry_at=max(waits, default=None))

    def _room_at(self, reader: str, hard: int, window: int) -> int:
        """Return when fewer than ``hard`` people will be left in the window."""
        before = hard - 1 - sum(one == reader for one, _ in self._new)
        if before < 0:
            return self._now + window
        rows = self._tx.rows(_ROOM, {"reader": reader, "before": before})
        return (rows[0][0] if rows else self._now) + window


def sweep(tx: Transaction, now: int) -> int:
    """Forget whom readers have seen before the longest window; return how many rows that were."""
    return tx.run(_SWEEP, {"day_ago": now - _DAY})
