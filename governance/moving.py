"""Who lives with whom: moving in, moving out, and changing roles in a household, as rows and consent events.

Promises that ties are ended, never deleted; that two people who share another household stay relatives when
one household is left (a child may live in two); that what a primary account agreed to for others stops with
its role or with either leaving; and that what people shared with each other ends for good when they are no
family any longer, while own consents, guardianship and evidence stay. Functions work in the caller's
transaction; ``hold`` locks everybody whom a change touches, households first, ids ascending.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from sqlalchemy import bindparam, insert, or_, select, update

from consent import registry, ties
from governance import subjects
from governance.records import RelationRow, Subject
from policies.identifiers import Prefix
from policies.terms import HouseholdId, MemberId, Relation, Role, SubjectId
from policies.transaction import Transaction

PRIMARY: Final = Role("primary_account")
MINOR: Final = Role("minor_member")
ADULT: Final = Role("adult_member")

_subject, _relation = Subject.__table__, RelationRow.__table__
_runs: Final = or_(_relation.c.ends_at.is_(None), _relation.c.ends_at > bindparam("now"))
_ADD: Final = insert(_relation)
_END: Final = (
    update(_relation)
    .where(
        _relation.c.subject_id == bindparam("subject"),
        _relation.c.actor_id == bindparam("actor"),
        _relation.c.relation == bindparam("kind"),
        _runs,
    )
    .values(ends_at=bindparam("now"))
)
_OPEN: Final = select(_relation.c.subject_id, _relation.c.actor_id, _relation.c.role).where(
    _relation.c.subject_id.in_(bindparam("subjects", expanding=True)),
    _relation.c.relation == bindparam("kind"),
    _runs,
)
_HOMES: Final = (
    select(_relation.c.subject_id)
    .distinct()
    .join_from(_relation, _subject, _subject.c.id == _relation.c.subject_id)
    .where(
        _relation.c.actor_id == bindparam("actor"),
        _relation.c.relation == Relation.CORESIDENT.value,
        _subject.c.kind == "household",
        _runs,
    )
    .order_by(_relation.c.subject_id)
)
_MAIN: Final = (
    update(_subject).where(_subject.c.id == bindparam("subject")).values(household_id=bindparam("home"))
)
_WISHES: Final = select(_subject.c.wishes).where(_subject.c.id.in_(bindparam("subjects", expanding=True)))
_WISH: Final = update(_subject).where(_subject.c.id == bindparam("subject")).values(wishes=bindparam("words"))


class UnknownPartyError(Exception):
    """A member, household or person named here does not exist, is closed, or is not the caller's."""


class UnfitPartyError(Exception):
    """Who is named is of the wrong age, office or role for this."""


class NotNowError(Exception):
    """The present state does not allow this: somebody lives there already, or elsewhere, or has the role."""


class Held(NamedTuple):
    """A household that is locked with everybody in it, and with one person more who moves."""

    household: HouseholdId
    living: Mapping[MemberId, frozenset[Role]]
    homes: tuple[HouseholdId, ...]
    """The households of the person who moves."""

    @property
    def primary(self) -> MemberId | None:
        """The household's primary account, None where the last one left."""
        return next((one for one, roles in self.living.items() if PRIMARY in roles), None)


def end(tx: Transaction, subject: str, actor: str, kind: str, now: int) -> int:
    """End the open ties of this kind; return how many there were."""
    return tx.run(_END, {"subject": subject, "actor": actor, "kind": str(kind), "now": now})


def tie(
    tx: Transaction, subject: str, actor: str, kind: str, role: str, now: int, until: int | None = None
) -> None:
    """Begin a tie: what an actor is to a subject from now on."""
    row = {"subject_id": subject, "actor_id": actor, "relation": str(kind), "role": str(role)}
    tx.run(_ADD, {**row, "starts_at": now, "ends_at": until})


def residents(tx: Transaction, household: str, now: int) -> dict[MemberId, frozenset[Role]]:
    """Return who lives in a household, each with the roles held there."""
    return _tied(tx, [household], Relation.CORESIDENT, now).get(household, {})


def homes_of(tx: Transaction, member: str, now: int) -> tuple[HouseholdId, ...]:
    """Return the households somebody lives in."""
    return tuple(HouseholdId(row[0]) for row in tx.rows(_HOMES, {"actor": member, "now": now}))


def hold(tx: Transaction, household: HouseholdId, member: MemberId | None, now: int) -> Held:
    """Lock a household, everybody in it, and the person who is to move with the homes that person has.

    Raises:
        UnknownPartyError: the household or the person does not exist or is closed.
        NotNowError: the person moved elsewhere in this very moment.
    """
    homes = () if member is None else homes_of(tx, member, now)
    living = _lock(tx, {household, *homes}, member, homes, now)
    return Held(household, living[household], homes)


def hold_all(tx: Transaction, member: MemberId, now: int) -> list[Held]:
    """Lock somebody with all the households that person lives in; errors as ``hold``."""
    homes = homes_of(tx, member, now)
    living = _lock(tx, set(homes), member, homes, now)
    return [Held(home, living[home], homes) for home in homes]


def _lock(
    tx: Transaction,
    households: Collection[HouseholdId],
    member: MemberId | None,
    homes: tuple[HouseholdId, ...],
    now: int,
) -> dict[HouseholdId, dict[MemberId, frozenset[Role]]]:
    """Lock households, then everybody in them; ids of households sort before those of members."""
    rows = subjects.change(tx, sorted(map(SubjectId, households))) if households else {}
    if not all(SubjectId(one) in rows and rows[SubjectId(one)].active for one in households):
        raise UnknownPartyError
    living = {one: residents(tx, one, now) for one in sorted(households)}
    people = {SubjectId(one) for there in living.values() for one in there}
    known = subjects.change(tx, sorted(people | ({SubjectId(member)} if member else set())))
    if member is not None:
        if SubjectId(member) not in known:
            raise UnknownPartyError
        if homes_of(tx, member, now) != homes:
            raise NotNowError
    return living


def move_in(tx: Transaction, held: Held, member: MemberId, roles: Sequence[Role], now: int) -> None:
    """Let somebody live in a held household: relatives and the newcomer become coresidents.

    Raises:
        NotNowError: the person lives there already, or the household has a primary account already.
    """
    if member in held.living or (PRIMARY in roles and held.primary is not None):
        raise NotNowError
    known = _tied(tx, [member, *held.living], Relation.CORESIDENT, now)
    for role in roles:
        tie(tx, held.household, member, Relation.CORESIDENT, role, now)
        for other in held.living:
            if role not in known.get(other, {}).get(member, ()):
                tie(tx, other, member, Relation.CORESIDENT, role, now)
    for other, theirs in held.living.items():
        for role in sorted(theirs - known.get(member, {}).get(other, frozenset())):
            tie(tx, member, other, Relation.CORESIDENT, role, now)
        if PRIMARY in theirs:
            ties.link_primary(tx, member, other, held.household, now)
        if PRIMARY in roles:
            ties.link_primary(tx, other, member, held.household, now)
    if not held.homes:
        tx.run(_MAIN, {"subject": member, "home": held.household})
    wish_anew(tx, member, now)


def move_out(tx: Transaction, held: Held, member: MemberId, now: int) -> None:
    """Let somebody leave a held household: every tie that rested on living there ends at this commit.

    What the person is to children as a guardian, staff to the person, and all data and evidence stay.

    Raises:
        UnknownPartyError: the person does not live there.
    """
    if member not in held.living:
        raise UnknownPartyError
    elsewhere = [home for home in held.homes if home != held.household]
    still = {one for home in elsewhere for one in residents(tx, home, now)}
    end(tx, held.household, member, Relation.CORESIDENT, now)
    others = [one for one in held.living if one != member]
    for other in others:
        if other not in still:
            end(tx, other, member, Relation.CORESIDENT, now)
            end(tx, member, other, Relation.CORESIDENT, now)
    part(tx, member, others, now)
    ties.leave(tx, member, held.household, now)
    if held.primary == member:
        for other in others:
            ties.end_primary(tx, other, member, held.household, now)
        take_own_role(tx, member, ADULT, now)
    tx.run(_MAIN, {"subject": member, "home": elsewhere[0] if elsewhere else ""})
    wish_anew(tx, member, now)


def part(tx: Transaction, member: MemberId, others: Collection[MemberId], now: int) -> None:
    """End for good what a member shares with others and they with the member, where no tie is left.

    Whoever still lives together, or is guardian and ward, is passed over. The caller holds all of them and
    has ended the ties that end.
    """
    kin: set[str] = set()
    for kind in (Relation.CORESIDENT, Relation.WARD):
        ties = _tied(tx, [member, *others], kind, now)
        kin.update(ties.get(member, ()))
        kin.update(one for one in others if member in ties.get(one, ()))
    strangers = [one for one in others if one not in kin]
    if strangers:
        registry.unshare_between(tx, member, strangers, {"cause": "parted"}, now)


def hand_over(tx: Transaction, held: Held, successor: MemberId, now: int) -> None:
    """Make a resident of a held household its primary account in place of the present one.

    What the old one agreed to for others stops holding; it stays in the household as an adult.

    Raises:
        NotNowError: there is no primary account, or the successor does not live there as an adult.
    """
    old = held.primary
    if old is None or old == successor or MINOR in held.living.get(successor, {MINOR}):
        raise NotNowError
    for other in held.living:
        if other != old:
            ties.end_primary(tx, other, old, held.household, now)
    take_role(tx, held, old, ADULT, now)
    _head(tx, held, successor, now)


def claim(tx: Transaction, held: Held, member: MemberId, now: int) -> None:
    """Make a resident of a held household its primary account where there is none.

    Raises:
        UnknownPartyError: the person does not live there as an adult.
        NotNowError: there is a primary account.
    """
    if MINOR in held.living.get(member, {MINOR}):
        raise UnknownPartyError
    if held.primary is not None:
        raise NotNowError
    _head(tx, held, member, now)


def _head(tx: Transaction, held: Held, member: MemberId, now: int) -> None:
    for other in held.living:
        if other != member:
            ties.link_primary(tx, other, member, held.household, now)
    take_role(tx, held, member, PRIMARY, now)


def take_role(tx: Transaction, held: Held, member: MemberId, role: Role, now: int) -> None:
    """Give a resident another role, towards the household, its residents and the person's own data."""
    others = [one for one in held.living if one != member]
    _assume(tx, [held.household, *others], member, Relation.CORESIDENT, role, now)
    take_own_role(tx, member, role, now)


def take_own_role(tx: Transaction, member: MemberId, role: Role, now: int) -> None:
    """Give somebody another role towards their own data."""
    _assume(tx, [member], member, Relation.SELF, role, now)


def own_roles(tx: Transaction, member: MemberId, now: int) -> frozenset[Role]:
    """Return the roles somebody has towards their own data."""
    return _tied(tx, [member], Relation.SELF, now).get(member, {}).get(member, frozenset())


def wish_anew(tx: Transaction, member: MemberId, now: int) -> None:
    """Copy to a member what its households ask for: what one of them asks for, holds."""
    rows = tx.rows(_WISHES, {"subjects": homes_of(tx, member, now)})
    words = " ".join(sorted({word for (wishes,) in rows for word in str(wishes).split()}))
    tx.run(_WISH, {"subject": member, "words": words})


def guardians_of(tx: Transaction, ward: str, now: int) -> tuple[MemberId, ...]:
    """Return the guardians on record, in the order of their ids."""
    found = _tied(tx, [ward], Relation.WARD, now).get(ward, {})
    return tuple(sorted(found))


def _assume(
    tx: Transaction, about: Iterable[str], member: MemberId, kind: Relation, role: Role, now: int
) -> None:
    for subject in about:
        held = _tied(tx, [subject], kind, now).get(subject, {}).get(member)
        if held is None or held == {role}:
            continue  # nothing to change; and the same role from the same instant would be the same row
        end(tx, subject, member, kind, now)
        tie(tx, subject, member, kind, role, now)


def _tied(
    tx: Transaction, about: Collection[str], kind: Relation, now: int
) -> dict[str, dict[MemberId, frozenset[Role]]]:
    """Return the open ties of one kind as subject → actor → roles."""
    found: dict[str, dict[MemberId, frozenset[Role]]] = {}
    for subject, actor, role in tx.rows(_OPEN, {"subjects": about, "kind": kind.value, "now": now}):
        if not actor.startswith(Prefix.MEMBER):
            continue
        ties = found.setdefault(subject, {})
        ties[MemberId(actor)] = ties.get(MemberId(actor), frozenset()) | {Role(role)}
    return found
