"""Rung when something may have been written to the log of events; heard by whoever waits for more, by and by."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backburner.model.clock import Clock, Timer

__all__ = ["Bell"]


#: Seconds from a ring to its being heard: many writes are followed by one look.
PAUSE = 0.02


class Bell:
    """Many may wait; a ring that nobody waits for is forgotten."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: set[asyncio.Future[None]] = set()
        self._timer: Timer | None = None

    def ring(self) -> None:
        """Wake all who wait, in a moment."""
        if self._waiting and self._timer is None:
            self._timer = self._clock.call_later(PAUSE, self._wake)

    def _wake(self) -> None:
        self._timer = None
        waiting, self._waiting = self._waiting, set()
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def wait(self, seconds: float) -> None:
        """Wait for a ring, or so long."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await future
        finally:
            self._waiting.discard(future)
