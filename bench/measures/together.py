"""Whether a second process brings anything."""

from __future__ import annotations

import asyncio
import os
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from backburner import Backburner
from bench.apart import hired, ready
from bench.load import CONCURRENCY, Load
from bench.report import Goal, Line, rate
from bench.stage import Stage, alternate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.places import SharedHost

__all__ = ["together"]

JOBS = 40_000
#: Two processes, and what they make the server do, take a core each.
CORES = 4
#: Seconds in which nothing starts any more once all is done.
QUIET = 1.0


def together(stage: Stage) -> Iterator[Line]:
    """Two processes drain one line, held against one process; judged only where there are cores for that."""
    server = stage.server
    if server is None:
        return
    count = stage.count(JOBS)
    twos, ones = alternate(stage.rounds, lambda: _drain(server, count, 2), lambda: _drain(server, count, 1))
    figure, limit = median(twos), median(ones)
    cores = os.cpu_count() or 1
    enough = cores >= CORES
    yield Line(
        name=f"drain by two processes (raw: by one){'' if enough else f', but {cores} cores'}",
        figure=rate(figure),
        raw=rate(limit),
        ratio=figure / limit,
        goal=Goal(1.5, least=True) if enough else None,
    )


def _drain(server: SharedHost, count: int, processes: int) -> float:
    """Return jobs a second, from the first start to the last, wherever those were."""

    async def begin() -> None:
        async with load.bb:
            await load.bb.queues.resume("default")

    async def store() -> None:
        async with load.bb:
            await load.bb.queues.pause("default")
            _ = await load.store(count)

    with server.fresh() as place:
        load = Load(place.url, run=False)
        asyncio.run(store())
        with hired(processes, _run, place.url) as results:
            asyncio.run(begin())
            lives = [result.result() for result in results]
    runs = [runs for runs, _, _ in lives]
    assert sum(runs) == count, runs
    began = min(first for runs, first, _ in lives if runs)
    return count / (max(last for _, _, last in lives) - began)


def _run(url: str) -> tuple[int, float, float]:
    """Run what there is until nothing starts; return how many ran, and when the first and the last started."""
    bb = Backburner(url, queues={"default": CONCURRENCY}, slots=CONCURRENCY)
    starts = 0
    first = last = 0.0

    @bb.job
    async def noop() -> None:
        nonlocal starts, first, last
        last = perf_counter()
        if not starts:
            first = last
        starts += 1

    async def run() -> None:
        async with bb:
            await asyncio.to_thread(ready)
            while not starts or perf_counter() - last < QUIET:  # noqa: ASYNC110 - nobody tells that nothing happens
                await asyncio.sleep(QUIET / 10)

    asyncio.run(run())
    return starts, first, last
