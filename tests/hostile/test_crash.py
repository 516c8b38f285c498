"""Serving processes are killed under load; what was acknowledged to anybody is in the log, and it verifies.

A kill -9 takes the process, not the machine: that the engine's commit reaches the disk is the engine's
promise (``synchronous=FULL``, ``synchronous_commit=on``) and is not tested here.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any

import living
import pytest
from living import Living, Template
from processes import Connection, ForkServer, Server

from audit.entry import Verdict
from governance import world

pytestmark = pytest.mark.crash
ROUNDS: Mapping[str, int] = {"sqlite": 15, "postgres": 10}
"""25 kills in all."""
CALLERS = 4
TEXT = "【张家小铺】您的包裹已送达门口"


@dataclass
class Acknowledged:
    """What callers were told, by index in the log."""

    decisions: dict[str, str] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)
    rounds: int = 0
    enough: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    faults: list[str] = field(default_factory=list)


def _read(connection: Connection, house: Living, told: Acknowledged, turn: int) -> None:
    who, field_name = [(world.WANG_MIN, "name"), (world.DOCTOR_CHEN, "blood_pressure")][turn % 2]
    ask: dict[str, Any] = {
        "subject": {"type": "member", "id": world.GRANDMOTHER.id},
        "fields": [field_name],
        "purpose": "service.health",
        "on_behalf_of": who.id,
    }
    status, body = connection.post("/v1/reads", ask, house.key(world.CRM))
    if status in (200, 403):
        told.decisions[body["entry_id"]] = body["decision_id"]
    elif status != 503:
        told.faults.append(f"read {status}")


def _check(connection: Connection, house: Living, told: Acknowledged, _turn: int) -> None:
    subject = {"type": "member", "id": world.ZHANG_LI.id}
    ask = {"subject": subject, "fields": ["name", "mobile"], "purpose": "service.delivery"}
    status, body = connection.post("/v1/checks", {"checks": [ask] * 5}, house.key(world.CRM))
    if status == 200:
        told.decisions |= {one["entry_id"]: one["decision_id"] for one in body["checks"]}
    elif status != 503:
        told.faults.append(f"check {status}")


def _send(connection: Connection, house: Living, told: Acknowledged, _turn: int) -> None:
    people = [world.ZHANG_LI.id, world.LI_QIANG.id]
    message = {"sender": world.SENDER.id, "channel": "sms", "purpose": "service.delivery"}
    body = {**message, "text": TEXT, "recipients": people}
    status, body = connection.post("/v1/messages", body, house.key(world.SENDER))
    if status == 200:
        told.messages |= {one["entry_id"]: body["message_id"] for one in body["recipients"]}
    elif status != 503:
        told.faults.append(f"send {status}")


def _write(connection: Connection, house: Living, told: Acknowledged, turn: int) -> None:
    value = f"花生{turn}号过敏"
    path = f"/v1/members/{world.ZHANG_LI.id}/fields"
    own = {"purpose": "account.manage", "on_behalf_of": world.ZHANG_LI.id}
    key = {"authorization": f"Bearer {house.key(world.CRM)}"}
    status, body = connection.call("PUT", path, {"values": {"allergies": value}, **own}, key)
    if status == 200:
        told.decisions[body["entry_id"]] = body["decision_id"]
        told.written[body["entry_id"]] = value
    elif status != 503:
        told.faults.append(f"write {status}")


WORK = (_read, _check, _send, _write)


def play(server: Server, house: Living, told: Acknowledged, part: int) -> None:
    """Call until the server goes away."""
    connection = server.connect()
    turn = 0
    try:
        while True:
            turn += 1
            WORK[part](connection, house, told, told.rounds * 1000 + turn)
            told.enough.release()
    except (OSError, HTTPException):
        pass  # the server was killed
    finally:
        connection.close()
        told.enough.release()


def test_what_was_acknowledged_survives_every_kill(
    seeded_copy: tuple[Template, Path, str], forks: ForkServer
) -> None:
    house = living.revive(*seeded_copy)
    told = Acknowledged()
    for _ in range(ROUNDS[house.engine]):
        told.rounds += 1
        server = forks.start(house.settings.home, house.url)
        threads = [threading.Thread(target=play, args=(server, house, told, part)) for part in range(CALLERS)]
        for thread in threads:
            thread.start()
        # At another point of the traffic each time.
        for _ in range(CALLERS + told.rounds):
            told.enough.acquire()
        server.kill()
        for thread in threads:
            thread.join()
        told.enough = threading.Semaphore(0)
    assert told.faults == []
    assert min(len(told.decisions), len(told.messages), len(told.written)) >= ROUNDS[house.engine]
    # The house opens again by itself, and everything that anybody was told is there, in its place.
    house.service.close()
    reopened = living.assemble(house.settings, clock=house.clock)
    again = Living(house.settings, reopened, house.keys, house.clock)
    log = again.log()
    decisions, stories = {one.id: one.decision for one in log}, {one.id: one.corr for one in log}
    lost = {id_: one for id_, one in told.decisions.items() if decisions.get(id_) != one}
    lost |= {id_: one for id_, one in told.messages.items() if stories.get(id_) != one}
    assert lost == {}
    # Values and entries are there together: as many writes as the log permits, and the last one opens.
    writes = [entry.id for entry in log if entry.act == "write" and entry.dec is Verdict.PERMIT]
    assert set(told.written) <= set(writes)
    if writes[-1] in told.written:
        wire = living.wired(again)
        own = {"purpose": "personal.access", "on_behalf_of": world.ZHANG_LI.id}
        ask = {"subject": {"type": "member", "id": world.ZHANG_LI.id}, "fields": ["allergies"], **own}
        read = wire.post("/v1/reads", ask, key=again.key(world.CRM))
        assert read.json()["fields"][0]["value"] == told.written[writes[-1]]
        wire.close()
    reopened.close()
