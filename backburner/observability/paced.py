"""Reads on behalf of all who ask, no oftener than is good for who is read."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from backburner.model.clock import Clock

__all__ = ["Paced", "Reading"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading(Generic[T]):
    """What was read, or the error that came instead."""

    value: T | None = None
    error: Exception | None = None
    #: How long it took.
    seconds: float


class Paced(Generic[T]):
    """Shares one reading among all who ask while it is under way, and afterwards until the next may begin.

    That is ``every`` seconds after the last began, and later where it took long: reading takes no more than ``share`` of
    the time. One that takes longer than ``deadline`` seconds is cancelled, and a `TimeoutError` is its error. Who asks
    may go away: the reading goes on. Used on one loop at a time.
    """

    def __init__(
        self, read: Callable[[], Awaitable[T]], *, every: float, share: float, deadline: float, clock: Clock
    ) -> None:
        self._read = read
        self._every = every
        self._share = share
        self._deadline = deadline
        self._clock = clock
        self._next = 0.0
        self._task: asyncio.Task[Reading[T]] | None = None
        #: The last reading; None before the first has ended.
        self.last: Reading[T] | None = None

    async def get(self) -> Reading[T]:
        """Return the last reading, or a new one where it is time for one; never raises for what reading raised."""
        loop = asyncio.get_running_loop()
        task = self._task
        # One of another loop is left over: that ended while it read.
        if task is None or task.get_loop() is not loop:
            if self.last is not None and self._clock.monotonic() < self._next:
                return self.last
            task = self._task = loop.create_task(self._take(), name="backburner.reading")
        return await asyncio.shield(task)

    async def _take(self) -> Reading[T]:
        began = self._clock.monotonic()
        value: T | None = None
        failed: Exception | None = None
        try:
            value = await self._within_deadline()
        except Exception as error:  # noqa: BLE001 - whoever asks is told, and goes on without
            failed = error
        finally:
            self._task = None
        took = self._clock.monotonic() - began
        self._next = began + max(self._every, took / self._share)
        self.last = Reading(value=value, error=failed, seconds=took)
        return self.last

    async def _within_deadline(self) -> T:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(None) as scope:
            timer = self._clock.call_later(self._deadline, lambda: scope.reschedule(loop.time()))
            try:
                return await self._read()
            finally:
                timer.cancel()
