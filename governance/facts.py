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

from consent import eventlog, noticeboard
from consent.ages import DAY_MS, MAJORITY, age_on, next_transition
from consent.events import Event, EventKind
from consent.resets import awaits_reset
from consent.rules import Question, Standing, hidden_categories, restricted_categories, standings
from consent.sharing import shared_until
from consent.superseding import Notices
from governance.grounds import Approved, Facts
from governance.records import Actor, Approval, RelationRow
from governance.subjects import SAME_GENDER_ADVISOR, SubjectRow
from policies.book import RuleBook
from policies.terms import (
    Action,
    ActorId,
    Category,
    FieldName,
    Gender,
    Purpose,
    Relation,
    Role,
    Scope,
    SubjectId,
    Tier,
)
from policies.transaction import Transaction

_relation, _actor, _approval = RelationRow.__table__, Actor.__table__, Approval.__table__

TICKET: Final = "ticket"
"""What stands for a relation in the row of a service ticket. It is none: it gives no role and no strength."""

_RELATIONS: Final = select(
    _relation.c.subject_id,
    _relation.c.actor_id,
    _relation.c.relation,
    _relation.c.role,
    _relation.c.ends_at,
).where(
    _relation.c.subject_id.in_(bindparam("subjects", expanding=True)),
    _relation.c.actor_id.in_(bindparam("actors", expanding=True)),
    _relation.c.starts_at <= bindparam("now"),
    or_(_relation.c.ends_at.is_(None), _relation.c.ends_at > bindparam("now")),
)
_ACTORS: Final = select(_actor.c.id, _actor.c.roles, _actor.c.gender).where(
    _actor.c.id.in_(bindparam("actors", expanding=True)), _actor.c.state == "active"
)
_APPROVALS: Final = select(
    _approval.c.subject_id,
    _approval.c.actor_id,
    _approval.c.act,
    _approval.c.purpose,
    _approval.c.fields,
    _approval.c.id,
    _approval.c.expires_at,
).where(
    _approval.c.subject_id.in_(bindparam("subjects", expanding=True)),
    _approval.c.actor_id.in_(bindparam("actors", expanding=True)),
    _approval.c.state == "approved",
    _approval.c.expires_at > bindparam("now"),
    _approval.c.used_at.is_(None),
)

# Held until the batch ends, ascending and after the subjects: two batches of one reader must not both find
# room under its limit. A batch in which nobody is counted holds no reader.
_READERS: Final = _ACTORS.order_by(_actor.c.id).with_for_update(key_share=True)

# Strongest first: a guardian who also lives with the child asks as a guardian.
_STRENGTH: Final = {
    Relation.SELF: 0,
    Relation.WARD: 1,
    Relation.CORESIDENT: 2,
    Relation.ASSIGNED: 3,
    Relation.NONE: 4,
}
_PER_VIEWER: Final = frozenset(
    {kind.value for kind in (EventKind.HIDDEN, EventKind.UNHIDDEN, EventKind.SHARED, EventKind.UNSHARED)}
)
_SCOPE_OF: Final = {
    Relation.SELF: Scope.HOUSEHOLD,
    Relation.WARD: Scope.HOUSEHOLD,
    Relation.CORESIDENT: Scope.HOUSEHOLD,
    Relation.ASSIGNED: Scope.PORTFOLIO,
}


class Wanted(NamedTuple):
    """For which subject, actor, purpose, fields and action the facts are collected."""

    subject: SubjectId
    acting: ActorId
    purpose: Purpose
    fields: tuple[FieldName, ...]
    action: Action


@dataclass(frozen=True, slots=True)
class Known:
    """What was found about the subjects before: their rows, their filled fields, what is sealed of them.

    ``present`` leaves out what may no longer be used for the purpose, swept or not. ``birth`` and ``gender``
    answer None when it is not known and raise when its cell does not open.
    """

    rows: Mapping[SubjectId, SubjectRow]
    present: Callable[[SubjectId, Purpose], frozenset[FieldName] | None]
    birth: Callable[[SubjectId], date | None]
    gender: Callable[[SubjectId], Gender | None]


class _Office(NamedTuple):
    """What is known of an active actor whomever it deals with."""

    roles: tuple[Role, ...]
    gender: str


class _Between(NamedTuple):
    """What is on record between one actor and one subject."""

    ties: list[tuple[str, Role, int | None]]
    tickets: list[int]
    approvals: list[tuple[Action, Purpose, str, Approved]]


_NOTHING: Final = _Between([], [], [])


def collect(
    tx: Transaction,
    book: RuleBook,
    wanted: Sequence[Wanted],
    known: Known,
    now: int,
    known_at: int | None = None,
    *,
    hold_readers: bool = False,
) -> list[Facts]:
    """Return the facts of each wanted decision, in order. Five statements, whatever the size.

    ``hold_readers`` keeps the rows of those who ask until the transaction ends.

    To ask again about a past instant, give it as ``now`` and as ``known_at``: what was recorded later, a
    withdrawal above all, is then left out. The live question counts every event.
    """
    subjects = sorted({one.subject for one in wanted})
    actors = sorted({one.acting for one in wanted})
    between = _between(tx, subjects, actors, now)
    offices = {
        ActorId(actor): _Office(tuple(map(Role, roles.split())), gender)
        for actor, roles, gender in tx.rows(_READERS if hold_readers else _ACTORS, {"actors": actors})
    }
    events = {
        subject: [event for event in said if known_at is None or event.recorded_at <= known_at]
        for subject, said in eventlog.events_of(tx, subjects).items()
    }
    said = [event for of_one in events.values() for event in of_one]
    notices = noticeboard.behind(tx, said, known_at)
    return [
        _facts(book, one, known, between, offices, events.get(one.subject, ()), notices, now)
        for one in wanted
    ]


def _between(
    tx: Transaction, subjects: Collection[str], actors: Collection[str], now: int
) -> Mapping[tuple[str, str], _Between]:
    found: defaultdict[tuple[str, str], _Between] = defaultdict(lambda: _Between([], [], []))
    asked = {"subjects": subjects, "actors": actors, "now": now}
    for subject, actor, relation, role, until in tx.rows(_RELATIONS, asked):
        if relation == TICKET:
            found[subject, actor].tickets.append(until)
        else:
            found[subject, actor].ties.append((relation, Role(role), until))
    for subject, actor, act, purpose, fields, approval, until in tx.rows(_APPROVALS, asked):
        found[subject, actor].approvals.append((act, purpose, fields, Approved(approval, until)))
    return found


def _facts(
    book: RuleBook,
    one: Wanted,
    known: Known,
    between: Mapping[tuple[str, str], _Between],
    offices: Mapping[ActorId, _Office],
    events: Sequence[Event],
    notices: Notices,
    now: int,
) -> Facts:
    row = known.rows.get(one.subject)
    kind = row.kind if row is not None and row.active else None
    office = offices.get(one.acting)
    ties, tickets, approvals = _NOTHING
    if office is not None:
        ties, tickets, approvals = between.get((one.subject, one.acting), _NOTHING)
    roles = frozenset((Scope.ORG, role) for role in (office.roles if office is not None else ()))
    relation = Relation.NONE
    try:
        relation, held = _tied(ties)
        birth = known.birth(one.subject)
        age = None if birth is None else age_on(birth, now)
        if relation is Relation.WARD and age is not None and age >= MAJORITY:
            # Guardianship ends with the day, not with the job that records its end.
            ties = [tie for tie in ties if tie[0] != Relation.WARD]
            relation, held = _tied(ties)
        roles |= held
        agreed, hides = _consent(book, one, events, notices, birth, now)
        categories = _categories(book, one.fields)
        if relation is not Relation.SELF and awaits_reset(events, birth, now):
            hides |= {word for word in categories if book.categories[word].tier is Tier.HIDEABLE}
        asked = None if row is None else SAME_GENDER_ADVISOR in row.wishes
        return Facts(
            kind,
            relation,
            roles,
            age,
            agreed,
            hides,
            known.present(one.subject, one.purpose),
            now,
            ticket=max(tickets, default=None),
            approvals=_approved(one, approvals),
            same_gender_asked=asked,
            other_gender=_other(office, known, one.subject) if asked else None,
            shared=_shared(book, one, events, birth, now),
            restricted=restricted_categories(events, one.purpose, categories, now, birth, book),
            changes_at=_changes_at(ties, birth, now) if roles else None,
        )
    except Exception:  # noqa: BLE001 - whatever went wrong with this subject's facts: hide, and record that
        return Facts(kind, relation, roles, None, {}, frozenset(), frozenset(), now, usable=False)


def _approved(
    one: Wanted, approvals: Iterable[tuple[Action, Purpose, str, Approved]]
) -> Mapping[FieldName, Approved]:
    """Return the approval that covers each field for exactly this act and purpose."""
    return {
        FieldName(field): approval
        for act, purpose, fields, approval in approvals
        if (act, purpose) == (one.action, one.purpose)
        for field in fields.split()
    }


def _other(office: _Office | None, known: Known, subject: SubjectId) -> bool | None:
    """Say whether the actor's gender is another than the member's; None where one is not known.

    Asked only where the household asks, and the cell is opened only for staff: the rest stays sealed.
    """
    if office is None or not office.gender:
        return None
    gender = known.gender(subject)
    return None if gender is None else office.gender != gender


def _changes_at(ties: Sequence[tuple[str, Role, int | None]], birth: date | None, now: int) -> int | None:
    """Return an instant before which neither a tie ends nor an age is reached; None if neither ever does."""
    changes = [until for _, _, until in ties if until is not None]
    ages = None if birth is None else next_transition(birth, now)
    if ages is not None:
        changes.append(min(ages, now + DAY_MS))
    return min(changes, default=None)


def _tied(ties: Sequence[tuple[str, Role, int | None]]) -> tuple[Relation, frozenset[tuple[Scope, Role]]]:
    """Return the strongest relation and the roles held through relations.

    Raises ValueError for a relation that this version does not know: a newer one may mean a restriction.
    """
    known = [(Relation(tie), role) for tie, role, _ in ties]
    strongest = min((tie for tie, _ in known), key=_STRENGTH.__getitem__, default=Relation.NONE)
    return strongest, frozenset((_SCOPE_OF[tie], role) for tie, role in known)


def _consent(
    book: RuleBook,
    one: Wanted,
    events: Sequence[Event],
    notices: Notices,
    birth: date | None,
    now: int,
) -> tuple[dict[Category, Standing], frozenset[Category]]:
    if one.purpose not in book.purposes:
        return {}, frozenset()
    categories = _categories(book, one.fields)
    # The standing is asked as if nothing were hidden or shared, and both separately: a viewer who lacks
    # consent anyway must get the same reason, and the same end of validity, whether or not the member has
    # hidden something from them or shared something with others.
    said = [event for event in events if event.kind not in _PER_VIEWER]
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
    found = dict(zip(categories, standings(said, questions, book, notices), strict=True))
    if len(said) == len(events):
        return found, frozenset()
    return found, hidden_categories(events, categories, one.acting, now, birth)


def _shared(
    book: RuleBook, one: Wanted, events: Sequence[Event], birth: date | None, now: int
) -> Mapping[Category, int | None]:
    return shared_until(events, one.purpose, _categories(book, one.fields), one.acting, now, birth, book)


def _categories(book: RuleBook, fields: Iterable[FieldName]) -> list[Category]:
    return list({book.fields[field].category for field in fields if field in book.fields})
