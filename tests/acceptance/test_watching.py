"""What watches an engine, from its start to its end, beside jobs that go on as ever."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from backburner import Backburner, Event, current_job
from backburner.observability.correlation import correlated, correlation_id
from backburner.ports.telemetry import Telemetry
from backburner.testing.clock import FakeClock
from tests.acceptance.eventful import Told, seen, standing

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping


class Traced(Telemetry):
    """Has jobs carry what they were stored under."""

    def headers(self) -> Mapping[str, str]:
        return {"under": correlation_id() or "nothing"}


async def test_handlers_do_not_run_under_what_the_engine_was_entered_in() -> None:
    """Whose request entered the engine, or in whose trace that was, is nothing to what others publish."""
    bb, told = Backburner("memory://"), Told()
    bb.instrument(Traced())
    carried: list[Mapping[str, str]] = []

    @bb.on("order.paid")
    async def ship(event: Event) -> None:
        carried.append(current_job().headers)
        told.add(event)

    with correlated("whoever-started"):
        await bb.__aenter__()
        assert correlation_id() == "whoever-started"
    try:
        await bb.publish("order.paid")
        await told.count(1)
    finally:
        await bb.__aexit__(None, None, None)
    # What the publisher worked under, which was nothing.
    assert carried == [{"under": "nothing"}]


async def test_what_is_published_while_the_engine_starts_is_handled() -> None:
    """By what ``lifespan=`` opens, at the very first start: the handlers have asked for it by then."""
    told = Told()

    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[None]:
        await bb.publish("shop.opened", {"number": 1})
        yield

    bb = Backburner("memory://", lifespan=lifespan)

    @bb.on("shop.opened")
    async def greet(event: Event) -> None:
        told.add(event)

    async with bb:
        await told.count(1)
    assert told.numbers == [1]


async def test_where_nothing_runs_a_later_handler_is_asked_for_too() -> None:
    """What is published on a node that only stores is kept for a handler that was declared once it had started."""
    bb = Backburner("memory://", run=False)

    async with bb:

        @bb.on("order.paid")
        async def ship(event: Event) -> None:
            """Run elsewhere."""

        async def names() -> bool:
            return [each.name for each in await standing(bb)] == ["ship"]

        await seen(names)


@pytest.mark.parametrize(("name", "delay"), [("job.enqueued", 0), ("job.claimed", 0), ("job.claimed", 1)])
async def test_a_handler_does_not_wait_for_the_next_beat(name: str, delay: float) -> None:
    """A job that was born running, or claimed alone, is told of at once, though it ends long afterwards."""
    clock = FakeClock()
    bb, release = Backburner("memory://", clock=clock), asyncio.Event()
    told = Told()

    @bb.on(name)
    async def watch(event: Event) -> None:
        told.add(event)

    @bb.job
    async def work() -> None:
        await release.wait()

    async with bb:
        await clock.advance(1)
        await bb.create_task(work(), delay=delay)
        await clock.advance(delay)
        for _ in range(20):
            await clock.advance(0.1)
        release.set()
        assert told.names == [name]
