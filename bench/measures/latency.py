"""How long a job takes from create_task to its start, when nothing else is going on."""

from __future__ import annotations

import asyncio
from itertools import chain
from statistics import median, quantiles
from time import perf_counter, sleep
from typing import TYPE_CHECKING

from backburner import Backburner
from bench.raw import RawSqlite, Row, rows
from bench.report import Goal, Line, milliseconds
from bench.stage import Stage, alternate

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["start"]

#: Seconds between two jobs, or two commits, for everything to come to rest.
REST = 0.002


def start(stage: Stage) -> Iterator[Line]:
    """From the call of create_task to the job's first line; raw: one row in a commit of its own."""
    count = stage.count(300)

    def engine() -> list[float]:
        with stage.fresh() as path:
            return asyncio.run(_latencies(stage.url(path), count))

    def raw() -> list[float]:
        with stage.fresh() as path, RawSqlite(path) as store:
            return [_after_a_rest(store, row) for row in rows(count)]

    engines, raws = alternate(stage.rounds, engine, raw if stage.on_file else None)
    figures = list(chain.from_iterable(engines))
    limits = list(chain.from_iterable(raws))
    yield _line(
        "create_task to start, idle, p50", median(figures), median(limits) if limits else None, Goal(2, least=False)
    )
    yield _line("create_task to start, idle, p99", _p99(figures), _p99(limits) if limits else None, None)


def _after_a_rest(store: RawSqlite, row: Row) -> float:
    sleep(REST)
    return store.insert_one(row)


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


def _line(name: str, figure: float, limit: float | None, goal: Goal | None) -> Line:
    if limit is None:
        return Line(name=name, figure=milliseconds(figure))
    return Line(name=name, figure=milliseconds(figure), raw=milliseconds(limit), ratio=figure / limit, goal=goal)


def _p99(values: list[float]) -> float:
    return quantiles(values, n=100)[98]
