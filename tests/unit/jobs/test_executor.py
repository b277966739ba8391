"""The executor: one task and one fresh context a run, deadlines by one timer, threads that cannot be stopped."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING

import pytest

from backburner.errors import NotInAJob
from backburner.jobs.context import current_job
from backburner.jobs.executor import STUCK_AFTER
from backburner.jobs.run import Why
from backburner.model.job import Ending, JobState
from backburner.ports.telemetry import Signal
from tests.unit.jobs.told import SECOND, claim

if TYPE_CHECKING:
    from tests.unit.jobs.floor import Floor
    from tests.unit.jobs.told import Stage

mark: ContextVar[str] = ContextVar("mark")


# ---- nothing crosses from one run to the next ----------------------------------------------------------------------


async def test_a_context_variable_never_crosses(floor: Floor) -> None:
    """What one run sets in its context is not seen by the next, nor by the caller of the executor."""
    seen: list[str] = []

    async def work() -> None:
        seen.append(mark.get("unset"))
        mark.set(current_job().id)

    floor.start(work, "a")
    await floor.ended("a")
    floor.start(work, "b")
    await floor.ended("b")
    assert seen == ["unset", "unset"]
    assert mark.get("unset") == "unset"


async def test_every_run_has_a_task_of_its_own(floor: Floor) -> None:
    """Two runs never share a task, and each is named for its job."""
    tasks: list[asyncio.Task[object] | None] = []

    async def work() -> None:
        tasks.append(asyncio.current_task())

    for name in ("a", "b"):
        floor.start(work, name)
        await floor.ended(name)
    first, second = tasks
    assert first is not None
    assert second is not None
    assert first is not second
    assert [first.get_name(), second.get_name()] == ["a", "b"]


async def test_a_run_that_cancels_itself_harms_no_other(floor: Floor) -> None:
    """A job that cancels its own task fails; the run beside it and the next one are not cancelled."""

    async def suicide() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.Event().wait()

    async def innocent() -> str:
        task = asyncio.current_task()
        assert task is not None
        await asyncio.get_running_loop().run_in_executor(None, str)
        return f"cancels asked: {task.cancelling()}"

    floor.start(innocent, "beside")
    floor.start(suicide, "a")
    failed = await floor.ended("a")
    floor.start(innocent, "next")
    assert (failed.state, failed.failed, failed.error) == (JobState.PENDING, 1, "asyncio.exceptions.CancelledError")
    assert (await floor.ended("beside")).result == (await floor.ended("next")).result == '"cancels asked: 0"'


async def test_current_job_is_the_run_alone(floor: Floor) -> None:
    """current_job() answers the run's own job inside of it and in tasks it starts, and refuses outside."""
    seen: list[tuple[str, int, int]] = []

    async def look() -> None:
        job = current_job()
        seen.append((job.id, job.attempt, job.token))

    async def work() -> None:
        await look()
        await asyncio.create_task(look())

    await floor.run(work, attempt=3, token=77)
    assert seen == [("a", 3, 77)] * 2
    with pytest.raises(NotInAJob):
        current_job()


# ---- how runs end --------------------------------------------------------------------------------------------------


async def test_a_result_is_stored_as_text(floor: Floor) -> None:
    """A run that returns is completed with its result as JSON, and its slot is free before that is written."""

    async def work() -> list[int]:
        return [1, 2]

    end = await floor.run(work)
    assert (end.state, end.result) == (JobState.COMPLETED, "[1,2]")
    assert floor.freed == [False]


@pytest.mark.parametrize(
    "error", [SystemExit(1), BaseException("odd"), ValueError("plain")], ids=lambda error: type(error).__name__
)
async def test_whatever_a_job_raises_is_its_own_failure(floor: Floor, error: BaseException) -> None:
    """SystemExit and the like end the run that raised them, not the process."""

    async def work() -> None:
        raise error

    end = await floor.run(work)
    assert (end.state, end.failed, end.ending) == (JobState.PENDING, 1, Ending.FAILED)


async def test_an_error_that_cannot_say_what_it_is(floor: Floor) -> None:
    """An exception whose own text raises still ends its run as a failure."""

    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    async def work() -> None:
        raise MuteError

    end = await floor.run(work)
    assert end.failed == 1
    assert end.error.endswith("MuteError")


async def test_a_result_above_the_limit_fails_its_job(floor: Floor) -> None:
    """A result too large to store is that job's failure."""

    async def work() -> str:
        return "x" * 2000

    end = await floor.run(work)
    assert end.failed == 1
    assert "2,002 bytes" in end.message


async def test_arguments_that_do_not_fit_wait_for_a_node_they_fit(stage: Stage, floor: Floor) -> None:
    """Stored arguments that do not fit the signature here are parked under its name, uncounted, saying what is wrong."""
    ran: list[int] = []

    async def work(number: int) -> None:
        ran.append(number)

    end = await floor.run(work, args='{"number":"seven"}')
    definition = stage.kinds.get("work")
    assert definition is not None
    assert (end.state, end.ending) == (JobState.PENDING, Ending.MISFIT)
    assert end.gate == f"misfit:work:{definition.signature.schema_name}"
    assert "number" in end.message
    assert (end.failed, end.crashed, end.interrupted, ran) == (0, 0, 0, [])


async def test_an_expired_claim_is_not_run(floor: Floor) -> None:
    """A claim that had expired when it was claimed is settled as expired, without an attempt."""
    ran: list[int] = []

    async def work() -> None:
        ran.append(1)

    end = await floor.run(work, expires_at=5, claimed_at=5)
    assert (end.state, end.reason, end.unstarted) == (JobState.CANCELLED, "expired", True)
    assert ran == []


async def test_a_kind_that_went_away_is_given_back(floor: Floor) -> None:
    """A claim of a kind that this node does not know is given back, its attempt uncounted."""
    floor.slots.take("default")
    floor.executor.start(claim("a", "nobody"))
    end = floor.ends["a"]
    assert (end.state, end.unstarted) == (JobState.PENDING, True)


async def test_a_job_is_not_run_beside_its_own_lost_run(stage: Stage, floor: Floor) -> None:
    """A claim of a job whose lost run has not ended here is given back, due later: claiming it again must not spin."""
    gate = threading.Event()

    def deaf() -> None:
        gate.wait()

    floor.start(deaf)
    await stage.settle()
    floor.executor.end(floor.executor.runs["a"], Why.LOST)
    floor.start(deaf)
    end = floor.ends["a"]
    assert (end.state, end.unstarted, end.delay) == (JobState.PENDING, True, SECOND)
    gate.set()
    await floor.slots.idle()


async def test_suspects_are_counted_while_they_run(stage: Stage, floor: Floor) -> None:
    """A run of a job that crashed twice counts as a suspect until it ends, and its end is told as one."""
    gate = asyncio.Event()

    async def work() -> None:
        await gate.wait()

    floor.start(work, crashes=2)
    await stage.settle()
    assert floor.executor.suspects == 1
    gate.set()
    await floor.ended()
    assert floor.executor.suspects == 0
    await stage.settle()
    assert floor.freed == [True]


# ---- deadlines -----------------------------------------------------------------------------------------------------


async def test_a_run_out_of_time_is_ended(stage: Stage, floor: Floor) -> None:
    """At its timeout, and not before, a run is cancelled and fails with a TimeoutError that names the limit."""

    async def work() -> None:
        await asyncio.Event().wait()

    floor.start(work, timeout=3 * SECOND)
    await stage.wait(2.9)
    assert floor.ends == {}
    await stage.wait(0.2)
    end = await floor.ended()
    assert (end.state, end.failed, end.error) == (JobState.PENDING, 1, "TimeoutError")
    assert "3 s" in end.message


async def test_one_timer_serves_all_deadlines(stage: Stage, floor: Floor) -> None:
    """Runs with deadlines in any order end each at its own."""

    async def work() -> None:
        await asyncio.Event().wait()

    for name, seconds in (("c", 30), ("a", 10), ("b", 20)):
        floor.start(work, name, timeout=seconds * SECOND)
    seen: list[list[str]] = []
    for _ in range(3):
        await stage.wait(10)
        seen.append(sorted(floor.ends))
    assert seen == [["a"], ["a", "b"], ["a", "b", "c"]]


async def test_a_run_without_a_limit_goes_on(stage: Stage, floor: Floor) -> None:
    """Timeout 0 is no limit."""
    gate = asyncio.Event()

    async def work() -> None:
        await gate.wait()

    floor.start(work, timeout=0)
    await stage.wait(10_000_000)
    assert floor.ends == {}
    gate.set()
    assert (await floor.ended()).state is JobState.COMPLETED


async def test_a_run_that_swallows_its_cancellation_completes(stage: Stage, floor: Floor) -> None:
    """A run told to end that returns a result all the same is completed: the work was done."""

    async def work() -> str:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return "done anyway"

    floor.start(work)
    await stage.settle()
    floor.executor.end(floor.executor.runs["a"], Why.CANCEL)
    end = await floor.ended()
    assert (end.state, end.result) == (JobState.COMPLETED, '"done anyway"')


async def test_a_stuck_run_is_reported_with_its_stack(stage: Stage, floor: Floor) -> None:
    """A run that goes on 30 s after it was told to end is reported once, with the place where it stands."""
    gate = asyncio.Event()

    async def stubborn_place() -> None:
        while not gate.is_set():
            try:
                await gate.wait()
            except asyncio.CancelledError:
                continue

    floor.start(stubborn_place, timeout=SECOND)
    await stage.wait(1 + STUCK_AFTER - 0.1)
    early = stage.ear.told(Signal.JOB_STUCK)
    await stage.wait(100)
    gate.set()
    await floor.ended()
    (report,) = stage.ear.told(Signal.JOB_STUCK)
    assert early == []
    assert (report["id"], report["why"]) == ("a", "timeout")
    assert "stubborn_place" in str(report["stack"])


@pytest.mark.parametrize(
    ("why", "state", "ending"),
    [
        (Why.CANCEL, JobState.PENDING, Ending.CANCELLED),
        (Why.SHUTDOWN, JobState.PENDING, Ending.INTERRUPTED),
        (Why.TIMEOUT, JobState.PENDING, Ending.FAILED),
    ],
)
async def test_why_a_run_was_ended_decides_its_end(
    stage: Stage, floor: Floor, why: Why, state: JobState, ending: Ending
) -> None:
    """Cancelled by a person, interrupted by a stop, out of time: each ends its own way, and the first word stands.

    What a person cancelled is settled as pending: the store, which knows that and why, makes it cancelled.
    """

    async def work() -> None:
        await asyncio.Event().wait()

    floor.start(work)
    await stage.settle()
    run = floor.executor.runs["a"]
    floor.executor.end(run, why)
    floor.executor.end(run, Why.LOST)
    end = await floor.ended()
    assert (end.state, end.ending) == (state, ending)
    assert end.interrupted == (1 if why is Why.SHUTDOWN else 0)
    assert end.failed == (1 if why is Why.TIMEOUT else 0)


async def test_a_lost_run_settles_nothing(stage: Stage, floor: Floor) -> None:
    """A run whose claim is another's is cancelled, writes nothing, and is told as lost."""

    async def work() -> None:
        await asyncio.Event().wait()

    floor.start(work)
    await stage.settle()
    floor.executor.end(floor.executor.runs["a"], Why.LOST)
    await stage.settle()
    assert floor.ends == {}
    assert [fields["id"] for fields in stage.ear.told(Signal.JOB_LOST)] == ["a"]


async def test_a_run_ended_before_it_began_does_nothing(floor: Floor) -> None:
    """A run told to end in the very step it was started in runs none of its job's code."""
    ran: list[int] = []

    async def work() -> None:
        ran.append(1)

    floor.start(work)
    floor.executor.end(floor.executor.runs["a"], Why.SHUTDOWN)
    end = await floor.ended()
    assert (end.ending, ran) == (Ending.INTERRUPTED, [])


async def test_idle_waits_for_the_last_run(stage: Stage, floor: Floor) -> None:
    """idle() returns when nothing runs, and not before."""
    gate = asyncio.Event()

    async def work() -> None:
        await gate.wait()

    floor.start(work, "a")
    floor.start(work, "b")
    waiting = asyncio.get_running_loop().create_task(floor.slots.idle())
    await stage.settle()
    assert not waiting.done()
    gate.set()
    await waiting
    assert set(floor.ends) == {"a", "b"}


async def test_an_abandoned_run_is_given_back_once(stage: Stage, floor: Floor) -> None:
    """A run that would not end is given back as an interruption; what it comes to later is not written."""
    gate = asyncio.Event()

    async def work() -> str:
        while not gate.is_set():
            try:
                await gate.wait()
            except asyncio.CancelledError:
                continue
        return "too late"

    floor.start(work)
    await stage.settle()
    floor.executor.abandon()
    assert floor.ends["a"].ending is Ending.INTERRUPTED
    gate.set()
    await floor.slots.idle()
    assert floor.ends["a"].ending is Ending.INTERRUPTED


# ---- threads -------------------------------------------------------------------------------------------------------


async def test_a_def_job_runs_in_a_thread_of_the_engine(floor: Floor) -> None:
    """A `def` job runs beside the loop, in its run's context."""

    def work() -> list[object]:
        return [threading.current_thread().name.startswith("backburner-job"), current_job().id]

    assert (await floor.run(work)).result == '[true,"a"]'


async def test_a_thread_keeps_its_slot_until_it_returns(stage: Stage, floor: Floor) -> None:
    """A thread told to end sees `stopping`; its slot and its run stay until it returns, and its result counts."""
    begun, go = threading.Event(), threading.Event()

    def work() -> bool:
        begun.set()
        assert go.wait(10)
        return current_job().stopping

    floor.start(work, timeout=SECOND)
    await asyncio.to_thread(begun.wait, 10)
    await stage.wait(2)
    assert floor.ends == {}
    assert floor.slots.taken == 1
    go.set()
    end = await floor.ended()
    assert (end.state, end.result) == (JobState.COMPLETED, "true")


async def test_a_stuck_thread_is_reported_with_its_stack(stage: Stage, floor: Floor) -> None:
    """A thread that ignores `stopping` is reported after 30 s, with the place where it stands."""
    begun, go = threading.Event(), threading.Event()

    def deaf_place() -> None:
        begun.set()
        assert go.wait(10)

    floor.start(deaf_place)
    await asyncio.to_thread(begun.wait, 10)
    floor.executor.end(floor.executor.runs["a"], Why.CANCEL)
    await stage.wait(STUCK_AFTER + 1)
    go.set()
    await floor.ended()
    (report,) = stage.ear.told(Signal.JOB_STUCK)
    assert "deaf_place" in str(report["stack"])


@pytest.mark.parametrize(
    "error",
    [
        ValueError("plain"),
        SystemExit(1),
        StopIteration(),
        concurrent.futures.CancelledError(),
        asyncio.CancelledError(),
    ],
    ids=lambda error: type(error).__module__ + "." + type(error).__name__,
)
async def test_whatever_a_thread_raises_is_its_own_failure(floor: Floor, error: BaseException) -> None:
    """Every exception that a `def` job can raise ends its run, and counts as its failure."""

    def work() -> None:
        raise error

    floor.start(work)
    async with asyncio.timeout(5):
        end = await floor.ended()
    assert (end.state, end.failed) == (JobState.PENDING, 1)


async def test_a_run_ended_before_its_thread_began_does_nothing(stage: Stage, floor: Floor) -> None:
    """A `def` job told to end while it waits for a thread runs none of its code."""
    begun, go = threading.Semaphore(0), threading.Event()
    ran: list[int] = []

    def busy() -> None:
        begun.release()
        assert go.wait(10)

    def work() -> None:
        ran.append(1)

    floor.start(busy, "b1")
    floor.start(busy, "b2")
    for _ in range(2):
        await asyncio.to_thread(begun.acquire)
    floor.start(work)
    await stage.settle()
    floor.executor.end(floor.executor.runs["a"], Why.SHUTDOWN)
    go.set()
    end = await floor.ended()
    assert ran == []
    assert end.ending is Ending.INTERRUPTED
    await asyncio.gather(floor.ended("b1"), floor.ended("b2"))
