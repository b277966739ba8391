"""The store's dead letters, for the time of a command."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from backburner.backends.content import image_flaw
from backburner.cli.hinting import hinting
from backburner.cli.store import opened
from backburner.dlq.letters import Letters
from backburner.model.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from backburner.cli.hinting import Hints
    from backburner.ports.backend import Backend

__all__ = ["Desk", "desk"]


class Desk:
    """A store that is open, and its letters."""

    def __init__(self, backend: Backend, hints: Hints) -> None:
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
    async with opened(url, write=write) as backend, hinting(backend.notifier) as hints:
        yield Desk(backend, hints)
