"""What became of one consent, line by line, for its receipt: asked, given, ended, and by whom.

Pure: a view over the events of a subject and the published notices. The last line is how the consent stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Final, NamedTuple

from consent.events import Event, EventKind
from consent.listing import GIVEN, Consent, questions_of, state
from consent.rules import Question, act_of
from consent.superseding import Notices
from consent.vocabulary import urn
from consent.weighing import confirm_before
from policies.book import RuleBook
from policies.reasons import Reason


class Names(NamedTuple):
    """How a receipt names whoever acted: pseudonyms of the subject and the giver, and the controller's id."""

    subject: str
    actor: str
    controller: str


class Life(NamedTuple):
    """One consent with all that bears on it: its subject's events, the notices, the rules, at an instant."""

    consent: Consent
    events: Sequence[Event]
    birth: date | None
    book: RuleBook
    notices: Notices
    at: int
    names: Names

    @property
    def questions(self) -> list[Question]:
        """What to ask to learn how the consent stands."""
        return questions_of(self.consent, self.birth, self.at)


class Status(NamedTuple):
    """One line of a consent's history. ``ends_at`` is None for what lasts."""

    at: int
    term: str
    by: str
    ends_at: int | None
    method: str


_OF_EVENT: Final = {
    EventKind.SERVED: "dpv:ConsentRequested",
    EventKind.DEFERRED: "dpv:ConsentRequestDeferred",
    EventKind.REFUSED: "dpv:ConsentRefused",
    EventKind.WITHDRAWN: "dpv:ConsentWithdrawn",
    EventKind.REVOKED: "dpv:ConsentRevoked",
}
_OF_STATE: Final = {
    **dict.fromkeys(GIVEN, "dpv:ConsentGiven"),
    Reason.UNCONFIRMED: "dpv:ConsentRequested",
    Reason.EXPIRED: "dpv:ConsentExpired",
    Reason.WITHDRAWN: "dpv:ConsentWithdrawn",
    Reason.REVOKED: "dpv:ConsentRevoked",
    Reason.REFUSED_BY_PERSON: "dpv:ConsentRefused",
}
"""How a state is called; every other one means that the consent no longer holds: invalidated."""
_RAN_OUT: Final = (Reason.EXPIRED, Reason.NOTICE_SUPERSEDED)
"""The states that began when the consent's own time was over."""
_PLACE: Final = {"dpv:ConsentRequested": 0, "dpv:ConsentGiven": 1}
"""What comes first of what happened at one instant; a denial comes last, because it wins."""
_METHODS: Final = {"dpv:ConsentRequested": "notice", "dpv:ConsentGiven": "checkbox"}


def history(life: Life) -> list[Status]:
    """Return everything that became of the consent, oldest first; the last line is how it stands."""
    lines = sorted(_lived(life), key=lambda one: (one.at, _PLACE.get(one.term, len(_PLACE))))
    current = state(life.events, life.consent, life.birth, life.at, life.book, life.notices)
    term = _OF_STATE.get(current, "dpv:ConsentInvalidated")
    if lines[-1].term != term:
        given = [one for one in lines if one.term == "dpv:ConsentGiven"]
        at = life.at
        if current in _RAN_OUT and given:
            at = min(life.at, given[-1].ends_at or life.at)
        elif current in _DENIED:
            at = min(_denials(life.consent, life.events, _DENIED[current]), default=life.at)
        lines.append(Status(at, term, urn("party", life.names.controller), None, current.value))
    return lines


def _lived(life: Life) -> Iterator[Status]:
    consent, names = life.consent, life.names
    controller = urn("party", names.controller)
    confirm_by = confirm_before(consent.ticked_at, life.book.limits)
    for event in life.events:
        term = _OF_EVENT.get(EventKind(event.kind)) if event.kind in _OF_EVENT else None
        if event.consent_id != consent.consent_id or term is None:
            continue
        asked = event.kind == EventKind.SERVED
        by = controller if asked else _person(event.actor_id, consent, names)
        yield Status(
            event.occurred_at, term, by, confirm_by if asked else None, _METHODS.get(term, "one-call")
        )
    acts = [act_of(life.events, consent.consent_id, one, life.book, life.notices) for one in life.questions]
    held = [act for act in acts if act is not None and act.given_at]
    if held and len(held) == len(acts):
        method = "checkbox" if consent.confirmed_at is None else "checkbox+one-time-code"
        by = _person(consent.actor_id, consent, names)
        ends_at = min(act.ends_at for act in held)
        yield Status(max(act.given_at for act in held), "dpv:ConsentGiven", by, ends_at, method)


_DENIED: Final = {Reason.WITHDRAWN: EventKind.WITHDRAWN, Reason.REVOKED: EventKind.REVOKED}


def _denials(consent: Consent, events: Iterable[Event], kind: EventKind) -> Iterator[int]:
    """Yield when the person said no to more than this one consent, e.g. by an unsubscribe link."""
    since = consent.ticked_at
    return (e.occurred_at for e in events if e.kind == kind and not e.consent_id and e.occurred_at >= since)


def _person(actor_id: str, consent: Consent, names: Names) -> str:
    """Return the pseudonym of whoever acted: the giver, the person, or somebody who is not named here."""
    if actor_id == consent.actor_id:
        return urn("person", names.actor)
    return urn("person", names.subject if actor_id == consent.subject_id else "another-guardian")
