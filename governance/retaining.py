"""The sweep: values whose time is over are deleted, with the keys that open nothing any more.

Promises that no decision waits for it (what has lapsed is as absent already, ``policies.retention``); that
each batch is one transaction with its own log entry, so that a sweep that was cut off is resumed by running
it again; that a legal hold, looked for under the subjects' locks, wins; and that a dry run writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import bindparam, select

from audit import ledger
from audit.entry import MAX_SUBJECTS, ActorType, Entry, Kind, Party, Verdict
from audit.entry import Actor as LogActor
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
NOTHING: Final = Destroyed(0, 0, 0)


@dataclass(slots=True)
class Swept:
    """What a run did, or (dry) would have done: values by field, what was destroyed, what is held."""

    fields: dict[str, int] = field(default_factory=dict)
    destroyed: Destroyed = NOTHING
    held: int = 0
    batches: int = 0


class Retaining:
    """Runs the sweep. Stateless."""

    def __init__(self, database: Database, keeper: RuleKeeper, vault: Vault) -> None:
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
        for batch in self._batches(KEPT, 0):
            self._sweep(KEPT, 0, batch, swept, now, dry=dry)
        return swept

    def _batches(self, name: FieldName, cutoff: int) -> Iterator[list[SubjectId]]:
        after = ""
        while True:
            with self._database.reading() as tx:
                if name == KEPT:
                    rows = tx.rows(_KEPT, {"after": after})
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
                found = {one: Destroyed(1, 0, 0) for one in batch if one not in held}
            else:
                subjects.change(tx, batch)
                held = holds.held(tx, batch, now)
                found = {one: self._delete(tx, name, cutoff, one) for one in batch if one not in held}
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

    def _delete(self, tx: Transaction, name: FieldName, cutoff: int, subject: SubjectId) -> Destroyed:
        if name == KEPT:
            return self._vault.release(tx, subject)
        return self._vault.sweep(tx, subject, name, cutoff)

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
