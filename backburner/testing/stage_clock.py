"""The clock of an app under test, which may live on several loops."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from backburner.model.clock import SECOND
from backburner.testing.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from backburner.model.clock import Timer

__all__ = ["StageClock"]

#: Turns of a loop in a row, of so many at most, that have to find nothing under way.
CALM = 8
MOST_TURNS = 50
#: Stops at timers on one way; then the rest of it is made in so many leaps.
STOPS = 10_000
LEAPS = 1_000


class StageClock(FakeClock):
    """A `FakeClock` whose timers call on the loop they were made on, whichever thread moves the time.

    ``quiet`` tells whether tasks need no more turns.
    """

    def __init__(self, now: int, quiet: Callable[[], bool]) -> None:
        super().__init__(now)
        self._quiet = quiet

    async def settle(self) -> None:
        """Let tasks run that wait for nothing but each other."""
        calm = 0
        for _ in range(MOST_TURNS):
            await asyncio.sleep(0)  # noqa: TID251 - others get their turn
            calm = calm + 1 if self._quiet() else 0
            if calm == CALM:
                return

    async def pass_to(self, end: int) -> None:
        """Let time pass; where it would stop very often on the way, in a few leaps, as on a machine that was suspended."""
        for _ in range(STOPS):
            stop = self.next_timer
            if stop is None or stop > end:
                await self.stop_at(end)
                return
            await self.stop_at(stop)
        leap = max(1.0, (end - self.now()) / SECOND / LEAPS)
        while self.now() < end:
            await self.leap(min(leap, (end - self.now()) / SECOND))

    async def stop_at(self, stop: int) -> None:
        """Let time pass up to a moment, if it is not past."""
        await self.advance(max(0, stop - self.now()) / SECOND)

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Timer:
        """Call back there once `advance` has passed ``delay`` seconds."""
        return super().call_later(delay, partial(_call_on, asyncio.get_running_loop(), callback))


def _call_on(loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> None:
    if loop is asyncio.get_running_loop():
        callback()
        return
    with suppress(RuntimeError):  # that loop is over, and whoever waited there
        loop.call_soon_threadsafe(callback)
