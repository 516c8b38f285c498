"""Who there is and who is what to whom: households, members, guardianships, assignments, tickets, services.

Promises that relations are materialised per subject at the moment they begin, so that a decision reads
them with one keyed statement; that every change of a fact moves the epochs of all subjects it touches;
and that what ends is given an end and stays on record. Each function works in the caller's transaction
and appends its own entry to the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from sqlalchemy import bindparam, insert, or_, select, update

from audit import ledger
from audit.entry import Actor as LogActor
from audit.entry import ActorType, Entry, Kind, Party, Verdict
from consent import registry
from governance import subjects
from governance.facts import TICKET
from governance.opening import Opening
from governance.records import Actor, RelationRow, Subject
from governance.rulekeeping import RuleKeeper
from governance.testimony import party
from policies.identifiers import Prefix
from policies.terms import ActorId, Gender, HouseholdId, MemberId, Relation, Role, SubjectId, SubjectKind
from policies.transaction import Transaction

_subject, _relation, _actor = Subject.__table__, RelationRow.__table__, Actor.__table__
_KINDS: Final = {Prefix.SERVICE: "service", Prefix.STAFF: "staff", Prefix.MEMBER: "member"}

_ADD_SUBJECT: Final = insert(_subject)
_ADD_ACTOR: Final = insert(_actor)
_ADD_RELATION: Final = insert(_relation)
_HOME_OF: Final = select(_subject.c.household_id, _subject.c.wishes).where(
    _subject.c.id == bindparam("subject"), _subject.c.state == "active"
)
_RESIDENTS: Final = select(_relation.c.actor_id, _relation.c.role).where(
    _relation.c.subject_id == bindparam("household"),
    _relation.c.relation == Relation.CORESIDENT.value,
    or_(_relation.c.ends_at.is_(None), _relation.c.ends_at > bindparam("now")),
)
_END: Final = (
    update(_relation)
    .where(
        _relation.c.subject_id == bindparam("subject"),
        _relation.c.actor_id == bindparam("actor"),
        _relation.c.relation == bindparam("kind"),
        or_(_relation.c.ends_at.is_(None), _relation.c.ends_at > bindparam("now")),
    )
    .values(ends_at=bindparam("now"))
)
_PROLONG: Final = (
    update(_relation)
    .where(
        _relation.c.subject_id == bindparam("subject"),
        _relation.c.actor_id == bindparam("actor"),
        _relation.c.relation == TICKET,
        _relation.c.starts_at <= bindparam("now"),
        or_(_relation.c.ends_at.is_(None), _relation.c.ends_at > bindparam("now")),
    )
    .values(ends_at=bindparam("until"))
)
_OPEN: Final = select(_relation.c.actor_id).where(
    _relation.c.subject_id == bindparam("subject"),
    _relation.c.actor_id == bindparam("actor"),
    _relation.c.relation == bindparam("kind"),
    _relation.c.starts_at <= bindparam("now"),
    or_(_relation.c.ends_at.is_(None), _relation.c.ends_at > bindparam("now")),
)
_OF_HOUSEHOLD: Final = select(_subject.c.id).where(_subject.c.household_id == bindparam("household"))
_WISH: Final = (
    update(_subject)
    .where(_subject.c.household_id == bindparam("household"))
    .values(wishes=bindparam("words"))
)
_RETIRE: Final = update(_actor).where(_actor.c.id == bindparam("actor")).values(state="ended")


class UnknownPartyError(Exception):
    """A member, household or person named here does not exist or is closed."""


@dataclass(frozen=True, slots=True)
class By:
    """Who changes the graph, for the log: an actor, or the system itself where there is none."""

    actor_id: ActorId | None
    request_id: str = ""


SYSTEM: Final = By(None)


class Lifecycle:
    """Changes of the household graph. Stateless."""

    def __init__(self, opening: Opening, keeper: RuleKeeper) -> None:
        self._opening = opening
        self._keeper = keeper

    def add_actor(
        self,
        tx: Transaction,
        actor_id: ActorId,
        label: str,
        roles: Sequence[Role],
        now: int,
        gender: Gender | None = None,
    ) -> None:
        """Register a service or a member of staff with the roles it holds everywhere."""
        self._insert_actor(tx, actor_id, label, roles, gender)
        self._note(tx, "actor.added", SYSTEM, (), now, resource=actor_id)

    def retire_actor(self, tx: Transaction, actor_id: ActorId, now: int, by: By = SYSTEM) -> None:
        """End an actor: its credentials and roles stop counting at this commit."""
        tx.run(_RETIRE, {"actor": actor_id})
        self._note(tx, "actor.ended", by, (), now, resource=actor_id)

    def add_household(self, tx: Transaction, household: HouseholdId, now: int, by: By = SYSTEM) -> None:
        """Make an empty household."""
        self._insert_subject(tx, SubjectId(household), SubjectKind.HOUSEHOLD, household, "")
        self._note(tx, "household.added", by, (SubjectId(household),), now)

    def ask_same_gender(
        self, tx: Transaction, household: HouseholdId, now: int, *, asked: bool = True, by: By = SYSTEM
    ) -> None:
        """Let a household ask for advisors of each member's own gender, or ask no longer (S12).

        The wish is copied to every member, because a decision reads the rows of its own subject only.
        """
        self._held_home(tx, SubjectId(household))
        everybody = [SubjectId(row[0]) for row in tx.rows(_OF_HOUSEHOLD, {"household": household})]
        subjects.change(tx, everybody)
        tx.run(_WISH, {"household": household, "words": subjects.SAME_GENDER_ADVISOR if asked else ""})
        act = "profile.asked" if asked else "profile.unasked"
        self._note(tx, act, by, everybody, now, resource=subjects.SAME_GENDER_ADVISOR)

    def add_member(
        self,
        tx: Transaction,
        member: MemberId,
        household: HouseholdId,
        roles: Sequence[Role],
        birth: date,
        now: int,
        by: By = SYSTEM,
    ) -> None:
        """Let a new member live in a household; relatives and the newcomer become coresidents.

        The birth date is needed from the first moment: what the law forbids towards minors hangs on it.
        """
        wishes = self._held_home(tx, SubjectId(household))
        residents: dict[str, list[str]] = {}
        for actor, role in tx.rows(_RESIDENTS, {"household": household, "now": now}):
            residents.setdefault(actor, []).append(role)
        self._insert_subject(tx, SubjectId(member), SubjectKind.MEMBER, household, wishes)
        self._insert_actor(tx, ActorId(member), "", ())
        self._opening.enter_birth(tx, self._keeper.latest.book, SubjectId(member), birth, now)
        for role in roles:
            self._relate(tx, member, member, Relation.SELF, role, now)
            self._relate(tx, household, member, Relation.CORESIDENT, role, now)
            for resident in residents:
                self._relate(tx, resident, member, Relation.CORESIDENT, role, now)
        for resident, theirs in residents.items():
            for role in theirs:
                self._relate(tx, member, resident, Relation.CORESIDENT, Role(role), now)
            if "primary_account" in theirs:
                registry.link_primary(tx, member, resident, household, now)
        touched = [SubjectId(member), SubjectId(household), *map(SubjectId, residents)]
        subjects.change(tx, touched)
        self._note(tx, "member.added", by, (SubjectId(member), SubjectId(household)), now)

    def link_guardian(
        self, tx: Transaction, ward: MemberId, guardian: MemberId, evidence: str, now: int, by: By = SYSTEM
    ) -> None:
        """Record a verified guardian of a minor; ``evidence`` names the document, never its content."""
        self._home(tx, SubjectId(ward))
        self._home(tx, SubjectId(guardian))
        subjects.change(tx, [SubjectId(ward)])
        self._relate(tx, ward, guardian, Relation.WARD, Role("guardian"), now)
        registry.link_guardian(tx, ward, guardian, {"reference": evidence}, now)
        self._note(tx, "guardian.linked", by, (SubjectId(ward), SubjectId(guardian)), now)

    def end_guardian(
        self, tx: Transaction, ward: MemberId, guardian: MemberId, now: int, by: By = SYSTEM
    ) -> None:
        """End a guardianship; every consent that rested on it stops holding."""
        subjects.change(tx, [SubjectId(ward)])
        self._end(tx, ward, guardian, Relation.WARD, now)
        registry.end_guardian(tx, ward, guardian, {}, now)
        self._note(tx, "guardian.ended", by, (SubjectId(ward), SubjectId(guardian)), now)

    def assign(
        self,
        tx: Transaction,
        subject: SubjectId,
        staff: ActorId,
        role: Role,
        now: int,
        until: int | None = None,
        by: By = SYSTEM,
    ) -> None:
        """Put a subject into a member of staff's portfolio, for a term or until it is ended."""
        self._home(tx, subject)
        subjects.change(tx, [subject])
        self._relate(tx, subject, staff, Relation.ASSIGNED, role, now, until)
        self._note(tx, "assignment.made", by, (subject,), now, resource=staff)

    def end_assignment(
        self, tx: Transaction, subject: SubjectId, staff: ActorId, now: int, by: By = SYSTEM
    ) -> None:
        """Take a subject out of a portfolio at once, and close the tickets that were open with it."""
        subjects.change(tx, [subject])
        self._end(tx, subject, staff, Relation.ASSIGNED, now)
        tx.run(_END, {"subject": subject, "actor": staff, "kind": TICKET, "now": now})
        self._note(tx, "assignment.ended", by, (subject,), now, resource=staff)

    def open_ticket(
        self, tx: Transaction, subject: SubjectId, staff: ActorId, now: int, until: int, by: By = SYSTEM
    ) -> None:
        """Open a service ticket of a subject with the member of staff it is assigned to, for a term.

        A further opening gives the ticket a new term. Raises UnknownPartyError for anybody else's subject.
        """
        subjects.change(tx, [subject])
        about = {"subject": subject, "actor": staff, "now": now}
        if not tx.rows(_OPEN, {**about, "kind": Relation.ASSIGNED.value}):
            raise UnknownPartyError
        if not tx.run(_PROLONG, {**about, "until": until}):
            self._tie(tx, subject, staff, TICKET, "", now, until)
        self._note(tx, "ticket.opened", by, (subject,), now, resource=staff)

    def close_ticket(
        self, tx: Transaction, subject: SubjectId, staff: ActorId, now: int, by: By = SYSTEM
    ) -> None:
        """Close the ticket; what needed it is shut at this commit."""
        subjects.change(tx, [subject])
        if not tx.run(_END, {"subject": subject, "actor": staff, "kind": TICKET, "now": now}):
            raise UnknownPartyError
        self._note(tx, "ticket.closed", by, (subject,), now, resource=staff)

    def _home(self, tx: Transaction, subject: SubjectId) -> None:
        if not tx.rows(_HOME_OF, {"subject": subject}):
            raise UnknownPartyError

    def _held_home(self, tx: Transaction, household: SubjectId) -> str:
        """Hold a household against changes of its profile and its members; return what it asks for."""
        subjects.change(tx, [household])
        rows = tx.rows(_HOME_OF, {"subject": household})
        if not rows:
            raise UnknownPartyError
        return str(rows[0][1])

    def _insert_subject(
        self, tx: Transaction, subject: SubjectId, kind: SubjectKind, household: HouseholdId, wishes: str
    ) -> None:
        row = {"id": subject, "kind": kind.value, "household_id": household, "state": "active", "epoch": 1}
        tx.run(_ADD_SUBJECT, {**row, "wishes": wishes})

    def _insert_actor(
        self,
        tx: Transaction,
        actor_id: ActorId,
        label: str,
        roles: Sequence[Role],
        gender: Gender | None = None,
    ) -> None:
        prefix = Prefix(actor_id[: actor_id.index("_") + 1])
        tx.run(
            _ADD_ACTOR,
            {
                "id": actor_id,
                "kind": _KINDS[prefix],
                "label": label,
                "state": "active",
                "roles": " ".join(sorted(roles)),
                "gender": "" if gender is None else gender.value,
            },
        )

    def _relate(
        self,
        tx: Transaction,
        subject: str,
        actor: str,
        relation: Relation,
        role: Role,
        now: int,
        until: int | None = None,
    ) -> None:
        self._tie(tx, subject, actor, relation.value, role, now, until)

    def _tie(
        self, tx: Transaction, subject: str, actor: str, tie: str, role: str, now: int, until: int | None
    ) -> None:
        tx.run(
            _ADD_RELATION,
            {
                "subject_id": subject,
                "actor_id": actor,
                "relation": tie,
                "role": role,
                "starts_at": now,
                "ends_at": until,
            },
        )

    def _end(self, tx: Transaction, subject: str, actor: str, relation: Relation, now: int) -> None:
        ended = tx.run(_END, {"subject": subject, "actor": actor, "kind": relation.value, "now": now})
        if not ended:
            raise UnknownPartyError

    def _note(
        self,
        tx: Transaction,
        act: str,
        by: By,
        about: Sequence[SubjectId],
        now: int,
        resource: str = "",
    ) -> None:
        people = [*about, *([by.actor_id] if (by.actor_id or "").startswith(Prefix.MEMBER) else [])]
        names = ledger.pseudonyms(tx, [str(one) for one in people])
        actor = Party(ActorType.SYSTEM, "lifecycle") if by.actor_id is None else party(by.actor_id, names)
        entry = Entry(
            t=now,
            kind=Kind.CHANGE,
            act=act,
            dec=Verdict.PERMIT,
            actor=LogActor(actor),
            subjects=tuple(names[one] for one in about),
            resource=resource,
            policy=self._keeper.fingerprint(tx),
            request=by.request_id,
        )
        ledger.append(tx, [entry])
