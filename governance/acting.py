"""Who acts on consents, and the log entry that says so: the caller, the member it acts for, the subject.

Promises that as what somebody acts (the person, a guardian, the primary account) follows from the relation
on record and is never claimed, and that unknown and not theirs are one error.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam, or_, select

from audit import ledger
from audit.entry import PSEUDONYM_BYTES, ActorType, Party, Verdict
from consent import registry
from consent.events import Capacity
from consent.listing import Consent
from governance import subjects
from governance.identity import Caller
from governance.records import RelationRow
from governance.subjects import Hold
from governance.testimony import Said, of_own_say, party
from policies.identifiers import Prefix
from policies.terms import ActorId, Relation, SubjectId
from policies.transaction import Transaction

OPERATOR: Final = Party(ActorType.SYSTEM, "operator")

_relation = RelationRow.__table__
_TIES: Final = select(_relation.c.relation, _relation.c.role).where(
    _relation.c.subject_id == bindparam("subject"),
    _relation.c.actor_id == bindparam("actor"),
    _relation.c.starts_at <= bindparam("now"),
    or_(_relation.c.ends_at.is_(None), _relation.c.ends_at > bindparam("now")),
)


class NoSuchConsentError(Exception):
    """There is no such consent or member, or it is not this caller's to act on."""


@dataclass(frozen=True, slots=True)
class On:
    """Who acts: the caller and the member it acts for (the same for a signed-in member)."""

    caller: Caller
    member: ActorId
    request_id: str

    @property
    def for_itself(self) -> bool:
        """Whether a service asks in its own name, for no member."""
        return self.caller.kind is Prefix.SERVICE and self.member == self.caller.actor_id


def existing(tx: Transaction, consent_id: str) -> Consent:
    """Return a consent, whoever gave it.

    Raises:
        NoSuchConsentError: there is none.
    """
    consent = registry.consent_of(tx, consent_id)
    if consent is None:
        raise NoSuchConsentError
    return consent


def own(tx: Transaction, on: On, consent_id: str, now: int) -> Consent:
    """Return a consent that this member gave or may withdraw; the same error for all others.

    A primary account has no say about what another adult agreed to, neither yes nor no.
    """
    consent = existing(tx, consent_id)
    if consent.actor_id == on.member:
        return consent
    if actor_for(tx, on, SubjectId(consent.subject_id), now).capacity is Capacity.PRIMARY:
        raise NoSuchConsentError
    return consent


def actor_for(tx: Transaction, on: On, subject: SubjectId, now: int) -> registry.Actor:
    """Say as what the member acts for the subject, from the relations on record."""
    rows = tx.rows(_TIES, {"subject": subject, "actor": on.member, "now": now})
    ties = {relation for relation, _ in rows}
    roles = {role for _, role in rows}
    if Relation.SELF in ties:
        capacity = Capacity.SELF
    elif Relation.WARD in ties:
        capacity = Capacity.GUARDIAN
    elif "primary_account" in roles:
        capacity = Capacity.PRIMARY
    else:
        raise NoSuchConsentError
    return registry.Actor(on.member, capacity, evidence_of(on))


def guardian_for(tx: Transaction, on: On, ward: SubjectId, now: int) -> registry.Actor:
    """Return the member as the guardian of this ward.

    Raises:
        NoSuchConsentError: there is no such member, or this member is not its guardian.
    """
    actor = actor_for(tx, on, ward, now)
    if actor.capacity is not Capacity.GUARDIAN:
        raise NoSuchConsentError
    return actor


def evidence_of(on: On) -> Mapping[str, str]:
    """Return what stays with an event to show later how somebody said it."""
    via = "session" if on.caller.kind is Prefix.MEMBER else on.caller.actor_id
    return {"request": on.request_id, "via": via}


def names_for(tx: Transaction, people: Collection[str]) -> Mapping[str, bytes]:
    """Return the name in the log of each of those who act or are acted for.

    Who was erased may still withdraw, and gets a name that is kept nowhere: nobody erases them again.
    """
    rows = subjects.rows_of(tx, [SubjectId(one) for one in people], Hold.NONE)
    erased = {str(one.id) for one in rows.values() if not one.active}
    names = ledger.pseudonyms(tx, set(people) - erased)
    return names | {one: os.urandom(PSEUDONYM_BYTES) for one in erased}


def log_act(
    tx: Transaction,
    act: str,
    on: On | None,
    subject: SubjectId,
    now: int,
    *,
    dec: Verdict,
    policy: str,
    resource: str = "",
    purpose: str = "",
) -> int:
    """Append what was done to whom, on whose behalf, and return its index. Call it last before the commit.

    ``on`` is None for the operator at the command line.
    """
    if on is None:
        names, caller, person = names_for(tx, {subject}), OPERATOR, ""
    else:
        names = names_for(tx, {subject} if on.for_itself else {subject, on.member})
        caller, person = party(on.caller.actor_id, names), on.member
    request = "" if on is None else on.request_id
    said = Said(act, caller, person, subject, resource, purpose, request)
    return ledger.append(tx, [of_own_say(said, names, policy, now, dec)])[0].index
