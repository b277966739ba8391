"""Hints to the nodes, sent while a command goes on."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from backburner.ports.backend import Hint, Notifier

__all__ = ["Hints", "hinting"]


class Hints:
    """Sends hints."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier
        self._tasks: set[asyncio.Task[None]] = set()

    def tell(self, hint: Hint) -> None:
        """Send a hint."""
        self._tasks.add(asyncio.get_running_loop().create_task(self._notifier.notify(hint)))

    async def sent(self) -> None:
        """Wait for those on their way. Hints are lossy: one that failed costs only time."""
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def hinting(notifier: Notifier) -> AsyncGenerator[Hints]:
    """Send hints in the block; all have been sent when it ends."""
    hints = Hints(notifier)
    try:
        yield hints
    finally:
        await hints.sent()
