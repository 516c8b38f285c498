"""Sixteen readers race one withdrawal over HTTP against a real server process.

What is checked (reliability O1): no read that starts after the withdrawal was acknowledged is permitted.
The same checker must catch a server that lets facts grow old, or it proves nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import living
import pytest
from happenings import consent_of
from living import Living, Template
from processes import ForkServer, Server

from audit.entry import Verdict
from governance import world

READERS = 16
AFTER_S = 0.05
ROUNDS = 3
PURPOSE = "family.care"


class Read(NamedTuple):
    """One read: when it started (monotonic ns), and whether it was permitted."""

    started: int
    permitted: bool


class Race(NamedTuple):
    reads: Sequence[Read]
    asked: int
    acknowledged: int

    @property
    def stale(self) -> int:
        """Permitted reads that started after the acknowledgement: must be none."""
        return sum(read.permitted for read in self.reads if read.started > self.acknowledged)

    @property
    def permitted_before(self) -> int:
        return sum(read.permitted for read in self.reads if read.started < self.asked)

    @property
    def after(self) -> int:
        return sum(read.started > self.acknowledged for read in self.reads)


def race(server: Server, key: str, consent: str) -> Race:
    """Let the readers read until some time after the withdrawal was acknowledged."""
    ask = {
        "subject": {"type": "member", "id": world.GRANDMOTHER.id},
        "fields": ["blood_pressure"],
        "purpose": PURPOSE,
        "on_behalf_of": world.ZHANG_LI.id,
    }
    reads: list[list[Read]] = [[] for _ in range(READERS)]
    warm, stop = threading.Semaphore(0), threading.Event()
    faults: list[BaseException] = []

    def read(mine: list[Read]) -> None:
        connection = server.connect()
        try:
            while not stop.is_set():
                started = time.monotonic_ns()
                status, _ = connection.post("/v1/reads", ask, key)
                assert status in (200, 403)
                mine.append(Read(started, status == 200))
                if len(mine) == 2:
                    warm.release()
        except BaseException as fault:  # noqa: BLE001 - a thread's failure is the test's
            faults.append(fault)
            warm.release()
        finally:
            connection.close()

    threads = [threading.Thread(target=read, args=(mine,)) for mine in reads]
    for thread in threads:
        thread.start()
    for _ in threads:
        warm.acquire()
    withdrawer = server.connect()
    asked = time.monotonic_ns()
    status, _ = withdrawer.post(
        f"/v1/consents/{consent}/withdraw", {"on_behalf_of": world.GRANDMOTHER.id}, key
    )
    acknowledged = time.monotonic_ns()
    threads[0].join(AFTER_S)
    stop.set()
    for thread in threads:
        thread.join()
    withdrawer.close()
    assert faults == []
    assert status == 200
    return Race([one for mine in reads for one in mine], asked, acknowledged)


@pytest.fixture
def raced(seeded_copy: tuple[Template, Path, str], forks: ForkServer) -> Callable[[str], tuple[Race, Living]]:
    """Race once on a house of its own, served by the given variant."""
    template, home, url = seeded_copy

    def run(variant: str) -> tuple[Race, Living]:
        house = living.revive(template, home, url)
        consent = consent_of(house, world.GRANDMOTHER, PURPOSE)
        server = forks.start(home, url, variant)
        try:
            return race(server, house.key(world.CRM), consent), house
        finally:
            server.kill()
            house.service.close()

    return run


def test_no_read_that_starts_after_the_acknowledgement_is_permitted(
    raced: Callable[[str], tuple[Race, Living]],
) -> None:
    found, house = raced("")
    assert found.permitted_before >= READERS
    assert found.after >= READERS, "the race went on after the withdrawal"
    assert found.stale == 0
    # The log tells the same story in the same order: after the withdrawal no permit for this purpose.
    story = house.log()
    place = next(place for place, entry in enumerate(story) if entry.act == "consent.withdrawn")
    later = {entry.dec for entry in story[place + 1 :] if entry.purpose == PURPOSE}
    assert later == {Verdict.DENY}


@pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
def test_the_same_check_catches_a_gate_that_lets_facts_grow_old(
    raced: Callable[[str], tuple[Race, Living]],
) -> None:
    found, _ = raced("cached")
    assert found.permitted_before >= READERS
    assert found.stale > 0
