"""Waits until nodes that drain hold nothing any more."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from backburner.cli.filters import pages
from backburner.model.job import JobState
from backburner.model.query import JobFilter, Shown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from backburner.model.clock import Clock
    from backburner.ports.backend import Backend

__all__ = ["Idleness"]

#: Seconds between two looks.
PAUSE = 0.5
#: Looks in a row that find nothing. One could come before the node has heard that it drains.
_QUIET = 2


class Idleness:
    """Looks, by the clock, at what nodes hold.

    The runs found are looked at by their ids until none is left; only then all that runs is read again.
    """

    def __init__(self, backend: Backend, nodes: Collection[str], clock: Clock) -> None:
        self._backend = backend
        self._nodes = frozenset(nodes)
        self._clock = clock
        #: What runs, by id: the node that holds it.
        self.held: dict[str, str] = {}
        #: Nodes that left the list: they stopped.
        self.gone: frozenset[str] = frozenset()
        #: Nodes that died before they were idle.
        self.dead: frozenset[str] = frozenset()

    async def look(self) -> None:
        """See what is held, and who has left or died."""
        listed = {node.id: node.alive for node in await self._backend.nodes.find() if node.id in self._nodes}
        self.gone = self._nodes - listed.keys()
        self.dead = frozenset(node for node, alive in listed.items() if not alive)
        held = await self._still() if self.held else {}
        held = held or await self._all()
        # What a dead node held is not waited for: others take it over.
        self.held = {job_id: node for job_id, node in held.items() if listed.get(node, False)}

    async def wait(self, seconds: float, ended: Callable[[int], None]) -> None:
        """Look until nothing is held, at most ``seconds`` and a pause; ``ended`` hears how many runs fewer each look saw."""
        end = self._clock.monotonic() + seconds
        quiet = 0 if self.held else 1
        while quiet < _QUIET and self._nodes - self.gone - self.dead:
            left = end - self._clock.monotonic()
            if self.held and left <= 0:
                return
            await self._pause(min(PAUSE, left) if self.held else PAUSE)
            before = len(self.held)
            await self.look()
            ended(before - len(self.held))
            quiet = 0 if self.held else quiet + 1

    async def _still(self) -> dict[str, str]:
        page = await self._backend.reader.get(list(self.held))
        running = {job.id: job.node for job in page.jobs if job.state is JobState.RUNNING}
        return {job_id: node for job_id, node in self.held.items() if running.get(job_id) == node}

    async def _all(self) -> dict[str, str]:
        running = pages(self._backend.reader, JobFilter(states=(Shown.RUNNING,)), None)
        return {job.id: job.node async for page in running for job in page.jobs if job.node in self._nodes}

    async def _pause(self, seconds: float) -> None:
        over = asyncio.Event()
        timer = self._clock.call_later(seconds, over.set)
        try:
            await over.wait()
        finally:
            timer.cancel()
