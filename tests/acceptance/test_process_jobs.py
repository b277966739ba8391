"""`executor="process"`: a `def` job in a process of its own, as durable as any other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from backburner import JobCancelled, JobDead, JobNotFound
from tests.chaos.programs import process_jobs as jobs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from backburner import Backburner, JobHandle

PATIENCE = 30.0


@pytest.fixture
async def bb(make: Callable[..., Backburner]) -> AsyncIterator[Backburner]:
    """Return an engine that runs the jobs of a module, in at most two processes."""
    async with make(jobs=[jobs.jobs], processes=2, grace=0) as engine:
        yield engine


async def begun(handle: JobHandle[Any]) -> None:
    """Wait until a job has told of its progress."""
    async with asyncio.timeout(PATIENCE):
        while (await handle.status()).progress is None:
            turn = asyncio.Event()
            asyncio.get_running_loop().call_later(0.01, turn.set)
            await turn.wait()


async def test_it_is_stored_and_awaited_like_any_other(bb: Backburner) -> None:
    """Its result comes back typed; many share the few processes."""
    handles = await bb.create_tasks([jobs.double(number) for number in range(20)])
    assert [await handle for handle in handles] == [2 * number for number in range(20)]


async def test_what_it_raised_is_kept(bb: Backburner) -> None:
    """The retry policy decides by the error's own class; the dead letter names it."""
    with pytest.raises(JobDead, match="no luck") as dead:
        await (await bb.create_task(jobs.fail("own"), retry="none"))
    assert dead.value.reason == "exhausted"


@pytest.mark.parametrize("how", ["exit", "kill"])
async def test_its_death_is_that_jobs_crash(bb: Backburner, how: str) -> None:
    """Settled at once and run again, from its checkpoint; no failure is counted."""
    handle = await bb.create_task(jobs.resume(how))
    assert await handle == [2, 3]
    status = await handle.status()
    assert (status.crashes, status.failures) == (1, 0)
    assert (status.progress, status.checkpoint) == ((3, 9), 3)


async def test_cancelling_kills_it(bb: Backburner, tmp_path: Path) -> None:
    """Whatever it is doing."""
    handle = await bb.create_task(jobs.hang(str(tmp_path)))
    await begun(handle)
    await handle.cancel()
    with pytest.raises(JobCancelled):
        await handle


async def test_its_timeout_kills_it(bb: Backburner, tmp_path: Path) -> None:
    """And counts as a failure."""
    handle = await bb.create_task(jobs.hang(str(tmp_path)), timeout=0.5, retry="none")
    with pytest.raises(JobDead, match=r"longer than its timeout of 0\.5 s"):
        await handle


async def test_the_wait_for_a_process_is_no_part_of_its_time(make_local: Callable[..., Backburner]) -> None:
    """Its timeout begins with it: a job that waits for a process does not die of that."""
    async with make_local(jobs=[jobs.jobs], processes=1, grace=0) as bb:
        first = await bb.create_task(jobs.wait_for_stop())
        await begun(first)
        # Longer than a new process takes to begin.
        second = await bb.create_task(jobs.double(2), timeout=1.5, retry="none")
        assert not await second.wait(timeout=1.7)
        await first.cancel()
        assert await second == 4


async def test_a_stop_begins_nothing_and_hurried_kills_what_runs(
    make: Callable[..., Backburner], tmp_path: Path
) -> None:
    """What waits for a process is given back at once; a hurried stop asks nobody twice."""
    bb = make(jobs=[jobs.jobs], processes=1, grace=60)
    async with bb:
        first = await bb.create_task(jobs.hang(str(tmp_path)))
        await begun(first)
        second = await bb.create_task(jobs.double(2))
        bb.hurry()
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 4
    assert not first.done()
    assert not second.done()


async def test_it_follows_up(bb: Backburner) -> None:
    """A follow-up is stored with its completion, and never without."""
    with pytest.raises(JobDead, match="no"):
        await (await bb.create_task(jobs.follow(fails=True)))
    with pytest.raises(JobNotFound):
        await bb.handle("followed", jobs.double)
    await (await bb.create_task(jobs.follow(fails=False)))
    assert await bb.handle("followed", jobs.double) == 8


async def test_a_stop_asks_it_to_end(make: Callable[..., Backburner]) -> None:
    """When the engine stops, `stopping` says so; what ends then has completed."""
    async with make(jobs=[jobs.jobs], grace=0) as bb:
        handle = await bb.create_task(jobs.wait_for_stop())
        await begun(handle)
    assert handle.done()
