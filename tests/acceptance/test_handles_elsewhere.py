"""`bb.handle(id, job)`: a job that was stored anywhere, watched and cancelled from here."""

from __future__ import annotations

import asyncio
from functools import wraps
from typing import TYPE_CHECKING, Any

import pytest

from backburner import JobCancelled, JobDead, JobHandle, JobNotFound, Reject
from backburner.backends.memory.reader import MemoryJobReader
from backburner.backends.sqlite.reader import SqliteJobReader
from backburner.errors import InvalidOption, NotACall, NotRunning

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from backburner import Backburner, Job


class Apart:
    """A web app that only stores, and a worker, on one file: two engines as two processes would be."""

    def __init__(self, make: Callable[..., Backburner]) -> None:
        self.web, self.worker = make(run=False), make()
        self.release = asyncio.Event()
        self.started = asyncio.Event()
        self.work = self._declare(self.web)
        self._declare(self.worker)

    def _declare(self, bb: Backburner) -> Job[[str], str]:
        @bb.job
        async def work(how: str) -> str:
            self.started.set()
            match how:
                case "wait":
                    await self.release.wait()
                case "die":
                    raise Reject("no luck")
                case _:
                    pass
            return how

        return work


@pytest.fixture
async def apart(make_sqlite: Callable[..., Backburner]) -> AsyncIterator[Apart]:
    """Bring both, entered."""
    made = Apart(make_sqlite)
    async with made.web, made.worker:
        yield made


async def test_await(apart: Apart) -> None:
    """A handle made from an id is typed by the job it is given, and awaits to the result."""
    job_id = (await apart.web.create_task(apart.work("quick"))).id
    handle: JobHandle[str] = apart.web.handle(job_id, apart.work)
    assert await handle == "quick"
    assert handle.done()
    assert not handle.existed


async def test_status_and_wait(apart: Apart) -> None:
    """`status()` reads the store; `wait(timeout)` says whether it has ended."""
    job_id = (await apart.web.create_task(apart.work("wait"))).id
    handle = apart.web.handle(job_id, apart.work)
    await apart.started.wait()
    status = await handle.status()
    assert (status.id, status.kind, status.state, status.attempt) == (job_id, "work", "running", 1)
    assert status.node
    assert not await handle.wait(0.02)
    assert not handle.done()
    apart.release.set()
    assert await handle.wait(30)
    assert (await handle.status()).state == "completed"


async def test_death_and_cancellation(apart: Apart) -> None:
    """How a job ended elsewhere is raised here, with its reason."""
    dead = apart.web.handle((await apart.web.create_task(apart.work("die"))).id, apart.work)
    with pytest.raises(JobDead, match="no luck") as caught:
        await dead
    assert (caught.value.job_id, caught.value.reason) == (dead.id, "rejected: no luck")
    job_id = (await apart.web.create_task(apart.work("wait"))).id
    await apart.started.wait()
    running = apart.web.handle(job_id, apart.work)
    assert await running.cancel()
    with pytest.raises(JobCancelled):
        await running
    assert not await running.cancel()


async def test_cancelling_the_waiter_leaves_the_job_alone(apart: Apart) -> None:
    """Only `cancel()` cancels; another waiter of the same job goes on."""
    job_id = (await apart.web.create_task(apart.work("wait"))).id
    first, second = (asyncio.ensure_future(apart.web.handle(job_id, apart.work).wait()) for _ in range(2))
    await apart.started.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    apart.release.set()
    assert await second


async def test_callbacks(apart: Apart) -> None:
    """A callback comes with the handle once the job is known to have ended, here or elsewhere."""
    handle = apart.web.handle((await apart.web.create_task(apart.work("quick"))).id, apart.work)
    called: asyncio.Queue[JobHandle[str]] = asyncio.Queue()
    handle.add_done_callback(called.put_nowait)
    assert await called.get() is handle
    assert handle.done()


async def test_an_unknown_id(bb: Backburner) -> None:
    """A handle may be made of any id; what asks the store says that it has no such job."""

    @bb.job
    async def work() -> None: ...

    async with bb:
        handle = bb.handle("nobody", work)
        for asked in (handle, handle.status(), handle.cancel()):
            with pytest.raises(JobNotFound, match="nobody"):
                await asked
        assert await bb.handle("nobody", work).wait(30)


async def test_what_it_takes(bb: Backburner) -> None:
    """It takes an id and the job itself, of an engine that runs."""

    @bb.job
    async def work() -> None: ...

    with pytest.raises(NotRunning):
        bb.handle("a", work)
    async with bb:
        with pytest.raises(NotACall, match=r"bb\.handle\('a', send_email\)"):
            bb.handle("a", work.fn)  # type: ignore[arg-type]
        with pytest.raises(InvalidOption, match="id is a text"):
            bb.handle(7, work)  # type: ignore[arg-type]


class Reads:
    """The reads of a store."""

    def __init__(self) -> None:
        #: How many ids each asked for.
        self.sizes: list[int] = []


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    """Count what is read of jobs by their ids, in every store."""
    seen = Reads()

    def watch(reader: type[Any]) -> None:
        get = reader.get

        @wraps(get)
        async def watched(self: object, ids: Sequence[str]) -> object:
            seen.sizes.append(len(ids))
            return await get(self, ids)

        monkeypatch.setattr(reader, "get", watched)

    watch(MemoryJobReader)
    watch(SqliteJobReader)
    return seen


async def test_many_waiters_share_one_batched_read(apart: Apart, reads: Reads) -> None:
    """Five hundred waiters of a hundred jobs elsewhere cost one read of a hundred ids now and then, not one each."""
    handles = await apart.web.create_tasks([apart.work("wait") for _ in range(10)], delay=3600)
    handles += await apart.web.create_tasks([apart.work("quick") for _ in range(90)], delay=3600)
    waiters = [asyncio.ensure_future(handle.wait()) for handle in handles for _ in range(5)]
    while not reads.sizes:
        await handles[0].wait(0.001)
    for handle in handles:
        await handle.cancel()
    assert all(await asyncio.gather(*waiters))
    assert max(reads.sizes) <= 100
    # A hint for each write, but a twentieth of the time at most goes into reading.
    assert len(reads.sizes) <= 20, reads.sizes


async def test_nobody_waits_nobody_reads(apart: Apart, reads: Reads) -> None:
    """A handle that is only held costs nothing; what ends on this very engine is told without a read."""
    local = apart.worker
    work = local.job(name="local")(apart.work.fn)
    held = await apart.web.create_tasks([apart.work("quick") for _ in range(20)])
    assert await (await local.create_task(work("here"))) == "here"
    assert [size for size in reads.sizes if size > 1] == []
    assert await held[-1] == "quick"
