"""How long a job takes from create_task in one process to its start in another, when nothing else is going on."""

from __future__ import annotations

import asyncio
from itertools import chain
from time import perf_counter
from typing import TYPE_CHECKING, Any

from backburner import Backburner
from bench.apart import hired, ready
from bench.measures.latency import figures
from bench.raw import rows
from bench.report import Goal, Line
from bench.stage import Stage, alternate

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from bench.places import SharedPlace

__all__ = ["across"]

#: Seconds between two jobs: more than a hint waits after the one before it.
REST = 0.06
COUNT = 60
#: Jobs that come first, and do not count.
WARM_UP = 10


def across(stage: Stage) -> Iterator[Line]:
    """From the call of create_task to the job's first line elsewhere; raw: insert and notify in one, hear, claim."""
    server = stage.server
    if server is None:
        return
    count = WARM_UP + COUNT

    def measure(
        send: Callable[[SharedPlace, int], Coroutine[Any, Any, None]],
        receive: Callable[[SharedPlace, int], list[float]],
    ) -> list[float]:
        with server.fresh() as place, hired(1, receive, place, count) as (latencies,):
            asyncio.run(send(place, count))
            return latencies.result()[WARM_UP:]

    engines, raws = alternate(stage.rounds, lambda: measure(_send, _receive), lambda: measure(_send_raw, _receive_raw))
    yield from figures(
        "create_task to start elsewhere, idle",
        list(chain.from_iterable(engines)),
        list(chain.from_iterable(raws)),
        Goal(3, least=False),
    )


# The clock is the machine's: what it says in one process can be held against what it says in another.


def _receive(place: SharedPlace, count: int) -> list[float]:
    latencies: list[float] = []
    bb = Backburner(place.url)

    @bb.job
    async def probe(called: float) -> None:
        latencies.append(perf_counter() - called)
        if len(latencies) == count:
            all_ran.set()

    async def receive() -> None:
        async with bb:
            await asyncio.to_thread(ready)
            await all_ran.wait()

    all_ran = asyncio.Event()
    asyncio.run(receive())
    return latencies


async def _send(place: SharedPlace, count: int) -> None:
    bb = Backburner(place.url, run=False)

    @bb.job
    async def probe(called: float) -> None: ...

    async with bb:
        for _ in range(count):
            await asyncio.sleep(REST)
            _ = await bb.create_task(probe(perf_counter()))


def _receive_raw(place: SharedPlace, count: int) -> list[float]:
    latencies: list[float] = []

    async def receive() -> None:
        async with place.raw() as store:
            tidings = store.tidings()
            await anext(tidings)
            await asyncio.to_thread(ready)
            while len(latencies) < count:
                await anext(tidings)
                claims = await store.claim_and_settle((), 1)
                latencies.extend(perf_counter() - float(args) for _, _, args in claims)

    asyncio.run(receive())
    return latencies


async def _send_raw(place: SharedPlace, count: int) -> None:
    async with place.raw() as store:
        for id, kind, queue, _, priority, created_at, due_at in rows(count):
            await asyncio.sleep(REST)
            await store.insert_and_tell((id, kind, queue, repr(perf_counter()), priority, created_at, due_at))
