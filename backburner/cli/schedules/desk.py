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
    from collections.abc import AsyncGenerator, Sequence

    from backburner.cli.hinting import Hints
    from backburner.model.job import NewJob
    from backburner.ports.backend import Backend

__all__ = ["Desk", "desk"]


class Desk:
    """A store that is open, and its schedules."""

    def __init__(self, backend: Backend, hints: Hints) -> None:
        def fired(_: Sequence[NewJob], __: int) -> None:
            hints.tell(Hint.JOBS)

        self.backend = backend
        self.schedules = Schedules(
            backend.schedules,
            backend.schedule_reader,
            backend.limits,
            build=_build,
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
        yield Desk(backend, hints)


def _build(text: str, *, job_id: str, schedule: str, tick: int, lane: str | None) -> BuiltJob:
    """Make a job as it is stored with its schedule: no code is at hand that would have it otherwise."""
    return BuiltJob(*build(text, {}, job_id=job_id, schedule=schedule, tick=tick, lane=lane))
