"""Running what is stored."""

from __future__ import annotations

import asyncio
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from bench.load import CONCURRENCY, Load, bare_loop
from bench.raw import RawSqlite, rows
from bench.report import Goal, Line, rate
from bench.stage import Stage, alternate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.load import Spent

__all__ = ["drain", "drained", "through"]


def drain(stage: Stage) -> Iterator[Line]:
    """No-op jobs that are stored already; raw: claim and settle of a hundred in one transaction, or bare tasks."""
    count = stage.count(20_000)

    def engine() -> float:
        with stage.fresh() as path:
            return count / asyncio.run(drained(stage, path, count)).wall

    def raw() -> float:
        if not stage.on_file:
            return asyncio.run(bare_loop(count))
        with stage.fresh() as path, RawSqlite(path) as store:
            store.insert(rows(count))
            began = perf_counter()
            return store.drain(CONCURRENCY) / (perf_counter() - began)

    engines, raws = alternate(stage.rounds, engine, raw)
    figure, limit = median(engines), median(raws)
    yield Line(
        name=f"drain {count:,} no-ops, {CONCURRENCY} at once",
        figure=rate(figure),
        raw=rate(limit),
        ratio=figure / limit,
        goal=Goal(0.35, least=True) if stage.on_file else None,
    )


def through(stage: Stage) -> Iterator[Line]:
    """From create_tasks until the last handle is done, on memory; raw: create_task and gather of the same no-ops."""
    if stage.on_file:
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


async def drained(stage: Stage, path: Path, count: int) -> Spent:
    """Store and run so many no-ops; return what the running took."""
    load = Load(stage.url(path))
    if stage.on_file:
        prepared = rows(count)
        with RawSqlite(path) as store:
            store.insert(prepared)
        async with load.bb:
            return await load.drain(count, prepared[-1][0])
    async with load.bb:
        await load.bb.queues.pause("default")
        handles = await load.store(count)
        await load.bb.queues.resume("default")
        return await load.drain(count, handles[-1].id)
