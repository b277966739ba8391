"""What a run tells of itself, read anywhere; what it saves, handed to the next run."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import aiosqlite
import pytest

from backburner import JobDead, StoreBusy, current_job
from backburner.errors import AlreadyEnded
from backburner.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from backburner import Backburner, Job, JobHandle
    from backburner.jobs.status import Progress


async def told(handle: JobHandle[Any]) -> Progress:
    """Read the status until it shows progress: that is written soon, not at once."""
    while (progress := (await handle.status()).progress) is None:
        await handle.wait(0.01)
    return progress


async def test_progress_is_read_from_the_status(bb: Backburner) -> None:
    """`await ctx.progress(done, total)` shows in `status()` while the job runs, and stays when it has ended."""
    release = asyncio.Event()

    @bb.job
    async def copy() -> None:
        await current_job().progress(3, 10)
        await release.wait()
        await current_job().progress(10, 10)

    async with bb:
        handle = await bb.create_task(copy())
        progress = await told(handle)
        assert (progress.done, progress.total) == (3, 10)
        release.set()
        await handle
        assert (await handle.status()).progress == (10, 10)


async def test_before_the_first_word_there_is_none(bb: Backburner) -> None:
    """A job that told and saved nothing has neither progress nor checkpoint; a total may be unknown."""

    @bb.job
    async def silent() -> None:
        assert current_job().last_checkpoint is None

    @bb.job
    async def counting() -> None:
        await current_job().progress(7)

    async with bb:
        quiet, counted = await bb.create_task(silent()), await bb.create_task(counting())
        await quiet
        await counted
        status = await quiet.status()
        assert (status.progress, status.checkpoint) == (None, None)
        assert (await counted.status()).progress == (7, None)


async def test_a_checkpoint_is_handed_to_the_next_run(bb: Backburner) -> None:
    """`await ctx.checkpoint(value)` is durable when it returns; a failed run's successor goes on from there."""
    seen: list[object] = []

    @bb.job
    async def walk() -> int:
        job = current_job()
        seen.append(job.last_checkpoint)
        position: int = (job.last_checkpoint or {"position": 0})["position"]
        await job.checkpoint({"position": position + 1})
        assert job.last_checkpoint == {"position": position + 1}
        if position < 2:
            raise ConnectionError
        return position

    async with bb:
        handle = await bb.create_task(walk())
        assert await handle == 2
        assert (await handle.status()).checkpoint == {"position": 3}
    assert seen == [None, {"position": 1}, {"position": 2}]


async def test_def_jobs_tell_and_save_by_plain_calls(bb: Backburner) -> None:
    """In a thread both are plain calls, and the checkpoint is durable then; jobs in processes: `test_process_jobs`."""
    saved, release = threading.Event(), threading.Event()

    @bb.job
    def walk() -> int:
        job = current_job()
        if job.attempt > 1:
            return int(job.last_checkpoint)
        job.progress(1, 2)
        job.checkpoint(41)
        saved.set()
        release.wait()
        raise ConnectionError

    async with bb:
        handle = await bb.create_task(walk())
        assert await asyncio.to_thread(saved.wait, 30)
        status = await handle.status()
        assert (status.state, status.progress, status.checkpoint) == ("running", (1, 2), 41)
        release.set()
        assert await handle == 41


async def test_a_checkpoint_within_a_transaction_of_the_jobs_own(
    make_sqlite: Callable[..., Backburner], tmp_path: Path
) -> None:
    """The write would wait for the job, and the job for the write: after ``write_timeout`` `StoreBusy` says so."""
    bb = make_sqlite(write_timeout=0.1)

    @bb.job
    async def walk() -> str:
        async with aiosqlite.connect(tmp_path / "jobs.db") as connection:
            await connection.execute("CREATE TABLE own (number INTEGER)")
            await connection.execute("INSERT INTO own VALUES (1)")
            with pytest.raises(StoreBusy, match="transaction is still open"):
                await current_job().checkpoint(1)
            await connection.commit()
        return "walked"

    async with bb:
        handle = await bb.create_task(walk(), retry="none")
        assert await handle == "walked"
        assert (await handle.status()).checkpoint == 1


async def test_another_engine_reads_both(make_sqlite: Callable[..., Backburner]) -> None:
    """`bb.handle(id, job).status()` on any engine of the store shows what the run told and saved elsewhere."""
    worker, web = make_sqlite(), make_sqlite(run=False)
    saved, release = asyncio.Event(), asyncio.Event()

    def declare(bb: Backburner) -> Job[[], None]:
        @bb.job
        async def walk() -> None:
            await current_job().progress(1, 2)
            await current_job().checkpoint(["a", 1])
            saved.set()
            await release.wait()

        return walk

    on_the_web, in_the_worker = declare(web), declare(worker)
    async with worker, web:
        job_id = (await worker.create_task(in_the_worker())).id
        await saved.wait()
        status = await web.handle(job_id, on_the_web).status()
        assert (status.state, status.progress, status.checkpoint) == ("running", (1, 2), ["a", 1])
        release.set()
        await web.handle(job_id, on_the_web)


async def test_an_interrupted_run_keeps_both(make_sqlite: Callable[..., Backburner]) -> None:
    """A deploy keeps what was told and saved: the next run begins where the interrupted one was."""
    bb = make_sqlite(grace=0)
    saved = asyncio.Event()

    @bb.job
    async def walk() -> str:
        job = current_job()
        if job.last_checkpoint is not None:
            return f"from {job.last_checkpoint}"
        await job.progress(1, 2)
        await job.checkpoint("here")
        saved.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with bb:
        handle = await bb.create_task(walk())
        await saved.wait()
    async with bb:
        handle = bb.handle(handle.id, walk)
        assert await handle == "from here"
        assert (await handle.status()).progress == (1, 2)


async def test_progress_is_written_once_a_second_at_most(make: Callable[..., Backburner]) -> None:
    """Telling is cheap: ten thousand words within a second are two writes, the first and the newest."""
    clock = FakeClock()
    bb = make(clock=clock)
    told_all, release = asyncio.Event(), asyncio.Event()

    @bb.job
    async def copy() -> None:
        for done in range(10_000):
            await current_job().progress(done + 1, 10_000)
        told_all.set()
        await release.wait()

    async with bb:
        handle = await bb.create_task(copy())
        await told_all.wait()
        assert await told(handle) == (1, 10_000)
        await clock.advance(1.1)
        while (await handle.status()).progress != (10_000, 10_000):
            await handle.wait(0.01)
        release.set()
        await handle


@pytest.mark.parametrize("numbers", [(-1, 10), (1.5, 2), (True, 2), (1, -2), ("1", None)])
async def test_progress_takes_whole_numbers(bb: Backburner, numbers: tuple[Any, Any]) -> None:
    """Anything else is refused where it is told."""

    @bb.job(retry="none")
    async def wrong() -> None:
        await current_job().progress(*numbers)

    async with bb:
        with pytest.raises(JobDead, match="progress takes whole numbers from 0"):
            await (await bb.create_task(wrong()))


@pytest.mark.parametrize(
    ("value", "says"), [(object(), "checkpoint"), ({1: 2}, "checkpoint"), ("x" * 1_048_577, "bytes")]
)
async def test_a_checkpoint_is_plain_json(bb: Backburner, value: object, says: str) -> None:
    """What JSON would not give back equal, or is too large, is refused where it is saved."""

    @bb.job(retry="none")
    async def wrong() -> None:
        await current_job().checkpoint(value)

    async with bb:
        with pytest.raises(JobDead, match=f"ArgumentNotStorable: .*{says}"):
            await (await bb.create_task(wrong()))


async def test_after_the_end_nothing_is_saved(bb: Backburner) -> None:
    """A task that outlives its run may not save for it any more."""
    over = asyncio.Event()
    left: list[asyncio.Task[None]] = []

    async def straggler() -> None:
        await over.wait()
        await current_job().checkpoint("late")

    @bb.job
    async def walk() -> None:
        left.append(asyncio.create_task(straggler()))

    async with bb:
        handle = await bb.create_task(walk())
        await handle
        over.set()
        with pytest.raises(AlreadyEnded, match="a checkpoint has to come before"):
            await left[0]
        assert (await handle.status()).checkpoint is None


async def test_awaited_directly_they_stay_in_memory(bb: Backburner) -> None:
    """A call that runs here may tell and save too; nobody sees it."""

    @bb.job
    async def walk() -> object:
        await current_job().progress(1, 2)
        await current_job().checkpoint("here")
        return current_job().last_checkpoint

    assert await walk() == "here"
