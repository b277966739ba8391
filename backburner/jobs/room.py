"""Bounded room for what waits to be stored: memory must not grow with a store that is away."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from backburner.errors import NotRunning

if TYPE_CHECKING:
    from backburner.model.clock import Clock

__all__ = ["MOST_BYTES", "MOST_JOBS", "Room"]

#: What may wait at a time.
MOST_JOBS = 10_000
MOST_BYTES = 64 * 1024 * 1024


class _Waiter:
    """A caller outside, and what it brings."""

    __slots__ = ("future", "jobs", "size")

    def __init__(self, jobs: int, size: int, future: asyncio.Future[None]) -> None:
        self.jobs = jobs
        self.size = size
        self.future = future


class Room:
    """Lets groups in, in the order of their callers; a group larger than all room comes in when it is empty."""

    def __init__(self, clock: Clock, patience: float) -> None:
        self._clock = clock
        self._patience = patience
        self._jobs = 0
        self._bytes = 0
        self._outside: deque[_Waiter] = deque()
        self._closed = False

    async def take(self, jobs: int, size: int) -> None:
        """Take room for a group; raises `TimeoutError` after the patience, in seconds, and `NotRunning` when closed."""
        if self._closed:
            raise NotRunning
        if self._outside or not self._fits(jobs, size):
            await self._line_up(jobs, size)
        else:
            self._jobs += jobs
            self._bytes += size

    def give(self, jobs: int, size: int) -> None:
        """Give room back, and let in whom it lets in."""
        self._jobs -= jobs
        self._bytes -= size
        while self._outside:
            first = self._outside[0]
            if not first.future.done():
                if not self._fits(first.jobs, first.size):
                    return
                self._jobs += first.jobs
                self._bytes += first.size
                first.future.set_result(None)
            self._outside.popleft()

    def close(self) -> None:
        """Turn away who is outside, and who comes."""
        self._closed = True
        for waiter in self._outside:
            if not waiter.future.done():
                waiter.future.set_exception(NotRunning())

    def _fits(self, jobs: int, size: int) -> bool:
        return not self._jobs or (self._jobs + jobs <= MOST_JOBS and self._bytes + size <= MOST_BYTES)

    async def _line_up(self, jobs: int, size: int) -> None:
        waiter = _Waiter(jobs, size, asyncio.get_running_loop().create_future())
        self._outside.append(waiter)
        timer = self._clock.call_later(self._patience, lambda: _turn_away(waiter.future))
        try:
            await waiter.future
        except asyncio.CancelledError:
            if not waiter.future.cancelled():
                self.give(jobs, size)  # let in and cancelled in the same moment
            raise
        finally:
            timer.cancel()


def _turn_away(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_exception(TimeoutError())
