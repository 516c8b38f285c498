"""As what somebody speaks for a member under the law, and how far that reaches.

Promises that a guardian speaks until the ward is 18 (未成年人保护法 第七十二条第二款); that from 14 on the
guardian learns kinds and amounts only, for the contents are the ward's own from the age at which the ward
consents alone (个人信息保护法 第三十一条); and that it follows from the ties on record at this instant.
"""

from __future__ import annotations

from typing import NamedTuple

from consent.ages import CONSENT_AGE, MAJORITY, age_on
from consent.events import Capacity
from governance.approvalrecords import TIES
from governance.opening import Opening
from policies.terms import ActorId, Relation, SubjectId
from policies.transaction import Transaction


class Speaks(NamedTuple):
    """As what somebody speaks; ``kinds_only``: for a ward of 14 or more, whose contents stay closed."""

    capacity: Capacity
    kinds_only: bool = False


def speaks(tx: Transaction, opening: Opening, subject: SubjectId, who: ActorId, now: int) -> Speaks | None:
    """Say as what somebody speaks for a member now; None for everybody else.

    A ward whose birth date nobody knows is guarded, and counts as one of 14 or more.
    """
    ties = {tie for (tie,) in tx.rows(TIES, {"subject": subject, "actor": who, "now": now})}
    if Relation.SELF in ties:
        return Speaks(Capacity.SELF)
    if Relation.WARD not in ties:
        return None
    birth = opening.birth_of(tx, subject)
    if birth is None:
        return Speaks(Capacity.GUARDIAN, kinds_only=True)
    age = age_on(birth, now)
    return Speaks(Capacity.GUARDIAN, kinds_only=age >= CONSENT_AGE) if age < MAJORITY else None
