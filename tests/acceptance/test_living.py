"""Start, stop, and again: an engine as part of an app's life."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from backburner import Backburner, JobCancelled, NotRunning, StoreError
from backburner.errors import AlreadyRunning

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


async def test_stopping_waits_for_what_runs(make: Callable[..., Backburner]) -> None:
    """Within the grace a run may finish, and its result is kept."""
    bb = make(grace=5)
    started, finish = asyncio.Event(), asyncio.Event()

    @bb.job
    async def nearly_done() -> str:
        started.set()
        await finish.wait()
        return "done"

    async with bb:
        handle = await bb.create_task(nearly_done())
        await started.wait()
        asyncio.get_running_loop().call_later(0.02, finish.set)
    assert handle.done()
    assert await handle == "done"


async def test_an_interrupted_run_loses_no_attempt(make: Callable[..., Backburner], url: str) -> None:
    """After the grace a run is interrupted and given back: it runs again at the next start, no failure counted."""
    if url == "memory://":
        return  # its jobs end with the engine
    bb = make(grace=0)
    started = asyncio.Event()
    attempts = 0

    @bb.job(retry="none")
    async def long() -> int:
        nonlocal attempts
        attempts += 1
        started.set()
        if attempts == 1:
            await asyncio.Event().wait()
        return attempts

    async with bb:
        handle = await bb.create_task(long())
        await started.wait()
    async with bb:
        handle = bb.handle(handle.id, long)
        assert await handle == 2
        status = await handle.status()
    assert (status.attempt, status.failures, status.crashes, status.interruptions) == (2, 0, 0, 1)


async def test_the_wait_for_a_thread_is_no_part_of_a_runs_time(make: Callable[..., Backburner]) -> None:
    """A `def` job's timeout begins in its thread."""
    bb = make(threads=1)
    go = threading.Event()

    @bb.job
    def first() -> None:
        go.wait(30)

    @bb.job(timeout=0.1, retry="none")
    def second() -> str:
        return "done"

    async with bb:
        holds = await bb.create_task(first())
        waits = await bb.create_task(second())
        assert not await waits.wait(timeout=0.3)
        go.set()
        assert await waits == "done"
        await holds


async def test_a_thread_that_ignores_the_stop_is_given_back(make: Callable[..., Backburner], url: str) -> None:
    """A `def` job that does not look at `stopping` does not hold up the stop for ever, and its job is not lost."""
    if url == "memory://":
        return  # its jobs end with the engine
    bb = make(grace=0)
    release = threading.Event()
    started = threading.Event()

    @bb.job
    def deaf() -> str:
        started.set()
        release.wait()
        return "done"

    try:
        async with bb:
            handle = await bb.create_task(deaf())
            assert await asyncio.to_thread(started.wait, 30)
        release.set()
        async with bb:
            assert await bb.handle(handle.id, deaf) == "done"
    finally:
        release.set()


async def test_it_starts_again(bb: Backburner) -> None:
    """An engine may be entered again after it was left; entered twice, it says so."""

    @bb.job
    async def one() -> int:
        return 1

    for _ in range(3):
        assert not bb.running
        async with bb:
            assert bb.running
            assert await (await bb.create_task(one())) == 1
            with pytest.raises(AlreadyRunning):
                await bb.__aenter__()
            assert await (await bb.create_task(one())) == 1
    with pytest.raises(NotRunning):
        await bb.__aexit__(None, None, None)


def test_it_starts_on_another_loop(bb: Backburner) -> None:
    """A module-level engine outlives its loop, as under a test client."""

    @bb.job
    async def one() -> int:
        return 1

    async def use() -> int:
        async with bb:
            return await (await bb.create_task(one()))

    assert [asyncio.run(use()) for _ in range(3)] == [1, 1, 1]


async def test_two_engines_live_in_one_process(make: Callable[..., Backburner]) -> None:
    """Engines share nothing but what their store holds."""
    first, second = make(), make()

    @first.job
    async def name() -> str:
        return "first"

    async with first, second:
        assert await (await first.create_task(name())) == "first"


async def test_it_leaves_nothing_behind(bb: Backburner) -> None:
    """After the stop there is no task and no thread of it that could be stopped."""

    @bb.job
    async def one() -> int:
        return 1

    tasks, threads = asyncio.all_tasks(), set(threading.enumerate())
    async with bb:
        assert await (await bb.create_task(one())) == 1
    assert asyncio.all_tasks() == tasks
    for thread in set(threading.enumerate()) - threads:
        thread.join(5)
        assert not thread.is_alive(), thread.name


async def test_a_failed_start_leaves_nothing_behind(tmp_path: Path) -> None:
    """A store that cannot be opened fails the start with a typed error, and the engine may be entered again."""
    place = tmp_path / "jobs.db"
    place.write_bytes(b"this is no database, and it is long enough to be read as one" * 20)
    bb = Backburner(f"sqlite:///{place}")
    tasks = asyncio.all_tasks()
    for _ in range(2):
        with pytest.raises(StoreError):
            await bb.__aenter__()
        assert not bb.running
    assert asyncio.all_tasks() == tasks


async def test_cancelled_while_stopping_it_still_gives_back(make: Callable[..., Backburner]) -> None:
    """Cancelling the app's task does not tear the engine down half-way."""
    bb = make(grace=0)
    started = asyncio.Event()

    @bb.job
    async def long() -> None:
        started.set()
        await asyncio.Event().wait()

    async def app() -> None:
        async with bb:
            await bb.create_task(long())
            await asyncio.Event().wait()

    task = asyncio.create_task(app())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not bb.running


async def test_an_operators_slots(make: Callable[..., Backburner]) -> None:
    """Slots set for a queue hold at once, until they are taken back."""
    bb = make()
    most = now = 0

    @bb.job
    async def counted() -> None:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await asyncio.wait([asyncio.ensure_future(_turn())])
        now -= 1

    async with bb:
        await bb.queues.set("default", slots=1)
        for handle in await bb.create_tasks([counted() for _ in range(20)]):
            await handle
        assert most == 1
        await bb.queues.set("default", slots=None)
        for handle in await bb.create_tasks([counted() for _ in range(20)]):
            await handle
    assert most > 1


async def _turn() -> None:
    """Take one turn of the loop."""


async def test_pausing_a_queue(bb: Backburner) -> None:
    """A paused queue starts nothing, says who and why, and goes on when it is resumed."""

    @bb.job
    async def one() -> int:
        return 1

    async with bb:
        await bb.queues.pause("default", reason="provider down", by="ada")
        handle = await bb.create_task(one())
        assert not await handle.wait(0.05)
        (record,) = await bb.queues.list()
        assert (record.name, record.paused, record.reason, record.by) == ("default", True, "provider down", "ada")
        await bb.queues.resume("default")
        assert await handle == 1
        other = await bb.create_task(one(), delay=3600)
        await other.cancel()
        with pytest.raises(JobCancelled):
            await other
