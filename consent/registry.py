"""The consent registry: writes consent events and reads them back, in the caller's transaction.

Promises that a withdrawal is always accepted, in one call, whatever the state of the consent or of the
person, and that the first withdrawal's time is never overwritten (个人信息保护法 第十五条). It decides
nothing: what the events mean is in ``consent.rules``. Every writing function expects that the caller holds
the subject's row lock, bumps its epoch and commits, all in the same transaction.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Final

import uuid_utils
from sqlalchemy import bindparam, func, insert, select

from consent.confirmation import Confirmed
from consent.events import Capacity, Event, EventKind
from consent.listing import Consent, Terms, consents_in, state
from consent.noticeboard import behind
from consent.records import ConsentEvent
from policies.book import RuleBook
from policies.identifiers import Prefix, new_id
from policies.reasons import Reason
from policies.transaction import Row, Transaction

_T: Final = ConsentEvent.__table__
_EVENTS_OF: Final = (
    select(*(_T.c[name] for name in Event._fields))
    .where(_T.c.subject_id.in_(bindparam("ids", expanding=True)))
    .order_by(_T.c.subject_id, _T.c.seq)
)
_EVENTS_OF_CONSENT: Final = (
    select(*(_T.c[name] for name in Event._fields))
    .where(_T.c.consent_id == bindparam("consent"))
    .order_by(_T.c.subject_id, _T.c.seq)
)
_LAST_SEQ: Final = select(func.max(_T.c.seq)).where(_T.c.subject_id == bindparam("subject"))
_LAST_INSTANT: Final = select(func.max(_T.c.recorded_at)).where(_T.c.subject_id == bindparam("subject"))
_KNOWN: Final = select(_T.c.event_id).where(
    _T.c.subject_id == bindparam("subject"), _T.c.event_id.in_(bindparam("ids", expanding=True))
)
_INSERT: Final = insert(_T)


class SubjectClosedError(Exception):
    """A grant was offered for a person who has been erased. Withdrawals are accepted all the same."""


class UnknownConsentError(Exception):
    """No consent of this subject has that id."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts for the subject, as what, and how it can be shown later (channel, document reference)."""

    id: str
    capacity: Capacity
    evidence: Mapping[str, str]


def events_of(tx: Transaction, subject_ids: Sequence[str]) -> dict[str, tuple[Event, ...]]:
    """Return all events of each subject, in one statement; a subject without events has an empty tuple."""
    found: dict[str, list[Event]] = {subject_id: [] for subject_id in subject_ids}
    if found:
        for row in tx.rows(_EVENTS_OF, {"ids": tuple(found)}):
            found[row[0]].append(_event(row))
    return {subject_id: tuple(events) for subject_id, events in found.items()}


def record(tx: Transaction, *events: Event) -> int:
    """Append events of one subject and return how many were new; one already there is passed over.

    The caller holds the subject's lock. Two writers without it collide on the sequence number, and one of
    them fails: never silently.
    """
    subjects = {event.subject_id for event in events}
    if len(subjects) != 1:
        raise ValueError("one call records the events of one subject")
    subject = subjects.pop()
    known = {row[0] for row in tx.rows(_KNOWN, {"subject": subject, "ids": [e.event_id for e in events]})}
    fresh = {event.event_id: event for event in events if event.event_id not in known}
    last = int(tx.rows(_LAST_SEQ, {"subject": subject})[0][0] or 0)
    rows = [_row(event, last + place) for place, event in enumerate(fresh.values(), start=1)]
    if rows:
        tx.run(_INSERT, rows)
    return len(rows)


def serve_and_tick(
    tx: Transaction, subject_id: str, terms: Terms, actor: Actor, now: int, *, expires_at: int | None = None
) -> str:
    """Record that the actor was shown the notice and ticked the box; return the new consent's id.

    Raises:
        SubjectClosedError: the person has been erased.
        ValueError: the terms name no purpose, category or notice.
    """
    consent_id = serve(tx, subject_id, terms, actor, now)
    tick(tx, subject_id, consent_id, terms, actor, now, expires_at=expires_at)
    return consent_id


def serve(tx: Transaction, subject_id: str, terms: Terms, actor: Actor, now: int) -> str:
    """Record that the notice was shown to the actor; return the id of the consent it may lead to.

    Raises:
        SubjectClosedError: the person has been erased.
        ValueError: the terms name no purpose, category or notice.
    """
    if not (terms.purpose and terms.categories and terms.notice):
        raise ValueError("a consent names a purpose, its categories and the notice that was shown")
    if any(event.kind == EventKind.ERASED for event in events_of(tx, [subject_id])[subject_id]):
        raise SubjectClosedError
    consent_id = new_id(Prefix.CONSENT)
    record(tx, _happened(EventKind.SERVED, subject_id, actor, now, terms=terms, consent_id=consent_id))
    return consent_id


def tick(
    tx: Transaction,
    subject_id: str,
    consent_id: str,
    terms: Terms,
    actor: Actor,
    now: int,
    *,
    expires_at: int | None = None,
) -> None:
    """Record that the actor ticked the box below the very notice that was served to them.

    Raises:
        SubjectClosedError: the person has been erased.
        UnknownConsentError: this was not served to this actor on these terms, or was ticked already.
    """
    events = events_of(tx, [subject_id])[subject_id]
    if any(event.kind == EventKind.ERASED for event in events):
        raise SubjectClosedError
    life = [event for event in events if event.consent_id == consent_id]
    served = [event for event in life if event.kind == EventKind.SERVED and _is_shown(event, terms, actor)]
    if not served or any(event.kind == EventKind.TICKED for event in life):
        raise UnknownConsentError
    ticked = _happened(
        EventKind.TICKED, subject_id, actor, now, terms=terms, consent_id=consent_id, expires_at=expires_at
    )
    record(tx, ticked)


def code_sent(tx: Transaction, consent: Consent, now: int) -> None:
    """Record that the code of a consent was handed to a gateway: evidence, which changes no standing."""
    actor = Actor(consent.actor_id, Capacity(consent.capacity), {})
    terms, consent_id = consent.terms, consent.consent_id
    record(
        tx, _happened(EventKind.CODE_SENT, consent.subject_id, actor, now, terms=terms, consent_id=consent_id)
    )


def confirm(tx: Transaction, confirmed: Confirmed, now: int, *, method: str = "one_time_code") -> Consent:
    """Record the confirmation of a consent whose code was right (``consent.confirmation.answer``).

    The actor of the confirmation is whoever the code was sent to, with the very terms of the tick;
    ``method`` says whether the code was typed or came back by a mail's link.

    Raises:
        UnknownConsentError: the subject has no such consent.
    """
    consent, _ = _own(tx, confirmed.subject_id, confirmed.consent_id)
    actor = Actor(confirmed.actor_id, Capacity(consent.capacity), {"method": method})
    event = _happened(
        EventKind.CONFIRMED,
        consent.subject_id,
        actor,
        now,
        terms=consent.terms,
        consent_id=consent.consent_id,
        expires_at=consent.expires_at,
    )
    record(tx, event)
    return _own(tx, confirmed.subject_id, confirmed.consent_id)[0]


def withdraw(tx: Transaction, subject_id: str, consent_id: str, actor: Actor, now: int) -> int:
    """Withdraw a consent and return the instant since which it is withdrawn.

    Always accepted: expired, unconfirmed or already withdrawn by the same actor (then nothing is written
    and the first instant comes back), for a closed person and for one who left. A guardian's revokes.

    Raises:
        UnknownConsentError: the subject has no such consent.
    """
    consent, life = _own(tx, subject_id, consent_id)
    kind = EventKind.REVOKED if actor.capacity is Capacity.GUARDIAN else EventKind.WITHDRAWN
    for event in life:
        # Only the same person's repetition is passed over: another's may have had no effect on the consent.
        if event.kind == kind and event.actor_id == actor.id and event.capacity == actor.capacity:
            return event.occurred_at
    instant = _not_before(tx, subject_id, now)
    record(tx, _happened(kind, subject_id, actor, instant, terms=consent.terms, consent_id=consent_id))
    return instant


def opt_out(tx: Transaction, subject_id: str, purpose: str, actor: Actor, now: int) -> None:
    """Withdraw whatever was agreed for a purpose and all below it: an unsubscribe link, an SMS "TD"."""
    instant = _not_before(tx, subject_id, now)
    record(
        tx,
        _happened(EventKind.WITHDRAWN, subject_id, actor, instant, terms=Terms(purpose, frozenset(), "", "")),
    )


def refuse(tx: Transaction, subject_id: str, terms: Terms, actor: Actor, now: int) -> None:
    """Record a no to what was asked. It reaches all narrower purposes and categories."""
    instant = _not_before(tx, subject_id, now)
    record(tx, _happened(EventKind.REFUSED, subject_id, actor, instant, terms=terms))


def erase(tx: Transaction, subject_id: str, actor: Actor, now: int) -> None:
    """Record that the person is erased: nothing is permitted from now on, and no grant will help."""
    record(tx, _happened(EventKind.ERASED, subject_id, actor, _not_before(tx, subject_id, now)))


def hide(tx: Transaction, subject_id: str, category: str, actor: Actor, now: int, *, viewer: str) -> None:
    """Hide a category from one viewer, or with an empty ``viewer`` from everybody but the subject."""
    instant = _not_before(tx, subject_id, now)
    terms = Terms("", frozenset({category}), "", "")
    record(tx, _happened(EventKind.HIDDEN, subject_id, actor, instant, terms=terms, viewer=viewer))


def unhide(tx: Transaction, subject_id: str, category: str, actor: Actor, now: int, *, viewer: str) -> None:
    """End the hiding of exactly this category from exactly this viewer."""
    terms = Terms("", frozenset({category}), "", "")
    record(tx, _happened(EventKind.UNHIDDEN, subject_id, actor, now, terms=terms, viewer=viewer))


def link_guardian(
    tx: Transaction, ward_id: str, guardian_id: str, evidence: Mapping[str, str], now: int
) -> None:
    """Record a verified guardian of a minor; ``evidence`` says how it was verified, without values."""
    actor = Actor(guardian_id, Capacity.GUARDIAN, evidence)
    record(tx, _happened(EventKind.GUARDIAN_LINKED, ward_id, actor, now))


def end_guardian(
    tx: Transaction, ward_id: str, guardian_id: str, evidence: Mapping[str, str], now: int
) -> None:
    """Record the end of a guardianship; every consent that rested on it stops holding."""
    actor = Actor(guardian_id, Capacity.GUARDIAN, evidence)
    record(tx, _happened(EventKind.GUARDIAN_ENDED, ward_id, actor, _not_before(tx, ward_id, now)))


def link_primary(tx: Transaction, member_id: str, primary_id: str, household_id: str, now: int) -> None:
    """Record in the member's log that an account is primary in the household the member lives in."""
    actor = Actor(primary_id, Capacity.PRIMARY, {})
    record(tx, _happened(EventKind.JOINED, member_id, actor, now, viewer=household_id))


def end_primary(tx: Transaction, member_id: str, primary_id: str, household_id: str, now: int) -> None:
    """Record in the member's log that the primary account left the household or handed its role over."""
    _left(tx, member_id, Actor(primary_id, Capacity.PRIMARY, {}), household_id, now)


def leave(tx: Transaction, member_id: str, household_id: str, now: int) -> None:
    """Record that the member left the household; what its primary account agreed to stops holding."""
    _left(tx, member_id, Actor(member_id, Capacity.SELF, {}), household_id, now)


def consent_of(tx: Transaction, consent_id: str) -> Consent | None:
    """Return one consent, or None when there is none with that id."""
    found = consents_in(map(_event, tx.rows(_EVENTS_OF_CONSENT, {"consent": consent_id})))
    return found[0] if found else None


def consents_of(
    tx: Transaction, subject_id: str, birth: date | None, now: int, book: RuleBook
) -> tuple[tuple[Consent, Reason], ...]:
    """Return a subject's consents, oldest first, each with how it stands at ``now``."""
    events = events_of(tx, [subject_id])[subject_id]
    notices = behind(tx, events)
    return tuple((one, state(events, one, birth, now, book, notices)) for one in consents_in(events))


def _is_shown(served: Event, terms: Terms, actor: Actor) -> bool:
    said = Terms(served.purpose, served.categories, served.recipient, served.notice)
    return said == terms and (served.actor_id, served.capacity) == (actor.id, actor.capacity)


def _own(tx: Transaction, subject_id: str, consent_id: str) -> tuple[Consent, tuple[Event, ...]]:
    life = tuple(e for e in events_of(tx, [subject_id])[subject_id] if e.consent_id == consent_id)
    found = consents_in(life)
    if not consent_id or not found:
        raise UnknownConsentError
    return found[0], life


def _not_before(tx: Transaction, subject_id: str, now: int) -> int:
    """Return an instant for a denial that no older fact can outrun, should this machine's clock lag."""
    return max(now, int(tx.rows(_LAST_INSTANT, {"subject": subject_id})[0][0] or 0))


def _left(tx: Transaction, member_id: str, actor: Actor, household_id: str, now: int) -> None:
    instant = _not_before(tx, member_id, now)
    record(tx, _happened(EventKind.LEFT, member_id, actor, instant, viewer=household_id))


_NOTHING: Final = Terms("", frozenset(), "", "")


def _happened(
    kind: EventKind,
    subject_id: str,
    actor: Actor,
    now: int,
    *,
    terms: Terms = _NOTHING,
    consent_id: str = "",
    viewer: str = "",
    expires_at: int | None = None,
) -> Event:
    return Event(
        subject_id=subject_id,
        event_id=f"evt_{uuid_utils.uuid7()}",
        kind=kind,
        consent_id=consent_id,
        purpose=terms.purpose,
        categories=terms.categories,
        recipient=terms.recipient,
        notice=terms.notice,
        actor_id=actor.id,
        capacity=actor.capacity,
        viewer=viewer,
        occurred_at=now,
        recorded_at=now,
        expires_at=expires_at,
        evidence=json.dumps(dict(actor.evidence), sort_keys=True, separators=(",", ":")),
    )


def _row(event: Event, seq: int) -> dict[str, object]:
    return {
        **event._asdict(),
        "seq": seq,
        "kind": str(event.kind),
        "capacity": str(event.capacity),
        "categories": " ".join(sorted(event.categories)),
    }


@lru_cache(maxsize=4096)
def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _event(row: Row) -> Event:
    return Event._make((*row[:5], _words(row[5]), *row[6:]))
