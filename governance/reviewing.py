"""The officers' desk for accesses under review: read, claim, judge, and be judged by a second pair of eyes.

Promises that the queue is shown only after the entry that says who read it is committed, which the members
it is about see as well; that a review is one officer's while the lease runs; that nobody judges an access of
their own, nor twice in one review; and that what is grave closes only when two have looked. The second does
not see what the first thought. Where the two differ the graver opinion holds, and that they differed is kept.
Notes may name people, so they are sealed beside the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

from audit import ledger
from audit.entry import Actor as LogActor
from audit.entry import ActorType, Entry, Kind, Party, Verdict
from governance import reviewrecords
from governance.database import Database
from governance.identity import Caller
from governance.opening import Opening
from governance.reviewrecords import ENTITY, INQUIRY, OPEN, SECOND, triggers_of
from governance.rulekeeping import RuleKeeper
from policies.oversight import MINUTE_MS
from policies.transaction import Transaction
from policies.triggers import Trigger

MOST: Final = 40
"""How many open reviews are shown at once, those due first."""
LONGEST_NOTE: Final = 200


class Judgement(StrEnum):
    """What an officer thinks of an access, the mildest first; ``inquiry`` keeps it open."""

    JUSTIFIED = "justified"
    INQUIRY = "inquiry"
    UNJUSTIFIED = "unjustified"


class NoSuchReviewError(Exception):
    """There is no such review."""


class ReviewClosedError(Exception):
    """The review is closed, or it is not this officer's to judge: their own access, or their own opinion."""


class ReviewClaimedError(Exception):
    """Another officer works on it; ``until`` is when the lease ends (milliseconds)."""

    def __init__(self, until: int) -> None:
        super().__init__("claimed")
        self.until = until


class Position(NamedTuple):
    """After which review a list goes on."""

    due_at: int
    id: str


START: Final = Position(-1, "")


@dataclass(frozen=True, slots=True)
class WaitingReview:
    """One access that waits; ``subject`` is the pseudonym in hex, ``reason`` what was said in an emergency.

    ``own``: it is not for this officer to judge. ``claimed_until`` is set while somebody works on it,
    ``mine`` whether that is this officer.
    """

    id: str
    kind: str
    decision_id: str
    actor: str
    subject: str
    at: int
    reason: str
    triggers: tuple[Trigger, ...]
    state: str
    due_at: int
    two_people: bool
    own: bool
    claimed_until: int | None
    mine: bool


class Figures(NamedTuple):
    """How far the reviewing has come: counts, never people."""

    open: int
    overdue: int
    sampled: int
    sampled_reviewed: int
    by_two: int
    agreed: int


@dataclass(frozen=True, slots=True)
class _Row:
    """A review as it is held to be worked on."""

    actor: str
    subject: bytes
    decision: str
    state: str
    two_people: bool
    claimed_by: str | None
    claimed_until: int | None
    first_by: str | None
    first_verdict: str


class Reviewing:
    """The desk. Stateless."""

    def __init__(self, database: Database, keeper: RuleKeeper, opening: Opening) -> None:
        self._database = database
        self._keeper = keeper
        self._opening = opening

    def waiting(
        self, officer: Caller, request_id: str, now: int, after: Position = START, most: int = MOST
    ) -> tuple[list[WaitingReview], Position | None]:
        """Return open reviews with their reasons, those due first, and where to go on; recorded first."""
        with self._database.transaction() as tx:
            asked = {"after_due": after.due_at, "after_id": after.id, "most": min(most, MOST) + 1}
            rows = tx.rows(reviewrecords.SOME, asked)
            shown = rows[: min(most, MOST)]
            about = tuple(dict.fromkeys(bytes(row[5]) for row in shown))
            self._note(tx, "review.read", officer, about, request_id, now)
            tx.commit()
        with self._database.reading() as tx:
            found = [self._opened(tx, row, officer, now) for row in shown]
        more = len(rows) > len(shown)
        return found, Position(found[-1].due_at, found[-1].id) if more else None

    def figures(self, now: int) -> Figures:
        """Return how far the reviewing has come."""
        with self._database.reading() as tx:
            return Figures(*tx.rows(reviewrecords.FIGURES, {"now": now})[0])

    def claim(self, officer: Caller, review: str, request_id: str, now: int) -> int:
        """Make a review this officer's for a while; return until when. Claiming again renews it.

        Raises:
            NoSuchReviewError: there is none of this id.
            ReviewClosedError: it is closed, or not this officer's to judge.
            ReviewClaimedError: another officer works on it.
        """
        return self._keeper.attempt(lambda: self._claim(officer, review, request_id, now))

    def _claim(self, officer: Caller, review: str, request_id: str, now: int) -> int:
        with self._database.transaction() as tx:
            row = _held(tx, review, officer, now)
            desk = self._keeper.in_force(tx).rules.book.oversight.desk
            until = now + desk.lease_minutes * MINUTE_MS
            tx.run(reviewrecords.CLAIM, {"review": review, "officer": officer.actor_id, "until": until})
            self._note(tx, "review.claimed", officer, (row.subject,), request_id, now, review, row.decision)
            tx.commit()
        return until

    def decide(
        self, officer: Caller, review: str, judgement: Judgement, note: str, request_id: str, now: int
    ) -> str:
        """Take an opinion with its note; return the state the review is in now.

        Raises:
            NoSuchReviewError: there is none of this id.
            ReviewClosedError: it is closed, or not this officer's to judge.
            ReviewClaimedError: another officer works on it.
        """
        with self._database.transaction() as tx:
            row = _held(tx, review, officer, now)
            column = "first_note" if _is_first(row, judgement) else "note"
            said = {
                "review": review,
                "officer": officer.actor_id,
                "now": now,
                "words": self._opening.seal_beside(tx, review, ENTITY, column, note).cell,
            }
            state, act = _settle(tx, row, judgement, said)
            self._note(tx, act, officer, (row.subject,), request_id, now, review, row.decision)
            tx.commit()
        return state

    def _opened(self, tx: Transaction, row: Any, officer: Caller, now: int) -> WaitingReview:
        id_, kind, decision, actor, label, subject, text, state, at, words, two, due, by, until, first = row
        held = until is not None and until > now
        return WaitingReview(
            id_,
            kind,
            decision,
            label or actor,
            bytes(subject).hex(),
            at,
            self._opening.open_alone(tx, id_, ENTITY, bytes(text)),
            triggers_of(words),
            state,
            due,
            bool(two),
            own=officer.actor_id in (actor, first),
            claimed_until=until if held else None,
            mine=held and by == officer.actor_id,
        )

    def _note(
        self,
        tx: Transaction,
        act: str,
        officer: Caller,
        about: tuple[bytes, ...],
        request_id: str,
        now: int,
        resource: str = "",
        corr: str = "",
    ) -> None:
        entry = Entry(
            t=now,
            kind=Kind.AUDIT if act == "review.read" else Kind.CHANGE,
            act=act,
            dec=Verdict.PERMIT,
            actor=LogActor(Party(ActorType.STAFF, officer.actor_id), tuple(sorted(officer.roles))),
            subjects=about,
            resource=resource,
            purpose="audit.review",
            policy=self._keeper.fingerprint(tx),
            request=request_id,
            corr=corr,
        )
        ledger.append(tx, [entry])


def _held(tx: Transaction, review: str, officer: Caller, now: int) -> _Row:
    """Return a review under its row's lock, if this officer may work on it now."""
    rows = tx.rows(reviewrecords.ONE, {"review": review})
    if not rows:
        raise NoSuchReviewError
    actor, subject, decision, state, two, by, until, first, verdict = rows[0]
    row = _Row(actor, bytes(subject), decision, state, bool(two), by, until, first, verdict)
    if row.state not in OPEN or officer.actor_id in (row.actor, row.first_by):
        raise ReviewClosedError
    if row.claimed_until is not None and row.claimed_until > now and row.claimed_by != officer.actor_id:
        raise ReviewClaimedError(row.claimed_until)
    return row


def _is_first(row: _Row, judgement: Judgement) -> bool:
    """Say whether this opinion only waits for a second one."""
    if judgement is Judgement.INQUIRY or row.state == SECOND:
        return False
    return row.two_people or judgement is Judgement.UNJUSTIFIED


def _settle(tx: Transaction, row: _Row, judgement: Judgement, said: dict[str, object]) -> tuple[str, str]:
    """Write an opinion down; return the state it leads to and the act for the log."""
    if judgement is Judgement.INQUIRY:
        tx.run(reviewrecords.INQUIRE, {"review": said["review"], "words": said["words"]})
        return INQUIRY, "review.inquiry"
    if _is_first(row, judgement):
        tx.run(reviewrecords.FIRST, {**said, "verdict": judgement.value})
        return SECOND, f"review.first.{judgement.value}"
    final: Judgement = judgement
    alike: int | None = None
    if row.state == SECOND:
        first = Judgement(row.first_verdict)
        order = list(Judgement)
        final, alike = max(first, judgement, key=order.index), int(first is judgement)
    tx.run(reviewrecords.CLOSE, {**said, "verdict": final.value, "alike": alike})
    return final.value, f"review.{final.value}"
