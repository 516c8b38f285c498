"""The sweep: values whose time is over are deleted, with the keys that open nothing any more.

So are values that were taken for a consent that has been withdrawn, when nothing else they were taken for is
agreed to or lawful any more (个人信息保护法 第四十七条第一款第三项).

Promises that no decision waits for it (what has lapsed is as absent already, ``policies.retention``); that
each batch is one transaction with its own log entry, so that a sweep that was cut off is resumed by running
it again; that a legal hold, looked for under the subjects' locks, wins; and that a dry run writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Final

from sqlalchemy import bindparam, select

from audit import ledger
from audit.entry import MAX_SUBJECTS, ActorType, Entry, Kind, Party, Verdict
from audit.entry import Actor as LogActor
from consent import eventlog, noticeboard
from consent.ages import DAY_MS
from consent.events import EventKind
from consent.records import ConsentEvent
from consent.unneeded import unneeded_since
from governance import holds, subjects
from governance.database import Database
from governance.records import Cell, HeldCell
from governance.rulekeeping import RuleKeeper
from governance.vault import Destroyed, Vault
from policies.terms import FieldName, SubjectId
from policies.transaction import Transaction

_cell, _held = Cell.__table__, HeldCell.__table__
BATCH: Final = MAX_SUBJECTS
"""Subjects in one batch, as many as one log entry names."""
KEPT: Final = FieldName("@held")
"""What stands for a field where the sweep deletes what was only kept for a hold that is over."""

WITHDRAWN: Final = FieldName("@withdrawn")
"""What stands for a field where the sweep deletes what was taken for a consent that was withdrawn."""
GRACE_MS: Final = 30 * DAY_MS
"""How long a withdrawn value stays closed before it goes: time to take it along, or to agree anew.

The page of consents tells these thirty days to the person.
"""

_LAPSED: Final = (
    select(_cell.c.subject_id)
    .where(
        _cell.c.field == bindparam("name"),
        _cell.c.written_at <= bindparam("cutoff"),
        _cell.c.subject_id > bindparam("after"),
    )
    .order_by(_cell.c.subject_id)
    .limit(BATCH)
)
_KEPT: Final = (
    select(_held.c.subject_id)
    .where(_held.c.subject_id > bindparam("after"))
    .distinct()
    .order_by(_held.c.subject_id)
    .limit(BATCH)
)
_event = ConsentEvent.__table__
_WITHDREW: Final = (
    select(_event.c.subject_id)
    .where(
        _event.c.subject_id > bindparam("after"),
        _event.c.kind.in_([EventKind.WITHDRAWN.value, EventKind.REVOKED.value]),
    )
    .distinct()
    .order_by(_event.c.subject_id)
    .limit(BATCH)
)
_FILLED: Final = select(_cell.c.field, _cell.c.written_at).where(_cell.c.subject_id == bindparam("subject"))
NOTHING: Final = Destroyed(0, 0, 0)


_LISTED: Final = {KEPT: _KEPT, WITHDRAWN: _WITHDREW}


@dataclass(slots=True)
class Swept:
    """What a run did, or (dry) would have done: values by field, what was destroyed, what is held."""

    fields: dict[str, int] = field(default_factory=dict)
    destroyed: Destroyed = NOTHING
    held: int = 0
    batches: int = 0


class Retaining:
    """Runs the sweep. Stateless."""

    def __init__(
        self,
        database: Database,
        keeper: RuleKeeper,
        vault: Vault,
        birth_of: Callable[[Transaction, SubjectId], date | None],
    ) -> None:
        self._birth_of = birth_of
        self._database = database
        self._keeper = keeper
        self._vault = vault

    def run(
        self,
        now: int,
        *,
        dry: bool = False,
        progress: Callable[[str, int], None] = lambda _name, _count: None,
    ) -> Swept:
        """Sweep everything whose time is over; ``progress`` hears of each batch: the field, values so far."""
        swept = Swept()
        cutoffs = self._keeper.latest.book.retention.cutoffs(now)
        for name, cutoff in sorted(cutoffs.items()):
            for batch in self._batches(name, cutoff):
                self._sweep(name, cutoff, batch, swept, now, dry=dry)
                progress(name, swept.fields.get(name, 0))
        for name in (KEPT, WITHDRAWN):
            for batch in self._batches(name, 0):
                self._keeper.attempt(partial(self._sweep, name, 0, batch, swept, now, dry=dry))
        return swept

    def _batches(self, name: FieldName, cutoff: int) -> Iterator[list[SubjectId]]:
        after = ""
        while True:
            with self._database.reading() as tx:
                if name in _LISTED:
                    rows = tx.rows(_LISTED[name], {"after": after})
                else:
                    rows = tx.rows(_LAPSED, {"name": name, "cutoff": cutoff, "after": after})
            if not rows:
                return
            after = rows[-1][0]
            yield [SubjectId(row[0]) for row in rows]

    def _sweep(
        self, name: FieldName, cutoff: int, batch: list[SubjectId], swept: Swept, now: int, *, dry: bool
    ) -> None:
        with self._database.transaction() as tx:
            if dry:
                held = holds.held(tx, batch, now)
                found = {one: self._would(tx, name, one, now) for one in batch if one not in held}
            else:
                subjects.change(tx, batch)
                held = holds.held(tx, batch, now)
                found = {one: self._delete(tx, name, cutoff, one, now) for one in batch if one not in held}
            found = {one: what for one, what in found.items() if what.cells}
            swept.held += len(held)
            swept.batches += 1
            if not found:
                return
            if not dry:
                ledger.append(tx, [self._entry(tx, name, list(found), found, now)])
                tx.commit()
        for what in found.values():
            swept.destroyed += what
        swept.fields[name] = swept.fields.get(name, 0) + len(found)

    def _would(self, tx: Transaction, name: FieldName, subject: SubjectId, now: int) -> Destroyed:
        return Destroyed(len(self._unneeded(tx, subject, now)) if name == WITHDRAWN else 1, 0, 0)

    def _delete(
        self, tx: Transaction, name: FieldName, cutoff: int, subject: SubjectId, now: int
    ) -> Destroyed:
        if name == KEPT:
            return self._vault.release(tx, subject)
        if name == WITHDRAWN:
            gone = NOTHING
            for one, since in self._unneeded(tx, subject, now).items():
                gone += self._vault.sweep(tx, subject, one, since)
            return gone
        return self._vault.sweep(tx, subject, name, cutoff)

    def _unneeded(self, tx: Transaction, subject: SubjectId, now: int) -> dict[FieldName, int]:
        """Return the fields whose withdrawal is long enough ago, each with its instant.

        What was written after a withdrawal was given anew and stays.
        """
        book = self._keeper.in_force(tx).rules.book
        events = eventlog.events_of(tx, [subject])[subject]
        birth, notices = self._birth_of(tx, subject), noticeboard.behind(tx, events)
        found = {}
        for name, written in tx.rows(_FILLED, {"subject": subject}):
            entry = book.fields.get(FieldName(name))
            if entry is None:
                continue
            since = unneeded_since(events, entry.category, entry.collected_for, now, birth, book, notices)
            if since is not None and written <= since and since + GRACE_MS <= now:
                found[entry.name] = since
        return found

    def _entry(
        self,
        tx: Transaction,
        name: FieldName,
        about: list[SubjectId],
        found: dict[SubjectId, Destroyed],
        now: int,
    ) -> Entry:
        names = ledger.pseudonyms(tx, about)
        return Entry(
            t=now,
            kind=Kind.CHANGE,
            act="retention.swept",
            dec=Verdict.PERMIT,
            actor=LogActor(Party(ActorType.SYSTEM, "retention")),
            subjects=tuple(names[one] for one in about),
            resource=name,
            purpose="legal.compliance",
            policy=self._keeper.fingerprint(tx),
            n=sum(what.cells for what in found.values()),
        )
