"""What a process needs to oversee accesses, wired once: queue, scanner, the desk for higher limits."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam, select, text

from audit import ledger
from audit.entry import Actor as LogActor
from audit.entry import Entry, Kind, Verdict
from governance import metering
from governance.acting import OPERATOR
from governance.database import Database
from governance.lifting import Lifting
from governance.opening import Opening
from governance.records import Actor
from governance.reviewing import Reviewing
from governance.rulekeeping import RuleKeeper
from governance.scanning import Scanning
from policies.identifiers import Prefix, kind_of
from policies.terms import ActorId, MemberId

_actor = Actor.__table__.c
_BOTH: Final = select(_actor.id).where(_actor.id.in_(bindparam("two", expanding=True)))
_LINK: Final = text(
    "INSERT INTO staff_member (staff_id, member_id) VALUES (:staff, :member)"
    " ON CONFLICT (staff_id, member_id) DO NOTHING"
)


class NoSuchPartyError(Exception):
    """One of the two is not on record."""


@dataclass(frozen=True, slots=True)
class OversightRoom:
    """The desks of oversight."""

    reviews: Reviewing
    scanning: Scanning
    lifting: Lifting
    database: Database
    keeper: RuleKeeper

    def tidy(self, now: int) -> None:
        """Forget whom readers saw before the longest window; nobody is counted by it any more."""
        with self.database.transaction() as tx:
            metering.sweep(tx, now)
            tx.commit()

    def link(self, staff: ActorId, member: MemberId, now: int) -> None:
        """Put on record that somebody on the staff is a member as well.

        What that person reads of their own, or of those they live with or care for, is then put before an
        officer.

        Raises:
            NoSuchPartyError: one of the two is not on record.
        """
        if kind_of(staff) is not Prefix.STAFF or kind_of(member) is not Prefix.MEMBER:
            raise NoSuchPartyError
        with self.database.transaction() as tx:
            if len(tx.rows(_BOTH, {"two": [staff, member]})) != len({staff, member}):
                raise NoSuchPartyError
            tx.run(_LINK, {"staff": staff, "member": member})
            names = ledger.pseudonyms(tx, [member])
            entry = Entry(
                t=now,
                kind=Kind.CHANGE,
                act="staff.linked",
                dec=Verdict.PERMIT,
                actor=LogActor(OPERATOR),
                subjects=(names[member],),
                resource=staff,
                policy=self.keeper.fingerprint(tx),
            )
            ledger.append(tx, [entry])
            tx.commit()


def overseeing(
    database: Database, keeper: RuleKeeper, opening: Opening, key: bytes, settle: Callable[[], None]
) -> OversightRoom:
    """Wire the desks; lots are drawn under a key of their own, made from the deployment's."""
    lots = hmac.digest(key, b"access reviews", hashlib.sha256)
    return OversightRoom(
        Reviewing(database, keeper, opening),
        Scanning(database, keeper, opening, lots, settle),
        Lifting(database, keeper, opening),
        database,
        keeper,
    )
