"""Access requests of AuthZEN on the approvals that the house keeps: one desk, two ways to it.

Promises that a task is one approval on record, opened for exactly what was denied, and that only the
service that opened it hears how it stands.
"""

from __future__ import annotations

from typing import Final

from audit import ledger
from governance.acting import On
from governance.approvalrecords import State
from governance.approving import Approving
from governance.database import Database
from governance.identity import Caller
from governance.replay import Once
from governance.requesting import Task, Wish

_STATUS: Final = {
    State.PENDING: "pending",
    State.APPROVED: "approved",
    State.REFUSED: "denied",
    State.CANCELLED: "expired",
    State.USED: "expired",
    State.EXPIRED: "expired",
}


class AccessRequests:
    """Opens approvals for what was denied, and tells how they stand. Stateless."""

    def __init__(self, database: Database, approving: Approving) -> None:
        self._database = database
        self._approving = approving

    def open_approval(self, wish: Wish, now: int, _once: Once | None = None) -> Task:
        """Ask for an approval and return its task; asking again while it waits is the same task.

        Raises:
            NoSuchApprovalError: the subject is not there, or the two have nothing to do with each other.
            UnfitApprovalError: this is nothing that an approval is given for.
        """
        on = On(wish.caller, wish.acting, wish.request_id)
        asked = self._approving.open(
            on, wish.subject, wish.acting, wish.action, [wish.field], wish.purpose, now
        )
        return Task(asked.id, _STATUS[asked.state], asked.expires_at)

    def approval(self, caller: Caller, task_id: str, now: int) -> Task | None:
        """Return a task that this caller opened, or None."""
        with self._database.reading() as tx:
            asked = self._approving.of_id(tx, task_id, now)
            opened = any(
                entry.act == "approval.asked" and entry.actor.party.id == caller.actor_id
                for _, entry in ledger.entries_of(tx, task_id)
            )
        if asked is None or not opened:
            return None
        return Task(asked.id, _STATUS[asked.state], asked.expires_at)
