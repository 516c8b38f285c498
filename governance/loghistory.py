"""What a whole log must not be silent about: states given up for a backup, and entries altered on their way.

Neither breaks the log: every byte is as it was signed. So neither gives ``verify`` the code of a break for
ever, which would hide the next one; both are told each time, and where the evidence of a loss is missing, or
is none, the check is incomplete.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import bindparam, func, select

from audit import restarting
from audit.checkpoint import open_checkpoint
from audit.note import Checkpoint, NoteError
from audit.records import AuditEntry
from audit.sequencing import PENDING_ALTERED
from audit.verdicts import Exit
from governance.checkpoints import Checkpoints
from governance.database import Database
from governance.lostnotes import LostNotes, Rollback
from governance.times import rfc3339
from policies.transaction import Transaction

_entry = AuditEntry.__table__.c
_ALARMS: Final = select(func.count(), func.min(_entry.leaf_index)).where(_entry.act == PENDING_ALTERED)
_ACCEPTED: Final = (
    select(_entry.leaf_index, _entry.entry_id)
    .where(_entry.act == bindparam("act"))
    .order_by(_entry.leaf_index)
)


class GivenUp(NamedTuple):
    """One accepted loss: entries ``[first, end)`` of a signed state are gone, and by whose word.

    ``genuine``: the kept note bears a signature of the log. ``done``: the note outside is another by now.
    """

    first: int
    end: int
    proposed_by: str
    accepted_by: str
    at: int
    genuine: bool
    done: bool


class History(NamedTuple):
    """What there is to tell. ``unexplained``: entries that report a loss of which no note was kept."""

    given_up: tuple[GivenUp, ...]
    unexplained: tuple[int, ...]
    alarms: int
    first_alarm: int | None

    @property
    def exit(self) -> Exit:
        """INCOMPLETE where a loss was reported and its evidence is missing or not ours."""
        broken = self.unexplained or any(not one.genuine for one in self.given_up)
        return Exit.INCOMPLETE if broken else Exit.OK

    def document(self) -> dict[str, object]:
        """Return the history for programs."""
        return {
            "rollbacks": [{**one._asdict(), "at": rfc3339(one.at)} for one in self.given_up],
            "unexplained_rollbacks": list(self.unexplained),
            "alarms": {"count": self.alarms, "first_index": self.first_alarm},
        }

    def lines(self) -> list[str]:
        """Return the history for people."""
        told = []
        done = [one for one in self.given_up if one.done]
        if done:
            times = len(done)
            told.append(f"⚠ 日志曾由备份恢复 {times} 次，均由两名合规官接受 / {_rolled_back(times)}")
        for one in self.given_up:
            told.append(
                f"  {rfc3339(one.at)}: 丢失序号 {one.first} 至 {one.end - 1} / entries lost "
                f"from {one.first} on, to {one.end - 1}; {one.proposed_by}, {one.accepted_by}"
            )
            if not one.done:
                told.append("  ⚠ 尚未完成 / cut off; finish it with: governance audit accept-rollback")
            if not one.genuine:
                told.append("  ✗ 留存的旧检查点没有本日志的签名 / the kept note is not signed by the log")
        if done:
            told.append("  见证方仍会报告回退，这是对的 / witnesses go on saying ROLLBACK or FORK, rightly")
        told += [
            f"✗ 序号 {one} 记有回退，旧检查点没有留存 / entry {one} reports a rollback; no note is kept"
            for one in self.unexplained
        ]
        if self.alarms:
            told.append(
                f"⚠ 有 {self.alarms} 条记录在编入日志之前被改动，最早见序号 {self.first_alarm} / entries "
                f"altered before they were placed: {self.alarms}, the first alarm at {self.first_alarm}"
            )
        return told

    def but(self) -> str:
        """Return what must follow the words that the log is whole."""
        return "；但见上文 ⚠ / but see ⚠ above" if self.given_up or self.alarms else ""


def _rolled_back(times: int) -> str:
    how_often = "once" if times == 1 else f"{times} times"
    return f"rolled back {how_often}, accepted by two officers"


def history_of(database: Database, checkpoints: Checkpoints, lost: LostNotes) -> History:
    """Return what is to be told of the log here.

    Rests on the search columns, which ``verify`` holds against the leaves.

    Raises:
        LockStoreError: the record of what was given up is damaged.
    """
    with database.reading() as tx:
        alarms, first = alarms_of(tx)
        reported = {str(entry): int(at) for at, entry in tx.rows(_ACCEPTED, {"act": restarting.ACCEPTED})}
    note = checkpoints.note_outside()
    kept = [one for one in lost.all() if one.accepted_by is not None]
    explained = {one.proposal.entries[1] for one in kept}
    return History(
        tuple(_given_up(one, checkpoints, done=one.proposal.note != note) for one in kept),
        tuple(sorted(at for entry, at in reported.items() if entry not in explained)),
        alarms,
        first,
    )


def _given_up(one: Rollback, checkpoints: Checkpoints, *, done: bool) -> GivenUp:
    signed: Checkpoint | None
    try:
        signed = open_checkpoint(one.proposal.note, checkpoints.known_keys())
    except NoteError:
        signed = None
    return GivenUp(
        first=one.proposal.size,
        end=one.proposal.size if signed is None else signed.size,
        proposed_by=one.proposal.by,
        accepted_by=one.accepted_by or "",
        at=one.accepted_at,
        genuine=signed is not None,
        done=done,
    )


def alarms_of(tx: Transaction) -> tuple[int, int | None]:
    """Return how many entries were altered before they were placed, and where the first alarm stands."""
    count, first = tx.rows(_ALARMS)[0]
    return count, first
