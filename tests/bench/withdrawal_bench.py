"""How long a withdrawal takes to be acknowledged while 200 readers ask about the same member.

Everybody asks one server over HTTP on SQLite, which has one writer at a time: the withdrawal queues with the
reads. The floor beside it is one read of the same member at the same time. A consent is ticked anew
before each withdrawal, outside the clock.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import threading
import time
from pathlib import Path

import living
from load import Load, request, run
from processes import ForkServer

from governance import seeding, world

READERS = 200
SECONDS = 20.0
GOAL_MS = 200


def measure() -> list[dict[str, object]]:
    """Return the row of this bench, as ``run.py`` prints it."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        home.mkdir(mode=0o700)
        template = living.seed(home, f"sqlite:///{home}/governance.sqlite")
        forks = ForkServer(Path(folder))
        try:
            server = forks.start(home, template.url)
            key = template.keys[world.CRM.id]
            reads, spent = _under_load(server.port, key)
            server.kill()
        finally:
            forks.close()
    spent.sort()
    p99 = spent[min(len(spent) - 1, int(len(spent) * 0.99))]
    return [
        {
            "id": "consent.withdraw",
            "what": f"a withdrawal acknowledged, p99, under {READERS} concurrent reads of the member",
            "value": round(p99, 1),
            "unit": "ms",
            "beside": "p99 of those reads",
            "beside_value": round(reads.p99, 1),
            "ratio": round(p99 / reads.p99, 2),
            "goal": f"<= {GOAL_MS} ms",
            "meets": p99 <= GOAL_MS,
        }
    ]


def _under_load(port: int, key: str) -> tuple[Load, list[float]]:
    ask = {
        "subject": {"type": "member", "id": world.GRANDMOTHER.id},
        "fields": ["blood_pressure"],
        "purpose": "family.care",
        "on_behalf_of": world.ZHANG_LI.id,
    }
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    payload = request("POST", "/v1/reads", json.dumps(ask).encode(), headers)
    found: list[Load] = []
    load = threading.Thread(target=lambda: found.append(run(port, payload, READERS, SECONDS)))
    load.start()
    time.sleep(1.0)
    spent = asyncio.run(_withdrawals(port, key, load))
    load.join()
    return found[0], spent


async def _withdrawals(port: int, key: str, load: threading.Thread) -> list[float]:
    """Withdraw again and again; a notice that is shown in between makes each withdrawal a new one."""
    body = json.dumps({"on_behalf_of": world.GRANDMOTHER.id}).encode()
    served = {
        "subject": world.GRANDMOTHER.id,
        "purpose": "family.care",
        "categories": ["health.record"],
        "notice": seeding.notice("family.care"),
        "opened_by_person": True,
        "on_behalf_of": world.GRANDMOTHER.id,
    }
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    serving = request("POST", "/v1/consents/served", json.dumps(served).encode(), headers)
    withdrawing = request("POST", "/v1/consents/withdraw", body, headers)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    spent = []
    until = time.monotonic() + SECONDS - 3.0
    while load.is_alive() and time.monotonic() < until:
        await _call(reader, writer, serving)
        begun = time.perf_counter()
        await _call(reader, writer, withdrawing)
        spent.append((time.perf_counter() - begun) * 1000)
    writer.close()
    return spent


async def _call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, payload: bytes) -> None:
    writer.write(payload)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    assert head.split(b" ", 2)[1][:1] == b"2", head
    at = head.index(b"content-length: ") + 16
    await reader.readexactly(int(head[at:].split(b"\r\n")[0]))


if __name__ == "__main__":
    print(json.dumps(measure(), ensure_ascii=False, indent=1))
