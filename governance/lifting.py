"""A higher limit for one reader for some hours: asked for, granted by an officer, ended by itself (S23).

Promises that two people stand behind it: whoever asked, and an officer who is neither that person nor the
reader; that it is bounded by the rules (hours, and how many times the hard limit); and that each step commits
with its log entry. The reason is sealed, and shown to officers only after that they read it is on record.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam, insert, select, update

from audit import ledger
from audit.entry import Actor as LogActor
from audit.entry import Entry, Kind, Verdict
from governance.database import Database
from governance.identity import Caller
from governance.opening import Opening
from governance.oversightrecords import LimitLift
from governance.records import Actor, RelationRow
from governance.rulekeeping import RuleKeeper
from governance.testimony import party
from policies.identifiers import Prefix, kind_of, new_id
from policies.oversight import HOUR_MS, Bulk
from policies.terms import ActorId, Relation
from policies.transaction import Transaction

LONGEST_REASON: Final = 200
MOST: Final = 40
WAITING, GRANTED, REFUSED = "waiting", "granted", "refused"
_ENTITY: Final = "limit_lift"
_KIND_OF: Final = {Prefix.STAFF: "staff", Prefix.SERVICE: "service"}

_lift, _actor, _relation = LimitLift.__table__, Actor.__table__, RelationRow.__table__
_ADD: Final = insert(_lift)
_ONE: Final = (
    select(_lift.c.actor_id, _lift.c.asked_by, _lift.c.hours, _lift.c.state)
    .where(_lift.c.id == bindparam("lift"))
    .with_for_update()
)
_DECIDE: Final = (
    update(_lift)
    .where(_lift.c.id == bindparam("lift"))
    .values(
        state=bindparam("become"),
        decided_by=bindparam("officer"),
        decided_at=bindparam("now"),
        ends_at=bindparam("until"),
    )
)
_WAITING: Final = (
    select(
        _lift.c.id,
        _lift.c.actor_id,
        _actor.c.label,
        _lift.c.per_hour,
        _lift.c.per_day,
        _lift.c.hours,
        _lift.c.reason,
        _lift.c.asked_by,
        _lift.c.asked_at,
    )
    .join_from(_lift, _actor, _actor.c.id == _lift.c.actor_id)
    .where(_lift.c.state == WAITING)
    .order_by(_lift.c.asked_at, _lift.c.id)
    .limit(MOST)
)
_WHO: Final = select(_actor.c.roles).where(_actor.c.id == bindparam("actor"), _actor.c.state == "active")
_HELD: Final = (
    select(_relation.c.role)
    .where(_relation.c.actor_id == bindparam("actor"), _relation.c.relation == Relation.ASSIGNED.value)
    .distinct()
)
_OPEN: Final = select(_lift.c.id).where(_lift.c.actor_id == bindparam("actor"), _lift.c.state == WAITING)


class NoSuchLiftError(Exception):
    """There is no such request, or no such reader."""


class UnfitLiftError(Exception):
    """More, or for longer, than the rules let an officer grant, or no more than there is."""


class LiftDecidedError(Exception):
    """It is decided already, one waits already, or this officer may not decide it."""


@dataclass(frozen=True, slots=True)
class Lift:
    """One request that waits; ``own``: this officer asked for it, or is the reader."""

    id: str
    actor: str
    per_hour: int
    per_day: int
    hours: int
    reason: str
    asked_by: str
    asked_at: int
    own: bool


class Lifting:
    """The desk for higher limits. Stateless."""

    def __init__(self, database: Database, keeper: RuleKeeper, opening: Opening) -> None:
        self._database = database
        self._keeper = keeper
        self._opening = opening

    def ask(
        self,
        caller: Caller,
        reader: ActorId,
        per_hour: int,
        per_day: int,
        hours: int,
        reason: str,
        request_id: str,
        now: int,
    ) -> str:
        """Ask for a higher limit for a reader, oneself or a colleague; return the request's id.

        Raises:
            NoSuchLiftError: there is no such active reader.
            UnfitLiftError: the rules do not let anybody grant it.
            LiftDecidedError: one waits for this reader already.
        """
        return self._keeper.attempt(
            lambda: self._ask(caller, reader, (per_hour, per_day, hours), reason, request_id, now)
        )

    def _ask(
        self,
        caller: Caller,
        reader: ActorId,
        wanted: tuple[int, int, int],
        reason: str,
        request_id: str,
        now: int,
    ) -> str:
        per_hour, per_day, hours = wanted
        with self._database.transaction() as tx:
            bulk = self._limit_of(tx, reader)
            desk = self._keeper.in_force(tx).rules.book.oversight.desk
            fits = (
                bulk.hour.hard < per_hour <= bulk.hour.hard * desk.lift_times
                and bulk.day.hard <= per_day <= bulk.day.hard * desk.lift_times
                and 1 <= hours <= desk.lift_hours
            )
            if not fits:
                raise UnfitLiftError
            if tx.rows(_OPEN, {"actor": reader}):
                raise LiftDecidedError
            lift = new_id(Prefix.LIFT)
            row = {
                "id": lift,
                "actor_id": reader,
                "per_hour": per_hour,
                "per_day": per_day,
                "hours": hours,
                "reason": self._opening.seal_alone(tx, lift, _ENTITY, reason, now).cell,
                "state": WAITING,
                "asked_by": caller.actor_id,
                "asked_at": now,
                "ends_at": 0,
            }
            tx.run(_ADD, row)
            self._note(tx, "limit.asked", caller, reader, lift, request_id, now)
            tx.commit()
        return lift

    def decide(self, officer: Caller, lift: str, *, grant: bool, request_id: str, now: int) -> int | None:
        """Grant or refuse; return until when it holds, None for a refusal.

        Raises:
            NoSuchLiftError: there is no such request.
            LiftDecidedError: it is decided, or the officer asked for it or is the reader.
        """
        with self._database.transaction() as tx:
            rows = tx.rows(_ONE, {"lift": lift})
            if not rows:
                raise NoSuchLiftError
            reader, asked_by, hours, state = rows[0]
            if state != WAITING or officer.actor_id in (reader, asked_by):
                raise LiftDecidedError
            until = now + hours * HOUR_MS if grant else 0
            become = {
                "lift": lift,
                "become": GRANTED if grant else REFUSED,
                "officer": officer.actor_id,
                "now": now,
                "until": until,
            }
            tx.run(_DECIDE, become)
            act = "limit.granted" if grant else "limit.refused"
            self._note(tx, act, officer, reader, lift, request_id, now)
            tx.commit()
        return until or None

    def waiting(self, officer: Caller, request_id: str, now: int) -> list[Lift]:
        """Return what waits, the oldest first; that it was read is on record first."""
        with self._database.transaction() as tx:
            rows = tx.rows(_WAITING)
            if rows:
                self._note(tx, "limit.read", officer, "", "", request_id, now)
                tx.commit()
        with self._database.reading() as tx:
            return [
                Lift(
                    id_,
                    label or reader,
                    hour,
                    day,
                    hours,
                    self._opening.open_alone(tx, id_, _ENTITY, bytes(reason)),
                    asker,
                    at,
                    own=officer.actor_id in (reader, asker),
                )
                for id_, reader, label, hour, day, hours, reason, asker, at in rows
            ]

    def _limit_of(self, tx: Transaction, reader: ActorId) -> Bulk:
        kind = kind_of(reader)
        rows = tx.rows(_WHO, {"actor": reader})
        if kind not in _KIND_OF or not rows:
            raise NoSuchLiftError
        oversight = self._keeper.in_force(tx).rules.book.oversight
        held = {role for (role,) in tx.rows(_HELD, {"actor": reader})}
        bulk = oversight.limit_of({*rows[0][0].split(), *held}, _KIND_OF[kind])
        if bulk is None:
            raise UnfitLiftError
        return bulk

    def _note(
        self, tx: Transaction, act: str, caller: Caller, reader: str, lift: str, request_id: str, now: int
    ) -> None:
        entry = Entry(
            t=now,
            kind=Kind.AUDIT if act == "limit.read" else Kind.CHANGE,
            act=act,
            dec=Verdict.DENY if act == "limit.refused" else Verdict.PERMIT,
            actor=LogActor(party(caller.actor_id, {}), tuple(sorted(caller.roles))),
            resource=lift,
            purpose="audit.review",
            policy=self._keeper.fingerprint(tx),
            request=request_id,
            corr=reader,
        )
        ledger.append(tx, [entry])
