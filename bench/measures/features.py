"""What the features cost where they are used: a dependency, a process of one's own. On memory, so that no disk is in it."""

from __future__ import annotations

import asyncio
from statistics import median
from time import perf_counter, process_time
from typing import TYPE_CHECKING

from backburner import Backburner, Provide, Registry
from bench.report import Goal, Line, milliseconds
from bench.stage import Stage, alternate

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

__all__ = ["processes", "providing"]

jobs = Registry("bench")


async def session() -> AsyncGenerator[int]:
    """Yield what a job may need."""
    yield 1


@jobs.job
async def plain(number: int) -> int:
    """Need nothing."""
    return number


@jobs.job
async def provided(number: int, need: int = Provide(session)) -> int:
    """Need one thing, opened and closed around it."""
    return number + need


@jobs.job(executor="process")
def apart(number: int) -> int:
    """Run in a process of its own."""
    return number


def providing(stage: Stage) -> Iterator[Line]:
    """CPU that a job with one `Provide` takes more than the same without."""
    if stage.driven:
        return
    count = stage.count(5_000)
    with_one, without = alternate(
        4 * stage.rounds, lambda: asyncio.run(_cpu(count, one=True)), lambda: asyncio.run(_cpu(count, one=False))
    )
    more = median(with_one) - median(without)
    yield Line(
        name="CPU of one Provide, a job",
        figure=f"{more * 1e6:.1f} µs",
        judged=more,
        goal=Goal(10e-6, least=False, shown="< 10 µs"),
    )


async def _cpu(count: int, *, one: bool) -> float:
    bb = Backburner("memory://", jobs=[jobs])
    async with bb:
        began = process_time()
        for handle in await bb.create_tasks([provided(n) if one else plain(n) for n in range(count)]):
            await handle
        return (process_time() - began) / count


def processes(stage: Stage) -> Iterator[Line]:
    """From create_task to the result of a process job, once its process is warm."""
    if stage.driven:
        return
    trips = asyncio.run(_round_trips(stage.count(1_000)))
    middle = median(trips)
    yield Line(
        name="round trip of a process job, warm, p50",
        figure=milliseconds(middle),
        judged=middle,
        goal=Goal(0.001, least=False, shown="< 1 ms"),
    )


async def _round_trips(count: int) -> list[float]:
    bb = Backburner("memory://", jobs=[jobs], processes=1)
    trips: list[float] = []
    async with bb:
        await (await bb.create_task(apart(0)))
        for number in range(count):
            began = perf_counter()
            await (await bb.create_task(apart(number)))
            trips.append(perf_counter() - began)
    return trips
