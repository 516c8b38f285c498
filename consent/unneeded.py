"""Since when a value is not needed any more because the consent it was taken for was withdrawn.

Pure. A withdrawal closes the value at once; this says when it is due to be deleted too
(个人信息保护法 第四十七条第一款第三项). While one of the purposes it was taken for is agreed to or lawful, it
is needed; and where nobody ever agreed, there was no consent whose end could matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final

from consent.events import Event, EventKind
from consent.rules import Question, standings
from consent.superseding import Notices
from policies.book import RuleBook
from policies.reasons import Reason
from policies.terms import Category, Purpose

_ENDED: Final = frozenset({Reason.WITHDRAWN, Reason.REVOKED})


def unneeded_since(
    events: Sequence[Event],
    category: Category,
    purposes: Iterable[Purpose],
    now: int,
    birth: date | None,
    book: RuleBook,
    notices: Notices,
) -> int | None:
    """Return the instant of the last withdrawal, after which no purpose is left; None while one is."""
    ticks = [event for event in events if event.kind == EventKind.TICKED and category in event.categories]
    agreed = {event.purpose for event in ticks}
    if agreed.isdisjoint(purposes := tuple(purposes)):
        return None
    subject = events[0].subject_id
    asked = [Question(subject, purpose, category, "", "", now, birth) for purpose in purposes]
    answers = standings(events, asked, book, notices)
    if any(answer.permits for answer in answers):
        return None
    at = {event.event_id: event.occurred_at for event in events}
    ends = [
        at[event_id]
        for purpose, answer in zip(purposes, answers, strict=True)
        if purpose in agreed and answer.reason in _ENDED
        for event_id in answer.event_ids
    ]
    return max(ends, default=None)
