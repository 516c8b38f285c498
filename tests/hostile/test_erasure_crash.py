"""Erasures and sweeps are killed at every step; what is left is all or nothing, and running on finishes it.

A kill -9 takes the process, not the machine: see test_crash.py. The child dies right before its n-th call of
the database, for each n, so the points between two statements are all tried and none is left to luck.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import living
import pytest
from living import DAY, START, Living, Template
from rights_story import OFFICER, ask, count, left_of

from governance import postgres, sqlite, world
from governance.erasureledger import ErasureLedger
from governance.rightsdeciding import Step
from governance.rightsrecords import Right
from governance.wiring import Service, assemble

pytestmark = pytest.mark.crash
CALLS = ("run", "rows", "commit")
AFTER_COMMIT = "after the commit"


def dies(house: Living, work: Callable[[Service], object], nth: int | str) -> bool:
    """Do the work in a process of its own that is killed at its n-th call; say whether it was."""
    child = os.fork()
    if child == 0:
        try:
            service = assemble(house.settings, clock=house.clock)
            _arm(nth)
            work(service)
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def _arm(nth: int | str) -> None:
    """Let this process kill itself at its n-th call of the database, or right after its first commit."""
    made = 0

    def armed(name: str, real: Callable) -> Callable:
        def call(*arguments):
            nonlocal made
            made += 1
            if made == nth:
                os.kill(os.getpid(), signal.SIGKILL)
            answer = real(*arguments)
            if nth == AFTER_COMMIT and name == "commit":
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        return call

    for kind in (sqlite._SqliteTransaction, postgres._PostgresTransaction):
        for name in CALLS:
            setattr(kind, name, armed(name, getattr(kind, name)))


def reopened(house: Living) -> Living:
    return Living(house.settings, assemble(house.settings, clock=house.clock), house.keys, house.clock)


@pytest.fixture
def closed(seeded_copy: tuple[Template, Path, str]) -> Living:
    """A house in which somebody has asked for erasure; its service is closed, children open their own."""
    house = living.revive(*seeded_copy)
    ask(house, Right.ERASURE)
    house.service.close()
    return house


def _fulfil(house: Living) -> Callable[[Service], object]:
    def work(service: Service) -> None:
        [waiting] = service.deciding.queue(OFFICER, house.clock())
        service.deciding.decide(OFFICER, waiting.request.id, Step.FULFIL, house.clock())

    return work


def test_an_erasure_that_is_killed_anywhere_is_undone_or_made_good_at_the_start(closed: Living) -> None:
    whole = left_of(closed, world.ZHANG_LI)
    kills = 0
    for nth in range(1, 200):
        assert dies(closed, _fulfil(closed), nth), "the erasure came to its end and nobody killed it"
        kills += 1
        ordered = list(ErasureLedger(closed.settings.erasures).entries())
        # Before the start: as it was. After the start: as it was, or gone where the order was on the disk.
        between = left_of(closed, world.ZHANG_LI)
        assert {k: between[k] for k in ("cell", "data_key")} == {k: whole[k] for k in ("cell", "data_key")}
        house = reopened(closed)
        house.verified()
        house.service.close()
        after = left_of(closed, world.ZHANG_LI)
        if ordered:
            assert set(after.values()) == {0}
            assert count(closed, "erasure_certificate", "1 = 1") == 1
            break
        assert after["cell"] == whole["cell"]
    assert kills > 20


def test_an_erasure_that_is_killed_after_its_commit_is_whole(closed: Living) -> None:
    def work(service: Service) -> None:
        request = closed.sql("SELECT id FROM rights_request")[0][0]
        service.deciding.decide(OFFICER, request, Step.FULFIL, closed.clock())

    assert dies(closed, work, AFTER_COMMIT)
    assert set(left_of(closed, world.ZHANG_LI).values()) == {0}
    house = reopened(closed)
    assert house.log()[-1].act == "subject.erased"
    assert house.log()[-1].actor.party.id == OFFICER.caller.actor_id
    house.service.close()


def test_a_sweep_that_is_killed_again_and_again_ends_and_every_deletion_is_in_the_log(closed: Living) -> None:
    closed.clock.now = START + 800 * DAY
    before = count(closed, "cell", "1 = 1")
    nth = 1
    while dies(closed, lambda service: service.retaining.run(closed.clock()), nth):
        house = reopened(closed)
        swept = sum(entry.n for entry in house.log() if entry.act == "retention.swept")
        assert before - count(closed, "cell", "1 = 1") == swept
        house.service.close()
        nth += 3
    house = reopened(closed)
    assert (
        sum(e.n for e in house.log() if e.act == "retention.swept")
        == before - count(closed, "cell", "1 = 1")
        > 0
    )
    assert house.service.retaining.run(closed.clock()).fields == {}
    house.service.close()
