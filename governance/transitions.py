"""What happens by itself on the day somebody reaches 14 or 18, and thirty days before.

Promises that whoever is concerned is told in advance, with every guardian; that the change itself needs no
guardian and no clock of ours (decisions look at the age, see ``consent.weighing``), and that this job only
does what facts must say: at 14 guardians' consents are recorded as ended (个人信息保护法 第三十一条), at 18
guardianship, the guardians' view and what waits for their approval end (民法典 第十七条), and both times
what can be hidden is hidden until the person shows it again. Birth dates are opened as facts, in bounded
batches that the log counts; nothing that is stored here says when somebody was born.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final, NamedTuple

from sqlalchemy import and_, bindparam, func, insert, or_, select, update

from audit import ledger
from audit.entry import Actor as LogActor
from audit.entry import ActorType, Entry, Kind, Party, Verdict
from consent import registry, ties
from consent.ages import CONSENT_AGE, DAY_MS, MAJORITY, reached_at
from consent.events import Capacity
from consent.listing import Consent
from consent.resets import RECORDER
from governance import ending, moving
from governance.approvalrecords import lapse
from governance.database import Database
from governance.moving import NotNowError, UnknownPartyError
from governance.opening import Opening
from governance.records import RelationRow, Subject, Transition
from governance.rulekeeping import RuleKeeper
from policies.book import RuleBook
from policies.reasons import Reason
from policies.terms import Category, MemberId, Relation, SubjectId, Tier
from policies.transaction import Transaction

NOTICE_MS: Final = 30 * DAY_MS
"""How long before the day itself a coming transition is announced."""
BATCH: Final = 100
"""How many birth dates are opened in one transaction, with one entry in the log."""

Listed = tuple[tuple[Consent, Reason], ...]

_relation, _subject, _transition = RelationRow.__table__, Subject.__table__, Transition.__table__
_SYSTEM: Final = Party(ActorType.SYSTEM, RECORDER)
_PROTECTOR: Final = registry.Actor(RECORDER, Capacity.SERVICE, {"reason": Reason.AGE_TRANSITION.value})
_runs: Final = or_(_relation.c.ends_at.is_(None), _relation.c.ends_at > bindparam("now"))
_MINORS: Final = (
    select(_relation.c.subject_id)
    .distinct()
    .join_from(_relation, _subject, _subject.c.id == _relation.c.subject_id)
    .where(
        _relation.c.subject_id > bindparam("after"),
        or_(
            and_(_relation.c.relation == Relation.SELF.value, _relation.c.role == str(moving.MINOR)),
            _relation.c.relation == Relation.WARD.value,
        ),
        _runs,
        _subject.c.state == "active",
    )
    .order_by(_relation.c.subject_id)
    .limit(bindparam("most"))
)
_SINCE: Final = (
    select(_relation.c.subject_id, func.min(_relation.c.starts_at))
    .where(
        _relation.c.subject_id.in_(bindparam("subjects", expanding=True)),
        _relation.c.relation == Relation.SELF.value,
    )
    .group_by(_relation.c.subject_id)
)
_MARKS: Final = select(_transition.c.subject_id, _transition.c.years, _transition.c.state).where(
    _transition.c.subject_id.in_(bindparam("subjects", expanding=True))
)
_MARK: Final = insert(_transition)
_MARK_ANEW: Final = (
    update(_transition)
    .where(_transition.c.subject_id == bindparam("subject"), _transition.c.years == bindparam("age"))
    .values(state=bindparam("become"))
)


class Stage(StrEnum):
    """How far a transition is: told in advance, or carried out."""

    ANNOUNCED = "announced"
    REACHED = "reached"


class Step(NamedTuple):
    """One thing to do about one person: announce or carry out the transition at ``years``."""

    years: int
    stage: Stage

    @property
    def act(self) -> str:
        """The word of the log."""
        return f"transition.{self.stage.value}.{self.years}"


@dataclass(slots=True)
class Report:
    """What a run found, in numbers: a list of names with ages would be a list of birthdays."""

    examined: int = 0
    unreadable: int = 0
    announced_14: int = 0
    announced_18: int = 0
    reached_14: int = 0
    reached_18: int = 0
    put_off: int = 0
    """Somebody moved at the same moment; the next run comes back to them."""

    def count(self, step: Step) -> None:
        """Count a step that was taken, or would be."""
        name = f"{step.stage.value}_{step.years}"
        setattr(self, name, getattr(self, name) + 1)


def due(birth: date, since: int, marks: Mapping[int, str], now: int) -> list[Step]:
    """Return what is to be done about a person, in order.

    Whoever was registered (``since``) at or after an age has no transition at that age.
    """
    steps = []
    for years in (CONSENT_AGE, MAJORITY):
        day = reached_at(birth, years)
        if since >= day or marks.get(years) == Stage.REACHED:
            continue
        if now >= day:
            steps.append(Step(years, Stage.REACHED))
        elif now >= day - NOTICE_MS and years not in marks:
            steps.append(Step(years, Stage.ANNOUNCED))
    return steps


def protected(book: RuleBook) -> list[Category]:
    """Return the most general categories that members may hide; hiding reaches down from them."""
    hideable = {one.id for one in book.categories.values() if one.tier is Tier.HIDEABLE}
    return sorted(one for one in hideable if book.categories[one].parent not in hideable)


class Transitions:
    """The job that a worker runs once a day. Stateless: a run that was cut short is simply run again."""

    def __init__(self, database: Database, keeper: RuleKeeper, opening: Opening) -> None:
        self._database = database
        self._keeper = keeper
        self._opening = opening

    def run(self, now: int, *, dry_run: bool = False) -> Report:
        """Announce and carry out what is due; a dry run opens the same dates, is logged, changes nothing."""
        report = Report()
        for member, steps in self._waiting(now, report):
            for step in steps:
                if dry_run or self._take(member, step, now, report):
                    report.count(step)
        return report

    def _waiting(self, now: int, report: Report) -> Iterator[tuple[MemberId, list[Step]]]:
        after = ""
        while True:
            with self._database.transaction() as tx:
                rows = tx.rows(_MINORS, {"after": after, "now": now, "most": BATCH})
                if not rows:
                    return
                members = [MemberId(row[0]) for row in rows]
                steps = self._due(tx, members, now, report)
                self._note(tx, "transition.examined", (), now, n=len(members))
                tx.commit()
            yield from steps.items()
            after = members[-1]

    def _due(
        self, tx: Transaction, members: list[MemberId], now: int, report: Report
    ) -> dict[MemberId, list[Step]]:
        births = self._opening.births_of(tx, [SubjectId(one) for one in members])
        since = {one: int(start) for one, start in tx.rows(_SINCE, {"subjects": members})}
        marks = _marks(tx, members)
        report.examined += len(members)
        report.unreadable += sum(births.get(SubjectId(one)) is None for one in members)
        return {
            one: due(birth, since.get(one, now), marks.get(one, {}), now)
            for one in members
            for birth in [births.get(SubjectId(one))]
            if birth is not None
        }

    def _take(self, member: MemberId, step: Step, now: int, report: Report) -> bool:
        try:
            return self._keeper.attempt(lambda: self._taken(member, step, now))
        except (NotNowError, UnknownPartyError):
            report.put_off += 1
            return False

    def _taken(self, member: MemberId, step: Step, now: int) -> bool:
        """Take one step, if it is still due under the person's lock."""
        with self._database.transaction() as tx:
            homes = moving.hold_all(tx, member, now)
            again = self._due(tx, [member], now, Report()).get(member, [])
            if step not in again:
                return False
            guardians = moving.guardians_of(tx, member, now)
            before: Listed = ()
            if step.stage is Stage.REACHED:
                before = self._grow_up(tx, member, homes, step.years, guardians, now)
            known = step.years in _marks(tx, [member]).get(member, {})
            if known:
                tx.run(_MARK_ANEW, {"subject": member, "age": step.years, "become": step.stage.value})
            else:
                tx.run(_MARK, {"subject_id": member, "years": step.years, "state": step.stage.value})
            grown = [one for one, state in before if state is Reason.AGE_TRANSITION]
            self._note(tx, step.act, (member, *guardians), now, n=len(grown))
            told = grown if step.years == CONSENT_AGE else _of_guardians_since(before)
            policy = self._keeper.fingerprint(tx)
            told = [one for one in told if one.withdrawn_at is None]
            ending.tell(tx, told, Reason.AGE_TRANSITION, policy, now)
            tx.commit()
            return True

    def _grow_up(
        self,
        tx: Transaction,
        member: MemberId,
        homes: list[moving.Held],
        years: int,
        guardians: tuple[MemberId, ...],
        now: int,
    ) -> Listed:
        """Carry a transition out; return the person's consents, as they stand on the day by age alone."""
        book = self._keeper.in_force(tx).rules.book
        birth = self._opening.birth_of(tx, SubjectId(member))
        held = registry.consents_of(tx, member, birth, now, book)
        for category in protected(book):
            registry.hide(tx, member, category, _PROTECTOR, now, viewer="")
        if years == MAJORITY:
            for guardian in guardians:
                moving.end(tx, member, guardian, Relation.WARD, now)
                ties.end_guardian(tx, member, guardian, {"reason": Reason.AGE_TRANSITION.value}, now)
            for home in homes:
                moving.take_role(tx, home, member, moving.ADULT, now)
            moving.take_own_role(tx, member, moving.ADULT, now)
            lapse(tx, SubjectId(member))
        return held

    def _note(self, tx: Transaction, act: str, about: tuple[MemberId, ...], now: int, *, n: int) -> None:
        names = ledger.pseudonyms(tx, [str(one) for one in about])
        entry = Entry(
            t=now,
            kind=Kind.CHANGE if about else Kind.ADMIN,
            act=act,
            dec=Verdict.PERMIT,
            actor=LogActor(_SYSTEM),
            why=(Reason.AGE_TRANSITION.value,) if about else (),
            subjects=tuple(names[one] for one in about),
            policy=self._keeper.fingerprint(tx),
            n=n,
        )
        ledger.append(tx, [entry])


def _of_guardians_since(listed: Listed) -> list[Consent]:
    """Return what guardians agreed to from 14 on, next to the person: at 18 only the person's own counts."""
    return [
        one
        for one, state in listed
        if one.capacity == Capacity.GUARDIAN and state is not Reason.AGE_TRANSITION
    ]


def _marks(tx: Transaction, members: list[MemberId]) -> dict[str, dict[int, str]]:
    found: dict[str, dict[int, str]] = {}
    for subject, years, stage in tx.rows(_MARKS, {"subjects": members}):
        found.setdefault(subject, {})[years] = stage
    return found
