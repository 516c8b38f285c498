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
from consent import ties
from consent.ages import MAJORITY, age_on
from consent.events import Capacity
from governance import ending, moving, subjects
from governance.approvalrecords import lapse
from governance.facts import TICKET
from governance.moving import NotNowError, UnfitPartyError, UnknownPartyError
from governance.opening import Opening
from governance.records import Actor, RelationRow, Subject
from governance.rulekeeping import RuleKeeper
from governance.testimony import party
from policies.identifiers import Prefix
from policies.reasons import Reason
from policies.terms import (
    ActorId,
    Gender,
    HouseholdId,
    MemberId,
    Relation,
    Role,
    Scope,
    SubjectId,
    SubjectKind,
)
from policies.transaction import Transaction

_subject, _relation, _actor = Subject.__table__, RelationRow.__table__, Actor.__table__
_KINDS: Final = {Prefix.SERVICE: "service", Prefix.STAFF: "staff", Prefix.MEMBER: "member"}

_ADD_SUBJECT: Final = insert(_subject)
_ADD_ACTOR: Final = insert(_actor)
_HOME_OF: Final = select(_subject.c.household_id).where(
    _subject.c.id == bindparam("subject"), _subject.c.state == "active"
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
_OPEN: Final = select(_relation.c.actor_id, _relation.c.role).where(
    _relation.c.subject_id == bindparam("subject"),
    _relation.c.actor_id == bindparam("actor"),
    _relation.c.relation == bindparam("kind"),
    _relation.c.starts_at <= bindparam("now"),
    or_(_relation.c.ends_at.is_(None), _relation.c.ends_at > bindparam("now")),
)
_WISH: Final = update(_subject).where(_subject.c.id == bindparam("subject")).values(wishes=bindparam("words"))
_SERVING: Final = select(_actor.c.id).where(
    _actor.c.id == bindparam("actor"), _actor.c.kind == "staff", _actor.c.state == "active"
)
_RETIRE: Final = update(_actor).where(_actor.c.id == bindparam("actor")).values(state="ended")


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
        self._insert_subject(tx, SubjectId(household), SubjectKind.HOUSEHOLD, household)
        self._note(tx, "household.added", by, (SubjectId(household),), now)

    def ask_same_gender(
        self, tx: Transaction, household: HouseholdId, now: int, *, asked: bool = True, by: By = SYSTEM
    ) -> None:
        """Let a household ask for advisors of each member's own gender, or ask no longer (S12).

        The wish is copied to every member, because a decision reads the rows of its own subject only.
        """
        held = moving.hold(tx, household, None, now)
        tx.run(_WISH, {"subject": household, "words": subjects.SAME_GENDER_ADVISOR if asked else ""})
        for resident in held.living:
            moving.wish_anew(tx, resident, now)
        everybody = [SubjectId(household), *map(SubjectId, held.living)]
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

        Raises:
            UnknownPartyError: there is no such household.
            UnfitPartyError: a minor has a role of adults, or an adult that of minors.
            NotNowError: the household has a primary account already.
        """
        if any((role == moving.MINOR) != (age_on(birth, now) < MAJORITY) for role in roles):
            raise UnfitPartyError
        held = moving.hold(tx, household, None, now)
        self._insert_subject(tx, SubjectId(member), SubjectKind.MEMBER, household)
        self._insert_actor(tx, ActorId(member), "", ())
        self._opening.enter_birth(tx, self._keeper.latest.book, SubjectId(member), birth, now)
        for role in roles:
            moving.tie(tx, member, member, Relation.SELF, role, now)
        moving.move_in(tx, held, member, roles, now)
        self._note(tx, "member.added", by, (SubjectId(member), SubjectId(household)), now)

    def link_guardian(
        self,
        tx: Transaction,
        ward: MemberId,
        guardian: MemberId,
        evidence: str,
        now: int,
        by: By = SYSTEM,
        verifier: str = "",
    ) -> None:
        """Record a verified guardian of a minor; ``evidence`` names the document, never its content.

        Raises:
            UnknownPartyError: one of the two is not there.
            UnfitPartyError: the ward is no minor, or the guardian no adult, or an age is not known.
            NotNowError: the guardian is on record already.
        """
        for person in (ward, guardian):
            self._home(tx, SubjectId(person))
        subjects.change(tx, [SubjectId(ward)])
        if not self._is_minor(tx, ward, now) or self._is_minor(tx, guardian, now):
            raise UnfitPartyError
        if guardian in moving.guardians_of(tx, ward, now):
            raise NotNowError
        moving.tie(tx, ward, guardian, Relation.WARD, "guardian", now)
        ties.link_guardian(tx, ward, guardian, _verified(evidence, verifier), now)
        self._note(tx, "guardian.linked", by, (SubjectId(ward), SubjectId(guardian)), now)

    def end_guardian(
        self,
        tx: Transaction,
        ward: MemberId,
        guardian: MemberId,
        now: int,
        by: By = SYSTEM,
        evidence: str = "",
        verifier: str = "",
    ) -> None:
        """End a guardianship; every consent and every unused approval that rested on it stops holding.

        So does for good what the two share with each other, unless they live together.
        """
        subjects.change(tx, sorted([SubjectId(ward), SubjectId(guardian)]))
        self._end(tx, ward, guardian, Relation.WARD, now)
        moving.part(tx, ward, [guardian], now)
        ties.end_guardian(tx, ward, guardian, _verified(evidence, verifier), now)
        lapse(tx, SubjectId(ward), guardian)
        self._note(tx, "guardian.ended", by, (SubjectId(ward), SubjectId(guardian)), now)
        ended, policy = ending.given_for(tx, ward, guardian, Capacity.GUARDIAN), self._keeper.fingerprint(tx)
        ending.tell(tx, ended, Reason.NO_AUTHORITY, policy, now, by.request_id)

    def _is_minor(self, tx: Transaction, member: MemberId, now: int) -> bool:
        """Say whether a member is under 18; one whose birth date is not known is neither minor nor adult."""
        birth = self._opening.birth_of(tx, SubjectId(member))
        if birth is None:
            raise UnfitPartyError
        return age_on(birth, now) < MAJORITY

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
        """Put a subject into a member of staff's portfolio, for a term or until it is ended.

        Raises:
            UnknownPartyError: the subject or the member of staff is not there.
            UnfitPartyError: the role is none that is held over a portfolio.
            NotNowError: the member of staff has the subject in this role already.
        """
        self._home(tx, subject)
        self.refuse_no_staff(tx, staff)
        entry = self._keeper.in_force(tx).rules.book.roles.get(role)
        if entry is None or Scope.PORTFOLIO not in entry.scopes:
            raise UnfitPartyError
        subjects.change(tx, [subject])
        about = {"subject": subject, "actor": staff, "now": now, "kind": Relation.ASSIGNED.value}
        if any(held == role for _, held in tx.rows(_OPEN, about)):
            raise NotNowError
        moving.tie(tx, subject, staff, Relation.ASSIGNED, role, now, until)
        self._note(tx, "assignment.made", by, (subject,), now, resource=staff)

    def end_assignment(
        self, tx: Transaction, subject: SubjectId, staff: ActorId, now: int, by: By = SYSTEM
    ) -> None:
        """Take a subject out of a portfolio at once, and close the tickets that were open with it."""
        subjects.change(tx, [subject])
        self._end(tx, subject, staff, Relation.ASSIGNED, now)
        moving.end(tx, subject, staff, TICKET, now)
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
            moving.tie(tx, subject, staff, TICKET, "", now, until)
        self._note(tx, "ticket.opened", by, (subject,), now, resource=staff)

    def close_ticket(
        self, tx: Transaction, subject: SubjectId, staff: ActorId, now: int, by: By = SYSTEM
    ) -> None:
        """Close the ticket; what needed it is shut at this commit."""
        subjects.change(tx, [subject])
        if not moving.end(tx, subject, staff, TICKET, now):
            raise UnknownPartyError
        self._note(tx, "ticket.closed", by, (subject,), now, resource=staff)

    def refuse_no_staff(self, tx: Transaction, staff: ActorId) -> None:
        """Raise UnknownPartyError unless this is a member of staff who serves."""
        if not tx.rows(_SERVING, {"actor": staff}):
            raise UnknownPartyError

    def _home(self, tx: Transaction, subject: SubjectId) -> None:
        if not tx.rows(_HOME_OF, {"subject": subject}):
            raise UnknownPartyError

    def _insert_subject(
        self, tx: Transaction, subject: SubjectId, kind: SubjectKind, household: HouseholdId
    ) -> None:
        row = {"id": subject, "kind": kind.value, "household_id": household, "state": "active", "epoch": 1}
        tx.run(_ADD_SUBJECT, {**row, "wishes": ""})

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

    def _end(self, tx: Transaction, subject: str, actor: str, relation: Relation, now: int) -> None:
        if not moving.end(tx, subject, actor, relation, now):
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


def _verified(evidence: str, verifier: str) -> dict[str, str]:
    """Return how a guardianship was shown: which document was seen, and by whom."""
    said = {"reference": evidence, "verifier": verifier}
    return {name: word for name, word in said.items() if word}
