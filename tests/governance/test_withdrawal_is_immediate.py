"""Sixteen readers race one withdrawal over HTTP against a real server process.

What is checked (reliability O1): no read that starts after the withdrawal was acknowledged is permitted.
The same checker must catch a server that lets facts grow old, or it proves nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import living
import pytest
from happenings import consent_of
from living import Living, Template
from processes import ForkServer, Server

from audit.entry import Verdict
from governance import world
from governance.seeding import give_consent

READERS = 16
AFTERWARDS = 3
"""Reads of each reader that start after the acknowledgement."""
TRIES = 12
"""Races in which a gate with old facts must be caught at least once."""
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


def race(servers: Sequence[Server], key: str, consent: str, readers: int = READERS) -> Race:
    """Let the readers read before, during and after the withdrawal."""
    ask = {
        "subject": {"type": "member", "id": world.GRANDMOTHER.id},
        "fields": ["blood_pressure"],
        "purpose": PURPOSE,
        "on_behalf_of": world.ZHANG_LI.id,
    }
    reads: list[list[Read]] = [[] for _ in range(readers)]
    warm, done = threading.Semaphore(0), threading.Event()
    faults: list[BaseException] = []

    def read(server: Server, mine: list[Read]) -> None:
        connection = server.connect()
        try:
            left = AFTERWARDS
            while left:
                left -= done.is_set()
                started = time.monotonic_ns()
                status, _ = connection.post("/v1/reads", ask, key)
                assert status in (200, 403)
                mine.append(Read(started, permitted=status == 200))
                if len(mine) == 2:
                    warm.release()
        except BaseException as fault:  # noqa: BLE001 - a thread's failure is the test's
            faults.append(fault)
            warm.release()
        finally:
            connection.close()

    threads = [
        threading.Thread(target=read, args=(servers[place % len(servers)], mine))
        for place, mine in enumerate(reads)
    ]
    for thread in threads:
        thread.start()
    for _ in threads:
        warm.acquire()
    withdrawer = servers[-1].connect()
    asked = time.monotonic_ns()
    status, _ = withdrawer.post(
        f"/v1/consents/{consent}/withdraw", {"on_behalf_of": world.GRANDMOTHER.id}, key
    )
    acknowledged = time.monotonic_ns()
    done.set()
    for thread in threads:
        thread.join()
    withdrawer.close()
    assert faults == []
    assert status == 200
    return Race([one for mine in reads for one in mine], asked, acknowledged)


@pytest.fixture
def house(seeded_copy: tuple[Template, Path, str], forks: ForkServer) -> Iterator[Living]:
    """A house whose clock agrees with the servers'."""
    revived = living.revive(*seeded_copy)
    revived.clock.now = forks.now()
    yield revived
    revived.service.close()


def test_no_read_that_starts_after_the_acknowledgement_is_permitted(house: Living, forks: ForkServer) -> None:
    # On PostgreSQL two replicas: half of the readers ask where nothing was withdrawn.
    replicas = 1 if house.engine == "sqlite" else 2
    servers = [forks.start(house.settings.home, house.url) for _ in range(replicas)]
    try:
        found = race(servers, house.key(world.CRM), consent_of(house, world.GRANDMOTHER, PURPOSE))
    finally:
        for server in servers:
            server.kill()
    assert found.permitted_before >= READERS
    assert found.after >= READERS * AFTERWARDS
    assert found.stale == 0
    # The log tells the same story in the same order: after the withdrawal no permit for this purpose.
    story = house.log()
    place = next(place for place, entry in enumerate(story) if entry.act == "consent.withdrawn")
    later = {entry.dec for entry in story[place + 1 :] if entry.purpose == PURPOSE}
    assert later == {Verdict.DENY}


@pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
def test_the_same_check_catches_a_gate_that_lets_facts_grow_old(house: Living, forks: ForkServer) -> None:
    server = forks.start(house.settings.home, house.url, "cached")
    consent = consent_of(house, world.GRANDMOTHER, PURPOSE)
    caught = 0
    try:
        for _ in range(TRIES):
            found = race([server], house.key(world.CRM), consent, readers=4)
            assert found.permitted_before > 0
            caught = found.stale
            if caught:
                break
            house.clock.now = forks.now()
            consent = give_consent(house.service, world.GRANDMOTHER, PURPOSE, ("health.record",))
    finally:
        server.kill()
    assert caught > 0
