"""How a run may end: what a job raises, how long it takes, what it returns."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from typing import TYPE_CHECKING

import pytest

from backburner import Cancel, JobCancelled, JobDead, Reject, Retry, RetryPolicy, Snooze, constant, current_job

if TYPE_CHECKING:
    from collections.abc import Callable

    from backburner import Backburner


async def test_retry_by_the_policy_until_it_works(bb: Backburner) -> None:
    """A job that fails runs again after the policy's backoff, its attempts counted."""

    @bb.job
    async def third_time() -> int:
        if current_job().attempt < 3:
            raise ConnectionError
        return current_job().attempt

    async with bb:
        handle = await bb.create_task(third_time())
        assert await handle == 3
        assert (await handle.status()).failures == 2


async def test_retry_may_name_its_delay(bb: Backburner) -> None:
    """``raise Retry(delay=…)`` counts as a failure and sets the delay in place of the policy's."""

    @bb.job
    async def again() -> int:
        if current_job().attempt == 1:
            raise Retry(delay=0.05)
        return current_job().attempt

    async with bb:
        loop = asyncio.get_running_loop()
        began = loop.time()
        handle = await bb.create_task(again())
        assert await handle == 2
        assert loop.time() - began >= 0.05
        assert (await handle.status()).failures == 1


async def test_retry_ends_with_the_attempts(bb: Backburner) -> None:
    """``raise Retry`` does not outlive the policy's attempts."""

    @bb.job(retry="none")
    async def again() -> None:
        raise Retry(delay=0)

    async with bb:
        with pytest.raises(JobDead, match="exhausted"):
            await (await bb.create_task(again()))


async def test_snooze_costs_nothing(bb: Backburner) -> None:
    """``raise Snooze(…)`` runs the job again and counts no failure, however often."""

    @bb.job(retry="none")
    async def patient() -> int:
        if current_job().attempt < 5:
            raise Snooze(0.001)
        return current_job().attempt

    async with bb:
        handle = await bb.create_task(patient())
        assert await handle == 5
        assert (await handle.status()).failures == 0


async def test_reject_is_a_dead_letter_at_once(bb: Backburner) -> None:
    """``raise Reject("why")`` leaves no further attempt."""

    @bb.job
    async def declined() -> None:
        raise Reject("card declined")

    async with bb:
        handle = await bb.create_task(declined())
        with pytest.raises(JobDead, match="card declined") as caught:
            await handle
        assert caught.value.reason == "rejected: card declined"
        assert (await handle.status()).attempt == 1


async def test_cancel_from_inside(bb: Backburner) -> None:
    """``raise Cancel("why")`` ends the job as cancelled, for the reason given."""

    @bb.job
    async def pointless() -> None:
        raise Cancel("nobody is there")

    async with bb:
        with pytest.raises(JobCancelled, match="nobody is there"):
            await (await bb.create_task(pointless()))


async def test_a_policys_exceptions_are_rejected(bb: Backburner) -> None:
    """A policy says which exceptions are not worth another try."""

    @bb.job(retry=RetryPolicy(attempts=5, backoff=constant(0), reject=KeyError))
    async def lookup() -> None:
        raise KeyError("gone")

    async with bb:
        handle = await bb.create_task(lookup())
        with pytest.raises(JobDead, match="rejected: KeyError"):
            await handle
        assert (await handle.status()).attempt == 1


async def test_a_run_out_of_time_fails(bb: Backburner) -> None:
    """A run that takes longer than its timeout is cancelled where it waits, and fails with a `TimeoutError`."""

    @bb.job(timeout=0.02, retry="none")
    async def slow() -> None:
        await asyncio.Event().wait()

    async with bb:
        with pytest.raises(JobDead, match=r"TimeoutError: the run took longer than its timeout of 0\.02 s"):
            await (await bb.create_task(slow()))
        with pytest.raises(JobDead, match=r"timeout of 0\.01 s"):
            await (await bb.create_task(slow(), timeout=0.01))


async def test_a_thread_out_of_time_is_told(bb: Backburner) -> None:
    """A `def` job out of time sees `stopping`; nothing is settled before its thread has returned."""
    seen = threading.Event()

    @bb.job(timeout=0.02, retry="none")
    def stubborn() -> str:
        job = current_job()
        while not job.stopping:
            seen.wait(0.001)
        return "finished all the same"

    async with bb:
        assert await (await bb.create_task(stubborn())) == "finished all the same"


async def test_a_result_that_cannot_be_stored_fails_the_job(bb: Backburner) -> None:
    """What a job returns must be storable; if it is not, the job fails with that, and the worker goes on."""

    @bb.job(retry="none")
    async def weird() -> object:
        return object()

    @bb.job(retry="none")
    async def huge() -> str:
        return "x" * (1024 * 1024 + 1)

    @bb.job
    async def fine() -> str:
        return "fine"

    async with bb:
        with pytest.raises(JobDead, match="ResultNotStorable"):
            await (await bb.create_task(weird()))
        with pytest.raises(JobDead, match="the limit is 1,048,576"):
            await (await bb.create_task(huge()))
        assert await (await bb.create_task(fine())) == "fine"


@pytest.mark.parametrize("error", [SystemExit, asyncio.CancelledError])
async def test_no_exception_of_a_job_leaves_it(bb: Backburner, error: type[BaseException]) -> None:
    """`SystemExit` and a `CancelledError` of its own are that job's failures, and nobody else's."""

    @bb.job(retry="none")
    async def rude() -> None:
        raise error

    @bb.job(retry="none")
    def rude_in_a_thread() -> None:
        raise error

    @bb.job
    async def fine() -> str:
        return "fine"

    async with bb:
        for call in (rude(), rude_in_a_thread()):
            with pytest.raises(JobDead, match=error.__name__):
                await (await bb.create_task(call))
        assert await (await bb.create_task(fine())) == "fine"


shared: contextvars.ContextVar[str] = contextvars.ContextVar("shared", default="clean")


async def test_nothing_crosses_from_one_run_to_the_next(make: Callable[..., Backburner]) -> None:
    """Context variables, `current_task()` and a cancelled task stay with their run."""
    bb = make(queues={"default": 1})
    tasks: list[asyncio.Task[object] | None] = []

    @bb.job(retry="none")
    async def leaky() -> str:
        before = shared.get()
        shared.set("leaked")
        tasks.append(asyncio.current_task())
        return before

    @bb.job(retry="none")
    async def suicidal() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.Event().wait()

    async with bb:
        handles = await bb.create_tasks([leaky(), leaky(), suicidal(), leaky()])
        assert await handles[0] == await handles[1] == await handles[3] == "clean"
        with pytest.raises(JobDead, match="CancelledError"):
            await handles[2]
    assert len(set(tasks)) == 3
    assert shared.get() == "clean"


async def test_the_job_knows_itself(bb: Backburner) -> None:
    """`current_job` answers id, attempt, token and the rest, also in tasks that the job starts."""

    @bb.job(queue="default")
    async def who() -> tuple[str, str, int, bool]:
        job = current_job()
        inner = await asyncio.create_task(_id_of_current())
        assert inner == job.id
        assert job.token > 0
        return job.id, job.kind, job.attempt, job.stopping

    async with bb:
        handle = await bb.create_task(who())
        assert await handle == (handle.id, "who", 1, False)


async def _id_of_current() -> str:
    return current_job().id


async def test_the_log_of_a_job_names_it(bb: Backburner, caplog: pytest.LogCaptureFixture) -> None:
    """``current_job().log`` carries id, kind, attempt and queue; a retry warns without traceback, a death errs with."""

    @bb.job
    async def chatty() -> None:
        current_job().log.info("working", step=1)
        raise ValueError("boom")

    with caplog.at_level(logging.INFO, logger="backburner"):
        async with bb:
            handle = await bb.create_task(chatty())
            await handle.wait()
    said = [record for record in caplog.records if "working" in record.getMessage()]
    assert len(said) == 3
    assert all(word in said[0].getMessage() for word in (handle.id, "chatty", "attempt=1", "queue=default", "step=1"))
    retries = [record for record in caplog.records if "job.retry" in record.getMessage()]
    deaths = [record for record in caplog.records if "job.dead" in record.getMessage()]
    assert [record.levelname for record in retries] == ["WARNING"] * 2
    assert not any(record.exc_info for record in retries)
    assert [record.levelname for record in deaths] == ["ERROR"]
    assert deaths[0].exc_info
