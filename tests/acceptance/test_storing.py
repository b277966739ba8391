"""Calls, options and handles: what a user types first."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from backburner import (
    Backburner,
    Job,
    JobCancelled,
    JobDead,
    JobExpired,
    JobNotFound,
    NotRunning,
    Unique,
    current_job,
)
from backburner.errors import ArgumentNotStorable, InvalidOption
from backburner.model.clock import SystemClock, from_micros

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.acceptance.conftest import Writes


async def test_awaiting_a_handle_gives_the_result(bb: Backburner) -> None:
    """``await (await bb.create_task(add(1, 2)))`` is 3."""

    @bb.job
    async def add(a: int, b: int = 2) -> int:
        return a + b

    async with bb:
        handle = await bb.create_task(add(1))
        assert await handle == 3
        assert handle.done()
        assert await handle == 3


async def test_a_def_job_runs_in_a_thread(bb: Backburner) -> None:
    """A `def` job does not run on the loop's thread, and knows its job there."""

    @bb.job
    def where() -> tuple[str, str]:
        return threading.current_thread().name, current_job().id

    async with bb:
        handle = await bb.create_task(where())
        thread, job_id = await handle
    assert thread.startswith("backburner-job")
    assert job_id == handle.id


async def test_awaiting_a_call_runs_it_here(bb: Backburner) -> None:
    """A call awaited directly needs no engine and no store; a `def` job runs in a thread."""

    @bb.job
    async def double(n: int) -> int:
        assert current_job().id == "inline"
        return 2 * n

    @bb.job
    def triple(n: int) -> int:
        return 3 * n

    assert await double(2) == 4
    assert await triple(2) == 6
    assert double.fn is not double


async def test_many_calls_are_one_write(bb: Backburner, writes: Writes) -> None:
    """`create_tasks` stores all its calls in one write, and answers handles in order."""

    @bb.job
    async def square(n: int) -> int:
        return n * n

    async with bb:
        handles = await bb.create_tasks([square(n) for n in range(50)])
        assert writes.groups == [["square"] * 50]
        assert [await handle for handle in handles] == [n * n for n in range(50)]
        assert await bb.create_tasks([]) == []
    assert len(writes.groups) == 1


async def test_many_calls_are_stored_all_or_none(bb: Backburner, writes: Writes) -> None:
    """One call that cannot be stored refuses them all; one ``id`` or ``name`` cannot name many."""

    @bb.job
    async def square(n: int) -> int:
        return n * n

    async with bb:
        with pytest.raises(ArgumentNotStorable):
            await bb.create_tasks([square(1), square("two"), square(3)])  # type: ignore[arg-type]
        for option in ("id", "name"):
            with pytest.raises(InvalidOption, match=f"one {option} cannot name them all"):
                await bb.create_tasks([square(1)], **cast("Any", {option: "one"}))
    assert writes.groups == []


async def test_what_create_task_takes(bb: Backburner) -> None:
    """``id name delay at queue priority expires unique tags retry timeout tx``; the status shows what was said."""

    @bb.job(tags=["declared"])
    async def work() -> int:
        return current_job().attempt

    async with bb:
        plain = await (await bb.create_task(work(), delay=3600)).status()
        assert (plain.queue, plain.priority, plain.tags) == ("default", 5, ("declared",))
        said = await bb.create_task(
            work(), id="order-7", delay=3600, queue="mail", priority=0, expires=7200, tags=["said"], unique=Unique()
        )
        status = await said.status()
        assert (status.id, status.kind, status.state) == ("order-7", "work", "scheduled")
        assert (status.queue, status.priority, status.tags) == ("mail", 0, ("declared", "said"))
        assert (status.progress, status.checkpoint, status.parent, status.headers) == (None, None, None, {})
        assert status.due - status.created == timedelta(hours=1)
        with pytest.raises(InvalidOption, match="no option 'delya'"):
            await bb.create_task(work(), delya=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def test_an_id_names_one_job(bb: Backburner) -> None:
    """The same id stored twice is one job: `create_task` may be repeated safely."""
    runs: list[int] = []

    @bb.job
    async def once(n: int) -> int:
        runs.append(n)
        return n

    async with bb:
        first = await bb.create_task(once(1), id="order-7")
        assert await first == 1
        again = await bb.create_task(once(1), id="order-7")
        assert (first.existed, again.existed) == (False, True)
        assert await again == 1
    assert runs == [1]


async def test_a_delayed_job_waits_for_its_time(bb: Backburner) -> None:
    """A job with ``delay`` or ``at`` is scheduled, and runs no sooner."""

    @bb.job
    async def now() -> float:
        return asyncio.get_running_loop().time()

    async with bb:
        loop = asyncio.get_running_loop()
        began = loop.time()
        later = await bb.create_task(now(), delay=timedelta(milliseconds=80))
        at = await bb.create_task(now(), at=from_micros(SystemClock().now()) + timedelta(milliseconds=120))
        assert (await later.status()).state == "scheduled"
        assert await later - began >= 0.08
        assert await at - began >= 0.11


async def test_priorities_come_first(make: Callable[..., Backburner]) -> None:
    """Of jobs that wait, the smaller priority runs first, then the older."""
    bb = make(queues={"default": 1})
    order: list[str] = []

    @bb.job
    async def note(name: str) -> None:
        order.append(name)

    async with bb:
        gate = asyncio.Event()

        @bb.job
        async def hold() -> None:
            await gate.wait()

        await bb.create_task(hold())
        for name, priority in (("c", 9), ("a", 0), ("b", 5), ("b2", 5)):
            handle = await bb.create_task(note(name), priority=priority)
            del handle
        last = await bb.create_task(note("end"), priority=9)
        gate.set()
        await last
    assert order == ["a", "b", "b2", "c", "end"]


async def test_a_job_expires(make: Callable[..., Backburner]) -> None:
    """A job that was not started within ``expires`` is cancelled, and its waiter told so."""
    bb = make(queues={"default": 1})
    gate = asyncio.Event()

    @bb.job
    async def hold() -> None:
        await gate.wait()

    @bb.job
    async def late() -> None:
        raise AssertionError("it must not run")

    async with bb:
        await bb.create_task(hold())
        handle = await bb.create_task(late(), expires=0.02)
        loop = asyncio.get_running_loop()
        loop.call_later(0.05, gate.set)
        with pytest.raises(JobExpired):
            await handle


async def test_cancelling_a_pending_job(bb: Backburner) -> None:
    """A pending job is cancelled at once; cancelling it again is too late."""

    @bb.job
    async def never() -> None:
        raise AssertionError("it must not run")

    async with bb:
        handle = await bb.create_task(never(), delay=3600)
        assert await handle.cancel()
        with pytest.raises(JobCancelled):
            await handle
        assert not await handle.cancel()
        with pytest.raises(JobNotFound):
            await bb.handle("no-such-job", never).cancel()


async def test_cancelling_a_running_job(bb: Backburner) -> None:
    """A running job gets a `CancelledError` where it waits, and ends as cancelled."""
    started = asyncio.Event()

    @bb.job
    async def long() -> None:
        started.set()
        await asyncio.Event().wait()

    async with bb:
        handle = await bb.create_task(long())
        await started.wait()
        assert await handle.cancel()
        with pytest.raises(JobCancelled):
            await handle
        assert (await handle.status()).state == "cancelled"


async def test_a_waiter_leaves_the_job_alone(bb: Backburner) -> None:
    """Timing out a waiter does not cancel its job."""
    gate = asyncio.Event()

    @bb.job
    async def slow() -> str:
        await gate.wait()
        return "done"

    async with bb:
        handle = await bb.create_task(slow())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await handle
        assert not await handle.wait(0.01)
        gate.set()
        assert await handle == "done"
        assert await handle.wait()


async def test_callbacks(bb: Backburner) -> None:
    """A done callback is called with the handle, also when the job has ended already."""

    @bb.job
    async def quick() -> int:
        return 7

    async with bb:
        handle = await bb.create_task(quick())
        called: asyncio.Queue[bool] = asyncio.Queue()
        handle.add_done_callback(lambda done: called.put_nowait(done.done()))
        assert await called.get()
        handle.add_done_callback(lambda done: called.put_nowait(done.done()))
        assert await called.get()


async def test_a_handle_elsewhere(make: Callable[..., Backburner], url: str) -> None:
    """Any engine on the store can await a job by its id; one that only stores runs nothing."""
    if url == "memory://":
        return  # a memory store is one engine's own
    web, worker = make(run=False), make()

    def declare(bb: Backburner) -> Job[[int, int], int]:
        @bb.job
        async def add(a: int, b: int) -> int:
            return a + b

        return add

    add_here, add_there = declare(web), declare(worker)
    async with web:
        handle = await web.create_task(add_here(2, 3))
        assert (await handle.status()).state == "waiting"
        async with worker:
            assert await handle == 5
            assert await worker.handle(handle.id, add_there) == 5


async def test_the_engine_must_run(bb: Backburner) -> None:
    """Before the start and after the stop, using the engine says how to start it."""

    @bb.job
    async def add(a: int) -> int:
        return a

    with pytest.raises(NotRunning, match="async with bb"):
        await bb.create_task(add(1))
    async with bb:
        handle = await bb.create_task(add(1), delay=3600)
    with pytest.raises(NotRunning):
        await bb.create_task(add(1))
    with pytest.raises(NotRunning):
        await handle


async def test_a_dead_job_raises_in_its_waiter(bb: Backburner) -> None:
    """A job out of attempts raises `JobDead` with the error's text."""
    tries: list[int] = []

    @bb.job
    async def broken() -> None:
        tries.append(current_job().attempt)
        raise RuntimeError("no luck")

    async with bb:
        handle = await bb.create_task(broken())
        with pytest.raises(JobDead, match="RuntimeError: no luck") as caught:
            await handle
        status = await handle.status()
    assert tries == [1, 2, 3]
    assert caught.value.job_id == handle.id
    assert (status.state, status.failures, status.reason) == ("dead", 3, "exhausted")
