"""The rows of accesses under review: how they come in, what joins them, which are open.

One decision has at most one review, whoever opens it: a trigger that is found later joins, brings the
deadline forward where its own is earlier, and asks for a second officer where it needs one.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from sqlalchemy import bindparam, case, func, insert, null, select, tuple_, update

from governance.opening import Opening
from governance.oversightrecords import AccessReview
from governance.records import Actor
from policies.book import RuleBook
from policies.identifiers import Prefix, new_id
from policies.oversight import DAY_MS, HOUR_MS, Watch
from policies.transaction import Transaction
from policies.triggers import TRIGGERS, Trigger

ENTITY: Final = "access_review"
WAITING, SECOND, INQUIRY = "waiting", "second", "inquiry"
OPEN: Final = (WAITING, SECOND, INQUIRY)
EMERGENCY, ACCESS = "emergency", "access"
_WITHOUT_RULES: Final = Watch(active=True, per_mille=1000, due_days=2, two_people=True, minutes=0)
"""What holds for an emergency where the rules say nothing of reviews."""

_review, _actor = AccessReview.__table__, Actor.__table__
_c = _review.c

_ADD: Final = insert(_review)
_OF_DECISION: Final = select(_c.id, _c.triggers, _c.two_people, _c.sampled, _c.due_at).where(
    _c.decision_id == bindparam("decision")
)
_JOIN: Final = (
    update(_review)
    .where(_c.id == bindparam("review"))
    .values(
        triggers=bindparam("words"),
        two_people=bindparam("two"),
        sampled=bindparam("drawn"),
        due_at=bindparam("due"),
    )
)
_TOLD: Final = select(func.count()).where(
    _c.actor_id == bindparam("reader"),
    _c.created_at > bindparam("since"),
    _c.triggers.contains(Trigger.MASS_READ.value),
)
SOME: Final = (
    select(
        _c.id,
        _c.kind,
        _c.decision_id,
        _c.actor_id,
        func.coalesce(_actor.c.label, ""),
        _c.subject,
        _c.text,
        _c.state,
        _c.created_at,
        _c.triggers,
        _c.two_people,
        _c.due_at,
        _c.claimed_by,
        _c.claimed_until,
        _c.first_by,
    )
    .join_from(_review, _actor, _actor.c.id == _c.actor_id, isouter=True)
    .where(
        _c.state.in_(OPEN),
        tuple_(_c.due_at, _c.id) > tuple_(bindparam("after_due"), bindparam("after_id")),
    )
    .order_by(_c.due_at, _c.id)
    .limit(bindparam("most"))
)
ONE: Final = (
    select(
        _c.actor_id,
        _c.subject,
        _c.decision_id,
        _c.state,
        _c.two_people,
        _c.claimed_by,
        _c.claimed_until,
        _c.first_by,
        _c.first_verdict,
    )
    .where(_c.id == bindparam("review"))
    .with_for_update()
)
CLAIM: Final = (
    update(_review)
    .where(_c.id == bindparam("review"))
    .values(claimed_by=bindparam("officer"), claimed_until=bindparam("until"))
)
_FREE: Final[dict[str, Any]] = {"claimed_by": null(), "claimed_until": null()}
FIRST: Final = (
    update(_review)
    .where(_c.id == bindparam("review"))
    .values(
        state=SECOND,
        first_by=bindparam("officer"),
        first_at=bindparam("now"),
        first_verdict=bindparam("verdict"),
        first_note=bindparam("words"),
        **_FREE,
    )
)
INQUIRE: Final = (
    update(_review)
    .where(_c.id == bindparam("review"))
    .values(
        state=INQUIRY,
        # What waited for a second officer still needs two, however it ends: an inquiry is no way round them.
        two_people=case((_c.state == SECOND, 1), else_=_c.two_people),
        first_by=null(),
        first_at=null(),
        first_verdict="",
        first_note=null(),
        note=bindparam("words"),
        **_FREE,
    )
)
CLOSE: Final = (
    update(_review)
    .where(_c.id == bindparam("review"))
    .values(
        state=bindparam("verdict"),
        closed_by=bindparam("officer"),
        closed_at=bindparam("now"),
        note=bindparam("words"),
        agreed=bindparam("alike"),
        **_FREE,
    )
)
_drawn, _is_open = _c.sampled == 1, _c.state.in_(OPEN)
FIGURES: Final = select(
    func.count(case((_is_open, 1))),
    func.count(case((_is_open & (_c.due_at <= bindparam("now")), 1))),
    func.count(case((_drawn, 1))),
    func.count(case((_drawn & ~_is_open, 1))),
    func.count(_c.agreed),
    func.count(case((_c.agreed == 1, 1))),
)


class Fresh(NamedTuple):
    """An access to be reviewed: the decision, the reader, the subject's pseudonym, why, and when it was."""

    decision_id: str
    reader: str
    subject: bytes
    triggers: frozenset[Trigger]
    at: int


def add(tx: Transaction, opening: Opening, book: RuleBook, fresh: Fresh, now: int, reason: str = "") -> bool:
    """Open a review, or let the triggers join the one that this decision has; say whether it is new.

    ``reason`` is what was said in an emergency; it is sealed.
    """
    watches = [book.oversight.watches.get(one, _WITHOUT_RULES) for one in fresh.triggers]
    two = int(any(watch.two_people for watch in watches))
    due = fresh.at + min(watch.due_days for watch in watches) * DAY_MS
    drawn = int(Trigger.SAMPLED in fresh.triggers)
    for review, words, was_two, was_drawn, was_due in tx.rows(_OF_DECISION, {"decision": fresh.decision_id}):
        joined = {
            "review": review,
            "words": spelt({*triggers_of(words), *fresh.triggers}),
            "two": max(two, was_two),
            "drawn": max(drawn, was_drawn),
            "due": min(due, was_due),
        }
        tx.run(_JOIN, joined)
        return False
    review = new_id(Prefix.REVIEW)
    row = {
        "id": review,
        "kind": EMERGENCY if Trigger.BREAK_GLASS in fresh.triggers else ACCESS,
        "decision_id": fresh.decision_id,
        "actor_id": fresh.reader,
        "subject": fresh.subject,
        "text": opening.seal_alone(tx, review, ENTITY, reason, now).cell,
        "state": WAITING,
        "created_at": fresh.at,
        "triggers": spelt(fresh.triggers),
        "two_people": two,
        "sampled": drawn,
        "due_at": due,
        "first_verdict": "",
    }
    tx.run(_ADD, row)
    return True


def told_of_mass(tx: Transaction, reader: str, at: int) -> bool:
    """Say whether this reader's many people were put before somebody within the hour before an instant."""
    return bool(tx.rows(_TOLD, {"reader": reader, "since": at - HOUR_MS})[0][0])


def triggers_of(words: str) -> tuple[Trigger, ...]:
    """Return the triggers that a row names, the gravest first."""
    named = words.split()
    return tuple(trigger for trigger in Trigger if trigger.value in named)


def spelt(triggers: set[Trigger] | frozenset[Trigger]) -> str:
    """Return triggers as a row spells them."""
    return " ".join(word for word in TRIGGERS if TRIGGERS[word] in triggers)
