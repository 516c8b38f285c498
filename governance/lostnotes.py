"""Which signed states of the log were given up for a backup, and by whom: ``checkpoint.lost``.

The file lies beside the lock store, because the database is behind when this is decided. It only grows: each
proposal holds the signed note that it would give up, and an acceptance names its proposal. So whoever asks
later still has the signature of the state that is lost. The stated reason stands here only: the log keeps no
free text, and its entries outlive the matter.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, NamedTuple

from audit.lockstore import LockStoreError
from governance import linefile
from policies.identifiers import Prefix, kind_of
from policies.terms import ActorId

_FORMAT: Final = 1
_PROPOSED: Final = "proposed"
_ACCEPTED: Final = "accepted"


class Proposal(NamedTuple):
    """An officer's wish to go on with a restored log. ``at`` in milliseconds.

    ``entries``: the ids of the two entries that are to stand in the log. ``note``: the signed note given up.
    ``size`` and ``root``: the restored log as the officer found it.
    """

    entries: tuple[str, str]
    by: ActorId
    at: int
    reason: str
    note: str
    size: int
    root: bytes


class Rollback(NamedTuple):
    """A proposal and, once another officer has accepted it, who and when."""

    proposal: Proposal
    accepted_by: ActorId | None = None
    accepted_at: int = 0


class LostNotes:
    """The file. It is made with the first proposal; until then nothing was ever given up."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def propose(self, proposal: Proposal) -> None:
        """Add a proposal; it is on the disk when this returns.

        Raises:
            LockStoreError: it could not be written.
        """
        self._add({"v": _FORMAT, "step": _PROPOSED, **proposal._asdict(), "root": proposal.root.hex()})

    def accept(self, proposal: Proposal, by: ActorId, now: int) -> Rollback:
        """Add an acceptance; return the one that counts, which is the first.

        Raises:
            LockStoreError: it could not be written.
        """
        line = {"proposal": proposal.entries[0], "by": by, "at": now}
        self._add({"v": _FORMAT, "step": _ACCEPTED, **line})
        return next(one for one in self.all() if one.proposal.entries == proposal.entries)

    def all(self) -> list[Rollback]:
        """Return every proposal with its acceptance, oldest first.

        Raises:
            LockStoreError: a line was changed, or the file cannot be read.
        """
        if not self._path.exists():
            return []
        found: dict[str, Rollback] = {}
        try:
            for _, line in linefile.lines(self._path):
                _take(found, json.loads(line))
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            raise LockStoreError(
                f"{self._path}, the record of accepted rollbacks, is damaged; restore it from its backup"
            ) from None
        return list(found.values())

    def newest(self, note: str) -> Rollback | None:
        """Return the last proposal to give up this note; errors as ``all``."""
        return next((one for one in reversed(self.all()) if one.proposal.note == note), None)

    def _add(self, body: dict[str, object]) -> None:
        try:
            if not self._path.exists():
                linefile.create(self._path)
            whole = linefile.add(self._path, body)
        except FileExistsError:
            whole = linefile.add(self._path, body)  # another officer's process made it meanwhile
        except OSError:
            whole = False
        if not whole:
            raise LockStoreError("the record of accepted rollbacks cannot be written")


def _take(found: dict[str, Rollback], body: dict[str, Any]) -> None:
    if body.pop("sum") != linefile.digest(body) or body["v"] != _FORMAT:
        raise ValueError
    by, at = body["by"], body["at"]
    if kind_of(by) is not Prefix.STAFF or type(at) is not int:
        raise ValueError
    if body["step"] == _ACCEPTED:
        held = found[body["proposal"]]
        if held.accepted_by is None:
            found[body["proposal"]] = held._replace(accepted_by=ActorId(by), accepted_at=at)
        return
    first, second = body["entries"]
    found[str(first)] = Rollback(
        Proposal(
            (str(first), str(second)),
            ActorId(by),
            at,
            str(body["reason"]),
            str(body["note"]),
            int(body["size"]),
            bytes.fromhex(body["root"]),
        )
    )
