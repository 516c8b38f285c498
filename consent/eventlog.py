"""The events of consents in their table: appended in the caller's transaction, read back, never changed.

The caller holds the subject's lock, bumps the epoch and commits: one transaction. What may be said, and
when, is ``consent.registry``; what it means, ``consent.rules``.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import uuid_utils
from sqlalchemy import bindparam, func, insert, select

from consent.events import Capacity, Event, EventKind
from consent.listing import Terms
from consent.records import ConsentEvent
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
_LAST_SEQS: Final = (
    select(_T.c.subject_id, func.max(_T.c.seq))
    .where(_T.c.subject_id.in_(bindparam("ids", expanding=True)))
    .group_by(_T.c.subject_id)
)
_LAST_INSTANT: Final = select(func.max(_T.c.recorded_at)).where(_T.c.subject_id == bindparam("subject"))
_KNOWN: Final = select(_T.c.event_id).where(
    _T.c.subject_id == bindparam("subject"), _T.c.event_id.in_(bindparam("ids", expanding=True))
)
_RECIPIENTS: Final = (
    select(_T.c.subject_id, _T.c.recipient, _T.c.purpose)
    .distinct()
    .where(
        _T.c.subject_id.in_(bindparam("ids", expanding=True)),
        _T.c.kind == EventKind.TICKED.value,
        _T.c.recipient != "",
    )
)
_INSERT: Final = insert(_T)
EVERYTHING: Final = Terms("", frozenset(), "", "")
"""The terms of a denial that reaches every purpose, category and recipient; of other events, none."""


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
            found[row[0]].append(event_of(row))
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


def record_all(tx: Transaction, fresh: Mapping[str, Sequence[Event]]) -> None:
    """Append events of several subjects in one go, all new: the caller holds each subject and has looked."""
    last = {subject: int(seq) for subject, seq in tx.rows(_LAST_SEQS, {"ids": tuple(fresh)})} if fresh else {}
    rows = [
        _row(event, last.get(subject, 0) + place)
        for subject, events in fresh.items()
        for place, event in enumerate(events, start=1)
    ]
    if rows:
        tx.run(_INSERT, rows)


def of_consent(tx: Transaction, consent_id: str) -> Iterable[Event]:
    """Return the events of one consent, whoever it is about, in their order."""
    return map(event_of, tx.rows(_EVENTS_OF_CONSENT, {"consent": consent_id}))


def recipients_of(tx: Transaction, subject_ids: Collection[str]) -> dict[str, set[tuple[str, str]]]:
    """Return to whom, and for which purpose, each subject ever agreed to give something, ended or not."""
    found: dict[str, set[tuple[str, str]]] = {}
    for subject, recipient, purpose in (
        tx.rows(_RECIPIENTS, {"ids": sorted(subject_ids)}) if subject_ids else ()
    ):
        found.setdefault(subject, set()).add((recipient, purpose))
    return found


def not_before(tx: Transaction, subject_id: str, now: int) -> int:
    """Return an instant for a denial that no older fact can outrun, should this machine's clock lag."""
    return max(now, int(tx.rows(_LAST_INSTANT, {"subject": subject_id})[0][0] or 0))


def happened(
    kind: EventKind,
    subject_id: str,
    actor: Actor,
    now: int,
    *,
    terms: Terms = EVERYTHING,
    consent_id: str = "",
    viewer: str = "",
    expires_at: int | None = None,
) -> Event:
    """Return a new event of what an actor just did; ``now`` is when it happened and when it is recorded."""
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


def event_of(row: Row) -> Event:
    """Return the event that a row of the table holds, its columns in the order of ``Event``."""
    return Event._make((*row[:5], _words(row[5]), *row[6:]))
