"""Collects asks that arrive together into one transaction: one commit pays for many decisions.

On SQLite a batch runs on the event loop itself, when the loop has read everything that was waiting:
while one batch commits, the next gathers in the sockets, and a hand-over to a thread would cost more
than the commit. On PostgreSQL batches run in threads, so that waiting for the server blocks nobody.
A batch is at most 64 asks, or one call's if that call brought more; nothing ever waits for company.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from governance.asking import Ask, Reply
from governance.gate import Gate

_MOST: Final = 64
_FLIGHTS: Final = 4


class Collector:
    """The queue in front of the gate's first walk. One per event loop."""

    def __init__(self, gate: Gate, clock: Callable[[], int], *, inline: bool) -> None:
        self._gate = gate
        self._clock = clock
        self._waiting: deque[tuple[Sequence[Ask], asyncio.Future[list[Reply]]]] = deque()
        self._threads = None if inline else ThreadPoolExecutor(_FLIGHTS, "gate")
        self._flying = 0
        self._called = False

    async def read(self, asks: Sequence[Ask]) -> list[Reply]:
        """Return the gate's replies to these asks, in order."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Reply]] = loop.create_future()
        self._waiting.append((asks, future))
        if not self._called and self._flying < _FLIGHTS:
            self._called = True
            loop.call_soon(self._depart)
        # A client that goes away does not take the decision back: it is made and recorded all the same.
        return await asyncio.shield(future)

    def _depart(self) -> None:
        self._called = False
        if not self._waiting:
            return
        batch = self._board()
        asks = [ask for some, _ in batch for ask in some]
        if self._threads is None:
            try:
                self._arrive(batch, self._gate.read(asks, self._clock()))
            except Exception as error:  # noqa: BLE001 - whoever waits must hear of it, whatever it is
                _fail(batch, error)
            self._next()
            return
        self._flying += 1
        flight = asyncio.get_running_loop().run_in_executor(
            self._threads, self._gate.read, asks, self._clock()
        )
        flight.add_done_callback(lambda done: self._land(batch, done))
        self._next()

    def _board(self) -> list[tuple[Sequence[Ask], asyncio.Future[list[Reply]]]]:
        batch = [self._waiting.popleft()]
        size = len(batch[0][0])
        while self._waiting and size + len(self._waiting[0][0]) <= _MOST:
            size += len(self._waiting[0][0])
            batch.append(self._waiting.popleft())
        return batch

    def _next(self) -> None:
        if self._waiting and not self._called and self._flying < _FLIGHTS:
            self._called = True
            asyncio.get_running_loop().call_soon(self._depart)

    def _land(
        self,
        batch: Sequence[tuple[Sequence[Ask], asyncio.Future[list[Reply]]]],
        done: asyncio.Future[list[Reply]],
    ) -> None:
        self._flying -= 1
        error = done.exception()
        if error is None:
            self._arrive(batch, done.result())
        else:
            _fail(batch, error)
        self._next()

    def _arrive(
        self, batch: Sequence[tuple[Sequence[Ask], asyncio.Future[list[Reply]]]], replies: Sequence[Reply]
    ) -> None:
        start = 0
        for asks, future in batch:
            if not future.done():
                future.set_result(list(replies[start : start + len(asks)]))
            start += len(asks)

    def close(self) -> None:
        """Wait for flights under way and let the threads go."""
        if self._threads is not None:
            self._threads.shutdown(wait=True)


def _fail(batch: Sequence[tuple[Sequence[Ask], asyncio.Future[list[Reply]]]], error: BaseException) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)
