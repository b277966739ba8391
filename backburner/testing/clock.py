"""A clock that moves only when told."""

from __future__ import annotations

import asyncio
import heapq
from typing import TYPE_CHECKING

from backburner.model.clock import SECOND, Timer, micros

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

__all__ = ["FakeClock"]

#: Turns of the loop after each timer: enough for a chain of tasks that wake each other in memory.
_TURNS = 50


class _FakeTimer:
    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        self.callback = None

    def fire(self) -> None:
        callback, self.callback = self.callback, None
        if callback is not None:
            callback()


class FakeClock:
    """A `Clock` for tests: wall time, monotonic time and timers move together, by `advance` and `leap` alone."""

    def __init__(self, now: int = 1_750_000_000 * SECOND) -> None:
        self._start = now
        self._now = now
        self._sequence = 0
        self._timers: list[tuple[int, int, _FakeTimer]] = []

    def now(self) -> int:
        """Microseconds since 1970 UTC."""
        return self._now

    def monotonic(self) -> float:
        """Seconds since this clock was made."""
        return (self._now - self._start) / SECOND

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Timer:
        """Call back once `advance` has passed ``delay`` seconds."""
        timer = _FakeTimer(callback)
        self._sequence += 1
        # A delay too short to be told would else be over, again and again, with no time having passed.
        length = max(micros(delay), 1) if delay > 0 else 0
        heapq.heappush(self._timers, (self._now + length, self._sequence, timer))
        return timer

    @property
    def next_timer(self) -> int | None:
        """When the next timer is due, in microseconds since 1970 UTC; None: there is none."""
        while self._timers and self._timers[0][2].callback is None:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def move(self, duration: timedelta | float) -> None:
        """Move the time without calling timers, as a step of the wall clock does; backwards too."""
        self._now += micros(duration)

    async def advance(self, duration: timedelta | float) -> None:
        """Move the time, stopping at each timer on the way to call it and let its tasks run."""
        end = self._now + micros(duration)
        while (due := self.next_timer) is not None and due <= end:
            _, _, timer = heapq.heappop(self._timers)
            self._now = max(self._now, due)
            timer.fire()
            await self.settle()
        self._now = end
        await self.settle()

    async def leap(self, duration: timedelta | float) -> None:
        """Move the time in one go, then call what has become due, as on a machine that was suspended."""
        self.move(duration)
        late = [heapq.heappop(self._timers)[2] for _ in range(self._overdue())]
        for timer in late:
            timer.fire()
        await self.settle()

    def _overdue(self) -> int:
        return sum(due <= self._now for due, _, _ in self._timers)

    async def settle(self) -> None:
        """Let tasks run that wait for nothing but each other."""
        for _ in range(_TURNS):
            await asyncio.sleep(0)
