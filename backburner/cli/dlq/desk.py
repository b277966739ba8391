"""The store's dead letters, for the time of a command."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from backburner.backends.content import image_flaw
from backburner.cli.store import opened
from backburner.dlq.letters import Letters
from backburner.model.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from backburner.ports.backend import Backend, Hint, Notifier

__all__ = ["Desk", "desk"]


class Desk:
    """A store that is open, and its letters."""

    def __init__(self, backend: Backend, hints: _Hints) -> None:
        self.backend = backend
        self.letters = Letters(
            backend.reader,
            backend.admin,
            backend.nodes,
            backend.operations,
            clock=SystemClock(),
            tell=hints.tell,
            flaw=image_flaw,
        )


@asynccontextmanager
async def desk(url: str | None, *, write: bool = False) -> AsyncGenerator[Desk]:
    """Open the store for the block; nodes have been told what they should hear when it ends."""
    async with opened(url, write=write) as backend:
        hints = _Hints(backend.notifier)
        try:
            yield Desk(backend, hints)
        finally:
            await hints.sent()


class _Hints:
    """Sends hints while the command goes on."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier
        self._tasks: set[asyncio.Task[None]] = set()

    def tell(self, hint: Hint) -> None:
        """Send a hint."""
        self._tasks.add(asyncio.get_running_loop().create_task(self._notifier.notify(hint)))

    async def sent(self) -> None:
        """Wait for those on their way. Hints are lossy: one that failed costs only time."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
