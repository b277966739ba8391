"""`bb.drain()`: no more work here, while what runs may finish and what is stored is left for others."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from backburner import NotRunning, current_job
from backburner.backends.sqlite.backend import SqliteBackend
from backburner.model.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from backburner import Backburner


async def test_it_waits_for_what_runs(bb: Backburner) -> None:
    """`drain()` returns when nothing runs here; until then the run goes on as ever, to its result."""
    started, release = asyncio.Event(), asyncio.Event()

    @bb.job
    async def work() -> str:
        started.set()
        await release.wait()
        return "done"

    async with bb:
        handle = await bb.create_task(work())
        await started.wait()
        draining = asyncio.create_task(bb.drain())
        await asyncio.wait([draining], timeout=0.02)
        assert not draining.done()
        release.set()
        await draining
        assert await handle == "done"


async def test_it_turns_readiness_off_at_once(bb: Backburner) -> None:
    """`ready` is what a probe asks: true while entered, false from the drain on, true again in the next life."""
    assert not bb.ready
    async with bb:
        assert bb.ready
        await bb.drain()
        assert not bb.ready
        assert bb.running
    async with bb:
        assert bb.ready


async def test_births_and_claims_stop_and_storing_goes_on(bb: Backburner) -> None:
    """What is stored during a drain is durable and waits; so does what was in line before."""
    runs: list[str] = []

    @bb.job
    async def work(name: str) -> None:
        runs.append(name)

    async with bb:
        scheduled = await bb.create_task(work("in line"), delay=0.01)
        await bb.drain()
        stored = await bb.create_task(work("stored since"))
        many = await bb.create_tasks([work("one of many"), work("another")])
        async with bb.TaskGroup() as group:
            grouped = group.create_task(work("of a group"))
            assert (await grouped.status()).state == "waiting"
            await grouped.cancel()
        assert not await stored.wait(0.05)
        states = [(await handle.status()).state for handle in (scheduled, stored, *many)]
        assert states == ["waiting"] * 4
        assert await stored.cancel()
    assert runs == []


async def test_another_engine_takes_over(make_sqlite: Callable[..., Backburner]) -> None:
    """On a shared store a drained node's line is another's at once."""
    here, there = make_sqlite(), make_sqlite()

    def declare(bb: Backburner, where: str) -> None:
        @bb.job(name="work")
        async def other() -> str:
            return where

    @here.job
    async def work() -> str:
        return "here"

    declare(there, "there")
    async with here:
        await here.drain()
        handle = await here.create_task(work())
        async with there:
            assert await handle == "there"


async def test_a_parent_waits_for_children_that_others_run(make_sqlite: Callable[..., Backburner]) -> None:
    """A run that lent its slot still runs: the drain waits for it, and it for its child elsewhere."""
    here, there = make_sqlite(), make_sqlite(queues={"children": 1})
    started = asyncio.Event()

    @here.job
    async def child() -> str:
        raise AssertionError("it is the other node's")

    @here.job
    async def parent() -> str:
        handle = await here.create_task(child(), queue="children")
        started.set()
        return await handle

    @there.job(name="child")
    async def child_there() -> str:
        return "from there"

    async with here:
        handle = await here.create_task(parent())
        await started.wait()
        draining = asyncio.create_task(here.drain())
        await asyncio.wait([draining], timeout=0.05)
        assert not draining.done()
        async with there:
            await draining
            assert await handle == "from there"


async def test_follow_ups_of_the_last_runs_are_stored(bb: Backburner) -> None:
    """A run that ends during the drain stores its follow-up; it waits for somebody who works."""
    said: list[str] = []
    started, release = asyncio.Event(), asyncio.Event()

    @bb.job
    async def after() -> None:
        raise AssertionError("it must wait")

    @bb.job
    async def work() -> None:
        said.append(current_job().then(after()))
        started.set()
        await release.wait()

    async with bb:
        handle = await bb.create_task(work())
        await started.wait()
        draining = asyncio.create_task(bb.drain())
        release.set()
        await draining
        await handle
        assert (await bb.handle(said[0], after).status()).state == "waiting"


async def test_a_drained_engine_leaves_without_interrupting(make_sqlite: Callable[..., Backburner]) -> None:
    """Drained and then left, even without grace, an engine has nothing to interrupt."""
    bb = make_sqlite(grace=0)
    started, release = asyncio.Event(), asyncio.Event()

    @bb.job
    async def work() -> None:
        started.set()
        await release.wait()

    async with bb:
        handle = await bb.create_task(work())
        await started.wait()
        asyncio.get_running_loop().call_later(0.02, release.set)
        await bb.drain()
        await handle
        status = await handle.status()
    assert (status.state, status.interruptions, status.attempt) == ("completed", 0, 1)


async def test_an_engine_that_only_stores_is_drained_already(make: Callable[..., Backburner]) -> None:
    """With ``run=False`` nothing runs here; outside its life there is nothing to drain; twice is as good as once."""
    bb = make(run=False)
    with pytest.raises(NotRunning):
        await bb.drain()
    async with bb:
        await bb.drain()
        await bb.drain()


async def test_an_operator_drains_another_process(make_sqlite: Callable[..., Backburner], tmp_path: Path) -> None:
    """`nodes drain` writes it in the store: the node's next beat says so, and from then on it takes no work."""
    bb = make_sqlite()

    @bb.job
    async def work() -> str:
        return "done"

    operator = SqliteBackend(tmp_path / "jobs.db", clock=SystemClock())
    async with bb:
        assert await (await bb.create_task(work())) == "done"
        await operator.open(create=False)
        try:
            (node,) = await operator.nodes.find()
            assert await operator.nodes.drain(node.id)
            assert not await operator.nodes.drain("nobody")
        finally:
            await operator.close()
        handle = await bb.create_task(work(), delay=3600)
        while bb.ready:
            await handle.wait(0.01)
        waiting = await bb.create_task(work())
        assert not await waiting.wait(0.05)
        assert (await waiting.status()).state == "waiting"
        await bb.drain()
