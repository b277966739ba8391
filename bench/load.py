"""An engine under load: jobs that do nothing but count themselves."""

from __future__ import annotations

import asyncio
from time import perf_counter, process_time
from typing import TYPE_CHECKING, NamedTuple, Self

from backburner import Backburner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner import JobHandle

__all__ = ["CHUNK", "CONCURRENCY", "Load", "Spent", "bare_loop", "store_by_producers"]

CONCURRENCY = 100
#: Jobs in one bulk write.
CHUNK = 1_000


class Spent(NamedTuple):
    """Seconds: on the wall, and of this process on all cores."""

    wall: float
    cpu: float

    @classmethod
    def until_now(cls) -> Self:
        """Read both clocks; a difference of two readings is what was spent between them."""
        return cls(perf_counter(), process_time())

    def since(self, earlier: Spent) -> Spent:
        """Return what was spent since an earlier reading."""
        return Spent(self.wall - earlier.wall, self.cpu - earlier.cpu)


class Load:
    """An engine with one job, ``noop``, on a store."""

    def __init__(self, url: str, *, run: bool = True, at_once: int = CONCURRENCY) -> None:
        self.bb = Backburner(url, queues={"default": at_once}, slots=at_once, run=run)
        self.runs = 0
        self.first_run = Spent(0, 0)
        self._last_run = Spent(0, 0)
        self._wanted = -1
        self._reached = asyncio.Event()

        async def noop() -> None:
            if not self.runs:
                self.first_run = Spent.until_now()
            self.runs += 1
            if self.runs == self._wanted:
                self._last_run = Spent.until_now()
                self._reached.set()

        self.noop = self.bb.job(noop)

    async def store(self, count: int) -> Sequence[JobHandle[None]]:
        """Store jobs in bulk."""
        handles: list[JobHandle[None]] = []
        for start in range(0, count, CHUNK):
            handles += await self.bb.create_tasks([self.noop() for _ in range(min(CHUNK, count - start))])
        return handles

    async def ran(self, count: int) -> Spent:
        """Wait for so many runs; return what was spent from the start of the first until that of the last."""
        self._wanted = count
        await self._reached.wait()
        return self._last_run.since(self.first_run)

    async def drain(self, count: int, last: str) -> Spent:
        """Return what was spent from the first of ``count`` runs until the last one's end is written.

        Jobs run in order, so the last id stored is settled with the last batch.
        """
        await self.bb.handle(last, self.noop)
        spent = Spent.until_now().since(self.first_run)
        if self.runs < count:
            raise AssertionError(f"{count} jobs were stored, {self.runs} ran before the last one ended")
        return spent


async def store_by_producers(load: Load, producers: int, each: int) -> float:
    """Store one by one from many callers at once; return the jobs a second."""

    async def produce() -> None:
        for _ in range(each):
            _ = await load.bb.create_task(load.noop())

    began = perf_counter()
    await asyncio.gather(*(produce() for _ in range(producers)))
    return producers * each / (perf_counter() - began)


async def bare_loop(count: int) -> float:
    """Run as many no-ops without any engine, as asyncio tasks; return the jobs a second."""
    runs = 0

    async def noop() -> None:
        nonlocal runs
        runs += 1

    began = perf_counter()
    await asyncio.gather(*[asyncio.create_task(noop()) for _ in range(count)])
    return runs / (perf_counter() - began)
