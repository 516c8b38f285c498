"""What members themselves do about their households: invite, join, leave, remove, hand over the main account.

Promises that an invitation names nobody, so nobody learns from it whether somebody is a customer: the code
goes from hand to hand, and is kept as its SHA-256; that leaving is always accepted, at once, from everybody
(in the manner of 个人信息保护法 第十五条), for a child under 14 from a guardian; that the role of the primary
account passes only when its successor says yes, and is free to take where nobody has it; and that each step
commits with its log entry, which everybody who lived there finds.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import bindparam, insert, or_, select, update

from audit import ledger
from audit.entry import Actor as LogActor
from audit.entry import Entry, Kind, Verdict
from consent.ages import CONSENT_AGE, MAJORITY, age_on
from governance import ending, identity, moving
from governance.acting import On
from governance.codes import BirthOf
from governance.database import Database
from governance.moving import Held, NotNowError, UnknownPartyError
from governance.records import Invitation
from governance.rulekeeping import RuleKeeper
from governance.testimony import party
from policies.identifiers import Prefix, new_id
from policies.reasons import Reason
from policies.terms import HouseholdId, MemberId, Role, SubjectId
from policies.transaction import Row, Transaction

OFFER_MS: Final = 72 * 3600 * 1000
"""How long an invitation or the offer of a role stands, as long as an approval (S4)."""

_offer = Invitation.__table__
_open: Final = (_offer.c.state == "open", _offer.c.expires_at > bindparam("now"))
_COLUMNS: Final = (
    _offer.c.subject_id,
    _offer.c.id,
    _offer.c.made_by,
    _offer.c.role,
    _offer.c.expires_at,
)
_ADD: Final = insert(_offer)
_BY_CODE: Final = select(*_COLUMNS).where(_offer.c.code_hash == bindparam("digest"), *_open)
_BY_ID: Final = select(*_COLUMNS).where(
    _offer.c.id == bindparam("offer"), _offer.c.member_id == bindparam("member"), *_open
)
_TO_ME: Final = (
    select(*_COLUMNS)
    .where(_offer.c.member_id == bindparam("member"), *_open)
    .order_by(_offer.c.made_at, _offer.c.id)
)
_SPEND: Final = (
    update(_offer)
    .where(_offer.c.subject_id == bindparam("household"), _offer.c.id == bindparam("offer"), *_open)
    .values(state="used")
)
_of_mine: Final = (
    _offer.c.id == bindparam("offer"),
    or_(_offer.c.made_by == bindparam("member"), _offer.c.member_id == bindparam("member")),
    *_open,
)
_MINE: Final = select(_offer.c.subject_id).where(*_of_mine)
_CANCEL: Final = update(_offer).where(*_of_mine).values(state="cancelled")
# Whoever loses the role, or leaves, has offered nothing any longer.
_VOID: Final = (
    update(_offer)
    .where(
        _offer.c.subject_id == bindparam("household"),
        _offer.c.state == "open",
        or_(_offer.c.made_by == bindparam("member"), _offer.c.member_id == bindparam("member")),
    )
    .values(state="cancelled")
)


class OfferKind(StrEnum):
    """What is offered."""

    JOIN = "join"
    PRIMARY = "primary"


class CodeGoneError(Exception):
    """The code is wrong, used, cancelled or too old; or whoever gave it may not invite any more."""


class GuardianNeededError(Exception):
    """A minor accepts an invitation alone, or a child under 14 leaves alone."""


class LivesElsewhereError(Exception):
    """An adult who lives in another household accepts an invitation without having left it."""


@dataclass(frozen=True, slots=True)
class Offer:
    """An invitation or the offer of a role; ``code`` is set once, for whoever made an invitation."""

    id: str
    household: HouseholdId
    role: Role
    expires_at: int
    code: str = ""


@dataclass(frozen=True, slots=True)
class Home:
    """A household as somebody who lives there sees it."""

    household: HouseholdId
    residents: tuple[tuple[MemberId, tuple[Role, ...]], ...]


class Homes:
    """The members' desk for their households. Stateless."""

    def __init__(self, database: Database, keeper: RuleKeeper, birth_of: BirthOf) -> None:
        self._database = database
        self._keeper = keeper
        self._birth_of = birth_of

    def mine(self, member: MemberId, now: int) -> tuple[list[Home], list[Offer]]:
        """Return the households somebody lives in, and what is offered to them by name."""
        with self._database.reading() as tx:
            homes = [
                Home(home, tuple((one, tuple(sorted(roles))) for one, roles in sorted(living.items())))
                for home in moving.homes_of(tx, member, now)
                for living in [moving.residents(tx, home, now)]
            ]
            return homes, [_offered(row) for row in tx.rows(_TO_ME, {"member": member, "now": now})]

    def invite(self, on: On, household: HouseholdId, role: Role, now: int) -> Offer:
        """Make a single-use invitation to live in a household; only its primary account may.

        Raises:
            UnknownPartyError: no such household, or somebody else is its primary account, or nobody is.
        """
        with self._database.transaction() as tx:
            held = self._own(tx, on, household, now)
            code = secrets.token_urlsafe(32)
            offer = Offer(new_id(Prefix.INVITATION), household, role, now + OFFER_MS, code)
            self._add(tx, on, offer, OfferKind.JOIN, identity.digest(code), None, now)
            self._note(tx, "home.invited", on, held, (), now)
            tx.commit()
            return offer

    def accept(self, on: On, code: str, ward: MemberId | None, now: int) -> HouseholdId:
        """Join a household by its code, or let a ward join; a minor may live in several, an adult in one.

        Raises:
            CodeGoneError: the code does not let anybody in, whatever the cause.
            UnknownPartyError: the ward is not there or not this person's.
            GuardianNeededError: a minor accepts alone.
            NotNowError: the person lives there already.
            LivesElsewhereError: the person is an adult who lives elsewhere.
        """
        member = ward or _me(on)
        with self._database.transaction() as tx:
            rows = tx.rows(_BY_CODE, {"digest": identity.digest(code), "now": now})
            if not rows:
                raise CodeGoneError
            offer, made_by = _offered(rows[0]), rows[0][2]
            held = moving.hold(tx, offer.household, member, now)
            if made_by != held.primary:
                raise CodeGoneError
            adult = self._is_of_age(tx, member, MAJORITY, now)
            if ward is not None and (adult or _me(on) not in moving.guardians_of(tx, ward, now)):
                raise UnknownPartyError
            if ward is None and not adult:
                raise GuardianNeededError
            if member in held.living:
                raise NotNowError
            if adult and held.homes:
                raise LivesElsewhereError
            if not tx.run(_SPEND, {"household": offer.household, "offer": offer.id, "now": now}):
                raise CodeGoneError
            role = offer.role if adult else moving.MINOR
            moving.move_in(tx, held, member, (role,), now)
            moving.take_role(tx, held, member, role, now)
            self._note(tx, "home.joined", on, held, (member,), now)
            tx.commit()
            return offer.household

    def leave(self, on: On, household: HouseholdId, ward: MemberId | None, now: int) -> None:
        """Leave a household, or take a ward out of it. Accepted at once, from whoever lives there.

        Under 14, or of unknown age, nobody leaves alone: a child who walked out of its last household could
        not come back without a guardian either (个人信息保护法 第三十一条 draws the same line).

        Raises:
            UnknownPartyError: the person does not live there, or is not this person's ward.
            GuardianNeededError: a child under 14 leaves alone.
        """
        member = ward or _me(on)

        def may(tx: Transaction, held: Held) -> bool:
            if ward is not None:
                return _me(on) in moving.guardians_of(tx, ward, now)
            if member in held.living and not self._is_of_age(tx, member, CONSENT_AGE, now):
                raise GuardianNeededError
            return True

        self._out(on, household, member, may, "home.left", now)

    def remove(self, on: On, household: HouseholdId, member: MemberId, now: int) -> None:
        """Let the primary account end another adult's sharing; that person's data stays theirs.

        Raises:
            UnknownPartyError: the caller is not the primary account there, or the person is no other adult
                who lives there. Where a child lives is its guardians' matter.
        """

        def may(_tx: Transaction, held: Held) -> bool:
            adult = moving.MINOR not in held.living.get(member, {moving.MINOR})
            return held.primary == _me(on) != member and adult

        self._out(on, household, member, may, "home.removed", now)

    def offer_role(self, on: On, household: HouseholdId, successor: MemberId, now: int) -> Offer:
        """Offer the role of the primary account to another adult who lives there.

        Raises:
            UnknownPartyError: it is not the caller's to offer, or there is no such adult.
        """
        with self._database.transaction() as tx:
            held = self._own(tx, on, household, now)
            adult = moving.MINOR not in held.living.get(successor, {moving.MINOR})
            if successor == _me(on) or not adult:
                raise UnknownPartyError
            offer = Offer(new_id(Prefix.INVITATION), household, moving.PRIMARY, now + OFFER_MS)
            self._add(tx, on, offer, OfferKind.PRIMARY, None, successor, now)
            self._note(tx, "home.role_offered", on, held, (successor,), now)
            tx.commit()
            return offer

    def take_role(self, on: On, offer_id: str, now: int) -> HouseholdId:
        """Accept the role of the primary account; until this moment nothing has changed.

        Raises:
            UnknownPartyError: nothing of the kind is offered to this person.
            NotNowError: whoever offered it has it no longer, or the successor lives elsewhere.
        """
        with self._database.transaction() as tx:
            rows = tx.rows(_BY_ID, {"offer": offer_id, "member": on.member, "now": now})
            if not rows:
                raise UnknownPartyError
            offer, made_by = _offered(rows[0]), MemberId(rows[0][2])
            held = moving.hold(tx, offer.household, None, now)
            if held.primary != made_by:
                raise NotNowError
            if not tx.run(_SPEND, {"household": offer.household, "offer": offer.id, "now": now}):
                raise NotNowError
            moving.hand_over(tx, held, _me(on), now)
            tx.run(_VOID, {"household": offer.household, "member": made_by})
            self._note(tx, "home.role_taken", on, held, (made_by,), now)
            self._tell_ended(tx, on, held, made_by, now)
            tx.commit()
            return offer.household

    def claim_role(self, on: On, household: HouseholdId, now: int) -> None:
        """Become the primary account of a household that has none: the last one left, or was erased.

        Raises:
            UnknownPartyError: the person does not live there as an adult.
            NotNowError: somebody has the role; it passes by their offer only.
        """
        with self._database.transaction() as tx:
            held = moving.hold(tx, household, None, now)
            moving.claim(tx, held, _me(on), now)
            self._note(tx, "home.role_claimed", on, held, (), now)
            tx.commit()

    def cancel(self, on: On, offer_id: str, now: int) -> None:
        """Take back an invitation or an offer, or turn down what was offered by name.

        Raises:
            UnknownPartyError: there is no open one of this id that this person made or was made.
        """
        with self._database.transaction() as tx:
            mine = {"offer": offer_id, "member": on.member, "now": now}
            rows = tx.rows(_MINE, mine)
            if not rows:
                raise UnknownPartyError
            held = moving.hold(tx, HouseholdId(rows[0][0]), None, now)
            if not tx.run(_CANCEL, mine):
                raise UnknownPartyError
            self._note(tx, "home.offer_ended", on, held, (), now)
            tx.commit()

    def _out(
        self,
        on: On,
        household: HouseholdId,
        member: MemberId,
        may: Callable[[Transaction, Held], bool],
        act: str,
        now: int,
    ) -> None:
        with self._database.transaction() as tx:
            held = moving.hold(tx, household, member, now)
            if not may(tx, held):
                raise UnknownPartyError
            moving.move_out(tx, held, member, now)
            tx.run(_VOID, {"household": household, "member": member})
            self._note(tx, act, on, held, (member,), now)
            self._tell_ended(tx, on, held, member, now)
            tx.commit()

    def _tell_ended(self, tx: Transaction, on: On, held: Held, member: MemberId, now: int) -> None:
        ended, policy = ending.by_leaving(tx, held, member), self._keeper.fingerprint(tx)
        ending.tell(tx, ended, Reason.NO_AUTHORITY, policy, now, on.request_id)

    def _own(self, tx: Transaction, on: On, household: HouseholdId, now: int) -> Held:
        held = moving.hold(tx, household, None, now)
        if held.primary != _me(on):
            raise UnknownPartyError
        return held

    def _is_of_age(self, tx: Transaction, member: MemberId, age: int, now: int) -> bool:
        birth = self._birth_of(tx, SubjectId(member))
        return birth is not None and age_on(birth, now) >= age

    def _add(
        self,
        tx: Transaction,
        on: On,
        offer: Offer,
        kind: OfferKind,
        digest: bytes | None,
        member: MemberId | None,
        now: int,
    ) -> None:
        row = {
            "subject_id": offer.household,
            "id": offer.id,
            "kind": kind.value,
            "code_hash": digest,
            "member_id": member,
            "role": offer.role,
            "made_by": on.member,
            "made_at": now,
            "expires_at": offer.expires_at,
            "state": "open",
        }
        tx.run(_ADD, row)

    def _note(
        self, tx: Transaction, act: str, on: On, held: Held, about: tuple[MemberId, ...], now: int
    ) -> None:
        """Log a step where the household and everybody it is about will find it."""
        people = dict.fromkeys([*about, on.member, held.household])
        names = ledger.pseudonyms(tx, [str(one) for one in people])
        entry = Entry(
            t=now,
            kind=Kind.CHANGE,
            act=act,
            dec=Verdict.PERMIT,
            actor=LogActor(party(on.caller.actor_id, names)),
            subjects=tuple(names[one] for one in people),
            policy=self._keeper.fingerprint(tx),
            request=on.request_id,
        )
        ledger.append(tx, [entry])


def _me(on: On) -> MemberId:
    return MemberId(on.member)


def _offered(row: Row) -> Offer:
    household, id_, _, role, until = row
    return Offer(id_, HouseholdId(household), Role(role), until)
