"""A small closed-loop HTTP load generator: N connections, each sends the next request when the answer is in.

Runs in the measuring process while the server runs in another, with prebuilt request bytes and the least
parsing that is still honest: status and length of every response are checked.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import cast

import uvloop


@dataclass(frozen=True)
class Load:
    """What one run measured: requests a second, and latencies in milliseconds."""

    per_second: float
    p50: float
    p99: float
    statuses: dict[int, int]


class _Connection(asyncio.Protocol):
    def __init__(self, request: bytes, until: float, spent: list[float], statuses: dict[int, int]) -> None:
        self._request = request
        self._until = until
        self._spent = spent
        self._statuses = statuses
        self._buffer = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop has classes of its own
        self._send()

    def _send(self) -> None:
        self._begun = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        at = head.lower().index(b"content-length: ") + 16
        length = int(head[at : at + 12].split(b"\r\n")[0])
        if len(body) < length:
            return
        now = time.perf_counter()
        self._spent.append(now - self._begun)
        status = int(head[9:12])
        self._statuses[status] = self._statuses.get(status, 0) + 1
        self._buffer = b""
        if now < self._until:
            self._send()
        else:
            self._transport.close()
            if not self.done.done():
                self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the server hung up"))


def request(method: str, path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """Return the bytes of one request."""
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def run(port: int, payload: bytes, connections: int, seconds: float) -> Load:
    """Load the server on a loopback port and return what was measured."""

    async def drive() -> Load:
        spent: list[float] = []
        statuses: dict[int, int] = {}
        loop = asyncio.get_running_loop()
        begun = time.perf_counter()
        protocols = []
        for _ in range(connections):
            _, protocol = await loop.create_connection(
                lambda: _Connection(payload, begun + seconds, spent, statuses), "127.0.0.1", port
            )
            protocols.append(protocol)
        await asyncio.gather(*(protocol.done for protocol in protocols))
        took = time.perf_counter() - begun
        spent.sort()
        return Load(
            len(spent) / took,
            spent[len(spent) // 2] * 1000,
            spent[int(len(spent) * 0.99)] * 1000,
            statuses,
        )

    return uvloop.run(drive())
