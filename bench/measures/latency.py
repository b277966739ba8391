"""How long a job takes from create_task to its start, when nothing else is going on."""

from __future__ import annotations

import asyncio
from itertools import chain
from statistics import quantiles
from time import perf_counter
from typing import TYPE_CHECKING

from backburner import Backburner
from bench.raw import rows
from bench.report import Goal, Line, milliseconds
from bench.stage import Stage, alternate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.places import Place

__all__ = ["figures", "percentile", "start"]

#: Seconds between two jobs, or two commits, for everything to come to rest.
REST = 0.002


def start(stage: Stage) -> Iterator[Line]:
    """From the call of create_task to the job's first line; raw: one row in a commit of its own."""
    count = stage.count(300)

    def engine() -> list[float]:
        with stage.fresh() as place:
            return asyncio.run(_latencies(place.url, count))

    def raw() -> list[float]:
        with stage.fresh() as place:
            return asyncio.run(_raw_latencies(place, count))

    engines, raws = alternate(stage.rounds, engine, raw if stage.driven else None)
    yield from figures(
        "create_task to start, idle",
        list(chain.from_iterable(engines)),
        list(chain.from_iterable(raws)),
        # Of servers only what jobs take on their way to another process is judged.
        Goal(2, least=False) if stage.server is None else None,
    )


async def _raw_latencies(place: Place, count: int) -> list[float]:
    latencies: list[float] = []
    async with place.raw() as store:
        for row in rows(count):
            await asyncio.sleep(REST)
            began = perf_counter()
            await store.insert((row,))
            latencies.append(perf_counter() - began)
    return latencies


async def _latencies(url: str, count: int) -> list[float]:
    bb = Backburner(url)
    latencies: list[float] = []
    called = 0.0

    @bb.job
    async def probe() -> None:
        latencies.append(perf_counter() - called)

    async with bb:
        for _ in range(count):
            call = probe()
            called = perf_counter()
            await (await bb.create_task(call))
            await asyncio.sleep(REST)
    return latencies


def figures(name: str, measured: list[float], raw: list[float], goal: Goal | None) -> Iterator[Line]:
    """Report the middle, which a goal judges, and the tail."""
    for part, bound in ((50, goal), (99, None)):
        figure = percentile(measured, part)
        line = f"{name}, p{part}"
        if not raw:
            yield Line(name=line, figure=milliseconds(figure))
            continue
        limit = percentile(raw, part)
        yield Line(name=line, figure=milliseconds(figure), raw=milliseconds(limit), ratio=figure / limit, goal=bound)


def percentile(values: list[float], part: int) -> float:
    """Return the value that so many percent of all stay below."""
    return quantiles(values, n=100)[part - 1]
