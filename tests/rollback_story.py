"""A house whose database was put back from a backup, and officers at the desk that may accept it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from backups import put_back, taken
from export_story import with_second_officer
from living import Living

from audit import ledger, rotation
from audit.checkpoint import Signer
from audit.lockstore import LockStore
from governance import world
from governance.checkpoints import Checkpoints
from governance.database import Database
from governance.loghistory import History, history_of
from governance.lostnotes import LostNotes
from governance.rollbacks import Rollbacks, Step
from governance.settings import Settings
from governance.wiring import assemble, load_ring, open_database, rollbacks_of
from policies.terms import ActorId

FIRST = ActorId(world.OFFICER.id)


class CrashError(Exception):
    pass


def grow(house: Living, times: int = 1) -> None:
    """Add entries, and sign."""
    with house.service.database.transaction() as tx:
        key = Signer("other.example/log", b"\x01" * 32).key
        ledger.append(tx, [rotation.entry_for(key, key, house.clock()) for _ in range(times)])
        tx.commit()
    house.service.log.checkpoints.publish(house.clock())


@dataclass
class Restored:
    """A house whose database was put back; the service refuses to start."""

    house: Living
    settings: Settings
    second: ActorId
    kept: int
    """Entries of the backup."""
    signed: int
    """Entries that were signed before."""
    opened: list[Database] = field(default_factory=list)

    def database(self) -> Database:
        self.opened.append(open_database(self.settings.database_url))
        return self.opened[-1]

    def desk(self) -> Rollbacks:
        return rollbacks_of(self.settings, self.database())

    def decide(self, by: ActorId) -> Any:
        return self.desk().decide(by, "机房断电，恢复到昨夜的备份", self.house.clock())

    def accept(self) -> Any:
        assert self.decide(FIRST).step is Step.PROPOSED
        return self.decide(self.second)

    def checkpoints(self) -> Checkpoints:
        return Checkpoints(self.database(), load_ring(self.settings), self.settings.lock_store)

    def history(self) -> History:
        database = self.database()
        return history_of(database, self.checkpoints(), LostNotes(self.settings.lost_notes))

    def served(self) -> Living:
        service = assemble(self.settings, clock=self.house.clock)
        self.opened.append(service.database)
        return Living(self.settings, service, self.house.keys, self.house.clock)

    def run(self, *statements: str) -> list[Any]:
        return Living(self.settings, self.house.service, self.house.keys, self.house.clock).sql(*statements)

    def close(self) -> None:
        for one in self.opened:
            one.close()
        self.opened.clear()


def restored_from(house: Living, since: Callable[[Living], object]) -> Restored:
    second = ActorId(with_second_officer(house).id)
    grow(house)
    kept, backup = house.size(), taken(house)
    since(house)
    house.service.log.settle()
    signed = house.service.log.checkpoints.publish(house.clock())
    house.service.close()
    return Restored(house, put_back(house, backup), second, kept, signed)


def crash_at(monkeypatch: pytest.MonkeyPatch, desk: Rollbacks, point: str) -> None:
    """Let this process die at one step: after it, or right before it."""

    def dying(*_given: Any) -> Any:
        raise CrashError

    def then_dying(work: Callable[..., Any]) -> Callable[..., Any]:
        def both(*given: Any) -> Any:
            work(*given)
            raise CrashError

        return both

    if point == "before the acceptance":
        monkeypatch.setattr(LostNotes, "accept", dying)
    elif point == "accepted":
        monkeypatch.setattr(LostNotes, "accept", then_dying(LostNotes.accept))
    elif point == "the entries are not committed":
        monkeypatch.setattr(ledger, "append", then_dying(ledger.append))
    elif point == "the entries are committed":
        monkeypatch.setattr(desk, "_replay", dying)
    elif point == "erased again":
        monkeypatch.setattr(desk, "_replay", then_dying(desk._replay))
    elif point == "before the swap":
        monkeypatch.setattr(LockStore, "swap", dying)
    else:
        monkeypatch.setattr(LockStore, "swap", then_dying(LockStore.swap))
