"""One consent as people see it in a list: what was agreed, when, and how it stands now.

Pure: a view over the events of a subject, never a source of decisions (those ask ``consent.rules.standing``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from consent.events import Event, EventKind
from consent.rules import Question, state_of
from consent.superseding import NO_NOTICES, Notices
from policies.book import RuleBook
from policies.reasons import Reason
from policies.terms import Category, Purpose

GIVEN: Final = frozenset({Reason.CONSENT_GIVEN, Reason.GUARDIAN_CONSENT, Reason.PRIMARY_CONSENT})
"""The states in which a consent holds."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What somebody consents to. ``notice`` is ``id@version#sha256`` of the text that was shown.

    An empty ``recipient`` is the controller itself with its processors.
    """

    purpose: str
    categories: frozenset[str]
    recipient: str
    notice: str


@dataclass(frozen=True, slots=True)
class Consent:
    """One consent as it was given, with the instants of its life; None where it did not come to that.

    Whether it holds depends on everything else that happened: see ``state``.
    """

    consent_id: str
    subject_id: str
    terms: Terms
    actor_id: str
    capacity: str
    ticked_at: int
    confirmed_at: int | None
    expires_at: int | None
    withdrawn_at: int | None
    code_sent_at: int | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody was shown or has ticked, and the refusals and deferrals of it, oldest first.

    ``consent.ticked_at`` is the instant of the showing as long as nothing was ticked.
    """

    consent: Consent
    answers: tuple[Event, ...]


def asked_in(life: Sequence[Event]) -> Asked | None:
    """Return what was asked in the events of one consent; None where nothing was served."""
    shown = [*_of(life, EventKind.TICKED), *_of(life, EventKind.SERVED)]
    if not shown:
        return None
    return Asked(_consent(shown[0], life), tuple(_of(life, EventKind.REFUSED, EventKind.DEFERRED)))


def consents_in(events: Iterable[Event]) -> tuple[Consent, ...]:
    """Return every consent that was ticked, oldest first."""
    lives: dict[str, list[Event]] = {}
    for event in events:
        if event.consent_id:
            lives.setdefault(event.consent_id, []).append(event)
    consents = [_consent(tick, life) for life in lives.values() for tick in _of(life, EventKind.TICKED)[:1]]
    return tuple(sorted(consents, key=lambda consent: (consent.ticked_at, consent.consent_id)))


def state(
    events: Sequence[Event],
    consent: Consent,
    birth: date | None,
    now: int,
    book: RuleBook,
    notices: Notices = NO_NOTICES,
) -> Reason:
    """Say how a consent stands: given for all its categories, or the first reason why it is not."""
    reasons = [
        state_of(events, consent.consent_id, question, book, notices)
        for question in questions_of(consent, birth, now)
    ]
    return next((reason for reason in reasons if reason not in GIVEN), reasons[0])


def questions_of(consent: Consent, birth: date | None, now: int) -> list[Question]:
    """Return what to ask to learn how a consent stands: one question for each of its categories."""
    return [
        Question(
            subject_id=consent.subject_id,
            purpose=Purpose(consent.terms.purpose),
            category=Category(category),
            recipient=consent.terms.recipient,
            viewer="",
            now=now,
            birth=birth,
        )
        for category in sorted(consent.terms.categories)
    ]


def _of(life: Sequence[Event], *kinds: EventKind) -> list[Event]:
    chosen = [event for event in life if event.kind in kinds]
    return sorted(chosen, key=lambda event: (event.occurred_at, event.event_id))


def _consent(tick: Event, life: Sequence[Event]) -> Consent:
    confirmed = _of(life, EventKind.CONFIRMED)
    ended = _of(life, EventKind.WITHDRAWN, EventKind.REVOKED)
    sent = _of(life, EventKind.CODE_SENT)
    return Consent(
        consent_id=tick.consent_id,
        subject_id=tick.subject_id,
        terms=Terms(tick.purpose, tick.categories, tick.recipient, tick.notice),
        actor_id=tick.actor_id,
        capacity=tick.capacity,
        ticked_at=tick.occurred_at,
        confirmed_at=confirmed[0].occurred_at if confirmed else None,
        expires_at=tick.expires_at,
        withdrawn_at=ended[0].occurred_at if ended else None,
        code_sent_at=sent[-1].occurred_at if sent else None,
    )
