"""What runs at once, as the jobs of a test tell it."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = ["Gauge", "turn"]


class Gauge:
    """Counts runs by a name of the test's choice: now, the most at once, and in all."""

    def __init__(self) -> None:
        self.now: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.begun: Counter[str] = Counter()
        self._changed = asyncio.Event()

    @contextmanager
    def run(self, name: str = "") -> Generator[None]:
        """Count a run while it lasts."""
        self.now[name] += 1
        self.begun[name] += 1
        self.most[name] = max(self.most[name], self.now[name])
        self._changed.set()
        try:
            yield
        finally:
            self.now[name] -= 1
            self._changed.set()

    async def until(self, reached: Callable[[], bool]) -> None:
        """Wait until something that is counted here has come about."""
        while not reached():
            self._changed.clear()
            await self._changed.wait()


async def turn(seconds: float = 0.01) -> None:
    """Let stores and other tasks have their turn, between two looks."""
    over = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, over.set)
    await over.wait()
