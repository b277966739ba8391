"""Engines that know the same jobs, and what tests ask of their store."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from backburner import Backburner, JobHandle, JobStatus, Registry
    from backburner.jobs.call import Call
    from backburner.model.job import JobRecord
    from backburner.model.lane import LaneRecord
    from backburner.model.query import JobFilter

__all__ = ["PATIENCE", "crew", "empty", "finished", "lane", "records", "store"]

PATIENCE = 30.0


@asynccontextmanager
async def crew(make: Callable[..., Backburner], jobs: Registry, **options: Any) -> AsyncGenerator[list[Backburner]]:  # noqa: ANN401 - whatever an engine takes
    """Enter two engines that know the same jobs; a store in memory has room for one."""
    engines = [make(jobs=[jobs], **options) for _ in range(1 if make.args[0] == "memory://" else 2)]  # type: ignore[attr-defined]
    async with AsyncExitStack() as stack:
        for engine in engines:
            await stack.enter_async_context(engine)
        yield engines


async def finished(handles: Sequence[JobHandle[Any]]) -> list[JobStatus]:
    """Wait until jobs have ended, and return what became of them."""
    assert all(await asyncio.gather(*(handle.wait(PATIENCE) for handle in handles)))
    return [await handle.status() for handle in handles]


async def store(engines: Sequence[Backburner], calls: Sequence[Call[Any]]) -> list[JobHandle[Any]]:
    """Store calls, each engine its share."""
    count = len(engines)
    shares = [await engine.create_tasks(calls[number::count]) for number, engine in enumerate(engines)]
    return [handle for share in shares for handle in share]


async def records(bb: Backburner, where: JobFilter) -> list[JobRecord]:
    """Read jobs as they are stored."""
    return list((await bb._running()._backend.reader.find(where, limit=1000)).jobs)


async def lane(bb: Backburner, name: str) -> LaneRecord:
    """Read a lane."""
    (found,) = (await bb._running()._backend.limits.lanes((name,))).lanes
    return found


async def empty(bb: Backburner, *names: str) -> None:
    """Hold that nothing is left of any lane: nobody runs in it, nobody stands at it."""
    for name in names:
        left = await lane(bb, name)
        assert (left.running, left.holders, left.parked) == (0, (), False)
