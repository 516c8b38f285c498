"""Reads in an emergency, after the fact: each waits for an officer, who hears the reason and judges it.

Promises that a review is opened in the transaction of the decision, and only when the emergency is what let
something through (个人信息保护法 第十三条第一款第四项); that the reason is sealed and never logged; that it
is opened for an officer only after the entry that says so is committed, which the member sees as well; and
that nobody judges a read of their own. The member is told afterwards (第十八条第二款).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import bindparam, insert, select, update

from audit import ledger
from audit.entry import Actor as LogActor
from audit.entry import ActorType, Entry, Kind, Party, Verdict
from governance.asking import Ask
from governance.database import Database
from governance.grounds import FieldDecision
from governance.identity import Caller
from governance.opening import Opening
from governance.records import AccessReview, Actor
from policies.identifiers import Prefix, new_id
from policies.reasons import Reason
from policies.transaction import Transaction

_review, _actor = AccessReview.__table__, Actor.__table__
_ENTITY: Final = "access_review"
_WAITING: Final = "waiting"
_KIND: Final = "emergency"
MOST: Final = 40
"""How many waiting reviews are shown at once, the oldest first."""
LONGEST_NOTE: Final = 200

_ADD: Final = insert(_review)
_SOME: Final = (
    select(
        _review.c.id,
        _review.c.decision_id,
        _review.c.actor_id,
        _actor.c.label,
        _review.c.subject,
        _review.c.text,
        _review.c.created_at,
    )
    .join_from(_review, _actor, _actor.c.id == _review.c.actor_id)
    .where(_review.c.state == _WAITING)
    .order_by(_review.c.created_at, _review.c.id)
    .limit(MOST)
)
_ONE: Final = (
    select(_review.c.actor_id, _review.c.subject, _review.c.decision_id, _review.c.state)
    .where(_review.c.id == bindparam("review"))
    .with_for_update()
)
_CLOSE: Final = (
    update(_review)
    .where(_review.c.id == bindparam("review"), _review.c.state == _WAITING)
    .values(
        state=bindparam("verdict"),
        closed_by=bindparam("officer"),
        closed_at=bindparam("now"),
        note=bindparam("words"),
    )
)


class Judgement(StrEnum):
    """What an officer thinks of a read in an emergency."""

    JUSTIFIED = "justified"
    UNJUSTIFIED = "unjustified"


class NoSuchReviewError(Exception):
    """There is no such review."""


class ReviewClosedError(Exception):
    """The review is closed, or it is about a read of the officer's own."""


@dataclass(frozen=True, slots=True)
class WaitingReview:
    """One read in an emergency that nobody has judged yet; ``subject`` is the pseudonym in hex."""

    id: str
    decision_id: str
    actor: str
    subject: str
    at: int
    reason: str
    own: bool


def open_reviews(
    tx: Transaction,
    opening: Opening,
    asks: Sequence[Ask],
    decisions: Sequence[Sequence[FieldDecision]],
    names: Mapping[str, bytes],
    now: int,
) -> None:
    """Open a review for each ask whose emergency let something through."""
    for ask, decided in zip(asks, decisions, strict=True):
        if not any(Reason.EMERGENCY_ACCESS in one.reasons for one in decided):
            continue
        review = new_id(Prefix.REVIEW)
        row = {
            "id": review,
            "kind": _KIND,
            "decision_id": ask.decision_id,
            "actor_id": ask.acting,
            "subject": names[ask.subject],
            "text": opening.seal_alone(tx, review, _ENTITY, ask.emergency, now).cell,
            "state": _WAITING,
            "created_at": now,
        }
        tx.run(_ADD, row)


class Emergencies:
    """The officers' desk for reads in an emergency."""

    def __init__(self, database: Database, opening: Opening) -> None:
        self._database = database
        self._opening = opening

    def waiting(self, officer: Caller, request_id: str, policy: str, now: int) -> list[WaitingReview]:
        """Return the reviews that wait, with their reasons; that they were heard is on record first."""
        with self._database.transaction() as tx:
            rows = tx.rows(_SOME)
            about = tuple(dict.fromkeys(bytes(row[4]) for row in rows))
            ledger.append(tx, [_entry("review.read", officer, about, request_id, policy, now)])
            tx.commit()
        with self._database.reading() as tx:
            return [
                WaitingReview(
                    review,
                    decision,
                    label or actor,
                    bytes(subject).hex(),
                    at,
                    self._opening.open_alone(tx, review, _ENTITY, text),
                    own=actor == officer.actor_id,
                )
                for review, decision, actor, label, subject, text, at in rows
            ]

    def close(
        self,
        officer: Caller,
        review: str,
        judgement: Judgement,
        note: str,
        *,
        request_id: str,
        policy: str,
        now: int,
    ) -> None:
        """Close a review with a judgement and a note, which is sealed beside the reason."""
        with self._database.transaction() as tx:
            rows = tx.rows(_ONE, {"review": review})
            if not rows:
                raise NoSuchReviewError
            actor, subject, decision, state = rows[0]
            if state != _WAITING or actor == officer.actor_id:
                raise ReviewClosedError
            words = self._opening.seal_beside(tx, review, _ENTITY, "note", note).cell
            closing = {
                "review": review,
                "verdict": judgement.value,
                "officer": officer.actor_id,
                "now": now,
                "words": words,
            }
            tx.run(_CLOSE, closing)
            act = f"review.{judgement.value}"
            entry = _entry(act, officer, (bytes(subject),), request_id, policy, now, review, decision)
            ledger.append(tx, [entry])
            tx.commit()


def _entry(
    act: str,
    officer: Caller,
    about: tuple[bytes, ...],
    request_id: str,
    policy: str,
    now: int,
    resource: str = "",
    corr: str = "",
) -> Entry:
    return Entry(
        t=now,
        kind=Kind.AUDIT if act == "review.read" else Kind.CHANGE,
        act=act,
        dec=Verdict.PERMIT,
        actor=LogActor(Party(ActorType.STAFF, officer.actor_id), tuple(sorted(officer.roles))),
        subjects=about,
        resource=resource,
        purpose="audit.review",
        policy=policy,
        request=request_id,
        corr=corr,
    )
