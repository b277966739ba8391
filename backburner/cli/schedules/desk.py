"""The store's schedules, for the time of a command."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from backburner.cli.hinting import hinting
from backburner.cli.store import opened
from backburner.jobs.standing import build
from backburner.model.clock import SystemClock
from backburner.model.ids import Ids
from backburner.ports.backend import Hint
from backburner.scheduler.records import BuiltJob
from backburner.scheduler.schedules import Schedules

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from backburner.cli.hinting import Hints
    from backburner.model.job import NewJob
    from backburner.ports.backend import Backend

__all__ = ["Desk", "desk"]


class Desk:
    """A store that is open, and its schedules."""

    def __init__(self, backend: Backend, hints: Hints, homes: Mapping[str, str]) -> None:
        def fired(_: Sequence[NewJob], __: int) -> None:
            hints.tell(Hint.JOBS)

        def made(text: str, *, job_id: str, schedule: str, tick: int, lane: str | None) -> BuiltJob:
            # As it is stored with its schedule: no code is at hand that would have it otherwise.
            return BuiltJob(*build(text, {}, job_id=job_id, schedule=schedule, tick=tick, lane=lane, homes=homes))

        self.backend = backend
        #: The queue of each kind that living nodes know, where that is not the default one.
        self.homes = homes
        self.schedules = Schedules(
            backend.schedules,
            backend.schedule_reader,
            backend.limits,
            build=made,
            fired=fired,
            tell=hints.tell,
            ids=Ids(SystemClock()),
        )

    async def now(self) -> int:
        """Return the store's now."""
        return (await self.backend.schedule_reader.get([])).now


@asynccontextmanager
async def desk(url: str | None, *, write: bool = False) -> AsyncGenerator[Desk]:
    """Open the store for the block; nodes have been told what they should hear when it ends."""
    async with opened(url, write=write) as backend, hinting(backend.notifier) as hints:
        yield Desk(backend, hints, await _homes(backend))


async def _homes(backend: Backend) -> dict[str, str]:
    homes: dict[str, str] = {}
    for node in await backend.nodes.find():
        if node.alive:
            homes |= node.kind_queues
    return homes
