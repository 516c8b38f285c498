"""Sixteen readers race one withdrawal over HTTP against real server processes: one, or four on PostgreSQL.

What is checked (reliability O1): no read that starts after the withdrawal was acknowledged is permitted.
The same checker must catch a server that lets facts grow old, or it proves nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import living
import pytest
from happenings import consent_of, share
from living import Living, Template
from processes import Connection, ForkServer, Server

from audit.entry import Verdict
from governance import world
from governance.seeding import give_consent
from policies.terms import Purpose, SubjectId

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


Withdraw = Callable[[Connection], tuple[int, Any]]
"""Says no over a connection to one of the servers; returns status and body once it is acknowledged."""


def race(servers: Sequence[Server], key: str, withdraw: Withdraw, readers: int = READERS) -> Race:
    """Let the readers read before, during and after the withdrawal, which goes to one server only."""
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
    status, _ = withdraw(withdrawer)
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


def _one_consent(house: Living) -> Withdraw:
    consent, key = consent_of(house, world.GRANDMOTHER, PURPOSE), house.key(world.CRM)
    body = {"on_behalf_of": world.GRANDMOTHER.id}
    return lambda to: to.post(f"/v1/consents/{consent}/withdraw", body, key)


def _everywhere(house: Living) -> Withdraw:
    key, body = house.key(world.CRM), {"on_behalf_of": world.GRANDMOTHER.id}
    return lambda to: to.post("/v1/consents/withdraw", body, key)


def _by_link(house: Living) -> Withdraw:
    token = house.service.opting_out.links.make(SubjectId(world.GRANDMOTHER.id), Purpose(PURPOSE))
    return lambda to: to.send(
        f"/opt-out/{token}", b"List-Unsubscribe=One-Click", "application/x-www-form-urlencoded"
    )


def _share_ended(house: Living) -> Withdraw:
    owner = SubjectId(world.GRANDMOTHER.id)
    share = house.service.sharing.shares(owner, house.clock())[0].share.share_id
    session = {"cookie": f"governance_session={house.sign_in(world.GRANDMOTHER)}"}
    return lambda to: to.call("POST", f"/v1/me/shares/{share}/end", {}, session)


WAYS = {"consent.withdrawn": (_one_consent, _everywhere, _by_link), "share.ended": (_share_ended,)}
"""Ways to say no, by the act that the log then names."""


@pytest.mark.parametrize(("act", "way"), [(act, way) for act, ways in WAYS.items() for way in ways])
def test_no_read_that_starts_after_the_acknowledgement_is_permitted(
    act: str, way: Callable[[Living], Withdraw], house: Living, forks: ForkServer
) -> None:
    # On PostgreSQL four replicas: most of the readers ask where nothing was withdrawn.
    replicas = 1 if house.engine == "sqlite" else 4
    withdraw = way(house)
    servers = [forks.start(house.settings.home, house.url) for _ in range(replicas)]
    try:
        found = race(servers, house.key(world.CRM), withdraw)
    finally:
        for server in servers:
            server.kill()
    assert found.permitted_before >= READERS
    assert found.after >= READERS * AFTERWARDS
    assert found.stale == 0
    # The log tells the same story in the same order: after the withdrawal no permit for this purpose.
    story = house.log()
    place = next(place for place, entry in enumerate(story) if entry.act == act)
    later = {entry.dec for entry in story[place + 1 :] if entry.purpose == PURPOSE}
    assert later == {Verdict.DENY}


@pytest.mark.parametrize("way", [_everywhere, _by_link, _share_ended])
def test_the_same_check_catches_a_gate_that_lets_facts_grow_old(
    way: Callable[[Living], Withdraw], house: Living, forks: ForkServer
) -> None:
    replicas = 1 if house.engine == "sqlite" else 4
    caught = 0
    for _ in range(TRIES):
        # New ones for each try: what these have cached by now is the denial.
        servers = [forks.start(house.settings.home, house.url, "cached") for _ in range(replicas)]
        try:
            found = race(servers, house.key(world.CRM), way(house), readers=4)
        finally:
            for server in servers:
                server.kill()
        assert found.permitted_before > 0
        caught = found.stale
        if caught:
            break
        house.clock.now = forks.now()
        give_consent(house.service, world.GRANDMOTHER, PURPOSE, ("health.record",))
        share(house, world.GRANDMOTHER, world.ZHANG_LI)
    assert caught > 0
