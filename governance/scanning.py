"""Looks through the log for accesses that a person should judge, from where it stopped last.

Promises that each entry is looked at once and in the log's order, however often the scanner runs or is cut
off: position, what was learnt and the reviews it opens are one transaction a batch, under the position's row
lock. Leaves are decoded; the log's search columns decide nothing. Birth dates that it opens to know a minor
stay here, and the entry of the batch says that a scan took place. A leaf that cannot be read is passed by:
that the log was altered is what ``governance audit verify`` tells.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, NamedTuple

from sqlalchemy import bindparam, func, insert, or_, select, text, update

from audit import ledger
from audit.entry import Actor as LogActor
from audit.entry import ActorType, Entry, EntryRefusedError, Kind, Party, Verdict, decode
from audit.records import AuditEntry, SubjectPseudonym
from consent.ages import MAJORITY, age_on
from governance import reviewrecords
from governance.database import Database
from governance.opening import Opening
from governance.oversightrecords import Acquaintance, ReviewScan, StaffMember
from governance.records import RelationRow
from governance.reviewrecords import Fresh
from governance.rulekeeping import RuleKeeper
from governance.suspecting import Context, Seen, lot, reader_of, refused, shown, suspicions, unguarded
from policies.book import RuleBook
from policies.identifiers import Prefix, kind_of
from policies.oversight import DAY_MS, HOUR_MS, MINUTE_MS
from policies.terms import Relation, SubjectId
from policies.transaction import Transaction
from policies.triggers import Trigger

BATCH: Final = 200
_NAME: Final = "access"
SCANNER: Final = Party(ActorType.SYSTEM, "oversight")

_entry, _scan, _known = AuditEntry.__table__.c, ReviewScan.__table__, Acquaintance.__table__
_name, _twin, _relation = SubjectPseudonym.__table__.c, StaffMember.__table__.c, RelationRow.__table__.c

_POSITION: Final = select(_scan.c.next_index).where(_scan.c.name == _NAME).with_for_update()
_BEGIN: Final = insert(_scan)
_MOVE: Final = update(_scan).where(_scan.c.name == _NAME).values(next_index=bindparam("upto"))
_LEAVES: Final = (
    select(_entry.leaf_index, _entry.leaf)
    .where(_entry.leaf_index >= bindparam("since"))
    .order_by(_entry.leaf_index)
    .limit(bindparam("most"))
)
_LEARNT: Final = select(_known.c.shown_at, _known.c.denied_at, _known.c.denied).where(
    _known.c.actor_id == bindparam("reader"), _known.c.subject == bindparam("about")
)
_PEOPLE: Final = select(func.count()).where(
    _known.c.actor_id == bindparam("reader"), _known.c.shown_at > bindparam("since")
)
_LEARN: Final = text(
    "INSERT INTO acquaintance (actor_id, subject, shown_at, denied_at, denied)"
    " VALUES (:reader, :about, :shown_at, :denied_at, :denied) ON CONFLICT (actor_id, subject)"
    " DO UPDATE SET shown_at = excluded.shown_at, denied_at = excluded.denied_at, denied = excluded.denied"
)
_WHO: Final = select(_name.pseudonym, _name.subject_id).where(
    _name.pseudonym.in_(bindparam("names", expanding=True))
)
# The members that these staff are, and everybody whom those live with or care for.
_KIN: Final = (
    select(_twin.staff_id, _name.pseudonym)
    .join_from(StaffMember.__table__, RelationRow.__table__, _relation.actor_id == _twin.member_id)
    .join(SubjectPseudonym.__table__, _name.subject_id == _relation.subject_id)
    .where(
        _twin.staff_id.in_(bindparam("staff", expanding=True)),
        _relation.relation.in_([Relation.SELF.value, Relation.WARD.value, Relation.CORESIDENT.value]),
        or_(_relation.ends_at.is_(None), _relation.ends_at > bindparam("now")),
    )
)


class _Learnt(NamedTuple):
    """What is known of one reader and one subject."""

    shown_at: int | None = None
    denied_at: int | None = None
    denied: str = ""


@dataclass(frozen=True, slots=True)
class Scanned:
    """What a run did: entries looked at, reviews opened, how often each trigger held, unreadable leaves."""

    entries: int
    opened: int
    triggers: Mapping[Trigger, int]
    unreadable: int

    def __add__(self, other: object) -> Scanned:
        """Return both together."""
        if not isinstance(other, Scanned):
            return NotImplemented
        both = {one: self.triggers.get(one, 0) + other.triggers.get(one, 0) for one in Trigger}
        return Scanned(
            self.entries + other.entries,
            self.opened + other.opened,
            {one: count for one, count in both.items() if count},
            self.unreadable + other.unreadable,
        )


class Scanning:
    """The scanner. ``key`` is what lots are drawn with."""

    def __init__(
        self,
        database: Database,
        keeper: RuleKeeper,
        opening: Opening,
        key: bytes,
        settle: Callable[[], None],
    ) -> None:
        self._database = database
        self._settle = settle
        self._keeper = keeper
        self._opening = opening
        self._key = key

    def run(self, now: int, *, batch: int = BATCH) -> Scanned:
        """Look at everything that is new, ``batch`` entries a transaction."""
        self._settle()
        done = Scanned(0, 0, {}, 0)
        while True:
            step, full = self._keeper.attempt(lambda: self._batch(now, batch))
            done += step
            if not full:
                return done

    def _batch(self, now: int, most: int) -> tuple[Scanned, bool]:
        with self._database.transaction() as tx:
            book = self._keeper.in_force(tx).rules.book
            since = _position(tx)
            rows = tx.rows(_LEAVES, {"since": since, "most": most})
            if not rows:
                return Scanned(0, 0, {}, 0), False
            reads, unreadable = _reads(rows)
            look = _Look(tx, book, self._opening, self._key, now)
            look.prepare(reads)
            for entry in reads:
                look.at(entry)
            tx.run(_MOVE, {"upto": rows[-1][0] + 1})
            if look.opened or look.looked_into_ages:
                ledger.append(tx, [_entry_of(look.opened, book.fingerprint, now)])
            tx.commit()
        return Scanned(len(rows), look.opened, look.triggers, unreadable), len(rows) == most


def _position(tx: Transaction) -> int:
    """Return the next index to look at, with its row held."""
    for (index,) in tx.rows(_POSITION):
        return int(index)
    tx.run(_BEGIN, {"name": _NAME, "next_index": 0})
    return 0


def _reads(rows: Sequence[Sequence[object]]) -> tuple[list[Entry], int]:
    found, unreadable = [], 0
    for _, leaf in rows:
        assert isinstance(leaf, bytes)
        try:
            entry = decode(leaf)
        except EntryRefusedError:
            unreadable += 1
            continue
        if reader_of(entry) is not None:
            found.append(entry)
    return found, unreadable


class _Look:
    """One batch: the facts that many entries share, and what came of it."""

    def __init__(self, tx: Transaction, book: RuleBook, opening: Opening, key: bytes, now: int) -> None:
        self._tx, self._book, self._opening, self._key, self._now = tx, book, opening, key, now
        self._births: dict[bytes, date | None] = {}
        self._kin: set[tuple[str, bytes]] = set()
        self.opened = 0
        self.looked_into_ages = False
        self.triggers: dict[Trigger, int] = {}

    def prepare(self, reads: Sequence[Entry]) -> None:
        """Read what is known of the people in a batch, once."""
        staff = sorted({reader.id for one in reads if (reader := reader_of(one)) and shown(one)})
        if staff:
            rows = self._tx.rows(_KIN, {"staff": staff, "now": self._now})
            self._kin = {(reader, bytes(name)) for reader, name in rows}
        self._births = self._births_of({one.subjects[0] for one in reads if unguarded(one)})

    def _births_of(self, names: Collection[bytes]) -> dict[bytes, date | None]:
        people = {
            bytes(name): SubjectId(subject)
            for name, subject in (self._tx.rows(_WHO, {"names": sorted(names)}) if names else ())
            if kind_of(subject) is Prefix.MEMBER
        }
        if not people:
            return {}
        self.looked_into_ages = True
        births = self._opening.births_of(self._tx, sorted(people.values()))
        return {name: births.get(subject) for name, subject in people.items()}

    def at(self, entry: Entry) -> None:
        """Look at one entry, put it before an officer where something says so, and learn from it."""
        reader, subject = reader_of(entry), entry.subjects[0]
        assert reader is not None, "only reads come here"
        about = {"reader": reader.id, "about": subject}
        known = next((_Learnt(*row) for row in self._tx.rows(_LEARNT, about)), _Learnt())
        found = suspicions(entry, self._context(entry, reader, subject, known)) if shown(entry) else ()
        for trigger in found:
            self.triggers[trigger] = self.triggers.get(trigger, 0) + 1
        if found:
            fresh = Fresh(entry.decision, reader.id, subject, frozenset(found), entry.t)
            self.opened += reviewrecords.add(self._tx, self._opening, self._book, fresh, self._now)
        learnt = self._learn(entry, known)
        if learnt != known:
            self._tx.run(_LEARN, {**about, **learnt._asdict()})

    def _context(self, entry: Entry, reader: Party, subject: bytes, known: _Learnt) -> Context:
        hour = self._seen(reader, entry.t, HOUR_MS + MINUTE_MS, known)
        day = self._seen(reader, entry.t, DAY_MS + MINUTE_MS, known)
        return Context(
            oversight=self._book.oversight,
            at_work=self._book.oversight.at_work(self._book.deadlines, entry.t),
            draw=lot(self._key, entry.id),
            met=known.shown_at is not None,
            hour=hour,
            day=day,
            denied=frozenset(known.denied.split()) if self._is_recent(known, entry.t) else frozenset(),
            minor=self._is_minor(subject, entry.t),
            kin=(reader.id, subject) in self._kin,
            mass_told=hour.fresh and reviewrecords.told_of_mass(self._tx, reader.id, entry.t),
        )

    def _seen(self, reader: Party, at: int, window: int, known: _Learnt) -> Seen:
        if known.shown_at is not None and known.shown_at > at - window:
            return Seen(0, fresh=False)  # a repeated look crosses nothing
        people: int = self._tx.rows(_PEOPLE, {"reader": reader.id, "since": at - window})[0][0]
        return Seen(people + 1, fresh=True)

    def _is_recent(self, known: _Learnt, at: int) -> bool:
        watch = self._book.oversight.watches.get(Trigger.DENIED_THEN_PERMITTED)
        if watch is None or known.denied_at is None:
            return False
        return known.denied_at > at - watch.minutes * MINUTE_MS

    def _is_minor(self, subject: bytes, at: int) -> bool:
        birth = self._births.get(subject)
        return birth is not None and age_on(birth, at) < MAJORITY

    def _learn(self, entry: Entry, known: _Learnt) -> _Learnt:
        denied = refused(entry)
        if shown(entry):
            known = known._replace(shown_at=entry.t)
        if denied:
            before = known.denied.split() if self._is_recent(known, entry.t) else []
            known = known._replace(denied_at=entry.t, denied=" ".join(sorted({*before, *denied})))
        return known


def _entry_of(opened: int, policy: str, now: int) -> Entry:
    return Entry(
        t=now,
        kind=Kind.AUDIT,
        act="review.scanned",
        dec=Verdict.PERMIT,
        actor=LogActor(SCANNER),
        purpose="audit.review",
        policy=policy,
        n=opened,
    )
