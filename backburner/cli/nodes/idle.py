"""Waits until nodes that drain hold nothing any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.model.clock import pause
from backburner.model.query import JobFilter, Shown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from backburner.model.clock import Clock
    from backburner.ports.backend import Backend

__all__ = ["Idleness"]

#: Seconds between two looks.
PAUSE = 0.5
#: Looks in a row that find nothing. One could come before the node has heard that it drains.
_QUIET = 2


class Idleness:
    """Looks, by the clock, at how much nodes hold."""

    def __init__(self, backend: Backend, nodes: Collection[str], clock: Clock) -> None:
        self._backend = backend
        self._nodes = frozenset(nodes)
        self._clock = clock
        #: How many runs each node holds; those that hold none, are gone or dead are left out.
        self.held: dict[str, int] = {}
        #: Nodes that left the list: they stopped.
        self.gone: frozenset[str] = frozenset()
        #: Nodes that died before they were idle.
        self.dead: frozenset[str] = frozenset()

    @property
    def running(self) -> int:
        """How many runs they hold together."""
        return sum(self.held.values())

    async def look(self) -> None:
        """See what is held, and who has left or died."""
        listed = {node.id: node.alive for node in await self._backend.nodes.find() if node.id in self._nodes}
        self.gone = self._nodes - listed.keys()
        self.dead = frozenset(node for node, alive in listed.items() if not alive)
        # What a dead node held is not waited for: others take it over.
        held = {node: await self._count(node) for node, alive in listed.items() if alive}
        self.held = {node: number for node, number in held.items() if number}

    async def some(self, node: str, limit: int) -> Sequence[str]:
        """Return the ids of the newest jobs that a node runs."""
        return [job.id for job in (await self._backend.reader.find(_runs(node), limit=limit)).jobs]

    async def wait(self, seconds: float, ended: Callable[[int], None]) -> None:
        """Look until nothing is held, at most ``seconds`` and a pause; ``ended`` hears how many runs fewer each look saw."""
        end = self._clock.monotonic() + seconds
        quiet = 0 if self.held else 1
        while quiet < _QUIET and self._nodes - self.gone - self.dead:
            left = end - self._clock.monotonic()
            if self.held and left <= 0:
                return
            await pause(self._clock, min(PAUSE, left) if self.held else PAUSE)
            before = self.running
            await self.look()
            ended(before - self.running)
            quiet = 0 if self.held else quiet + 1

    async def _count(self, node: str) -> int:
        return (await self._backend.reader.count(_runs(node))).get(Shown.RUNNING, 0)


def _runs(node: str) -> JobFilter:
    return JobFilter(node=node, states=(Shown.RUNNING,))
