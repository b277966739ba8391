"""Draining: no claims, no births, ready is off, and it is over when nothing runs."""

from __future__ import annotations

import asyncio

from backburner.ports.telemetry import Signal
from tests.unit.jobs.engines import House, until


async def test_a_drained_engine_takes_no_more_work() -> None:
    """What runs may finish and what is stored is left for others; storing goes on, and the engine is not ready."""
    house = House()
    gate, began = asyncio.Event(), asyncio.Event()

    @house.bb.job
    async def work() -> None:
        began.set()
        await gate.wait()

    assert not house.bb.ready
    async with house.bb:
        assert house.bb.ready
        running = await house.bb.create_task(work())
        await began.wait()
        draining = [asyncio.ensure_future(house.bb.drain()) for _ in range(2)]
        await until(lambda: not house.bb.ready)
        waiting = await house.bb.create_task(work())
        assert not any(drain.done() for drain in draining)
        assert (await waiting.status()).state == "waiting"
        gate.set()
        await asyncio.gather(*draining)
        assert await running is None
        assert (await waiting.status()).state == "waiting"
        await house.bb.drain()
    assert not house.bb.ready
    assert house.ear.told(Signal.NODE_DRAINING) == [
        {"node": house.ear.told(Signal.NODE_DRAINING)[0]["node"], "runs": 1}
    ]


async def test_a_drain_waits_for_what_lent_its_slot() -> None:
    """A run that waits for a job elsewhere still runs."""
    house = House()

    @house.bb.job
    async def elsewhere() -> int:
        return 1

    @house.bb.job
    async def parent() -> int:
        return await (await house.bb.create_task(elsewhere(), queue="elsewhere", id="child"))

    async with house.bb:
        handle = await house.bb.create_task(parent())
        await until(lambda: house.slots._lent == 1)
        draining = asyncio.ensure_future(house.bb.drain())
        await until(lambda: not house.bb.ready)
        assert not draining.done()
        await house.bb.handle("child", elsewhere).cancel()
        await draining
        assert handle.done()


async def test_a_stop_interrupts_what_lent_its_slot() -> None:
    """A stop gives a run back that waits for a job elsewhere, whatever it waits for, and a drain under way ends."""
    house = House(grace=0)

    @house.bb.job
    async def elsewhere() -> int:
        return 1

    @house.bb.job
    async def parent() -> int:
        return await (await house.bb.create_task(elsewhere(), queue="elsewhere", id="child"))

    async with house.bb:
        await house.bb.create_task(parent(), id="parent")
        await until(lambda: house.slots._lent == 1)
        draining = asyncio.ensure_future(house.bb.drain())
        database, slots = house.database, house.slots
    await draining
    assert (slots.taken, slots.busy) == (0, False)
    row = database.jobs["parent"]
    assert (row.state.value, row.interruptions, row.failures) == ("pending", 1, 0)
    assert database.jobs["child"].state.value == "pending"


async def test_an_engine_that_only_stores_is_drained_at_once() -> None:
    """There is nothing to wait for."""
    house = House(run=False)
    async with house.bb:
        await house.bb.drain()
