"""Erasures and sweeps are killed at many steps; what is left is all or nothing, and running on finishes it.

A kill -9 takes the process, not the machine: see test_crash.py. The child dies right before its n-th call of
the database: at each call around the order and the commit, at every third elsewhere; none is left to luck.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import happenings
import living
import pytest
from living import DAY, START, Living, Template
from rights_story import OFFICER, ask, count, left_of

from governance import postgres, sqlite, world
from governance.erasureledger import Erased, ErasureLedger
from governance.rightsdeciding import Step
from governance.rightsrecords import Right
from governance.wiring import Service, assemble
from policies.terms import SubjectId

pytestmark = pytest.mark.crash
CALLS = ("run", "rows", "commit")
AFTER_COMMIT = "after the commit"


def dies(house: Living, work: Callable[[Service], object], nth: int | str) -> bool:
    """Do the work in a process of its own that is killed at its n-th call; say whether it was."""

    def child() -> None:
        service = assemble(house.settings, clock=house.clock)
        _arm(nth)
        work(service)

    return _is_killed(child)


def _is_killed(work: Callable[[], object]) -> bool:
    child = os.fork()
    if child == 0:
        try:
            work()
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


def calls_before_the_order(house: Living) -> int:
    """Count the database's calls of an erasure up to its order, in a process that dies there."""
    counted = house.settings.home.with_name("counted")
    child = os.fork()
    if child == 0:
        try:
            made = [0]
            service = assemble(house.settings, clock=house.clock)
            _count(made)
            ErasureLedger.append = lambda *_: (counted.write_text(str(made[0])), os._exit(0))
            _fulfil(house)(service)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WEXITSTATUS(status) == 0
    return int(counted.read_text())


def _count(made: list[int]) -> None:
    def counting(real: Callable) -> Callable:
        def call(*arguments):
            made[0] += 1
            return real(*arguments)

        return call

    for kind in (sqlite._SqliteTransaction, postgres._PostgresTransaction):
        for name in CALLS:
            setattr(kind, name, counting(getattr(kind, name)))


def test_an_erasure_that_is_killed_anywhere_is_undone_or_made_good_at_the_start(closed: Living) -> None:
    whole = left_of(closed, world.ZHANG_LI)
    last = calls_before_the_order(closed)
    assert last > 40
    # Every step is on the same side of the order until the very last ones, so those are all tried.
    for nth in sorted({*range(1, last, 3), *range(last - 2, last + 1)}):
        assert dies(closed, _fulfil(closed), nth), "the erasure came to its end and nobody killed it"
        assert list(ErasureLedger(closed.settings.erasures).entries()) == []
        assert left_of(closed, world.ZHANG_LI) | {"subject_pseudonym": 1} == whole | {"subject_pseudonym": 1}
        house = reopened(closed)
        house.verified()
        house.service.close()
        assert left_of(closed, world.ZHANG_LI)["cell"] == whole["cell"]
    assert dies(closed, _fulfil(closed), last + 1), "between the order and the commit"
    [order] = ErasureLedger(closed.settings.erasures).entries()
    assert order.subject == world.ZHANG_LI.id
    between = left_of(closed, world.ZHANG_LI)
    assert {k: between[k] for k in ("cell", "data_key")} == {k: whole[k] for k in ("cell", "data_key")}
    house = reopened(closed)
    house.verified()
    house.service.close()
    assert set(left_of(closed, world.ZHANG_LI).values()) == {0}
    assert count(closed, "erasure_certificate", "1 = 1") == 1


def test_who_was_told_that_a_request_is_revoked_is_never_erased_wherever_that_was_killed(
    closed: Living,
) -> None:
    [[request]] = closed.sql("SELECT id FROM rights_request")
    erasures = closed.settings.erasures
    ErasureLedger(erasures).append(Erased(SubjectId(world.ZHANG_LI.id), request, closed.clock()))
    kept = erasures.read_bytes()

    def revoke(service: Service) -> None:
        # The service is up, and the list has the order of an erasure whose commit failed.
        erasures.write_bytes(kept)
        service.rights.revoke(happenings.person_acts(world.ZHANG_LI), request, closed.clock())

    outcomes = set()
    nth, killed = 1, True
    while killed:
        erasures.write_bytes(b"")
        killed = dies(closed, revoke, nth)
        [[state]] = closed.sql("SELECT state FROM rights_request")
        outcomes.add((state, bool(ErasureLedger(erasures).orders())))
        nth += 1
    assert outcomes == {("in_progress", True), ("in_progress", False), ("revoked", False)}
    house = reopened(closed)
    assert left_of(house, world.ZHANG_LI)["cell"] > 0
    house.service.close()


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
