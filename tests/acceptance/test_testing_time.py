"""Time in `bb.testing()`: what holds jobs back for a while, what looks at the time, and very much of either."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from backburner import Backburner, Event, Reject, RetryPolicy, Unique, constant, current_job
from backburner.errors import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from backburner import JobContext
    from backburner.testing.kit import Mode

START = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.fixture
def bb() -> Backburner[None]:
    """Return an app."""
    return Backburner("memory://", grace=20)


# ---- what holds jobs back ----------------------------------------------------------------------------------------------


async def test_a_rate_lets_as_many_run_as_time_has_passed(bb: Backburner) -> None:
    """One a minute: one at once, and ten more in ten minutes, each at its moment."""
    begun: list[timedelta] = []

    @bb.job(rate="1/minute")
    async def mail(_number: int) -> None:
        begun.append(jobs.now - START)

    async with bb.testing(start=START) as jobs:
        await bb.create_tasks([mail(number) for number in range(30)])
        assert (await jobs.drain()).completed == 1
        assert (await jobs.advance(minutes=10, drain=True)).completed == 10
        await jobs.advance(minutes=5)
        assert (await jobs.drain()).completed == 1  # nothing is saved up
        assert (await jobs.advance(hours=1, drain=True)).completed == 18
    assert begun[:11] == [timedelta(minutes=minute) for minute in range(11)]


async def test_a_queue_is_held_to_what_operators_set(bb: Backburner) -> None:
    """A rate of a queue, and a pause until a moment, end by time too."""

    @bb.job
    async def mail(number: int) -> None: ...

    async with bb.testing(start=START) as jobs:
        await bb.queues.set("default", rate="2/hour burst 1")
        await bb.create_tasks([mail(number) for number in range(4)])
        assert (await jobs.advance(minutes=60, drain=True)).completed == 3
        await bb.queues.pause("default", until=START + timedelta(hours=3))
        assert (await jobs.advance(minutes=119, drain=True)).completed == 0
        assert (await jobs.advance(minutes=2, drain=True)).completed == 1


async def test_a_breaker_opens_and_closes(bb: Backburner) -> None:
    """An outage opens it; when it is over, time alone has everybody run."""
    away = True

    @bb.job(breaker="bank", retry=RetryPolicy(attempts=100, backoff=constant(1)))
    async def charge(_number: int) -> None:
        if away:
            raise ConnectionError

    async with bb.testing() as jobs:
        await bb.create_tasks([charge(number) for number in range(30)])
        ran = await jobs.advance(minutes=1, drain=True)
        assert (ran.completed, ran.dead, len(ran.errors)) == (0, 0, ran.retrying)
        assert (await bb.breakers.list())[0].phase == "open"
        away = False
        assert (await jobs.advance(hours=1, drain=True)).completed == 30
        assert (await bb.breakers.list())[0].phase == "closed"


async def test_lanes_and_locks_let_one_after_the_other(bb: Backburner) -> None:
    """A `drain` goes on until all have had their turn, at a lane and at a lock."""
    beside: list[int] = []
    inside = 0

    @bb.job(concurrency=2)
    async def count(_number: int) -> None:
        nonlocal inside
        inside += 1
        await asyncio.to_thread(threading.Event().wait, 0.001)
        beside.append(inside)
        inside -= 1

    @bb.job
    async def locked(_number: int) -> None:
        async with bb.lock("prices"):
            await asyncio.to_thread(threading.Event().wait, 0.001)

    async with bb.testing() as jobs:
        await bb.create_tasks([count(number) for number in range(10)])
        await bb.create_tasks([locked(number) for number in range(5)])
        assert (await jobs.drain()).completed == 15
    assert max(beside) == 2


async def test_unique_keys_come_free_with_time(bb: Backburner) -> None:
    """A key that holds for a time holds it here."""

    @bb.job
    async def once() -> None: ...

    async with bb.testing() as jobs:
        unique = Unique(period=60, states=[])
        await bb.create_task(once(), unique=unique)
        await jobs.drain()
        assert (await bb.create_task(once(), unique=unique)).existed
        await jobs.advance(61)
        assert not (await bb.create_task(once(), unique=unique)).existed
        assert (await jobs.drain()).completed == 1


# ---- what looks at the time ----------------------------------------------------------------------------------------------


async def test_an_alert_fires_once_it_has_held(bb: Backburner) -> None:
    """A condition "for 5m" holds for five minutes of the test's time."""
    told: list[str] = []

    @bb.job
    async def refuse() -> None:
        raise Reject("never")

    @bb.job
    async def page(event: Event) -> None:
        told.append(event.name)

    bb.alert("dlq.count > 0 for 5m", to=page)
    async with bb.testing() as jobs:
        await bb.create_task(refuse())
        await jobs.drain()
        await jobs.advance(minutes=4, drain=True)
        assert told == []
        await jobs.advance(minutes=2, drain=True)
        assert told == ["alert.fired"]


async def test_probes_and_samples_are_those_of_a_living_engine(bb: Backburner) -> None:
    """Three days at a stroke are no outage."""
    async with bb.testing() as jobs:
        await jobs.advance(days=3)
        assert (await bb.health.ready()).ok
        assert (await bb.health.live()).ok
        assert (await bb.sample()).nodes["working"] == 1


async def test_whoever_reads_and_listens_hears(bb: Backburner) -> None:
    """`bb.events` and `bb.listen` in a test hear of what it does."""
    heard: list[str] = []
    bb.listen("job.*", "order.*")(lambda event: heard.append(event.name))

    @bb.job
    async def work() -> None: ...

    async with bb.testing() as jobs:
        events = bb.events("order.*")
        reading = asyncio.ensure_future(anext(events))
        await jobs.advance(1)
        await bb.publish("order.paid")
        assert (await reading).name == "order.paid"
        await events.aclose()
        await bb.create_task(work())
        await jobs.drain()
    assert heard == ["order.paid", "job.enqueued", "job.claimed", "job.completed"]


async def test_wrappers_and_headers_are_there() -> None:
    """``around`` and ``headers`` are those of the app, on whichever loop a job is stored and run."""
    seen: list[tuple[str, object]] = []

    async def traced(job: JobContext, run: Callable[[], Awaitable[object]]) -> None:
        seen.append((job.kind, dict(job.headers)))
        await run()

    wrapped: Backburner[None] = Backburner("memory://", around=[traced], headers=lambda: {"tenant": "a"})

    @wrapped.job
    async def work() -> None: ...

    async with wrapped.testing() as jobs:
        await wrapped.create_task(work())
        await jobs.drain()
    with wrapped.testing(mode="inline"):
        await wrapped.create_task(work())
    assert seen == [("work", {"tenant": "a"})] * 2


# ---- what has threads ----------------------------------------------------------------------------------------------------


async def test_a_thread_that_is_cut_off(bb: Backburner) -> None:
    """A `def` job goes on in its thread after a crash, unwritten; it runs again once that has ended."""
    begun, go_on = threading.Event(), threading.Event()

    @bb.job
    def work() -> int:
        begun.set()
        go_on.wait(10)
        return current_job().attempt

    async with bb.testing() as jobs:
        handle = await bb.create_task(work())
        draining = asyncio.create_task(jobs.drain())
        await asyncio.to_thread(begun.wait, 10)
        asyncio.get_running_loop().call_later(0.05, go_on.set)
        await jobs.crash()
        await draining
        await jobs.advance(5, drain=True)
        assert await handle == 2
        assert jobs.all()[0].crashes == 1


# ---- very much -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["manual", "inline"])
async def test_thousands_of_jobs(bb: Backburner, mode: Mode) -> None:
    """Thousands are run in the ten seconds that a `drain` has."""

    @bb.job
    async def work(number: int) -> None: ...

    async with bb.testing(mode=mode) as jobs:
        await bb.create_tasks([work(number) for number in range(2_000)])
        assert (await jobs.drain()).completed == (2_000 if mode == "manual" else 0)
        jobs.assert_enqueued(work(1_999))
        assert len(jobs.all(work, state="completed")) == 2_000


async def test_a_month_passes_in_no_time(bb: Backburner) -> None:
    """A month in which little happens costs little, also for a job that waits for another all the while."""

    @bb.job
    async def child() -> int:
        return 7

    @bb.job(timeout=None)
    async def parent() -> int:
        return await (await bb.create_task(child(), delay=timedelta(days=20)))

    async with bb.testing() as jobs:
        handle = await bb.create_task(parent())
        await jobs.drain()
        assert (await jobs.advance(days=30, drain=True)).completed == 2
        assert await handle == 7


async def test_a_year_of_minutes_is_bounded(bb: Backburner) -> None:
    """Too much on the way ends the wait, and says how far it came; so do jobs without end at one moment."""

    @bb.cron("* * * * *")
    async def tick() -> None: ...

    @bb.job
    async def again() -> None:
        current_job().then(again())

    async with bb.testing(start=START) as jobs:
        with pytest.raises(
            TimeoutError, match=r"after 0.3 real seconds and .* it is 2027-01-01 .* are left: advance by"
        ):
            await jobs.advance(days=365, drain=True, timeout=0.3)
        assert jobs.now > START
        await bb.create_task(again())
        with pytest.raises(TimeoutError, match=r"jobs still came: does one store itself again, due at once\?"):
            await jobs.drain(timeout=1)


async def test_a_job_that_hangs_is_told_to_who_advances(bb: Backburner) -> None:
    """An `advance` that waits for a job names it."""

    @bb.job
    async def hang() -> None:
        await asyncio.Event().wait()

    async with bb.testing() as jobs:
        await bb.create_task(hang())
        with pytest.raises(TimeoutError, match=r"1 still ran \(hang \w+\): what they wait for does not come"):
            await jobs.advance(hours=2, drain=True, timeout=0.1)


async def test_each_failure_on_the_way_is_handed_out(bb: Backburner) -> None:
    """A job that failed twice and then succeeded leaves two errors, in order, and one that was refused its refusal."""

    @bb.job(retry=RetryPolicy(attempts=3, backoff=constant(60)))
    async def charge() -> None:
        if current_job().attempt < 3:
            raise ConnectionError(current_job().attempt)

    @bb.job
    async def refuse() -> None:
        raise Reject("never")

    async with bb.testing() as jobs:
        await bb.create_task(charge())
        ran = await jobs.advance(minutes=5, drain=True)
        assert (ran.retrying, ran.completed, [str(error) for error in ran.errors]) == (2, 1, ["1", "2"])
        await bb.create_task(refuse())
        assert [str(error) for error in (await jobs.drain()).errors] == ["never"]


def test_an_option_that_there_is_not_is_refused(bb: Backburner[Any]) -> None:
    """A slip of the pen does not test something else than was meant."""
    with pytest.raises(InvalidOption, match="testing has no option 'sate'; it takes mode, start, state"):
        bb.testing(sate=7)  # type: ignore[call-arg]
