"""What a guardian sees of a ward's consents.

Promises that the log says so before anything is shown, where the ward finds it; and that from 14 on, when
the ward agrees alone, a guardian sees only what that guardian agreed to (个人信息保护法 第三十一条).
"""

from __future__ import annotations

from audit.entry import Verdict
from consent import registry
from consent.ages import CONSENT_AGE, MAJORITY, age_on
from consent.events import Capacity
from consent.listing import Consent
from governance.acting import NoSuchConsentError, On, guardian_for, log_act
from governance.subjects import Hold, rows_of
from governance.wiring import Service
from policies.reasons import Reason
from policies.terms import SubjectId


def consents_of(service: Service, on: On, ward: SubjectId, now: int) -> tuple[tuple[Consent, Reason], ...]:
    """Return a ward's consents, newest first, each with how it stands; of an unknown age like from 14 on.

    Raises:
        NoSuchConsentError: there is no such member, or none under 18 whose guardian this member is.
    """
    with service.database.transaction() as tx:
        book = service.keeper.in_force(tx).rules.book
        rows_of(tx, [ward], Hold.DECIDE)
        guardian = guardian_for(tx, on, ward, now)
        birth = service.opening.births_of(tx, [ward]).get(ward)
        if birth is not None and age_on(birth, now) >= MAJORITY:
            raise NoSuchConsentError
        listed = registry.consents_of(tx, ward, birth, now, book)
        if birth is None or age_on(birth, now) >= CONSENT_AGE:
            given = (guardian.id, Capacity.GUARDIAN)
            listed = tuple(pair for pair in listed if (pair[0].actor_id, pair[0].capacity) == given)
        log_act(tx, "consent.listed", on, ward, now, dec=Verdict.PERMIT, policy=book.fingerprint)
        tx.commit()
    return tuple(reversed(listed))
