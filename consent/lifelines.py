"""What became of one consent, line by line, for its receipt: asked, given, ended, and by whom.

Pure: a view over how the consent stood at each instant (``consent.replaying``). A line is dated at the
instant of what decided it and names whoever did; time and rules speak through the controller. Two receipts
of one consent agree about the past, whenever they were issued.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final, NamedTuple

from consent.events import Capacity, Event, EventKind
from consent.facts import stamp
from consent.listing import GIVEN, Consent
from consent.replaying import Life, Stand, stands
from consent.vocabulary import urn
from consent.weighing import DENIAL_REASONS, confirm_before
from policies.identifiers import Prefix
from policies.reasons import Reason

ANOTHER_GUARDIAN: Final = "another-guardian"
"""How a receipt calls a guardian who is neither the person nor the giver: not by a name, nor a pseudonym."""


class Names(NamedTuple):
    """How a receipt names whoever acted: pseudonyms of the subject and the giver, and the controller's id."""

    subject: str
    actor: str
    controller: str


class Status(NamedTuple):
    """One line of a consent's history. ``ends_at`` is None for what lasts.

    ``reason`` is the code of why it does not hold, or not yet; empty where the term says all.
    """

    at: int
    term: str
    by: str
    ends_at: int | None
    method: str
    reason: str = ""


GIVEN_TERM: Final = "dpv:ConsentGiven"
_REQUESTED: Final = "dpv:ConsentRequested"
_ENDED: Final = "dpv:ConsentInvalidated"
_TERMS: Final = {
    Reason.EXPIRED: "dpv:ConsentExpired",
    Reason.WITHDRAWN: "dpv:ConsentWithdrawn",
    Reason.REVOKED: "dpv:ConsentRevoked",
    Reason.REFUSED_BY_PERSON: "dpv:ConsentRefused",
}
"""How an end is called; every other one means that the consent no longer holds: invalidated."""
_WAITING: Final = (Reason.GUARDIAN_REQUIRED, Reason.NO_CONSENT)
"""One of two has agreed where both must: asked for as long as it never held."""
_ASKED: Final = {EventKind.SERVED: _REQUESTED, EventKind.DEFERRED: "dpv:ConsentRequestDeferred"}
_DENIALS: Final = frozenset({*DENIAL_REASONS.values(), Reason.FACTS_UNAVAILABLE})
_BY_CALL: Final = (Reason.WITHDRAWN, Reason.REVOKED, Reason.REFUSED_BY_PERSON)
_PLACE: Final = {_REQUESTED: 0, "dpv:ConsentRequestDeferred": 1}
"""What comes first of what happened at one instant."""


def history(life: Life, names: Names) -> list[Status]:
    """Return everything that became of the consent, oldest first."""
    lines = [*_asked(life, names), *_turned(life, names)]
    return sorted(lines, key=lambda one: (one.at, _PLACE.get(one.term, len(_PLACE))))


def _asked(life: Life, names: Names) -> Iterator[Status]:
    consent = life.consent
    confirm_by = confirm_before(consent.ticked_at, life.book.limits)
    for event in life.events:
        own = event.consent_id == consent.consent_id and event.kind in _ASKED
        if own and max(event.occurred_at, event.recorded_at) <= life.at:
            at, term = event.occurred_at, _ASKED[EventKind(event.kind)]
            if event.kind == EventKind.SERVED:
                yield Status(at, term, urn("party", names.controller), confirm_by, "notice")
            else:
                yield Status(at, term, _who(event, consent, names), None, "one-call")


def _turned(life: Life, names: Names) -> Iterator[Status]:
    """Yield a line for every turn in how the consent stood, and for a no that came when it was over."""
    consent = life.consent
    before: Reason | None = None
    seen: set[str] = set()
    said: set[Reason] = set()
    held = False
    for stand in stands(life):
        fresh = [one for one in stand.denials if one.event_id not in seen and stamp(one) >= consent.ticked_at]
        seen |= {one.event_id for one in fresh}
        if stand.reason in GIVEN:
            if before not in GIVEN:
                yield _given(life, stand, names)
            held, said = True, set()
        elif (
            stand.reason is not before and stand.reason is not Reason.UNCONFIRMED and stand.reason not in said
        ):
            yield _unmet(life, stand, names) if _waits(stand, held=held) else _over(life, stand, names)
            said |= {stand.reason} & _DENIALS
        before = stand.reason
        if stand.reason in _DENIALS:
            continue
        for one in fresh:
            reason = DENIAL_REASONS.get(one.kind, Reason.FACTS_UNAVAILABLE)
            if reason not in said:
                yield _over(life, stand._replace(reason=reason, cause=one), names)
                said.add(reason)


def _waits(stand: Stand, *, held: bool) -> bool:
    return stand.reason in _WAITING and stand.ends_at is not None and not held


def _given(life: Life, stand: Stand, names: Names) -> Status:
    by = urn("person", names.actor)
    return Status(stand.at, GIVEN_TERM, by, stand.ends_at, _method(life, stand.at))


def _unmet(life: Life, stand: Stand, names: Names) -> Status:
    return _given(life, stand, names)._replace(term=_REQUESTED, reason=stand.reason.value)


def _over(life: Life, stand: Stand, names: Names) -> Status:
    code = stand.reason.value
    by = urn("party", names.controller) if stand.cause is None else _who(stand.cause, life.consent, names)
    method = "one-call" if stand.reason in _BY_CALL else code
    return Status(stand.at, _TERMS.get(stand.reason, _ENDED), by, None, method, code)


def _method(life: Life, now: int) -> str:
    """Return how the consent had been given by then, from the evidence of its own tick and confirmation."""
    own = (e for e in life.events if e.consent_id == life.consent.consent_id and e.occurred_at <= now)
    said = {e.kind: json.loads(e.evidence) for e in own if e.kind in (EventKind.TICKED, EventKind.CONFIRMED)}
    if any(one.get("via") == "import" for one in said.values()):
        return "imported-evidence"  # paper or another system: how it was given is there, not here
    if EventKind.CONFIRMED not in said:
        return "checkbox"
    return "checkbox+" + str(said[EventKind.CONFIRMED].get("method", "one_time_code")).replace("_", "-")


def _who(event: Event, consent: Consent, names: Names) -> str:
    """Return whoever acted: the giver, the person, a guardian who is not named here, or the controller."""
    if event.actor_id == consent.actor_id:
        return urn("person", names.actor)
    if event.actor_id == consent.subject_id:
        return urn("person", names.subject)
    if event.capacity == Capacity.GUARDIAN and event.actor_id.startswith(Prefix.MEMBER):
        return urn("person", ANOTHER_GUARDIAN)
    return urn("party", names.controller)
