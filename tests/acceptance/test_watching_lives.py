"""Several engines in one process, one after another or beside each other: none takes anything from another."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from backburner import Backburner, Event, NotRunning, Registry
from backburner.events.sinks.sink import DELIVERY
from backburner.ports.telemetry import Telemetry
from tests.acceptance.eventful import Told

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from backburner.model.job import Claim, JobRecord, Settlement


class Open(Told):
    """A sink that counts how often it was closed."""

    name = "open"
    retry = DELIVERY
    breaker = None
    timeout = 5.0

    def __init__(self) -> None:
        super().__init__()
        self.closed = 0

    async def send(self, event: Event) -> None:
        """Keep it."""
        self.add(event)

    async def close(self) -> None:
        """Count."""
        self.closed += 1


class Settled(Telemetry):
    """Counts settlements."""

    def __init__(self) -> None:
        self.count = 0

    def settled(self, job: Claim | JobRecord, settlement: Settlement) -> None:
        del job, settlement
        self.count += 1


async def test_what_threads_store_by_closes_nothing_of_the_apps(tmp_path: Path) -> None:
    """A script's small engine may end after the app's own has started: that goes on sending, and its jobs still know it."""
    bb, sink = Backburner(f"sqlite:///{tmp_path}/jobs.db"), Open()
    bb.on("order.paid", to=sink)

    @bb.job
    async def work() -> None:
        """Stored early."""

    await asyncio.to_thread(bb.blocking.create_task, work())
    async with bb:
        await asyncio.to_thread(bb.blocking.close)
        assert sink.closed == 0
        assert bb._kinds.home.client is bb._running().client
        await bb.publish("order.paid")
        await sink.count(1)
    assert sink.closed == 1
    assert bb._kinds.home.client is None


async def test_sinks_of_a_registry_are_open_until_its_last_engine_stops() -> None:
    """Two engines share a registry, and so its sinks."""
    jobs, sink = Registry(), Open()
    jobs.on("order.paid", to=sink)
    one, two = Backburner("memory://", jobs=[jobs]), Backburner("memory://", jobs=[jobs])
    async with one:
        async with two:
            await two.publish("order.paid")
            await sink.count(1)
        assert sink.closed == 0
    assert sink.closed == 1


@pytest.mark.parametrize("run", [True, False])
async def test_an_engine_that_stops_is_not_ready(run: bool) -> None:  # noqa: FBT001 - both
    """From the beginning of its stop on, for as long as that takes: probes say so."""
    ready: list[bool] = []

    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[None]:
        yield
        report = await bb.health.ready()
        ready.extend((bb.ready, report.ok, report.checks["draining"].ok, (await bb.health.live()).ok))

    bb = Backburner("memory://", run=run, lifespan=lifespan)
    async with bb:
        assert bb.ready
    assert ready == [False, False, False, True]


async def test_publishing_on_another_loop_is_refused(bb: Backburner) -> None:
    """It would wait for ever: the engine answers on its own loop."""

    @bb.on("order.paid")
    async def ship(event: Event) -> None:
        """Never run."""

    def elsewhere() -> None:
        asyncio.run(bb.publish("order.paid"))

    async with bb:
        with pytest.raises(NotRunning, match="run_coroutine_threadsafe"):
            await asyncio.to_thread(elsewhere)


async def test_a_telemetry_that_instruments_twice_is_told_once() -> None:
    """As where a framework loads a module twice."""
    bb, watching = Backburner("memory://"), Settled()
    bb.instrument(watching)
    bb.instrument(watching)

    @bb.job
    async def work() -> None:
        """Counted."""

    async with bb:
        await (await bb.create_task(work()))
    assert watching.count == 1
