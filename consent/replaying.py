"""How one consent stood at each instant of its life, told from what was known then.

Pure. Between two of the instants that are visited nothing can change: an event begins to count, a year of
age is reached, a notice appears or takes effect, a validity runs out. Each is judged with the knowledge of
that instant, so what is told of the past does not depend on the day on which it is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from heapq import heappop, heappush
from typing import Final, NamedTuple

from consent.ages import CONSENT_AGE, MAJORITY, reached_at
from consent.events import Capacity, Event, EventKind
from consent.facts import THIRDS, Facts, above, stamp
from consent.listing import GIVEN, Consent, questions_of
from consent.rules import Question, act_of, case_of, standing, state_of
from consent.superseding import Notices
from consent.weighing import DENIAL_REASONS, Act, Case
from policies.book import RuleBook
from policies.reasons import Reason


class Life(NamedTuple):
    """One consent with all that bears on it: its subject's events, the notices, the rules, at an instant."""

    consent: Consent
    events: Sequence[Event]
    birth: date | None
    book: RuleBook
    notices: Notices
    at: int


class Stand(NamedTuple):
    """How the consent stands from ``at`` on.

    ``reason`` is of the first category that does not hold. ``ends_at`` is when its acts run out, None where
    none is complete. ``cause`` is the event that ended it, None where time or a rule did. ``denials`` are
    those that reach the act.
    """

    at: int
    reason: Reason
    ends_at: int | None
    cause: Event | None
    denials: tuple[Event, ...]


class _Part(NamedTuple):
    """The same for one category; ``again`` are instants at which time alone may change it."""

    reason: Reason
    act: Act | None
    cause: Event | None
    denials: tuple[Event, ...]
    again: tuple[int, ...]


_ASIDE: Final = frozenset(
    {EventKind.HIDDEN, EventKind.UNHIDDEN, EventKind.SHARED, EventKind.UNSHARED, EventKind.CODE_SENT}
)
"""What bears on no consent. A hiding ends none, and a receipt must not tell of it."""


def stands(life: Life) -> Iterator[Stand]:
    """Yield how the consent stood at every instant from its tick on, oldest first; the last is now."""
    events = [one for one in life.events if _bears(one, life.consent.terms.purpose)]
    # What was known when the tick was recorded is the least that any receipt of it knows: an imported
    # consent was given long before this house heard of it.
    own = [e.recorded_at for e in events if e.consent_id == life.consent.consent_id and e.kind in THIRDS]
    heard = min(own, default=life.consent.ticked_at)
    ahead = sorted(_instants(life, events))  # which is a heap already
    last = -1
    while ahead and (now := heappop(ahead)) < life.at:
        if now == last:
            continue
        last = now
        stand, again = _stand(life, events, now, max(now, heard))
        yield stand
        for later in again:
            if now < later < life.at:
                heappush(ahead, later)
    yield _stand(life, events, life.at, None)[0]


def _bears(event: Event, purpose: str) -> bool:
    """Say whether an event can matter to a consent for this purpose; the fewer, the faster the replay."""
    if event.kind in THIRDS:
        return event.purpose == purpose
    return event.kind not in _ASIDE and (not event.purpose or event.purpose in above(purpose))


def _instants(life: Life, events: Iterable[Event]) -> set[int]:
    found = {life.consent.ticked_at}
    for event in events:
        found |= {event.occurred_at, event.recorded_at}
    for fact in life.notices.get(life.consent.terms.notice.partition("@")[0], ()):
        found |= {fact.recorded_at, fact.effective_from}
    if life.birth is not None:
        found |= {reached_at(life.birth, age) for age in (CONSENT_AGE, MAJORITY)}
    return {one for one in found if life.consent.ticked_at <= one < life.at}


def _stand(
    life: Life, events: Sequence[Event], now: int, known_at: int | None
) -> tuple[Stand, tuple[int, ...]]:
    questions = questions_of(life.consent, life.birth, now)
    parts = [_part(life, events, one._replace(known_at=known_at)) for one in questions]
    chosen = next((part for part in parts if part.reason not in GIVEN), parts[0])
    ends = [part.act.ends_at for part in parts if part.act is not None and part.act.given_at]
    denials = {one.event_id: one for part in parts for one in part.denials}
    ends_at = min(ends) if len(ends) == len(parts) else None
    stand = Stand(now, chosen.reason, ends_at, chosen.cause, tuple(denials.values()))
    return stand, tuple(later for part in parts for later in (*part.again, *ends))


def _part(life: Life, events: Sequence[Event], question: Question) -> _Part:
    consent, book, notices = life.consent, life.book, life.notices
    facts = Facts(events, question.subject_id, question.now, question.known_at, question.birth)
    case = case_of(facts, question, book.purposes[question.purpose], book, notices)
    act = act_of(events, consent.consent_id, question, book, notices)
    reason = state_of(events, consent.consent_id, question, book, notices)
    answer = standing(events, question, book, notices)
    if reason in GIVEN and answer.reason not in GIVEN:
        reason = answer.reason if answer.reason in _forbidden(book) else _other_of(consent)
    denials = tuple(one for one in case.denials() if _reaches(one, consent))
    again = () if answer.valid_until is None else (answer.valid_until,)
    return _Part(reason, act, _cause(case, consent, reason, denials), denials, again)


def _forbidden(book: RuleBook) -> set[Reason]:
    return {row.reason for row in book.prohibitions} | {Reason.AGE_UNKNOWN}


def _other_of(consent: Consent) -> Reason:
    """Say whose consent is still missing where the person and a guardian must both agree."""
    return Reason.NO_CONSENT if consent.capacity == Capacity.GUARDIAN else Reason.GUARDIAN_REQUIRED


def _reaches(denial: Event, consent: Consent) -> bool:
    # A primary account may end what it gave, not what somebody else gave.
    given_by_primary = consent.capacity == Capacity.PRIMARY
    return denial.capacity != Capacity.PRIMARY or given_by_primary


def _cause(case: Case, consent: Consent, reason: Reason, denials: Sequence[Event]) -> Event | None:
    """Return the event that made it so: the newest of its kind, but of erasures the first."""
    if reason is Reason.SUBJECT_CLOSED:
        return min(case.facts.of(EventKind.ERASED), key=_order, default=None)
    if reason is Reason.NO_AUTHORITY:
        return max(_endings(case, consent), key=_order, default=None)
    same = [one for one in denials if DENIAL_REASONS.get(one.kind, Reason.FACTS_UNAVAILABLE) is reason]
    return max(same, key=_order, default=None)


def _endings(case: Case, consent: Consent) -> Iterator[Event]:
    if consent.capacity == Capacity.GUARDIAN:
        yield from (e for e in case.facts.of(EventKind.GUARDIAN_ENDED) if e.actor_id == consent.actor_id)
    if consent.capacity == Capacity.PRIMARY:
        yield from case.facts.of(EventKind.LEFT)


def _order(event: Event) -> tuple[int, str]:
    return stamp(event), event.event_id
