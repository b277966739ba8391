"""Handles: one batched read for everyone who waits, on a hint, else each second by the clock."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from backburner.errors import JobCancelled, JobDead, JobExpired, JobNotFound, NotRunning, StoreUnavailable
from backburner.jobs.handle import JobHandle
from backburner.jobs.handles import Handles
from backburner.jobs.joined import Joined
from backburner.jobs.vigil import Final
from backburner.model.job import JobState
from tests.unit.jobs.told import job

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from backburner.model.job import Attempt
    from backburner.model.query import JobFilter, Shown
    from backburner.ports.jobs import Backlog, Groups, Images, Page, Timings
    from tests.unit.jobs.told import Stage


class CountingReader:
    """A `JobReader` that tells how it was asked, and fails when told to."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    async def get(self, ids: Sequence[str]) -> Page:
        return await self._stage.orders.obey("get", ids, lambda: self._stage.backend.reader.get(ids))

    async def history(self, job_id: str) -> tuple[Attempt, ...]:
        return await self._stage.backend.reader.history(job_id)

    async def find(self, where: JobFilter, *, limit: int, after: str | None = None) -> Page:
        return await self._stage.backend.reader.find(where, limit=limit, after=after)

    async def count(self, where: JobFilter) -> Mapping[Shown, int]:
        return await self._stage.backend.reader.count(where)

    async def groups(self, where: JobFilter, *, limit: int) -> Groups:
        return await self._stage.backend.reader.groups(where, limit=limit)

    async def backlog(self) -> Backlog:
        return await self._stage.backend.reader.backlog()

    async def timings(
        self, state: JobState, where: JobFilter, *, within: int, limit: int, after: str | None = None
    ) -> Timings:
        return await self._stage.backend.reader.timings(state, where, within=within, limit=limit, after=after)

    async def export(self, *, limit: int, after: str | None = None, where: JobFilter | None = None) -> Images:
        return await self._stage.backend.reader.export(limit=limit, after=after, where=where)


class Room:
    """Handles on a stage."""

    def __init__(self, stage: Stage) -> None:
        async def work() -> int:
            return 0

        self.stage = stage
        self.cancelled: list[str] = []
        self.definition = stage.define(work)
        self.joined = Joined(stage.backend.transactions)
        self.handles = Handles(CountingReader(stage), self._cancel, self.joined, kit=stage.kit)
        self.handles.start()

    async def _cancel(self, job_id: str) -> bool:
        self.cancelled.append(job_id)
        return True

    async def handle(self, job_id: str) -> JobHandle[object]:
        await self.stage.backend.jobs.enqueue([[job(job_id)]])
        return self.again(job_id)

    def again(self, job_id: str) -> JobHandle[object]:
        """Another handle of the same job."""
        return JobHandle(self.handles.vigil(job_id, self.definition))

    def end(self, job_id: str, result: str = "1") -> None:
        """End a job in the store, as another node would."""
        row = self.stage.database.jobs[job_id]
        row.state, row.result = JobState.COMPLETED, result

    @property
    def reads(self) -> list[tuple[str, ...]]:
        return self.stage.orders.writes("get")


@pytest.fixture
async def room(stage: Stage) -> AsyncIterator[Room]:
    """Bring open handles."""
    made = Room(stage)
    yield made
    await made.handles.stop()


def wait(handle: JobHandle[object]) -> asyncio.Task[object]:
    """Await a handle, from a task of its own."""

    async def waiting() -> object:
        return await handle

    return asyncio.get_running_loop().create_task(waiting())


async def test_waiters_share_one_read(stage: Stage, room: Room) -> None:
    """A hundred who wait for jobs that end elsewhere cost one read a second, and none when nobody waits."""
    names = [f"j{number:02}" for number in range(100)]
    waiters = [wait(await room.handle(name)) for name in names]
    await stage.settle()
    assert [sorted(ids) for ids in room.reads] == [names]
    await stage.wait(3)
    assert len(room.reads) == 4
    for name in names:
        room.end(name)
    await stage.wait(1)
    assert await asyncio.gather(*waiters) == [1] * 100
    reads = len(room.reads)
    await stage.wait(100)
    assert len(room.reads) == reads


async def test_a_hint_reads_at_once(stage: Stage, room: Room) -> None:
    """A hint that jobs may have ended is followed by a read without the clock moving."""
    waiter = wait(await room.handle("a"))
    await stage.settle()
    room.end("a")
    room.handles.hint()
    await stage.settle()
    assert waiter.done()
    assert len(room.reads) == 2


async def test_a_hint_nobody_waits_for_reads_nothing(stage: Stage, room: Room) -> None:
    """Without a waiter hints cost nothing."""
    await room.handle("a")
    room.handles.hint()
    await stage.settle()
    assert room.reads == []


async def test_an_end_here_needs_no_read(stage: Stage, room: Room) -> None:
    """A job that ended on this node answers its waiters without asking the store."""
    handle = await room.handle("a")
    waiter = wait(handle)
    await stage.settle()
    room.handles.ended("a", Final(JobState.COMPLETED, "5"))
    assert handle.done()
    assert await waiter == 5
    assert len(room.reads) == 1
    assert await handle == 5


async def test_a_waiter_that_gives_up_leaves_the_job_alone(stage: Stage, room: Room) -> None:
    """Cancelling or timing out a waiter cancels no job, disturbs no other waiter, and ends the reads for it."""
    handle = await room.handle("a")
    gone, stays = wait(handle), wait(handle)
    await stage.settle()
    gone.cancel()
    await stage.settle()
    assert gone.cancelled()
    assert not stays.done()
    stays.cancel()
    await stage.wait(1)
    reads = len(room.reads)
    await stage.wait(10)
    assert len(room.reads) == reads
    assert room.cancelled == []
    assert stage.row("a")[0] == "pending"


async def test_a_job_the_store_does_not_have(room: Room) -> None:
    """Awaiting, or asking for, a job that the store does not have raises JobNotFound."""
    handle = room.again("nobody")
    with pytest.raises(JobNotFound):
        await handle
    with pytest.raises(JobNotFound):
        await handle.status()


@pytest.mark.parametrize(
    ("final", "error", "words"),
    [
        (Final(JobState.DEAD, reason="exhausted", error="ValueError", message="no"), JobDead, "ValueError: no"),
        (
            Final(JobState.DEAD, reason="rejected: no", error="backburner.Reject", message="no"),
            JobDead,
            r"dead letter \(rejected: no\)$",
        ),
        (Final(JobState.CANCELLED, reason="cancelled"), JobCancelled, "was cancelled$"),
        (Final(JobState.CANCELLED, reason="no longer"), JobCancelled, r"was cancelled \(no longer\)$"),
        (Final(JobState.CANCELLED, reason="expired"), JobExpired, "expired before it could run"),
    ],
)
async def test_what_awaiting_raises(stage: Stage, room: Room, final: Final, error: type[Exception], words: str) -> None:
    """Each end without a result raises its own error, with the reason."""
    handle = await room.handle("a")
    waiter = wait(handle)
    await stage.settle()
    room.handles.ended("a", final)
    with pytest.raises(error, match=words):
        await waiter


async def test_a_store_that_is_away_is_read_again(stage: Stage, room: Room) -> None:
    """A failed read fails no waiter: it is repeated until the store answers."""
    waiter = wait(await room.handle("a"))
    room.end("a")
    stage.orders.fail("get", *[StoreUnavailable("away")] * 3)
    await stage.wait(5)
    assert await waiter == 1


async def test_callbacks_come_once_with_the_handle(stage: Stage, room: Room) -> None:
    """A callback is called once, with the handle, when the job is known to have ended; at once if it is already."""
    handle = await room.handle("a")
    heard: list[JobHandle[object]] = []
    handle.add_done_callback(heard.append)
    await stage.settle()
    assert heard == []
    room.end("a")
    await stage.wait(1)
    assert heard == [handle]
    handle.add_done_callback(heard.append)
    await stage.settle()
    assert heard == [handle, handle]


async def test_one_job_has_one_vigil(stage: Stage, room: Room) -> None:
    """However many handles a job has, what one of them knows all know, and one read serves them."""
    first = await room.handle("a")
    second = room.again("a")
    waiters = [wait(first), wait(second)]
    await stage.settle()
    room.handles.ended("a", Final(JobState.COMPLETED, "5"))
    assert (first.done(), second.done()) == (True, True)
    assert await asyncio.gather(*waiters) == [5, 5]
    assert room.reads == [("a",)]


async def test_what_nobody_holds_is_forgotten(room: Room) -> None:
    """Once the last handle of a job is gone nothing is kept for it."""
    handles = [await room.handle("a"), room.again("a")]
    assert list(room.handles._known) == ["a"]
    handles.clear()
    assert room.handles._known == {}


async def test_what_ended_here_may_be_stored_again(room: Room) -> None:
    """A handle that saw its job missing, or ended and pruned, is not the handle of a job stored later under that id."""
    missed = room.again("a")
    with pytest.raises(JobNotFound):
        await missed
    handle = await room.handle("a")
    assert not handle.done()
    room.handles.ended("a", Final(JobState.COMPLETED, "1"))
    assert await handle == 1
    assert not room.again("a").done()


async def test_wait_says_whether_it_ended(room: Room) -> None:
    """wait(timeout) answers False when the time is up and True once the job has ended, raising no job's error."""
    handle = await room.handle("a")
    assert not await handle.wait(0)
    room.handles.ended("a", Final(JobState.DEAD, reason="exhausted"))
    assert await handle.wait(0)


async def test_stop_tells_who_waits(stage: Stage, room: Room) -> None:
    """When the engine stops, whoever waits is told so, and whoever begins to wait afterwards too."""
    handle = await room.handle("a")
    waiter = wait(handle)
    await stage.settle()
    await room.handles.stop()
    with pytest.raises(NotRunning):
        await waiter
    with pytest.raises(NotRunning):
        await handle
