"""The consent registry: what may be said about a consent, and when, in the caller's transaction.

A withdrawal is always accepted, whatever the state, and the first one's time is never overwritten
(个人信息保护法 第十五条). The caller holds the subject's lock, bumps the epoch and commits: one transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Final

from consent.ages import DAY_MS
from consent.confirmation import Confirmed
from consent.eventlog import EVERYTHING as EVERYTHING  # noqa: PLC0414 - whoever speaks here needs it
from consent.eventlog import Actor as Actor  # noqa: PLC0414 - as EVERYTHING
from consent.eventlog import events_of, happened, not_before, of_consent, record
from consent.events import Capacity, Event, EventKind
from consent.facts import above
from consent.listing import Asked, Consent, Terms, asked_in, consents_in
from consent.noticeboard import behind
from consent.outcome import as_it_stands
from policies.book import RuleBook
from policies.identifiers import Prefix, new_id
from policies.reasons import Reason
from policies.transaction import Transaction

_AGREEING: Final = frozenset({EventKind.SERVED, EventKind.TICKED, EventKind.CONFIRMED, EventKind.SHARED})
"""After one of these a repeated withdrawal says something new."""


class SubjectClosedError(Exception):
    """A grant was offered for a person who has been erased. Withdrawals are accepted all the same."""


class UnknownConsentError(Exception):
    """No consent of this subject has that id."""


class OtherTermsError(UnknownConsentError):
    """What was served under that id was another text, or other terms, than those ticked now."""


class TickedAlreadyError(UnknownConsentError):
    """The box below what was served under that id has been ticked already."""


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
    record(tx, happened(EventKind.SERVED, subject_id, actor, now, terms=terms, consent_id=consent_id))
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
        UnknownConsentError: nothing was served to this actor under that id.
        OtherTermsError: it was served on other terms, or in another language.
        TickedAlreadyError: it was ticked already.
    """
    events = events_of(tx, [subject_id])[subject_id]
    if any(event.kind == EventKind.ERASED for event in events):
        raise SubjectClosedError
    life = [event for event in events if event.consent_id == consent_id]
    served = [event for event in life if event.kind == EventKind.SERVED and _is_to(event, actor)]
    if not served:
        raise UnknownConsentError
    if any(event.kind == EventKind.TICKED for event in life):
        raise TickedAlreadyError
    if all(_terms_of(event) != terms for event in served):
        raise OtherTermsError
    ticked = happened(
        EventKind.TICKED, subject_id, actor, now, terms=terms, consent_id=consent_id, expires_at=expires_at
    )
    record(tx, ticked)


def code_sent(tx: Transaction, consent: Consent, now: int) -> None:
    """Record that the code of a consent was handed to a gateway: evidence, which changes no standing."""
    actor = Actor(consent.actor_id, Capacity(consent.capacity), {})
    terms, consent_id = consent.terms, consent.consent_id
    record(
        tx, happened(EventKind.CODE_SENT, consent.subject_id, actor, now, terms=terms, consent_id=consent_id)
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
    event = happened(
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

    Always accepted: expired, unconfirmed or already withdrawn by the same actor (then the first instant
    comes back), for a closed person and for one who left. A guardian's revokes. Said again, it is recorded
    once a day, so that the quiet time runs from the last no; not if the person agreed again since.

    Raises:
        UnknownConsentError: the subject has no such consent.
    """
    consent, life = _own(tx, subject_id, consent_id)
    kind = _denial_of(actor)
    # Only the same person's repetition is passed over: another's may have had no effect on the consent.
    said = [e for e in life if e.kind == kind and (e.actor_id, e.capacity) == (actor.id, actor.capacity)]
    if said and (not is_worth_repeating(said, now) or _agreed_since(tx, consent, said)):
        return said[0].occurred_at
    instant = not_before(tx, subject_id, now)
    record(tx, happened(kind, subject_id, actor, instant, terms=consent.terms, consent_id=consent_id))
    return said[0].occurred_at if said else instant


def is_worth_repeating(said: Sequence[Event], now: int) -> bool:
    """Say whether a no that was said before is recorded again: once a day, so that it floods nothing."""
    return now - max(event.occurred_at for event in said) >= DAY_MS


def _agreed_since(tx: Transaction, consent: Consent, said: Sequence[Event]) -> bool:
    # An old consent's withdrawal, asked for again, must not end what the person agreed to or shared later.
    first, purpose = said[0].occurred_at, consent.terms.purpose
    return any(
        event.kind in (EventKind.TICKED, EventKind.SHARED)
        and event.occurred_at > first
        and purpose in above(event.purpose)
        for event in events_of(tx, [consent.subject_id])[consent.subject_id]
    )


def opt_out(tx: Transaction, subject_id: str, purpose: str, actor: Actor, now: int) -> int:
    """Withdraw whatever was agreed for a purpose and all below it; with an empty one, for all purposes.

    An unsubscribe link, an SMS "TD", "withdraw everywhere". Returns the instant since which it counts: said
    again with nothing agreed or shared in between, the first instant comes back, and it is recorded once a
    day, so that the quiet time runs from the last no. A guardian's revokes.
    """
    kind = _denial_of(actor)
    said: list[Event] = []
    for event in reversed(events_of(tx, [subject_id])[subject_id]):
        if event.kind in _AGREEING:
            break
        blanket = event.kind == kind and not event.categories and not event.recipient
        if blanket and event.actor_id == actor.id and (not event.purpose or event.purpose in above(purpose)):
            said.append(event)
    if said and not is_worth_repeating(said, now):
        return said[-1].occurred_at
    instant = not_before(tx, subject_id, now)
    record(
        tx,
        happened(kind, subject_id, actor, instant, terms=Terms(purpose, frozenset(), "", "")),
    )
    return said[-1].occurred_at if said else instant


def share(
    tx: Transaction,
    subject_id: str,
    category: str,
    purpose: str,
    actor: Actor,
    now: int,
    *,
    viewer: str,
    until: int | None = None,
) -> str:
    """Share a category with one viewer for a purpose, for a term or until ended; return the share's id."""
    share_id = new_id(Prefix.SHARE)
    terms = Terms(purpose, frozenset({category}), "", "")
    event = happened(
        EventKind.SHARED,
        subject_id,
        actor,
        now,
        terms=terms,
        consent_id=share_id,
        viewer=viewer,
        expires_at=until,
    )
    record(tx, event)
    return share_id


def unshare(tx: Transaction, subject_id: str, share_id: str, actor: Actor, now: int) -> int:
    """End a share and return the instant since which it is over; always accepted, the first instant stays.

    Raises:
        UnknownConsentError: the subject has no such share.
    """
    life = [event for event in events_of(tx, [subject_id])[subject_id] if event.consent_id == share_id]
    shared = next((event for event in life if event.kind == EventKind.SHARED), None)
    if shared is None:
        raise UnknownConsentError
    for event in life:
        if event.kind == EventKind.UNSHARED:
            return event.occurred_at
    instant = not_before(tx, subject_id, now)
    terms = Terms(shared.purpose, shared.categories, "", "")
    ended = happened(
        EventKind.UNSHARED, subject_id, actor, instant, terms=terms, consent_id=share_id, viewer=shared.viewer
    )
    record(tx, ended)
    return instant


def unshare_between(
    tx: Transaction, one_id: str, others: Collection[str], evidence: Mapping[str, str], now: int
) -> None:
    """End for good what one person shares with the others and each of them with that person.

    The caller holds all of them. Nobody ended these by their own word; ``evidence`` says what did.
    """
    for owner, events in events_of(tx, [one_id, *others]).items():
        viewers = others if owner == one_id else (one_id,)
        over = {event.consent_id for event in events if event.kind == EventKind.UNSHARED}
        for event in events:
            if event.kind == EventKind.SHARED and event.viewer in viewers and event.consent_id not in over:
                unshare(tx, owner, event.consent_id, Actor(one_id, Capacity.SERVICE, evidence), now)


def refuse(
    tx: Transaction, subject_id: str, terms: Terms, actor: Actor, now: int, *, consent_id: str = ""
) -> int:
    """Record a no to what was asked; return its instant. It reaches all narrower purposes and categories."""
    instant = not_before(tx, subject_id, now)
    refused = happened(EventKind.REFUSED, subject_id, actor, instant, terms=terms, consent_id=consent_id)
    record(tx, refused)
    return instant


def defer(tx: Transaction, subject_id: str, terms: Terms, actor: Actor, now: int, *, consent_id: str) -> int:
    """Record "not now" and return its instant: it ends an open tick and leaves older consents alone."""
    instant = not_before(tx, subject_id, now)
    deferred = happened(EventKind.DEFERRED, subject_id, actor, instant, terms=terms, consent_id=consent_id)
    record(tx, deferred)
    return instant


def object_to(
    tx: Transaction, subject_id: str, terms: Terms, actor: Actor, now: int, *, request: str = ""
) -> None:
    """Record an objection (个人信息保护法 第四十四条): it also ends a legal basis other than consent.

    Empty terms object to everything; a purpose reaches all below it. ``request`` is what it is taken back by.
    """
    instant = not_before(tx, subject_id, now)
    record(tx, happened(EventKind.OBJECTED, subject_id, actor, instant, terms=terms, consent_id=request))


def restrict(
    tx: Transaction, subject_id: str, terms: Terms, actor: Actor, now: int, *, request: str = ""
) -> bool:
    """Record a restriction: from now on what it covers is stored and used for nothing else.

    Said again by the same actor for the same request while it stands, nothing is written: False.
    """
    if request and _standing(tx, subject_id, request, actor):
        return False
    instant = not_before(tx, subject_id, now)
    record(tx, happened(EventKind.RESTRICTED, subject_id, actor, instant, terms=terms, consent_id=request))
    return True


def take_back(tx: Transaction, subject_id: str, request: str, actor: Actor, now: int) -> None:
    """Take back the objection or restriction that a request led to: only by whoever said it.

    Older consents that it had stopped hold again, shares do not; withdrawals and refusals stay.

    Raises:
        UnknownConsentError: this actor said no such thing, or took it back already.
    """
    if not _standing(tx, subject_id, request, actor):
        raise UnknownConsentError
    instant = not_before(tx, subject_id, now)
    record(tx, happened(EventKind.TAKEN_BACK, subject_id, actor, instant, consent_id=request))


def erase(tx: Transaction, subject_id: str, actor: Actor, now: int) -> None:
    """Record that the person is erased: nothing is permitted from now on, and no grant will help."""
    record(tx, happened(EventKind.ERASED, subject_id, actor, not_before(tx, subject_id, now)))


def hide(tx: Transaction, subject_id: str, category: str, actor: Actor, now: int, *, viewer: str) -> int:
    """Hide a category from one viewer, or with an empty ``viewer`` from everybody but the subject.

    Returns the instant since which it counts.
    """
    instant = not_before(tx, subject_id, now)
    terms = Terms("", frozenset({category}), "", "")
    record(tx, happened(EventKind.HIDDEN, subject_id, actor, instant, terms=terms, viewer=viewer))
    return instant


def unhide(tx: Transaction, subject_id: str, category: str, actor: Actor, now: int, *, viewer: str) -> None:
    """End the hiding of exactly this category from exactly this viewer."""
    terms = Terms("", frozenset({category}), "", "")
    record(tx, happened(EventKind.UNHIDDEN, subject_id, actor, now, terms=terms, viewer=viewer))


def consent_of(tx: Transaction, consent_id: str) -> Consent | None:
    """Return one consent, or None when there is none with that id."""
    found = consents_in(of_consent(tx, consent_id))
    return found[0] if found else None


def asked_of(tx: Transaction, consent_id: str) -> Asked | None:
    """Return what somebody was asked under an id, ticked or not; None when nobody was."""
    return asked_in(tuple(of_consent(tx, consent_id)))


def consents_of(
    tx: Transaction, subject_id: str, birth: date | None, now: int, book: RuleBook
) -> tuple[tuple[Consent, Reason], ...]:
    """Return a subject's consents, oldest first, each with the instants that count and how it stands."""
    events = events_of(tx, [subject_id])[subject_id]
    notices = behind(tx, events)
    return tuple(as_it_stands(events, one, birth, now, book, notices) for one in consents_in(events))


def _denial_of(actor: Actor) -> EventKind:
    return EventKind.REVOKED if actor.capacity is Capacity.GUARDIAN else EventKind.WITHDRAWN


def _is_to(served: Event, actor: Actor) -> bool:
    return (served.actor_id, served.capacity) == (actor.id, actor.capacity)


def _terms_of(event: Event) -> Terms:
    return Terms(event.purpose, event.categories, event.recipient, event.notice)


def _standing(tx: Transaction, subject_id: str, request: str, actor: Actor) -> bool:
    """Say whether the last that an actor said for a request is an objection or restriction."""
    said = [
        event.kind
        for event in events_of(tx, [subject_id])[subject_id]
        if event.consent_id == request and (event.actor_id, event.capacity) == (actor.id, actor.capacity)
    ]
    return bool(request and said) and said[-1] in (EventKind.OBJECTED, EventKind.RESTRICTED)


def _own(tx: Transaction, subject_id: str, consent_id: str) -> tuple[Consent, tuple[Event, ...]]:
    life = tuple(e for e in events_of(tx, [subject_id])[subject_id] if e.consent_id == consent_id)
    found = consents_in(life)
    if not consent_id or not found:
        raise UnknownConsentError
    return found[0], life
