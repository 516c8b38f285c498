"""Two officers accept that a database was put back from a backup, and what was signed since is lost.

Promises that only a log that is whole but shorter than what was signed can be accepted, never a fork and
never one that anybody altered; that two different officers looked at the same restored state; and that before
the service may start the log itself says what was lost and who accepted it, the erasures since the backup
were carried out again, and the signature of the lost state is kept. The order is: the acceptance is on the
disk beside the lock store, the entries are committed, the erasures are replayed, the new note is swapped in.
Until that swap the service does not start; after a crash anywhere the same command goes on where it stopped.

Who names an officer with ``--by`` is not proven; the operator's account of the machine is what is trusted.
The offices are those of the restored database, which is the only one there is.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final, NamedTuple

from audit import heads, ledger, restarting
from audit.entry import Actor, ActorType, Entry, Kind, Party, Verdict
from audit.note import Checkpoint, parse, parse_checkpoint
from audit.publishing import Standing
from audit.verdicts import What
from governance import identity
from governance.approving import OFFICE
from governance.checkpoints import Checkpoints
from governance.database import Database
from governance.lostnotes import LostNotes, Proposal, Rollback
from policies.identifiers import Prefix, new_id
from policies.terms import ActorId

_DAMAGED: Final = (
    "the log was not only put back: something in it was altered. That is never accepted; run: "
    "governance audit verify, and put back another backup"
)
_FORKED: Final = "a log that has forked, or whose note bears no signature of ours, is never accepted"
_ANOTHER_KEY: Final = (
    "the log's key was replaced after this backup was made, and the key of now may sign nothing from before; "
    "put back a backup from after the replacement"
)
_WRITTEN: Final = "the log is being written; stop every process of the service first"


class NotAcceptableError(Exception):
    """There is nothing that may be accepted; the message says why."""


class NotEntitledError(Exception):
    """This person may not take this step; the message says why."""


class Step(StrEnum):
    """What a call came to."""

    PROPOSED = "proposed"
    ACCEPTED = "accepted"


class Told(NamedTuple):
    """A call's result: entries from ``rollback.proposal.size`` up to ``lost`` are given up.

    ``erased``: how many members were erased again.
    """

    step: Step
    rollback: Rollback
    lost: int
    erased: int = 0


class Rollbacks:
    """The desk at which officers accept a restored log."""

    def __init__(
        self,
        database: Database,
        checkpoints: Checkpoints,
        lost: LostNotes,
        replay: Callable[[int], int],
    ) -> None:
        self._database = database
        self._checkpoints = checkpoints
        self._lost = lost
        self._replay = replay

    def decide(self, by: ActorId, reason: str, now: int) -> Told:
        """Propose, or accept what another officer proposed, or finish what was cut off.

        Raises:
            NotEntitledError: the person does not hold the office, or proposed it.
            NotAcceptableError: the log is sound, forked, altered, or cannot be signed.
            LockStoreError, LogError, StoreError: what it rests on cannot be read or written.
        """
        self._require(by)
        note = self._checkpoints.note_outside()
        held = self._lost.newest(note)
        if held is not None and held.accepted_by is not None and self._is_same_log(held.proposal):
            return self._finish(held, now)
        found = self._restored()
        if held is None or held.accepted_by is not None or _base(held.proposal, found.origin) != found:
            ids = (new_id(Prefix.ENTRY), new_id(Prefix.ENTRY))
            proposal = Proposal(ids, by, now, reason, note, found.size, found.root)
            self._lost.propose(proposal)
            return Told(Step.PROPOSED, Rollback(proposal), _signed(proposal).size)
        if held.proposal.by == by:
            raise NotEntitledError("another officer must accept what this one proposed")
        self._require(held.proposal.by)
        # A crash before this line: a proposal waits. After it: the next call by any officer goes on.
        return self._finish(self._lost.accept(held.proposal, by, now), now)

    def _require(self, by: ActorId) -> None:
        caller = identity.staff(self._database.look, by)
        if caller is None or OFFICE not in caller.roles:
            raise NotEntitledError("此人没有这项职责 / this person does not hold the office for it")

    def _restored(self) -> Checkpoint:
        """Return the restored head, if it is one that may be accepted."""
        standing = self._checkpoints.examine()
        if standing is Standing.OK:
            raise NotAcceptableError("the log extends what was signed last; there is nothing to accept")
        if standing is not Standing.ROLLBACK:
            raise NotAcceptableError(_FORKED)
        report = self._checkpoints.verify()
        if {one.what for one in report.findings} != {What.TRUNCATED} or self._checkpoints.altered_copies():
            raise NotAcceptableError(_DAMAGED)
        with self._database.reading() as tx:
            head = ledger.head(tx)
            found = Checkpoint(head.origin, head.size, head.root)
            if restarting.is_cut(tx, head.size):
                raise NotAcceptableError(_DAMAGED)
            if not restarting.may_sign(tx, found, self._checkpoints.hands()):
                raise NotAcceptableError(_ANOTHER_KEY)
        if (report.size, report.root) != (found.size, found.root):
            raise NotAcceptableError(_WRITTEN)
        return found

    def _is_same_log(self, proposal: Proposal) -> bool:
        """Say whether the database is the one that was accepted, before or after the entries were added."""
        with self._database.reading() as tx:
            head = ledger.head(tx)
            if (head.size, head.root) == (proposal.size, proposal.root):
                return True
            added = ledger.entry_with_id(tx, proposal.entries[1]) is not None
            return added and restarting.extends(tx, _base(proposal, head.origin))

    def _finish(self, held: Rollback, now: int) -> Told:
        lost = _signed(held.proposal)
        with self._database.transaction() as tx:
            head = heads.lock(tx)
            if ledger.entry_with_id(tx, held.proposal.entries[1]) is None:
                if (head.size, head.root) != (held.proposal.size, held.proposal.root):
                    raise NotAcceptableError(_WRITTEN)
                ledger.append(tx, _entries(held, lost, now))
                # A crash before the next line: the next call adds the same entries. After it: it finds them.
                tx.commit()
        erased = self._replay(now)
        # A crash before this line: the service does not start yet, and the next call erases nobody twice.
        self._checkpoints.restart(held.proposal.note, _base(held.proposal, lost.origin), now)
        return Told(Step.ACCEPTED, held, lost.size, erased)


def _base(proposal: Proposal, origin: str) -> Checkpoint:
    return Checkpoint(origin, proposal.size, proposal.root)


def _signed(proposal: Proposal) -> Checkpoint:
    """Return what the given-up note says; it was signed by us when it was proposed."""
    return parse_checkpoint(parse(proposal.note).text)


def _entries(held: Rollback, lost: Checkpoint, now: int) -> list[Entry]:
    """Return the two entries: each officer's own, so that whoever looks for what somebody did finds it."""
    proposal = held.proposal
    steps = (restarting.PROPOSED, proposal.by), (restarting.ACCEPTED, held.accepted_by or "")
    return [
        Entry(
            t=now,
            kind=Kind.AUDIT,
            act=act,
            dec=Verdict.PERMIT,
            actor=Actor(Party(ActorType.STAFF, by)),
            resource=f"{lost.size} {lost.root.hex()}",
            corr=proposal.entries[0],
            n=lost.size - proposal.size,
            id=entry,
        )
        for entry, (act, by) in zip(proposal.entries, steps, strict=True)
    ]
