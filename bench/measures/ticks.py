"""How late ticks are decided in an engine that has nothing else to do, and what schedules cost one that has none."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from backburner import Backburner
from backburner.jobs.keeper import BEATS
from backburner.testing import FakeClock
from bench.apart import in_fresh_process
from bench.measures.latency import percentile
from bench.planning import Node, Tally, opened
from bench.report import Goal, Line, milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.places import Counter, Counts
    from bench.stage import Stage

__all__ = ["punctual", "resting"]

#: Schedules, seconds between their ticks, and seconds in which they are watched.
SCHEDULES = 10
INTERVAL = 0.1
WATCH = 20.0
#: Ticks of each that come first, and do not count.
WARM_UP = 5
#: Seconds of a lease, by default.
LEASE = 30.0
MINUTE = 60.0


def punctual(stage: Stage) -> Iterator[Line]:
    """How late each tick is decided, as the ledger tells it."""
    with stage.fresh() as place:
        late = in_fresh_process(_lateness, place.url, max(2.0, WATCH * stage.scale))
    name = f"{SCHEDULES} schedules, each {INTERVAL:g} s: late, "
    tail = percentile(late, 99)
    yield Line(name=f"{name}p50", figure=milliseconds(percentile(late, 50)))
    yield Line(
        name=f"{name}p99", figure=milliseconds(tail), judged=tail, goal=Goal(0.020, least=False, shown="≤ 20 ms")
    )
    yield Line(name=f"{name}max, of {len(late):,}", figure=milliseconds(max(late)))


def resting(stage: Stage) -> Iterator[Line]:
    """Count what is asked of the store in a minute without schedules, by a clock that is told the time."""
    with stage.fresh() as place:
        calls = asyncio.run(_rest(place.url, MINUTE))
    yield Line(name="calls of the store in a minute, no schedules", figure=f"{calls:,}")
    if stage.server is None:
        return
    with stage.server.counting() as counter:
        # The first has the schema to make, and scripts to load.
        _ = _life(counter, 0)
        # The least of several: what goes by the clock, a hint or a beat, only ever adds to one.
        idle, watched = (min(_life(counter, seconds) for _ in range(stage.rounds)) for seconds in (0, MINUTE))
    yield Line(name="  statements that clients send for them", figure=f"{watched.since(idle).statements:,}")


def _life(counter: Counter, seconds: float) -> Counts:
    before = counter.read()
    asyncio.run(_rest(counter.url, seconds))
    return counter.read().since(before)


async def _rest(url: str, seconds: float) -> int:
    """Return the calls of so many seconds, after the first step."""
    clock, tally = FakeClock(), Tally()
    async with opened(url) as backend:
        node = Node(backend, clock=clock, tally=tally)
        wait = await node.scheduler.step()
        first = tally.calls
        while clock.monotonic() < seconds:
            clock.move(LEASE / BEATS if wait is None else min(wait, LEASE / BEATS))
            wait = await node.scheduler.step()
        return tally.calls - first


def _lateness(url: str, seconds: float) -> list[float]:
    async def watch() -> list[float]:
        bb = Backburner(url, queues={"default": SCHEDULES})

        async def noop() -> None: ...

        job = bb.job(noop)
        for number in range(SCHEDULES):
            bb.every(seconds=INTERVAL, name=f"tick-{number}", overlap="allow")(job)
        async with bb:
            await asyncio.sleep(seconds)
            begin = WARM_UP * SCHEDULES
            return [tick.late.total_seconds() async for tick in bb.schedules.ticks(outcome="fired")][:-begin]

    return asyncio.run(watch())
