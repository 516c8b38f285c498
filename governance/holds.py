"""Legal holds: nothing of a subject is deleted while one stands, whoever asks and whatever has lapsed.

Promises that a hold has a reason, which is sealed, and a term; that it counts from the commit that sets it,
whatever the clocks of two machines say, because it is read inside the deleting transaction under the
subject's lock; that one on a household holds whoever lives there against erasure as well; and that it opens
nothing: what has lapsed stays as absent as before. Setting and lifting are on record.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam, insert, select, update

from audit import ledger
from audit.entry import Actor as LogActor
from audit.entry import ActorType, Entry, Kind, Party, Verdict
from governance import subjects
from governance.database import Database
from governance.identity import Caller
from governance.opening import Opening
from governance.records import LegalHold
from governance.rulekeeping import RuleKeeper
from policies.identifiers import Prefix, new_id
from policies.terms import SubjectId
from policies.transaction import Transaction

_hold = LegalHold.__table__
_ENTITY: Final = "legal_hold"
LONGEST_TERM_MS: Final = 3650 * 86_400_000
"""Ten years; a longer one is set anew."""

_STANDING: Final = select(_hold.c.subject_id).where(
    _hold.c.subject_id.in_(bindparam("subjects", expanding=True)),
    _hold.c.ends_at > bindparam("now"),
)
_OF: Final = select(_hold.c.id).where(_hold.c.subject_id == bindparam("subject"))
_ADD: Final = insert(_hold)
_ONE: Final = select(_hold.c.subject_id, _hold.c.ends_at).where(_hold.c.id == bindparam("hold"))
_LIFT: Final = (
    update(_hold)
    .where(
        _hold.c.subject_id == bindparam("subject"),
        _hold.c.id == bindparam("hold"),
        _hold.c.ends_at > bindparam("now"),
    )
    .values(ends_at=bindparam("now"), lifted_by=bindparam("officer"))
)
_ALL: Final = (
    select(_hold.c.id, _hold.c.subject_id, _hold.c.starts_at, _hold.c.ends_at, _hold.c.set_by)
    .where(_hold.c.ends_at > bindparam("now"))
    .order_by(_hold.c.ends_at, _hold.c.id)
    .limit(200)
)


class HeldError(Exception):
    """A legal hold stands, so nothing was deleted."""


class NoSuchHoldError(Exception):
    """There is no such subject, or no such hold that still stands."""


@dataclass(frozen=True, slots=True)
class StandingHold:
    """One hold that stands; ``who`` is the pseudonym in hex, empty where the log knows none."""

    id: str
    who: str
    starts_at: int
    ends_at: int
    set_by: str


def held(tx: Transaction, about: Collection[str], now: int) -> frozenset[str]:
    """Return those of the subjects under a hold. Ask under their locks, in the deleting transaction."""
    return frozenset(row[0] for row in tx.rows(_STANDING, {"subjects": sorted(about), "now": now}))


def ended(tx: Transaction, subject: str) -> list[str]:
    """Return the ids of a subject's holds where none stands: the owners of the keys of their reasons."""
    return [str(row[0]) for row in tx.rows(_OF, {"subject": subject})]


class Holds:
    """The officers' desk for legal holds."""

    def __init__(self, database: Database, keeper: RuleKeeper, opening: Opening) -> None:
        self._database = database
        self._keeper = keeper
        self._opening = opening

    def place(
        self, officer: Caller, subject: SubjectId, reason: str, until: int, now: int, *, request_id: str
    ) -> str:
        """Hold a subject's data until an instant and return the hold's id.

        Raises:
            NoSuchHoldError: there is no such subject.
            ValueError: no reason, or a term that is over or longer than ten years.
        """
        if not reason or not now < until <= now + LONGEST_TERM_MS:
            raise ValueError("a hold has a reason and a term of at most ten years")
        with self._database.transaction() as tx:
            if subject not in subjects.change(tx, [subject]):
                raise NoSuchHoldError
            hold = new_id(Prefix.HOLD)
            row = {
                "subject_id": subject,
                "id": hold,
                "reason": self._opening.seal_alone(tx, hold, _ENTITY, reason, now).cell,
                "set_by": officer.actor_id,
                "starts_at": now,
                "ends_at": until,
                "lifted_by": None,
            }
            tx.run(_ADD, row)
            self._note(tx, "hold.set", officer, subject, hold, request_id, now)
            tx.commit()
        return hold

    def lift(self, officer: Caller, hold: str, now: int, *, request_id: str) -> None:
        """End a hold before its term.

        Raises:
            NoSuchHoldError: it is unknown or over.
        """
        with self._database.transaction() as tx:
            rows = tx.rows(_ONE, {"hold": hold})
            subject = SubjectId(rows[0][0] if rows else "")
            subjects.change(tx, [subject])
            ending = {"subject": subject, "hold": hold, "now": now, "officer": officer.actor_id}
            if not tx.run(_LIFT, ending):
                raise NoSuchHoldError
            self._note(tx, "hold.lifted", officer, subject, hold, request_id, now)
            tx.commit()

    def standing(self, now: int) -> list[StandingHold]:
        """Return the holds that stand, those that end first first."""
        with self._database.reading() as tx:
            rows = tx.rows(_ALL, {"now": now})
            names = ledger.names_of(tx, sorted({row[1] for row in rows}))
        return [
            StandingHold(hold, names[subject].hex() if subject in names else "", since, until, by)
            for hold, subject, since, until, by in rows
        ]

    def _note(
        self,
        tx: Transaction,
        act: str,
        officer: Caller,
        subject: SubjectId,
        hold: str,
        request: str,
        now: int,
    ) -> None:
        names = ledger.pseudonyms(tx, [subject])
        entry = Entry(
            t=now,
            kind=Kind.CHANGE,
            act=act,
            dec=Verdict.PERMIT,
            actor=LogActor(Party(ActorType.STAFF, officer.actor_id), tuple(sorted(officer.roles))),
            subjects=(names[subject],),
            resource=hold,
            purpose="legal.compliance",
            policy=self._keeper.fingerprint(tx),
            request=request,
        )
        ledger.append(tx, [entry])
