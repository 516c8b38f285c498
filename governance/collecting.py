"""Collects asks that arrive together into one transaction: one commit pays for many decisions.

A batch departs when some turns of the event loop have brought nothing new, at the latest 2 ms after its
first ask, and with at most 64 asks (or one call's, if that call brought more). Where the last batch was
a lone ask one quiet turn is enough, so that it waits for nobody; a crowd travels together. On SQLite a
batch runs on the loop itself, because a hand-over to a thread would cost more than the commit; on
PostgreSQL, and wherever answers wait for witnesses, in threads, so that others' time blocks nobody.
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
_LONGEST_WAIT_S: Final = 0.002
_QUIET_TURNS_ALONE: Final = 1
_QUIET_TURNS_IN_A_CROWD: Final = 6


class Collector:
    """The queue in front of the gate's first walk. One per event loop."""

    def __init__(self, gate: Gate, clock: Callable[[], int], *, inline: Callable[[], bool]) -> None:
        self._gate = gate
        self._clock = clock
        self._waiting: deque[tuple[Sequence[Ask], asyncio.Future[list[Reply]]]] = deque()
        self._inline = inline
        self._threads = ThreadPoolExecutor(_FLIGHTS, "gate")  # makes a thread when it first needs one
        self._flying = 0
        self._called = False
        self._seen = 0
        self._quiet = 0
        self._first_at = 0.0
        self._last_size = 1

    async def read(self, asks: Sequence[Ask]) -> list[Reply]:
        """Return the gate's replies to these asks, in order."""
        future: asyncio.Future[list[Reply]] = asyncio.get_running_loop().create_future()
        self._waiting.append((asks, future))
        self._call()
        # A client that goes away does not take the decision back: it is made and recorded all the same.
        return await asyncio.shield(future)

    def _call(self) -> None:
        """Announce a departure, unless one is announced or all flights are out."""
        if self._called or not self._waiting or self._flying >= _FLIGHTS:
            return
        loop = asyncio.get_running_loop()
        self._called = True
        self._seen = self._quiet = 0
        self._first_at = loop.time()
        loop.call_soon(self._depart)

    def _crowd_is_coming(self) -> bool:
        """Say whether to wait another turn of the loop for asks that are just being read."""
        size = sum(len(asks) for asks, _ in self._waiting)
        self._quiet = self._quiet + 1 if size == self._seen else 0
        self._seen = size
        overdue = asyncio.get_running_loop().time() - self._first_at > _LONGEST_WAIT_S
        enough = _QUIET_TURNS_ALONE if self._last_size == size == 1 else _QUIET_TURNS_IN_A_CROWD
        return self._quiet < enough and size < _MOST and not overdue

    def _depart(self) -> None:
        if self._crowd_is_coming():
            asyncio.get_running_loop().call_soon(self._depart)
            return
        self._called = False
        batch = self._board()
        asks = [ask for some, _ in batch for ask in some]
        self._last_size = len(asks)
        if self._inline():
            try:
                self._arrive(batch, self._gate.read(asks, self._clock()))
            except Exception as error:  # noqa: BLE001 - whoever waits must hear of it, whatever it is
                _fail(batch, error)
        else:
            self._flying += 1
            flight = asyncio.get_running_loop().run_in_executor(
                self._threads, self._gate.read, asks, self._clock()
            )
            flight.add_done_callback(lambda done: self._land(batch, done))
        self._call()

    def _board(self) -> list[tuple[Sequence[Ask], asyncio.Future[list[Reply]]]]:
        batch = [self._waiting.popleft()]
        size = len(batch[0][0])
        while self._waiting and size + len(self._waiting[0][0]) <= _MOST:
            size += len(self._waiting[0][0])
            batch.append(self._waiting.popleft())
        return batch

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
        self._call()

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
        self._threads.shutdown(wait=True)


def _fail(batch: Sequence[tuple[Sequence[Ask], asyncio.Future[list[Reply]]]], error: BaseException) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)
