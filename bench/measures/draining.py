"""Running what is stored."""

from __future__ import annotations

import asyncio
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from bench.load import CHUNK, CONCURRENCY, Load, bare_loop
from bench.raw import insert_all, rows
from bench.report import Goal, Line, rate
from bench.stage import Stage, alternate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.load import Spent
    from bench.places import Place

__all__ = ["drain", "drained", "through"]


def drain(stage: Stage) -> Iterator[Line]:
    """No-op jobs that are stored already; raw: claim and settle of a hundred in one transaction, or bare tasks."""
    count = stage.count(20_000)

    def engine() -> float:
        with stage.fresh() as place:
            return count / asyncio.run(drained(stage, place, count)).wall

    def raw() -> float:
        if not stage.driven:
            return asyncio.run(bare_loop(count))
        with stage.fresh() as place:
            return asyncio.run(_raw_drain(place, count))

    engines, raws = alternate(stage.rounds, engine, raw)
    figure, limit = median(engines), median(raws)
    yield Line(
        name=f"drain {count:,} no-ops, {CONCURRENCY} at once",
        figure=rate(figure),
        raw=rate(limit),
        ratio=figure / limit,
        goal=Goal(0.35, least=True) if stage.driven else None,
    )


def through(stage: Stage) -> Iterator[Line]:
    """From create_tasks until the last handle is done, on memory; raw: create_task and gather of the same no-ops."""
    if stage.driven:
        return
    count = stage.count(20_000)

    async def engine() -> float:
        load = Load("memory://")
        async with load.bb:
            began = perf_counter()
            handles = await load.bb.create_tasks([load.noop() for _ in range(count)])
            for handle in handles:
                await handle
            return count / (perf_counter() - began)

    engines, raws = alternate(stage.rounds, lambda: asyncio.run(engine()), lambda: asyncio.run(bare_loop(count)))
    figure, limit = median(engines), median(raws)
    yield Line(
        name=f"create_tasks of {count:,} until all are done",
        figure=rate(figure),
        raw=rate(limit),
        ratio=figure / limit,
        goal=Goal(0.15, least=True),
    )


async def drained(stage: Stage, place: Place, count: int) -> Spent:
    """Store and run so many no-ops; return what the running took."""
    load = Load(place.url)
    if stage.driven:
        storing = Load(place.url, run=False)
        async with storing.bb:
            handles = await storing.store(count)
        async with load.bb:
            return await load.drain(count, handles[-1].id)
    async with load.bb:
        await load.bb.queues.pause("default")
        handles = await load.store(count)
        await load.bb.queues.resume("default")
        return await load.drain(count, handles[-1].id)


async def _raw_drain(place: Place, count: int) -> float:
    async with place.raw() as store:
        await insert_all(store, rows(count), CHUNK)
        await store.rest()
        began = perf_counter()
        done = 0
        claims = await store.claim_and_settle((), CONCURRENCY)
        while claims:
            done += len(claims)
            claims = await store.claim_and_settle(claims, CONCURRENCY)
        assert done == count
        return done / (perf_counter() - began)
