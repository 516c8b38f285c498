"""What became of one consent, as lists show it: how it stands, until when it lasts, since when it is denied.

Pure: a view for people and for the desk, folded from the same events as a decision and never the source of
one (``consent.rules``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date

from consent.events import Event, EventKind
from consent.listing import Consent, questions_of, state
from consent.rules import act_in, asked_about, reason_in
from consent.superseding import NO_NOTICES, Notices
from consent.weighing import DENIAL_REASONS, DENIED, Case, beaten_by, closings
from policies.book import RuleBook
from policies.reasons import Reason


def as_it_stands(
    events: Sequence[Event],
    consent: Consent,
    birth: date | None,
    now: int,
    book: RuleBook,
    notices: Notices = NO_NOTICES,
) -> tuple[Consent, Reason]:
    """Return a consent with the instants that count, and how it stands.

    ``expires_at`` becomes the first instant at which one of its categories runs out; ``withdrawn_at`` the
    first denial that counts against it, also one that named no consent (an opt-out link, an SMS).
    """
    reason = state(events, consent, birth, now, book, notices)
    cases = list(_cases(events, consent, birth, now, book, notices))
    if not cases:  # the rules know this purpose no more
        return consent, reason
    ends = [end for case in cases if (end := _ends_at(case, consent)) is not None]
    denied = {one.occurred_at for case in cases for one in _against(case, consent, reason)}
    return replace(
        consent,
        expires_at=min(ends, default=consent.expires_at),
        withdrawn_at=min(denied, default=None),
    ), reason


def noes_to(
    events: Sequence[Event], consent: Consent, birth: date | None, now: int, book: RuleBook
) -> list[Event]:
    """Return what was said against this very consent and counts: a guardian's no to a teen's own does not."""
    cases = list(_cases(events, consent, birth, now, book, NO_NOTICES))
    if not cases:
        return [e for e in events if e.consent_id == consent.consent_id and e.kind in DENIAL_REASONS]
    return list({one.event_id: one for case in cases for one in _said_of(case, consent)}.values())


def is_closed(
    events: Sequence[Event], consent: Consent, birth: date | None, now: int, book: RuleBook
) -> bool:
    """Say whether a no since the tick leaves nothing of it to confirm; "not now" is one for the open tick."""
    # A tick from a replica whose clock is ahead is open all the same.
    cases = list(_cases(events, consent, birth, max(now, consent.ticked_at), book, NO_NOTICES))
    return bool(cases) and all(any(closings(case, tick) for tick in _ticks(case, consent)) for case in cases)


def _cases(
    events: Sequence[Event],
    consent: Consent,
    birth: date | None,
    now: int,
    book: RuleBook,
    notices: Notices,
) -> Iterator[Case]:
    for question in questions_of(consent, birth, now):
        purpose = book.purposes.get(question.purpose)
        if purpose is not None:
            yield asked_about(events, question, purpose, book, notices)


def _ends_at(case: Case, consent: Consent) -> int | None:
    act = act_in(case, consent.consent_id)
    return None if act is None or not act.given_at else act.ends_at


def _against(case: Case, consent: Consent, reason: Reason) -> Iterable[Event]:
    act = act_in(case, consent.consent_id)
    if reason in DENIED and act is not None and reason_in(case, act) in DENIED:
        noes = [one for one in closings(case, act.tick) if one.kind != EventKind.DEFERRED]
        yield from noes or beaten_by(case, act.tick)
    yield from _said_of(case, consent)


def _said_of(case: Case, consent: Consent) -> list[Event]:
    """Return the denials of this very consent that count, whatever it was when they were said."""
    return [denial for denial in case.denials() if denial.consent_id == consent.consent_id]


def _ticks(case: Case, consent: Consent) -> list[Event]:
    return [e for e in case.facts.of(EventKind.TICKED) if e.consent_id == consent.consent_id]
