"""Collects what a decision may look at, inside the deciding transaction.

Promises that relations, roles and standings are computed here from the subject's own rows and never
accepted from a caller; that a whole batch costs a constant number of statements, the same for a subject
that exists and one that does not; and that a fact that cannot be read makes its own ask unusable and no
other. The subjects' rows are locked before this module reads anything (``governance.vault``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, NamedTuple

from sqlalchemy import bindparam, or_, select

from consent import registry
from consent.ages import age_on
from consent.events import Event, EventKind
from consent.rules import Question, Standing, hidden_categories, standings
from governance.decision import Facts
from governance.records import Actor, RelationRow
from policies.book import RuleBook
from policies.terms import (
    ActorId,
    Category,
    FieldName,
    Purpose,
    Relation,
    Role,
    Scope,
    SubjectId,
    SubjectKind,
)
from policies.transaction import Transaction

_relation, _actor = RelationRow.__table__, Actor.__table__

_RELATIONS: Final = select(
    _relation.c.subject_id, _relation.c.actor_id, _relation.c.relation, _relation.c.role
).where(
    _relation.c.subject_id.in_(bindparam("subjects", expanding=True)),
    _relation.c.actor_id.in_(bindparam("actors", expanding=True)),
    _relation.c.starts_at <= bindparam("now"),
    or_(_relation.c.ends_at.is_(None), _relation.c.ends_at > bindparam("now")),
)
_ACTORS: Final = select(_actor.c.id, _actor.c.roles).where(
    _actor.c.id.in_(bindparam("actors", expanding=True)), _actor.c.state == "active"
)

# Strongest first: a guardian who also lives with the child asks as a guardian.
_STRENGTH: Final = {
    Relation.SELF: 0,
    Relation.WARD: 1,
    Relation.CORESIDENT: 2,
    Relation.ASSIGNED: 3,
    Relation.NONE: 4,
}
_HIDING: Final = frozenset({EventKind.HIDDEN.value, EventKind.UNHIDDEN.value})
_SCOPE_OF: Final = {
    Relation.SELF: Scope.HOUSEHOLD,
    Relation.WARD: Scope.HOUSEHOLD,
    Relation.CORESIDENT: Scope.HOUSEHOLD,
    Relation.ASSIGNED: Scope.PORTFOLIO,
}


class Wanted(NamedTuple):
    """For which subject, actor, purpose and fields the facts are collected."""

    subject: SubjectId
    acting: ActorId
    purpose: Purpose
    fields: tuple[FieldName, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """What was found about the subjects before: their kinds, their filled fields, their birth dates.

    ``birth`` answers None when the date is not known and raises when its cell does not open.
    """

    kinds: Mapping[SubjectId, SubjectKind]
    present: Callable[[SubjectId], frozenset[FieldName] | None]
    birth: Callable[[SubjectId], date | None]


def collect(tx: Transaction, book: RuleBook, wanted: Sequence[Wanted], known: Known, now: int) -> list[Facts]:
    """Return the facts of each wanted decision, in order. Three statements, whatever the size."""
    subjects = sorted({one.subject for one in wanted})
    actors = sorted({one.acting for one in wanted})
    between = _relations(tx, subjects, actors, now)
    offices = {ActorId(actor): roles.split() for actor, roles in tx.rows(_ACTORS, {"actors": actors})}
    events = registry.events_of(tx, subjects)
    return [_facts(book, one, known, between, offices, events.get(one.subject, ()), now) for one in wanted]


def _relations(
    tx: Transaction, subjects: Collection[str], actors: Collection[str], now: int
) -> Mapping[tuple[str, str], list[tuple[str, Role]]]:
    found: defaultdict[tuple[str, str], list[tuple[str, Role]]] = defaultdict(list)
    rows = tx.rows(_RELATIONS, {"subjects": subjects, "actors": actors, "now": now})
    for subject, actor, relation, role in rows:
        found[subject, actor].append((relation, Role(role)))
    return found


def _facts(
    book: RuleBook,
    one: Wanted,
    known: Known,
    between: Mapping[tuple[str, str], list[tuple[str, Role]]],
    offices: Mapping[ActorId, Sequence[str]],
    events: Sequence[Event],
    now: int,
) -> Facts:
    kind = known.kinds.get(one.subject)
    active = one.acting in offices
    ties = between.get((one.subject, one.acting), []) if active else []
    roles = frozenset((Scope.ORG, Role(role)) for role in offices.get(one.acting, ()))
    relation = Relation.NONE
    try:
        relation, held = _tied(ties)
        roles |= held
        birth = known.birth(one.subject)
        age = None if birth is None else age_on(birth, now)
        agreed, hides = _consent(book, one, events, birth, now)
        return Facts(kind, relation, roles, age, agreed, hides, known.present(one.subject), now)
    except Exception:  # noqa: BLE001 - whatever went wrong with this subject's facts: hide, and record that
        return Facts(kind, relation, roles, None, {}, frozenset(), frozenset(), now, usable=False)


def _tied(ties: Sequence[tuple[str, Role]]) -> tuple[Relation, frozenset[tuple[Scope, Role]]]:
    """Return the strongest relation and the roles held through relations.

    Raises ValueError for a relation that this version does not know: a newer one may mean a restriction.
    """
    known = [(Relation(tie), role) for tie, role in ties]
    strongest = min((tie for tie, _ in known), key=_STRENGTH.__getitem__, default=Relation.NONE)
    return strongest, frozenset((_SCOPE_OF[tie], role) for tie, role in known)


def _consent(
    book: RuleBook, one: Wanted, events: Sequence[Event], birth: date | None, now: int
) -> tuple[dict[Category, Standing], frozenset[Category]]:
    if one.purpose not in book.purposes:
        return {}, frozenset()
    categories = _categories(book, one.fields)
    # The standing is asked as if nothing were hidden, and hiding separately: a viewer who lacks consent
    # anyway must get the same reason whether or not the member has hidden something.
    said = [event for event in events if event.kind not in _HIDING]
    questions = [
        Question(
            subject_id=one.subject,
            purpose=one.purpose,
            category=category,
            recipient="",
            viewer=one.acting,
            now=now,
            birth=birth,
        )
        for category in categories
    ]
    found = dict(zip(categories, standings(said, questions, book), strict=True))
    if len(said) == len(events):
        return found, frozenset()
    return found, hidden_categories(events, categories, one.acting, now, birth)


def _categories(book: RuleBook, fields: Iterable[FieldName]) -> list[Category]:
    return list({book.fields[field].category for field in fields if field in book.fields})
