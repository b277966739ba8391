"""Storing jobs: one by one, from many callers at once, in bulk. Nothing runs them."""

from __future__ import annotations

import asyncio
from itertools import islice
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from bench.load import CHUNK, Load, store_by_producers
from bench.raw import GroupCommit, RawSqlite, rows
from bench.report import Goal, Line, rate
from bench.stage import Stage, alternate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

__all__ = ["bulk", "one_by_one", "producers"]

PRODUCERS = 50


def one_by_one(stage: Stage) -> Iterator[Line]:
    """Each job awaited before the next; raw: one row a commit."""
    count = stage.count(1_000)

    def raw(store: RawSqlite) -> float:
        return count / sum(map(store.insert_one, rows(count)))

    yield _line(stage, "enqueue, one by one", lambda load: store_by_producers(load, 1, count), raw)


def producers(stage: Stage) -> Iterator[Line]:
    """Fifty callers at once; raw: one thread that commits whatever fifty awaiting producers put in line."""
    each = stage.count(10_000) // PRODUCERS

    def raw(store: RawSqlite) -> float:
        return asyncio.run(_raw_producers(store, each))

    yield _line(
        stage,
        f"enqueue, {PRODUCERS} producers",
        lambda load: store_by_producers(load, PRODUCERS, each),
        raw,
        Goal(0.5, least=True),
    )


def bulk(stage: Stage) -> Iterator[Line]:
    """Batches of a thousand; raw: a thousand rows a commit."""
    count = stage.count(20_000)

    async def engine(load: Load) -> float:
        began = perf_counter()
        await load.store(count)
        return count / (perf_counter() - began)

    def raw(store: RawSqlite) -> float:
        prepared = rows(count)
        began = perf_counter()
        for start in range(0, count, CHUNK):
            store.insert(prepared[start : start + CHUNK])
        return count / (perf_counter() - began)

    yield _line(stage, f"enqueue, {CHUNK:,} in a call", engine, raw, Goal(0.5, least=True))


def _line(
    stage: Stage,
    name: str,
    engine: Callable[[Load], Awaitable[float]],
    raw: Callable[[RawSqlite], float],
    goal: Goal | None = None,
) -> Line:
    """Measure both sides, in jobs a second, each round on new stores."""

    async def with_engine(path: Path) -> float:
        load = Load(stage.url(path), run=False)
        async with load.bb:
            return await engine(load)

    def engine_side() -> float:
        with stage.fresh() as path:
            return asyncio.run(with_engine(path))

    def raw_side() -> float:
        with stage.fresh() as path, RawSqlite(path) as store:
            return raw(store)

    if not stage.on_file:
        engines, _ = alternate(stage.rounds, engine_side)
        return Line(name=name, figure=rate(median(engines)))
    engines, raws = alternate(stage.rounds, engine_side, raw_side)
    figure, limit = median(engines), median(raws)
    return Line(name=name, figure=rate(figure), raw=rate(limit), ratio=figure / limit, goal=goal)


async def _raw_producers(store: RawSqlite, each: int) -> float:
    count = PRODUCERS * each
    # One line for all: ids reach the store in order, as the engine's do.
    prepared = iter(rows(count))
    group = GroupCommit(store)

    async def produce() -> None:
        for row in islice(prepared, each):
            await group.insert(row)

    began = perf_counter()
    await asyncio.gather(*(produce() for _ in range(PRODUCERS)))
    seconds = perf_counter() - began
    group.close()
    return count / seconds
