"""Storing jobs: one by one, from many callers at once, in bulk. Nothing runs them."""

from __future__ import annotations

import asyncio
from itertools import islice
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from bench.load import CHUNK, Load, store_by_producers
from bench.raw import insert_all, rows
from bench.report import Goal, Line, rate
from bench.stage import Stage, alternate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from bench.places import Place
    from bench.raw import Raw

__all__ = ["bulk", "one_by_one", "producers"]

PRODUCERS = 50
#: Jobs that come first, on both sides, so that connections are made and statements planned.
WARM_UP = 100


def one_by_one(stage: Stage) -> Iterator[Line]:
    """Each job awaited before the next; raw: one row a commit."""
    count = stage.count(1_000)

    async def raw(store: Raw) -> float:
        prepared = rows(count)
        began = perf_counter()
        for row in prepared:
            await store.insert((row,))
        return count / (perf_counter() - began)

    yield _line(stage, "enqueue, one by one", lambda load: store_by_producers(load, 1, count), raw)


def producers(stage: Stage) -> Iterator[Line]:
    """Fifty callers at once; raw: one connection that commits whatever fifty awaiting producers put in line."""
    each = stage.count(10_000) // PRODUCERS
    yield _line(
        stage,
        f"enqueue, {PRODUCERS} producers",
        lambda load: store_by_producers(load, PRODUCERS, each),
        lambda store: _raw_producers(store, each),
        Goal(0.5, least=True),
    )


def bulk(stage: Stage) -> Iterator[Line]:
    """Batches of a thousand; raw: a thousand rows a commit."""
    count = stage.count(20_000)

    async def engine(load: Load) -> float:
        began = perf_counter()
        await load.store(count)
        return count / (perf_counter() - began)

    async def raw(store: Raw) -> float:
        prepared = rows(count)
        began = perf_counter()
        await insert_all(store, prepared, CHUNK)
        return count / (perf_counter() - began)

    yield _line(stage, f"enqueue, {CHUNK:,} in a call", engine, raw, Goal(0.5, least=True))


def _line(
    stage: Stage,
    name: str,
    engine: Callable[[Load], Awaitable[float]],
    raw: Callable[[Raw], Awaitable[float]],
    goal: Goal | None = None,
) -> Line:
    """Measure both sides, in jobs a second, each round on new stores."""

    async def with_engine(place: Place) -> float:
        load = Load(place.url, run=False)
        async with load.bb:
            _ = await load.store(WARM_UP)
            return await engine(load)

    async def without(place: Place) -> float:
        async with place.raw() as store:
            await store.insert(rows(WARM_UP))
            return await raw(store)

    def engine_side() -> float:
        with stage.fresh() as place:
            return asyncio.run(with_engine(place))

    def raw_side() -> float:
        with stage.fresh() as place:
            return asyncio.run(without(place))

    if not stage.driven:
        engines, _ = alternate(stage.rounds, engine_side)
        return Line(name=name, figure=rate(median(engines)))
    engines, raws = alternate(stage.rounds, engine_side, raw_side)
    figure, limit = median(engines), median(raws)
    return Line(name=name, figure=rate(figure), raw=rate(limit), ratio=figure / limit, goal=goal)


async def _raw_producers(store: Raw, each: int) -> float:
    count = PRODUCERS * each
    # One line for all: ids reach the store in order, as the engine's do.
    prepared = iter(rows(count))
    group = store.group()

    async def produce() -> None:
        for row in islice(prepared, each):
            await group.insert(row)

    began = perf_counter()
    await asyncio.gather(*(produce() for _ in range(PRODUCERS)))
    seconds = perf_counter() - began
    group.close()
    return count / seconds
