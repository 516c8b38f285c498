"""Which events count at an instant, and what they say about guardians, households and hiding.

Pure. Two rules of time. What opens something (a tick, a link, an unhiding) counts from the instant it both
occurred and was known; one that claims to have been recorded before it occurred never counts. What closes
something counts for the live question as soon as it stands in the log, whatever the clocks say: between
replicas clocks differ by milliseconds, and a withdrawal that has been acknowledged must bind at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from functools import lru_cache
from typing import Final, NamedTuple

from consent.ages import CONSENT_AGE, MAJORITY, age_on, next_transition
from consent.events import Capacity, Event, EventKind
from policies.identifiers import Prefix

THIRDS: Final = (EventKind.SERVED, EventKind.TICKED, EventKind.CONFIRMED)
"""The three events that together are an act of consent."""


class Thirds(NamedTuple):
    """What was served, ticked and confirmed by one actor in one capacity on the same terms."""

    served: list[Event]
    ticked: list[Event]
    confirmed: list[Event]


_TERMS: Final = slice(Event._fields.index("consent_id"), Event._fields.index("capacity") + 1)
"""What the three must have in common, as one slice of an event: it is taken for each event of a decision."""

_OPENING: Final = frozenset(
    {
        *THIRDS,
        EventKind.CODE_SENT,
        EventKind.UNHIDDEN,
        EventKind.SHARED,
        EventKind.GUARDIAN_LINKED,
        EventKind.JOINED,
        EventKind.TAKEN_BACK,
    }
)
_REVERSIBLE: Final = frozenset({EventKind.OBJECTED, EventKind.RESTRICTED})
"""The denials that can be taken back; after a withdrawal or a refusal only a new consent helps."""
_NO_DENIAL: Final = _OPENING | {
    EventKind.DEFERRED,
    EventKind.HIDDEN,
    EventKind.UNSHARED,
    EventKind.ERASED,
    EventKind.GUARDIAN_ENDED,
    EventKind.LEFT,
}


class Facts:
    """One person at one instant: the events that count, by kind, and the age.

    A person without a birth date counts as a child. ``denials_ever`` has every denial, ``denials`` those that
    were not taken back. ``changes_at`` is the first later instant at which the passing of time alone changes
    something here: one more of the given events counts, or 14 or 18 is reached.
    """

    __slots__ = (
        "_found",
        "_grants",
        "birth",
        "changes_at",
        "denials",
        "denials_ever",
        "is_child",
        "is_household",
        "is_minor",
        "known_at",
        "now",
        "subject_id",
    )

    def __init__(
        self, events: Iterable[Event], subject_id: str, now: int, known_at: int | None, birth: date | None
    ) -> None:
        self.subject_id = subject_id
        self.now = now
        self.known_at = known_at
        self.birth = birth
        self.is_household = subject_id.startswith(Prefix.HOUSEHOLD)
        age = 0 if birth is None else age_on(birth, now)
        self.is_child = age < CONSENT_AGE and not self.is_household
        self.is_minor = age < MAJORITY and not self.is_household
        self.changes_at = None if birth is None else next_transition(birth, now)
        self._found: dict[str, list[Event]] = {}
        for event in events:
            if event.subject_id != subject_id:
                continue
            start = _counts_from(event, known_at)
            if start is None:
                continue
            if start <= now:
                self._found.setdefault(event.kind, []).append(event)
            elif self.changes_at is None or start < self.changes_at:
                self.changes_at = start
        # A kind that this version does not know counts as a denial.
        self.denials_ever = [e for kind, same in self._found.items() if kind not in _NO_DENIAL for e in same]
        self.denials = self.denials_ever
        if self.of(EventKind.TAKEN_BACK):
            self.denials = [e for e in self.denials_ever if not self._is_taken_back(e)]
        self._grants: dict[str, Sequence[Thirds]] = {}

    def is_under(self, age: int) -> bool:
        """Say whether the person is below one of the two ages that the rules know, 14 or 18."""
        return self.is_child if age == CONSENT_AGE else self.is_minor

    def of(self, kind: EventKind) -> Sequence[Event]:
        """Return the events of one kind."""
        return self._found.get(kind, ())

    def grants(self, purpose: str) -> Sequence[Thirds]:
        """Return what was served, ticked and confirmed for a purpose, put together by the same terms."""
        grants = self._grants.get(purpose)
        if grants is None:
            alike: dict[object, Thirds] = {}
            for place, kind in enumerate(THIRDS):
                for event in self.of(kind):
                    if event.purpose == purpose:
                        terms = event[_TERMS]
                        if terms not in alike:
                            alike[terms] = Thirds([], [], [])
                        alike[terms][place].append(event)
            grants = self._grants[purpose] = tuple(alike.values())
        return grants

    def guardian_link(self, actor_id: str, since: int) -> Event | None:
        """Return the link that has made the actor the guardian from ``since`` on without a break."""
        links = (link for link in self.of(EventKind.GUARDIAN_LINKED) if link.actor_id == actor_id)
        ends = [end for end in self.of(EventKind.GUARDIAN_ENDED) if end.actor_id == actor_id]
        return _unbroken(links, ends, since)

    def primary_link(self, actor_id: str, since: int) -> Event | None:
        """Return the joining since which the actor is primary and the person lives in one household."""
        for joined in sorted(self.of(EventKind.JOINED), key=_age_order):
            if joined.actor_id != actor_id or joined.capacity != Capacity.PRIMARY:
                continue
            ends = [
                left
                for left in self.of(EventKind.LEFT)
                if left.viewer in ("", joined.viewer)
                and (left.actor_id == actor_id or left.capacity != Capacity.PRIMARY)
            ]
            if link := _unbroken((joined,), ends, since):
                return link
        return None

    def is_hidden(self, line: frozenset[str], viewer: str) -> bool:
        """Say whether one of the categories in ``line`` is hidden from the viewer.

        Each (category, viewer) pair is a switch of its own. It is switched back by the person, or by
        whoever switched it, strictly later; nobody else, a primary account least of all.
        """
        if viewer == self.subject_id:
            return False
        return any(
            not self.is_shown_again(hide, category)
            for hide in self.of(EventKind.HIDDEN)
            if hide.viewer in ("", viewer)
            for category in hide.categories & line
        )

    def _is_taken_back(self, denial: Event) -> bool:
        # Only by whoever said it, as what they said it. What names a denial came after it, so a tie is none.
        return (
            denial.kind in _REVERSIBLE
            and denial.consent_id != ""
            and any(
                (back.consent_id, back.actor_id, back.capacity)
                == (denial.consent_id, denial.actor_id, denial.capacity)
                and back.occurred_at >= stamp(denial)
                for back in self.of(EventKind.TAKEN_BACK)
            )
        )

    def is_shown_again(self, hide: Event, category: str) -> bool:
        """Say whether this hiding of the category has been switched back."""
        return any(
            category in unhide.categories
            and unhide.viewer == hide.viewer
            and unhide.occurred_at > stamp(hide)
            and unhide.actor_id in (self.subject_id, hide.actor_id)
            for unhide in self.of(EventKind.UNHIDDEN)
        )


@lru_cache(maxsize=4096)
def above(word: str) -> frozenset[str]:
    """Return a dotted word with everything more general: ``a.b`` lies under ``a`` and itself."""
    parts = word.split(".")
    return frozenset(".".join(parts[:length]) for length in range(1, len(parts) + 1))


def stamp(closing: Event) -> int:
    """Return the instant up to which a closing event beats what was opened."""
    return max(closing.occurred_at, closing.recorded_at)


def _counts_from(event: Event, known_at: int | None) -> int | None:
    occurred, recorded = event.occurred_at, event.recorded_at
    if event.kind in _OPENING:
        if occurred > recorded or (known_at is not None and recorded > known_at):
            return None
        return recorded if known_at is None else occurred
    if known_at is None:
        return 0
    return None if recorded > known_at else min(occurred, recorded)


def _unbroken(links: Iterable[Event], ends: Sequence[Event], since: int) -> Event | None:
    alive = [
        link
        for link in links
        if link.occurred_at <= since and not any(stamp(end) >= link.occurred_at for end in ends)
    ]
    return min(alive, key=_age_order, default=None)


def _age_order(event: Event) -> tuple[int, str]:
    return event.occurred_at, event.event_id
