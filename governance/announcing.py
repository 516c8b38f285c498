"""What other services are told of consents, and who may know.

Promises that an announcement is written in the transaction of the change it reports, at the index of its
log entry; that it carries ids and words of the rule book, never a value or a name; and that nobody is told
what somebody hides, because a trace of hiding is what hiding must not leave. A consent for one recipient is
told to that recipient alone, a purpose only to services that a rule lets work for it or that act for people;
what ends a whole purpose, or all, also to whom the person agreed to give something for it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

import orjson
from sqlalchemy import bindparam, insert, select

from consent import eventlog
from consent.facts import above
from consent.listing import Consent
from governance.outboxrecords import OutboxEvent
from governance.times import rfc3339
from policies.book import RuleBook
from policies.entries import ANY
from policies.identifiers import Prefix, new_id
from policies.terms import Role
from policies.transaction import Row, Transaction


class Told(StrEnum):
    """What an announcement says. Ticks, codes, deferrals and hidings are nobody else's business.

    ``EXPIRED``: nobody withdrew it, but what it rested on is over (a guardianship, a household, an age).
    ``SUPERSEDED``: about no single person. From its time on no older version of a notice is a basis.
    """

    CONFIRMED = "consent.confirmed"
    IMPORTED = "consent.imported"
    REFUSED = "consent.refused"
    WITHDRAWN = "consent.withdrawn"
    REVOKED = "consent.revoked"
    EXPIRED = "consent.expired"
    OBJECTED = "subject.objected"
    RESTRICTED = "subject.restricted"
    ERASED = "subject.erased"
    SUPERSEDED = "notice.superseded"


URGENT: Final = frozenset(
    {Told.WITHDRAWN, Told.REVOKED, Told.EXPIRED, Told.OBJECTED, Told.RESTRICTED, Told.ERASED}
)
"""What ends processing: who does not acknowledge it in time is an incident."""


class Announcement(NamedTuple):
    """One change, as it lies in the outbox; the columns of ``OutboxEvent`` in their order."""

    position: int
    event_id: str
    kind: str
    subject_id: str
    consent_id: str
    purpose: str
    categories: str
    recipient: str
    at: int


_T: Final = OutboxEvent.__table__
COLUMNS: Final = tuple(_T.c[name] for name in Announcement._fields)
_ADD: Final = insert(_T)
_AFTER: Final = (
    select(*COLUMNS)
    .where(_T.c.position > bindparam("after"))
    .order_by(_T.c.position)
    .limit(bindparam("most"))
)
_WITH_ID: Final = select(*COLUMNS).where(_T.c.event_id == bindparam("event"))


def of_consent(kind: Told, consent: Consent, position: int, at: int) -> Announcement:
    """Return what is told of one consent. ``position`` is the index of the entry that reports the change."""
    return Announcement(
        position,
        new_id(Prefix.EVENT),
        kind.value,
        consent.subject_id,
        consent.consent_id,
        consent.terms.purpose,
        " ".join(sorted(consent.terms.categories)),
        consent.terms.recipient,
        at,
    )


def of_subject(kind: Told, subject_id: str, position: int, at: int, purpose: str = "") -> Announcement:
    """Return what is told of a whole person: an objection, a restriction, an erasure."""
    return Announcement(position, new_id(Prefix.EVENT), kind.value, subject_id, "", purpose, "", "", at)


def of_notice(purpose: str, categories: Collection[str], position: int, at: int) -> Announcement:
    """Return what is told of a notice that needs new consents. ``at``: when it takes effect, often later."""
    words = " ".join(sorted(categories))
    return Announcement(position, new_id(Prefix.EVENT), Told.SUPERSEDED.value, "", "", purpose, words, "", at)


def announce(tx: Transaction, announcements: Sequence[Announcement]) -> None:
    """Write announcements into the outbox; they commit with what they report or not at all."""
    tx.run(_ADD, [one._asdict() for one in announcements])


def after(tx: Transaction, position: int, most: int) -> list[Announcement]:
    """Return what comes after a position, oldest first."""
    return [_announcement(row) for row in tx.rows(_AFTER, {"after": position, "most": most})]


def with_id(tx: Transaction, event_id: str) -> Announcement | None:
    """Return the announcement of this id."""
    rows = tx.rows(_WITH_ID, {"event": event_id})
    return _announcement(rows[0]) if rows else None


def _announcement(row: Row) -> Announcement:
    return Announcement._make(row)


def document(one: Announcement) -> dict[str, object]:
    """Return an announcement as others get it."""
    data: dict[str, object] = {"event_id": one.event_id}
    if one.subject_id:
        data["subject"] = one.subject_id
    if one.consent_id:
        data["consent_id"] = one.consent_id
    if one.purpose:
        data["purpose"] = one.purpose
    if one.categories:
        data["categories"] = one.categories.split()
    return {"type": one.kind, "timestamp": rfc3339(one.at), "data": data}


def body(one: Announcement) -> bytes:
    """Return the bytes of a delivery: the same ones for each attempt."""
    return orjson.dumps(document(one))


class Audience(NamedTuple):
    """Somebody who might be told. ``wide``: it acts for people and may know of every purpose."""

    actor_id: str
    roles: Collection[str]
    wide: bool


def known_to(
    tx: Transaction, book: RuleBook, audience: Audience, announcements: Sequence[Announcement]
) -> list[Announcement]:
    """Return those of the announcements that this service may be told of, in their order."""
    blanket = {one.subject_id for one in announcements if not one.consent_id and one.subject_id}
    named = {
        subject: {purpose for recipient, purpose in pairs if _is(recipient, audience)}
        for subject, pairs in eventlog.recipients_of(tx, blanket).items()
    }
    held = {
        role
        for name in audience.roles
        if (entry := book.roles.get(Role(name))) is not None
        for role in entry.closure
    }
    # Rows for "any role" are about the person's own data and relatives: they make nobody a processor.
    works_for = {grant.purpose for grant in book.grants.values() if grant.allows and grant.role in held}
    return [one for one in announcements if _may_know(audience, one, works_for, named)]


def _may_know(
    audience: Audience,
    one: Announcement,
    works_for: Collection[str],
    named: Mapping[str, Collection[str]],
) -> bool:
    if one.recipient:
        return _is(one.recipient, audience)
    if audience.wide or any(_touch(one.purpose, purpose) for purpose in works_for):
        return True
    # What is said of a whole purpose reaches also what somebody agreed to give to this very service.
    return not one.consent_id and any(
        _touch(one.purpose, purpose) for purpose in named.get(one.subject_id, ())
    )


def _is(recipient: str, audience: Audience) -> bool:
    """Say whether a recipient, written ``party@region``, is this service."""
    return recipient.partition("@")[0] == audience.actor_id


def _touch(told: str, other: str) -> bool:
    """Say whether one purpose lies under the other; a whole group can be withdrawn, or all (empty)."""
    return not told or other == ANY or told in above(other) or other in above(told)
