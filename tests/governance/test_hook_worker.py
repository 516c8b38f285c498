"""The worker as a process of its own: killed in the middle of a delivery, it loses nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import living
import pytest
import receivers
from living import DAY, Template
from receivers import Got, announce, register

from consent.ages import reached_at
from governance import world
from governance.announcing import Told
from governance.app import build
from governance.delivering import LEASE_MS, Worker
from governance.wiring import wall_clock


@pytest.fixture
def stuck() -> Iterator[tuple[receivers.Receiver, threading.Event, threading.Event]]:
    """A receiver that says when something arrived and answers when it is let."""
    arrived, let_go = threading.Event(), threading.Event()
    with receivers.receiving() as receiver:

        def answer(_: Got) -> int:
            arrived.set()
            let_go.wait(60)
            return 204

        receiver.answer = answer
        yield receiver, arrived, let_go
        let_go.set()


@pytest.mark.crash
def test_a_delivery_that_is_cut_by_a_kill_is_made_again_under_its_id(
    seeded_copy: tuple[Template, Path, str],
    stuck: tuple[receivers.Receiver, threading.Event, threading.Event],
) -> None:
    receiver, arrived, let_go = stuck
    house = receivers.open_house(seeded_copy)
    house.clock.now = wall_clock()  # the worker's own clock is the machine's
    register(house, receiver.url)
    event = announce(house, Told.WITHDRAWN, world.ZHANG_LI)
    environment = {
        **os.environ,
        "GOVERNANCE_HOME": str(house.settings.home),
        "GOVERNANCE_DATABASE_URL": house.url,
        "GOVERNANCE_WEBHOOK_LOOPBACK": "allow",
    }
    worker = subprocess.Popen(
        [sys.executable, "-P", "-m", "governance", "worker"], env=environment, stdout=subprocess.DEVNULL
    )
    try:
        assert arrived.wait(60), "the worker delivers"
        worker.send_signal(signal.SIGKILL)
    finally:
        worker.kill()
        worker.wait()
    let_go.set()
    house.clock.now = wall_clock()
    assert house.service.delivering.round() == 0, "the dead worker's lease still stands"
    house.clock.advance(LEASE_MS)
    assert house.service.delivering.round() == 1
    assert [one.id for one in receiver.got] == [event, event]
    assert receiver.got[0].body == receiver.got[1].body
    assert [row[0] for row in house.sql("SELECT state FROM webhook_delivery")] == ["acknowledged"]
    house.service.close()


def test_in_development_the_serving_process_delivers_by_itself(
    seeded_copy: tuple[Template, Path, str],
    stuck: tuple[receivers.Receiver, threading.Event, threading.Event],
) -> None:
    receiver, arrived, let_go = stuck
    let_go.set()
    house = receivers.open_house(seeded_copy)
    register(house, receiver.url)
    event = announce(house, Told.WITHDRAWN, world.ZHANG_LI)
    wire = living.Wire(build(house.service, delivering=True))
    assert arrived.wait(60)
    wire.close()
    assert [one.id for one in receiver.got] == [event]


@pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
def test_the_worker_announces_who_comes_of_age_and_deletes_what_is_over(
    seeded_copy: tuple[Template, Path, str],
) -> None:
    house = receivers.open_house(seeded_copy)
    house.clock.now = reached_at(date(2017, 5, 21), 14) - DAY
    done = threading.Event()
    worker = Worker(house.service.delivering, daily=lambda: (house.service.tidy(), done.set()))
    worker.start()
    assert done.wait(60)
    worker.stop()
    acts = {one.act for one in house.log()}
    assert {"transition.announced.14", "retention.swept"} <= acts
    house.service.close()


@pytest.mark.parametrize("seeded_copy", ["sqlite"], indirect=True)
def test_the_worker_ends_when_it_is_told_to(seeded_copy: tuple[Template, Path, str]) -> None:
    template, home, url = seeded_copy
    settings = replace(living.copy_home(template, home, url))
    environment = {
        **os.environ,
        "GOVERNANCE_HOME": str(settings.home),
        "GOVERNANCE_DATABASE_URL": settings.database_url,
    }
    command = [sys.executable, "-P", "-m", "governance", "worker"]
    once = subprocess.run(
        [*command, "--once", "--json"], env=environment, capture_output=True, text=True, check=False
    )
    assert (once.returncode, once.stdout) == (0, '{"attempts": 0}\n')
    worker = subprocess.Popen([*command, "--json"], env=environment, stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    assert worker.stdout.readline() == '{"worker": "ready"}\n'
    worker.terminate()
    assert worker.wait(30) == 0
    worker.stdout.close()
