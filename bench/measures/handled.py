"""From events to the jobs of their handlers, held against jobs that are stored without any event."""

from __future__ import annotations

import asyncio
from functools import partial
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from backburner import Backburner, Event
from bench.asking import EVENT
from bench.load import CONCURRENCY
from bench.measures.latency import figures
from bench.report import Line, rate
from bench.stage import Stage, alternate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.places import Place

__all__ = ["handled", "told"]

EVENTS = 5_000
#: Events of one subject, where they have any.
EACH = 10
WARM_UP = 100
#: Seconds for everything to come to rest: more than hints are held back, and the look at the log that follows one.
REST = 0.1


def handled(stage: Stage) -> Iterator[Line]:
    """Publish at once, until the last handler's job is completed; raw: jobs that are stored by as many callers at once."""
    count = stage.count(EVENTS)

    def measured(*, events: bool, subjects: bool = False) -> float:
        with stage.fresh() as place:
            return asyncio.run(_handled(place, count, events=events, subjects=subjects))

    for name, subjects in (("of no subject", False), (f"{EACH} of each subject", True)):
        engines, raws = alternate(
            stage.rounds, partial(measured, events=True, subjects=subjects), partial(measured, events=False)
        )
        figure, limit = median(engines), median(raws)
        yield Line(
            name=f"handle {count:,} events, {name} (raw: jobs)",
            figure=rate(figure),
            raw=rate(limit),
            ratio=figure / limit,
        )


async def _handled(place: Place, count: int, *, events: bool, subjects: bool) -> float:
    """Return how many are completed a second."""
    bb = Backburner(place.url, queues={"default": CONCURRENCY}, slots=CONCURRENCY)
    left = 0
    done = asyncio.Event()

    @bb.on(EVENT)
    async def handle(_event: Event) -> None: ...

    @bb.job
    async def noop() -> None: ...

    @bb.listen("job.completed")
    def completed(_event: Event) -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set()

    async def one(number: int) -> None:
        if events:
            await bb.publish(EVENT, subject=f"order/{number // EACH}" if subjects else "")
        else:
            _ = await bb.create_task(noop())

    async with bb:
        took = 0.0
        for some in (WARM_UP, count):
            left = some
            done.clear()
            began = perf_counter()
            await asyncio.gather(*map(one, range(some)))
            await done.wait()
            took = perf_counter() - began
    return count / took


def told(stage: Stage) -> Iterator[Line]:
    """From the call of publish to the handler's first line, on an idle engine; raw: from create_task to the job's."""
    count = stage.count(300)
    with stage.fresh() as place:
        events, jobs = asyncio.run(_latencies(place, count))
    yield from figures("publish to handled, idle (raw: job)", events, jobs, None)


async def _latencies(place: Place, count: int) -> tuple[list[float], list[float]]:
    """Return those of events and those of jobs, which take turns."""
    bb = Backburner(place.url)
    events: list[float] = []
    jobs: list[float] = []
    called = 0.0
    began = asyncio.Event()

    @bb.on(EVENT)
    async def handle(_event: Event) -> None:
        events.append(perf_counter() - called)
        began.set()

    @bb.job
    async def probe() -> None:
        jobs.append(perf_counter() - called)
        began.set()

    async with bb:
        for number in range(2 * count):
            await asyncio.sleep(REST)
            began.clear()
            called = perf_counter()
            await (bb.publish(EVENT) if number % 2 else bb.create_task(probe()))
            await began.wait()
    return events, jobs
