"""The engine beside an app that keeps the loop busy: what is left of its speed."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from bench.load import Load, store_by_producers
from bench.measures.draining import drained
from bench.report import Line, rate
from bench.stage import Stage, alternate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from bench.places import Place

__all__ = ["busy"]

#: Seconds of work and of rest, in turn: four fifths of the loop's time are taken.
WORK = 0.008
REST = 0.002
PRODUCERS = 50


def busy(stage: Stage) -> Iterator[Line]:
    """Drain and enqueue beside a loop that is 80 % busy, held against the same beside an idle loop."""
    count = stage.count(5_000)

    async def drain(place: Place) -> float:
        return count / (await drained(stage, place, count)).wall

    async def enqueue(place: Place) -> float:
        load = Load(place.url, run=False)
        async with load.bb:
            return await store_by_producers(load, PRODUCERS, count // PRODUCERS)

    for name, work in (("drain", drain), (f"enqueue, {PRODUCERS} producers,", enqueue)):
        beside, alone = alternate(
            stage.rounds, partial(_measure, stage, work, busy=True), partial(_measure, stage, work, busy=False)
        )
        figure, limit = median(beside), median(alone)
        yield Line(name=f"{name} beside a busy loop", figure=rate(figure), raw=rate(limit), ratio=figure / limit)


def _measure(stage: Stage, work: Callable[[Place], Awaitable[float]], *, busy: bool) -> float:
    async def run(place: Place) -> float:
        async with _other_work(busy=busy):
            return await work(place)

    with stage.fresh() as place:
        return asyncio.run(run(place))


@asynccontextmanager
async def _other_work(*, busy: bool) -> AsyncIterator[None]:
    async def keep_busy() -> None:
        while busy:
            until = perf_counter() + WORK
            while perf_counter() < until:
                pass
            await asyncio.sleep(REST)

    task = asyncio.create_task(keep_busy())
    try:
        yield
    finally:
        task.cancel()
