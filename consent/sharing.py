"""With whom a person shares what, and from whom a person hides what: folds over the same events.

Pure. A share names one viewer, one category and one purpose, is given by the person alone (from 14 on,
个人信息保护法 第三十一条) and ends when the person ends it, at its own end, or with any withdrawal,
refusal, objection or restriction of that purpose, from which it does not come back: whoever agrees again
names the viewers again. It is no consent: the rule book asks for both (第二十九条).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final, NamedTuple

from consent.ages import CONSENT_AGE, age_on
from consent.events import Capacity, Event, EventKind
from consent.facts import Facts, stamp
from consent.rules import Question, case_of
from consent.superseding import NO_NOTICES
from policies.book import RuleBook
from policies.terms import Category, Condition, Purpose

_OVER: Final = -1


class Share(NamedTuple):
    """One share as it was given. ``ended_at`` is when it stopped for good, None while it goes on.

    ``until`` is the end that was set at the beginning, None for none. Milliseconds since the epoch.
    """

    share_id: str
    viewer: str
    category: str
    purpose: str
    since: int
    until: int | None
    ended_at: int | None


class Hide(NamedTuple):
    """One switch that hides: a category from one viewer, or with an empty ``viewer`` from everybody."""

    category: str
    viewer: str
    since: int


def shared_until(
    events: Sequence[Event],
    purpose: Purpose,
    categories: Iterable[Category],
    viewer: str,
    now: int,
    birth: date | None,
    book: RuleBook,
) -> dict[Category, int | None]:
    """Return the categories that the events' one subject shares with the viewer now, each with its end."""
    theirs = {event.purpose for event in events if event.kind == EventKind.SHARED and event.viewer == viewer}
    if purpose not in theirs or purpose not in book.purposes:
        return {}
    facts = Facts(events, events[0].subject_id, now, None, birth)
    found: dict[Category, int | None] = {}
    for category in categories:
        ends = [
            _end(facts, event, book)
            for event in facts.of(EventKind.SHARED)
            if event.viewer == viewer and event.purpose == purpose and category in event.categories
        ]
        if any(end is None for end in ends):
            found[category] = None
        elif (last := max((end for end in ends if end is not None), default=_OVER)) > now:
            found[category] = last
    return found


def shares_in(events: Sequence[Event], now: int, birth: date | None, book: RuleBook) -> tuple[Share, ...]:
    """Return every share that was ever given by the events' one subject, oldest first."""
    if not events:
        return ()
    facts = Facts(events, events[0].subject_id, now, None, birth)
    return tuple(
        Share(
            event.consent_id,
            event.viewer,
            category,
            event.purpose,
            event.occurred_at,
            event.expires_at,
            _ended(facts, event, book),
        )
        for event in sorted(facts.of(EventKind.SHARED), key=lambda one: (one.occurred_at, one.event_id))
        for category in sorted(event.categories)
    )


def hides_in(events: Sequence[Event], now: int) -> tuple[Hide, ...]:
    """Return the switches that are on, oldest first."""
    if not events:
        return ()
    facts = Facts(events, events[0].subject_id, now, None, None)
    on: dict[tuple[str, str], int] = {}
    for event in facts.of(EventKind.HIDDEN):
        for category in event.categories:
            if not facts.is_shown_again(event, category):
                switch = (category, event.viewer)
                on[switch] = min(on.get(switch, event.occurred_at), event.occurred_at)
    switches = (Hide(*switch, since) for switch, since in on.items())
    return tuple(sorted(switches, key=lambda one: (one.since, one)))


def _end(facts: Facts, share: Event, book: RuleBook) -> int | None:
    """Return when a share ends: ``_OVER`` for one that never held or is over, None for no end."""
    own = share.actor_id == facts.subject_id and share.capacity == Capacity.SELF
    if not own or facts.birth is None or age_on(facts.birth, share.occurred_at) < CONSENT_AGE:
        return _OVER
    if facts.of(EventKind.ERASED) or _ended(facts, share, book) is not None:
        return _OVER
    return share.expires_at


def _ended(facts: Facts, share: Event, book: RuleBook) -> int | None:
    ends = [stamp(end) for end in facts.of(EventKind.UNSHARED) if end.consent_id == share.consent_id]
    for category in share.categories:
        denials = _denials(facts, share, Category(category), book)
        ends += [stamp(denial) for denial in denials if stamp(denial) >= share.occurred_at]
    if share.expires_at is not None and share.expires_at <= facts.now:
        ends.append(share.expires_at)
    return min(ends, default=None)


def _denials(facts: Facts, share: Event, category: Category, book: RuleBook) -> list[Event]:
    """Return the denials that reach a share; a primary account has no say in it.

    All of them where the book no longer knows the purpose: what cannot be told apart ends it.
    """
    purpose = book.purposes.get(Purpose(share.purpose))
    asked = Question(share.subject_id, Purpose(share.purpose), category, "", "", facts.now, facts.birth)
    if purpose is None:
        found = facts.denials_ever
    else:
        found = case_of(facts, asked, purpose, book, NO_NOTICES).denials_ever()
    return [one for one in found if one.capacity != Capacity.PRIMARY]


def is_shareable(book: RuleBook, category: Category, purpose: Purpose) -> bool:
    """Say whether some rule waits for a share of this category for this purpose; else it would be idle."""
    reached = [field for field in book.fields.values() if category == field.category]
    return any(
        Condition.SHARED in grant.conditions
        and grant.covers_purpose(purpose)
        and any(grant.object in field.objects for field in reached)
        for grant in book.grants.values()
    )
