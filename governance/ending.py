"""Consents that somebody gave for another, and that end with what let them give it.

Promises that the end of a guardianship, of a primary account's role or of living together is told consent by
consent, each at the index of an entry of its own, because one entry announces one change at most. Ids
only, in the caller's transaction, after the entry that reports the change itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from audit import ledger
from audit.entry import Actor as LogActor
from audit.entry import ActorType, Entry, Kind, Party, Verdict
from consent import eventlog
from consent.events import Capacity
from consent.listing import Consent, consents_in
from governance import announcing
from governance.announcing import Told
from governance.moving import Held
from policies.reasons import Reason
from policies.terms import MemberId
from policies.transaction import Transaction

_ACTOR: Final = LogActor(Party(ActorType.SYSTEM, "lifecycle"))


def given_for(tx: Transaction, subject: str, giver: str, capacity: Capacity) -> list[Consent]:
    """Return what somebody agreed to for another in this capacity and nobody has withdrawn by name."""
    events = eventlog.events_of(tx, [subject])[subject]
    return [
        one
        for one in consents_in(events)
        if (one.actor_id, one.capacity) == (giver, capacity) and one.withdrawn_at is None
    ]


def by_leaving(tx: Transaction, held: Held, member: MemberId) -> list[Consent]:
    """Return what its primary account agreed to and that ends when this resident leaves or hands over."""
    if held.primary is None:
        return []
    about = [one for one in held.living if one != member] if held.primary == member else [member]
    return [one for person in about for one in given_for(tx, person, held.primary, Capacity.PRIMARY)]


def tell(
    tx: Transaction, ended: Sequence[Consent], why: Reason, policy: str, now: int, request_id: str = ""
) -> None:
    """Log and announce the end of each of these consents."""
    if not ended:
        return
    names = ledger.pseudonyms(tx, {one.subject_id for one in ended})
    entries = [
        Entry(
            t=now,
            kind=Kind.CHANGE,
            act="consent.ended",
            dec=Verdict.PERMIT,
            actor=_ACTOR,
            why=(why.value,),
            subjects=(names[one.subject_id],),
            resource=one.consent_id,
            purpose=one.terms.purpose,
            policy=policy,
            request=request_id,
        )
        for one in ended
    ]
    receipts = ledger.append(tx, entries)
    announcing.announce(
        tx,
        [
            announcing.of_consent(Told.EXPIRED, one, receipt.index, now)
            for one, receipt in zip(ended, receipts, strict=True)
        ],
    )
