"""What operators set in a store, for the time of a command."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from backburner.cli.hinting import hinting
from backburner.cli.store import opened
from backburner.jobs.breakers import Breakers
from backburner.jobs.limits import Limits
from backburner.jobs.queues import KindPauses, Queues
from backburner.ports.backend import Hint

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from backburner.ports.backend import Backend

__all__ = ["Controls", "controls"]


class Controls:
    """A store that is open, and what can be set there."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        #: What the nodes are to be told.
        self.hints = set[Hint]()
        self.queues = Queues(backend.queues, self.hints.add)
        self.kinds = KindPauses(backend.kinds, self.hints.add)
        self.limits = Limits(backend.limits, self.hints.add)
        self.breakers = Breakers(backend.cells, self.limits)

    async def now(self) -> int:
        """Return the store's now."""
        return (await self.backend.reader.get([])).now


@asynccontextmanager
async def controls(url: str | None, *, write: bool = False) -> AsyncGenerator[Controls]:
    """Open the store for the block; what was changed there is told to the nodes when it ends."""
    async with opened(url, write=write) as backend, hinting(backend.notifier) as hints:
        made = Controls(backend)
        yield made
        for hint in made.hints:
            hints.tell(hint)
