"""Rung when something may have been written to the log of events; heard by whoever waits for more."""

from __future__ import annotations

import asyncio
from contextlib import suppress

__all__ = ["Bell"]


class Bell:
    """Many may wait; whoever says which ring it heard last misses none that comes while it is busy."""

    def __init__(self) -> None:
        #: How often it was rung.
        self.rung = 0
        #: Nobody will ring it again: the engine stops.
        self.closed = False
        self._waiting: set[asyncio.Future[None]] = set()

    def ring(self) -> None:
        """Wake all who wait."""
        self.rung += 1
        if self._waiting:
            waiting, self._waiting = self._waiting, set()
            for future in waiting:
                if not future.done():
                    future.set_result(None)

    def close(self) -> None:
        """Wake all who wait, for good."""
        self.closed = True
        self.ring()

    async def wait(self, heard: int, seconds: float) -> None:
        """Wait for a ring after the one numbered ``heard``, or so long."""
        if self.rung != heard or self.closed:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await future
        finally:
            self._waiting.discard(future)
