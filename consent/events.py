"""What happened to one person's consent: the words and the shape of one append-only fact.

An event is never changed and never deleted; what is in force is always a fold over events
(``consent.rules``). A withdrawal therefore cannot destroy the evidence of the grant, and the answer for an
earlier instant stays what it was (个人信息保护法 第十五条第二款). Events carry pseudonymous ids, rule-book
words and the digest of a notice; never a value, a name or a telephone number.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class EventKind(StrEnum):
    """What happened. The last column of the comments says what the event does to a standing."""

    SERVED = "served"  # the notice was shown to the actor: the first third of a grant
    TICKED = "ticked"  # the actor ticked the box: the second third
    CODE_SENT = "code_sent"  # a one-time code went out: evidence only
    CONFIRMED = "confirmed"  # the actor answered with the code: the last third
    REFUSED = "refused"  # denial
    DEFERRED = "deferred"  # "not now": ends an open tick, leaves older grants alone
    WITHDRAWN = "withdrawn"  # denial by the person
    REVOKED = "revoked"  # denial by a guardian
    HIDDEN = "hidden"  # the categories are as absent for the viewer
    UNHIDDEN = "unhidden"  # ends exactly one such hiding
    SHARED = "shared"  # the categories are open to the viewer for the purpose; consent_id is the share's
    UNSHARED = "unshared"  # ends exactly the share that it names
    OBJECTED = "objected"  # denial; also ends a legal basis other than consent
    RESTRICTED = "restricted"  # as objected: storage only
    TAKEN_BACK = "taken_back"  # ends exactly the objection or restriction that it names, by whoever said it
    ERASED = "erased"  # the person is closed; nothing is permitted any more
    GUARDIAN_LINKED = "guardian_linked"  # the actor is the person's verified guardian from now on
    GUARDIAN_ENDED = "guardian_ended"
    JOINED = "joined"  # the actor is the primary account of the person's household from now on
    LEFT = "left"  # the primary account or the person left that household


class Capacity(StrEnum):
    """As what somebody acted for the person."""

    SELF = "self"
    GUARDIAN = "guardian"
    PRIMARY = "primary"
    SERVICE = "service"


class Event(NamedTuple):
    """One fact about one subject. A tuple, because a decision builds fifty of them in some microseconds.

    ``kind`` stays text: a kind that a newer version wrote is read as a denial, not as an error.
    ``purpose``, ``categories`` and ``recipient`` of a denial may be empty: then it denies all of them.
    ``consent_id`` of an objection or restriction is the request that led to it, by which it is taken back.
    An empty ``recipient`` of a grant is the controller itself with its processors. ``notice`` is
    ``id@version#sha256``. ``viewer`` is whom a hiding is meant for (empty: everybody but the person), with
    whom something is shared, and the household of ``joined`` and ``left``. Times are milliseconds since the
    epoch, UTC.
    """

    subject_id: str
    event_id: str
    kind: str
    consent_id: str
    purpose: str
    categories: frozenset[str]
    recipient: str
    notice: str
    actor_id: str
    capacity: str
    viewer: str
    occurred_at: int
    recorded_at: int
    expires_at: int | None
    evidence: str
