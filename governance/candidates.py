"""Who and what a search looks at, in the order of ids, a chunk at a time.

Promises that nobody is left out who could be a result: whoever has a relation or an office is in it, and
who has neither is nobody to the subject. Each chunk is one keyed statement, so the cost of a page does
not grow with the number of members.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from sqlalchemy import bindparam, exists, or_, select

from governance.records import Actor, RelationRow, Subject
from policies.terms import ActorId, SubjectId
from policies.transaction import Transaction

MOST: Final = 512
"""How many candidates one page looks at. A page that finds little in them is short, and not the last."""

_CHUNK: Final = 64

_actor, _relation, _subject = Actor.__table__, RelationRow.__table__, Subject.__table__

_HOLDS: Final = (
    _relation.c.starts_at <= bindparam("now"),
    or_(_relation.c.ends_at.is_(None), _relation.c.ends_at > bindparam("now")),
)
_OF_KIND: Final = (
    select(_actor.c.id)
    .where(_actor.c.kind == bindparam("kind"), _actor.c.state == "active", _actor.c.id > bindparam("after"))
    .order_by(_actor.c.id)
    .limit(bindparam("most"))
)
_NEAR: Final = _OF_KIND.where(
    or_(
        _actor.c.roles != "",
        exists().where(
            _relation.c.subject_id == bindparam("subject"), _relation.c.actor_id == _actor.c.id, *_HOLDS
        ),
    )
)
# "Again" is a subject whose fields were told in part: the others are still to come.
_ALL: Final = (
    select(_subject.c.id)
    .where(
        _subject.c.state == "active",
        or_(_subject.c.id > bindparam("after"), _subject.c.id == bindparam("again")),
    )
    .order_by(_subject.c.id)
    .limit(bindparam("most"))
)
_KNOWN: Final = _ALL.where(
    exists().where(
        _relation.c.subject_id == _subject.c.id, _relation.c.actor_id == bindparam("actor"), *_HOLDS
    )
)
_OFFICES: Final = select(_actor.c.roles).where(_actor.c.id == bindparam("actor"), _actor.c.state == "active")


def of_kind(tx: Transaction, kind: str, after: str) -> Iterator[list[str]]:
    """Return the active members, staff or services."""
    while some := [row[0] for row in tx.rows(_OF_KIND, {"kind": kind, "after": after, "most": _CHUNK})]:
        yield some
        after = some[-1]


def near(tx: Transaction, kind: str, subject: SubjectId, after: str, now: int) -> Iterator[list[str]]:
    """Return those of a kind who are something to the subject, or hold an office."""
    place: dict[str, object] = {"kind": kind, "subject": subject, "now": now, "most": _CHUNK}
    while some := [row[0] for row in tx.rows(_NEAR, {**place, "after": after})]:
        yield some
        after = some[-1]


def known_to(
    tx: Transaction, actor: ActorId, only: str | None, start: str, now: int
) -> Iterator[list[SubjectId]]:
    """Return whom an actor may know of, from one on; ``only`` leaves at most that one."""
    offices = tx.rows(_OFFICES, {"actor": actor})
    if not offices:
        return
    statement = _ALL
    place: dict[str, object] = {"most": _CHUNK}
    if not offices[0][0]:
        statement, place = _KNOWN, {**place, "actor": actor, "now": now}
    if only is not None:
        # One that the actor may not know of is decided like any other: there is nothing to find about it.
        yield [SubjectId(only)]
        return
    again = start
    while some := [
        SubjectId(row[0]) for row in tx.rows(statement, {**place, "after": start, "again": again})
    ]:
        yield some
        start, again = some[-1], ""


def chunks(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    """Return keys a chunk at a time."""
    for start in range(0, len(keys), _CHUNK):
        yield keys[start : start + _CHUNK]
