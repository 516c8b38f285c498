"""How a version of the rules comes into force: drafted, tried, and published by a second person.

Promises that nobody publishes what they drafted themselves, that a version whose own cases fail is not
published, that the second person has seen the what-if against exactly the version now in force, and that
each step commits together with its log entry. Rolling back is publishing an earlier version. When
``publish`` returns, no decision by the version before is under way any more, or it says that it cannot tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import bindparam, func, insert, select, update

from audit import ledger
from audit.entry import Actor as LogActor
from audit.entry import ActorType, Entry, Kind, Party, decode
from audit.entry import Verdict as LogVerdict
from audit.records import AuditEntry
from governance.database import Database
from governance.records import Actor, RulePointer, RuleVersion
from governance.rulekeeping import IN_FORCE, REHEARSED, Pointer, RuleKeeper, RulesUnavailableError
from policies.identifiers import Prefix, kind_of
from policies.terms import ActorId
from policies.transaction import Transaction

AUTHORS: Final = frozenset({"compliance_officer", "privacy_admin", "legal_reviewer"})
"""The roles that may draft rules."""
PUBLISHERS: Final = frozenset({"compliance_officer", "privacy_admin"})
"""The roles that may put rules in force, refuse them or let them be rehearsed."""
SYSTEM: Final = "system"

_version, _pointer, _actor = RuleVersion.__table__, RulePointer.__table__, Actor.__table__
_COLUMNS: Final = (
    _version.c.number,
    _version.c.fingerprint,
    _version.c.note,
    _version.c.drafted_by,
    _version.c.drafted_at,
    _version.c.state,
    _version.c.decided_by,
    _version.c.decided_at,
)
_ALL: Final = select(*_COLUMNS).order_by(_version.c.number)
_ONE: Final = select(*_COLUMNS).where(_version.c.number == bindparam("number"))
_SAME: Final = select(*_COLUMNS).where(_version.c.fingerprint == bindparam("fingerprint"))
_HIGHEST: Final = select(func.coalesce(func.max(_version.c.number), 0))
_ADD: Final = insert(_version)
_DECIDE: Final = (
    update(_version)
    .where(_version.c.number == bindparam("at"))
    .values(state=bindparam("to"), decided_by=bindparam("by"), decided_at=bindparam("now"))
)
_READ_POINTER: Final = select(
    _pointer.c.name, _pointer.c.number, _pointer.c.fingerprint, _pointer.c.seal
).where(_pointer.c.name == bindparam("which"))
# SQLite ignores the clause: there BEGIN IMMEDIATE already keeps other writers out.
_HOLD_POINTER: Final = _READ_POINTER.with_for_update()
_SET_POINTER: Final = (
    update(_pointer)
    .where(_pointer.c.name == bindparam("which"))
    .values(
        number=bindparam("to"),
        fingerprint=bindparam("of"),
        seal=bindparam("sealed"),
        moved_at=bindparam("now"),
    )
)
_NEW_POINTER: Final = insert(_pointer)
_DROP_POINTER: Final = _pointer.delete().where(_pointer.c.name == bindparam("which"))
_entry = AuditEntry.__table__.c
_LAST_PUBLISHED: Final = (
    select(_entry.leaf)
    .where(_entry.act == "rules.published", _entry.dec == LogVerdict.PERMIT.value)
    .order_by(_entry.leaf_index.desc())
    .limit(1)
)
_OFFICES: Final = select(_actor.c.roles).where(_actor.c.id == bindparam("actor"), _actor.c.state == "active")


class State(StrEnum):
    """Where a version stands; a published one stays published when another follows it."""

    DRAFT = "draft"
    PUBLISHED = "published"
    REFUSED = "refused"


class Obstacle(StrEnum):
    """Why a step was not taken."""

    NO_SUCH_VERSION = "no_such_version"
    NOT_IN_OFFICE = "not_in_office"
    OWN_DRAFT = "own_draft"
    REFUSED = "refused"
    IN_FORCE = "in_force"
    CASES_FAIL = "cases_fail"
    WHATIF_NOT_SEEN = "whatif_not_seen"


DENIED: Final = frozenset({Obstacle.NOT_IN_OFFICE, Obstacle.OWN_DRAFT})
"""What somebody may not do, as against what cannot be done now."""


class NotTakenError(Exception):
    """A step was not taken; ``obstacle`` says why."""

    def __init__(self, obstacle: Obstacle) -> None:
        super().__init__(obstacle.value)
        self.obstacle = obstacle


@dataclass(frozen=True, slots=True)
class Version:
    """One version of the rules and who did what with it. Times are milliseconds."""

    number: int
    fingerprint: str
    note: str
    drafted_by: str
    drafted_at: int
    state: State
    decided_by: str | None
    decided_at: int | None


class RuleDesk:
    """Where officers draft, publish and rehearse rules."""

    def __init__(self, database: Database, keeper: RuleKeeper) -> None:
        self._database = database
        self._keeper = keeper

    def versions(self) -> tuple[list[Version], dict[str, int]]:
        """Return all versions, oldest first, and the number that each pointer names."""
        with self._database.reading() as tx:
            found = [_read(row) for row in tx.rows(_ALL)]
            pointers = {name: self._held(tx, name) for name in (IN_FORCE, REHEARSED)}
        return found, {name: one.number for name, one in pointers.items() if one is not None}

    def agrees_with_log(self) -> bool:
        """Say whether the version in force is the one that the log saw published last.

        The pointer's seal keeps out what was never published; this finds an older pointer put back.
        """
        with self._database.reading() as tx:
            held = self._held(tx, IN_FORCE)
            last = tx.rows(_LAST_PUBLISHED)
            return held is not None and bool(last) and decode(last[0][0]).policy == held.fingerprint

    def version(self, number: int) -> Version:
        """Return one version.

        Raises:
            NotTakenError: there is none of that number.
        """
        with self._database.reading() as tx:
            return _one(tx, number)

    def establish(self, archive: bytes, fingerprint: str, note: str, now: int) -> bool:
        """Put rules in force by the operator's hand, where no officer can: at the first start, or in dev.

        Returns False when they are in force already.
        """
        with self._database.transaction() as tx:
            held = self._held(tx, IN_FORCE)
            if held is not None and held.fingerprint == fingerprint:
                return False
            version = self._keep(tx, archive, fingerprint, note, SYSTEM, now)
            tx.run(_DECIDE, {"at": version.number, "to": State.PUBLISHED, "by": SYSTEM, "now": now})
            self._point(tx, IN_FORCE, version, now)
            _log(tx, "rules.published", SYSTEM, version, now)
            tx.commit()
        return True

    def outlived(self) -> Version | None:
        """Return the version in force if this program cannot use it any more, as after an upgrade.

        None where it can be used, and where the pointer is not genuine: that is for people to look into.
        """
        with self._database.reading() as tx:
            held = self._held(tx, IN_FORCE)
            version = None if held is None or not self._keeper.is_genuine(held) else _one(tx, held.number)
        if version is None:
            return None
        try:
            self._keeper.version(version.fingerprint)
        except RulesUnavailableError:
            return version
        return None

    def draft(self, archive: bytes, fingerprint: str, note: str, by: ActorId, now: int) -> Version:
        """Keep a version as a draft. The rules were loaded strictly before; a twin is the version it was."""
        with self._database.transaction() as tx:
            _require(tx, by, AUTHORS)
            version = self._keep(tx, archive, fingerprint, note, by, now)
            _log(tx, "rules.drafted", by, version, now)
            tx.commit()
        return version

    def publish(self, number: int, by: ActorId, *, seen_from: str, passing: bool, now: int) -> bool:
        """Put a version in force; True when no decision by the version before is under way any more.

        ``seen_from`` is the fingerprint of the version in force whose what-if the publisher has seen, and
        ``passing`` whether the version's own cases pass.

        Raises:
            NotTakenError: there is an obstacle; an attempt that was not allowed is in the log.
        """
        with self._database.transaction() as tx:
            version, held = _one(tx, number), self._held(tx, IN_FORCE, hold=True)
            obstacle = _obstacle(tx, version, by)
            if obstacle is None and not passing:
                obstacle = Obstacle.CASES_FAIL
            if obstacle is None and held is not None and held.number == number:
                obstacle = Obstacle.IN_FORCE
            if obstacle is None and (held is None or held.fingerprint != seen_from):
                obstacle = Obstacle.WHATIF_NOT_SEEN
            if obstacle is None:
                tx.run(_DECIDE, {"at": number, "to": State.PUBLISHED, "by": by, "now": now})
                self._point(tx, IN_FORCE, version, now)
            _log(tx, "rules.published", by, version, now, obstacle)
            # A crash before the next line: the version before stays in force. After it: this one is.
            tx.commit()
        if obstacle is not None:
            raise NotTakenError(obstacle)
        return self._database.drained()

    def refuse(self, number: int, by: ActorId, now: int) -> None:
        """Say no to a draft as the second person; it can no longer be published.

        Raises:
            NotTakenError: there is an obstacle; an attempt that was not allowed is in the log.
        """
        with self._database.transaction() as tx:
            version = _one(tx, number)
            obstacle = _obstacle(tx, version, by)
            if obstacle is None and version.state is not State.DRAFT:
                obstacle = Obstacle.IN_FORCE
            if obstacle is None:
                tx.run(_DECIDE, {"at": number, "to": State.REFUSED, "by": by, "now": now})
            _log(tx, "rules.refused", by, version, now, obstacle)
            tx.commit()
        if obstacle is not None:
            raise NotTakenError(obstacle)

    def rehearse(self, number: int | None, by: ActorId, now: int) -> None:
        """Let a version be decided by beside the one in force, in the log only; None ends it.

        Raises:
            NotTakenError: there is an obstacle.
        """
        with self._database.transaction() as tx:
            _require(tx, by, PUBLISHERS)
            version = None if number is None else _one(tx, number)
            tx.run(_DROP_POINTER, {"which": REHEARSED})
            if version is not None:
                self._point(tx, REHEARSED, version, now)
            _log(tx, "rules.shadowed", by, version, now)
            tx.commit()

    def _keep(
        self, tx: Transaction, archive: bytes, fingerprint: str, note: str, by: str, now: int
    ) -> Version:
        same = tx.rows(_SAME, {"fingerprint": fingerprint})
        if same:
            return _read(same[0])
        number = tx.rows(_HIGHEST)[0][0] + 1
        row = {
            "fingerprint": fingerprint,
            "number": number,
            "body": archive,
            "note": note,
            "drafted_by": by,
            "drafted_at": now,
            "state": State.DRAFT.value,
            "decided_by": None,
            "decided_at": None,
        }
        tx.run(_ADD, row)
        return Version(number, fingerprint, note, by, now, State.DRAFT, None, None)

    def _held(self, tx: Transaction, name: str, *, hold: bool = False) -> Pointer | None:
        rows = tx.rows(_HOLD_POINTER if hold else _READ_POINTER, {"which": name})
        return Pointer(*rows[0]) if rows else None

    def _point(self, tx: Transaction, name: str, version: Version, now: int) -> None:
        seal = self._keeper.seal(Pointer(name, version.number, version.fingerprint, b""))
        to = {"to": version.number, "of": version.fingerprint, "sealed": seal, "now": now}
        if not tx.run(_SET_POINTER, {"which": name, **to}):
            row = {"number": version.number, "fingerprint": version.fingerprint, "seal": seal}
            tx.run(_NEW_POINTER, {"name": name, **row, "moved_at": now})


def _read(row: Sequence[object]) -> Version:
    number, fingerprint, note, drafted_by, drafted_at, state, decided_by, decided_at = row
    return Version(
        number,  # type: ignore[arg-type]  # rows come untyped from the driver
        str(fingerprint),
        str(note),
        str(drafted_by),
        drafted_at,  # type: ignore[arg-type]  # as above
        State(str(state)),
        None if decided_by is None else str(decided_by),
        decided_at,  # type: ignore[arg-type]  # as above
    )


def _one(tx: Transaction, number: int) -> Version:
    rows = tx.rows(_ONE, {"number": number})
    if not rows:
        raise NotTakenError(Obstacle.NO_SUCH_VERSION)
    return _read(rows[0])


def _obstacle(tx: Transaction, version: Version, by: ActorId) -> Obstacle | None:
    """Return what keeps this person from deciding about this version, if anything does."""
    if not _roles(tx, by) & PUBLISHERS:
        return Obstacle.NOT_IN_OFFICE
    if version.drafted_by == by:
        return Obstacle.OWN_DRAFT
    return Obstacle.REFUSED if version.state is State.REFUSED else None


def _roles(tx: Transaction, by: ActorId) -> frozenset[str]:
    rows = tx.rows(_OFFICES, {"actor": by}) if kind_of(by) is Prefix.STAFF else []
    return frozenset(rows[0][0].split()) if rows else frozenset()


def _require(tx: Transaction, by: ActorId, offices: frozenset[str]) -> None:
    if not _roles(tx, by) & offices:
        raise NotTakenError(Obstacle.NOT_IN_OFFICE)


def _log(
    tx: Transaction,
    act: str,
    by: str,
    version: Version | None,
    now: int,
    obstacle: Obstacle | None = None,
) -> None:
    staff = kind_of(by) is Prefix.STAFF
    party = Party(ActorType.STAFF, by) if staff else Party(ActorType.SYSTEM, "operator")
    entry = Entry(
        t=now,
        kind=Kind.ADMIN,
        act=act,
        dec=LogVerdict.PERMIT if obstacle is None else LogVerdict.DENY,
        actor=LogActor(party),
        why=() if obstacle is None else (obstacle.value,),
        resource="" if version is None else f"rules:{version.number}",
        policy="" if version is None else version.fingerprint,
    )
    ledger.append(tx, [entry])
