"""`bb.testing()`: what a test sees of jobs, and what it makes happen."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import pytest

from backburner import (
    Backburner,
    Event,
    JobDead,
    NotRunning,
    Provide,
    Reject,
    RetryPolicy,
    Secret,
    Snooze,
    Unique,
    constant,
    current_job,
)
from backburner.errors import AlreadyRunning, InvalidOption, NotACall, TransactionRefused

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from backburner.testing import Testing

bb = Backburner("sqlite:////nowhere/at/all.db", queues={"default": 10, "mail": 2})
mailbox: list[str] = []


@bb.job(queue="mail")
async def send(to: str, subject: str = "hi") -> str:  # noqa: ARG001 - stored all the same
    """Send a mail."""
    mailbox.append(to)
    return f"sent to {to}"


@bb.job(retry=RetryPolicy(attempts=3, backoff=constant(60, jitter="none")))
async def charge(invoice: int) -> int:
    """Fail twice."""
    if current_job().attempt < 3:
        raise ConnectionError(f"no answer for {invoice}")
    return invoice


@bb.job
async def refuse() -> None:
    """Die at once."""
    raise Reject("not today")


@bb.job
async def later() -> str:
    """Put itself off."""
    if current_job().attempt == 1:
        raise Snooze(30)
    return "now"


@bb.job
async def family(names: list[str]) -> list[str]:
    """Have children, and a follow-up."""
    async with bb.TaskGroup() as group:
        children = [group.create_task(send(name)) for name in names]
    current_job().then(send("the parent"))
    return [await child for child in children]


@bb.job
def in_a_thread() -> str:
    """Run beside the loop."""
    return threading.current_thread().name


@bb.job
async def login(user: str, password: Annotated[str, Secret]) -> None:
    """Take a secret."""


@bb.on("order.*")
async def ordered(event: Event) -> None:
    """Hear of orders."""
    mailbox.append(event.name)


@pytest.fixture(autouse=True)
def empty_mailbox() -> Iterator[None]:
    """Begin with no mail."""
    mailbox.clear()
    yield
    mailbox.clear()


@pytest.fixture
async def jobs() -> AsyncGenerator[Testing]:
    """Test the app."""
    async with bb.testing() as testing:
        yield testing


# ---- nothing runs by itself, and it is drained ---------------------------------------------------------------------


async def test_nothing_runs_until_it_is_drained(jobs: Testing) -> None:
    """A job is stored, and waits; `drain` runs it as production would, and says what it ran."""
    handle = await bb.create_task(send("ada"))
    assert (mailbox, jobs.all()[0].state) == ([], "waiting")
    drained = await jobs.drain()
    assert (drained.completed, drained.errors, mailbox) == (1, (), ["ada"])
    assert await handle == "sent to ada"
    assert (jobs.all(send)[0].result, jobs.all(state="completed")[0].attempt) == ("sent to ada", 1)


async def test_it_drains_what_comes_of_a_job(jobs: Testing) -> None:
    """Children, those who wait for them, and follow-ups run in the same `drain`, whatever their number."""
    handle = await bb.create_task(family([f"child {n}" for n in range(25)]))
    assert (await jobs.drain()).completed == 27
    assert len(await handle) == 25
    assert mailbox[-1] == "the parent"


async def test_a_failure_is_retried_when_time_has_come(jobs: Testing) -> None:
    """A retry waits for its backoff; `drain` raises nothing, and hands out what was raised."""
    handle = await bb.create_task(charge(7))
    drained = await jobs.drain()
    assert (drained.retrying, [str(error) for error in drained.errors]) == (1, ["no answer for 7"])
    assert (await jobs.drain()).errors == ()
    await jobs.advance(59)
    assert jobs.all(state="retrying")
    await jobs.advance(2)
    assert (await jobs.drain()).retrying == 1
    assert (await jobs.advance(minutes=5, drain=True)).completed == 1
    assert await handle == 7


async def test_dead_letters_are_dead(jobs: Testing) -> None:
    """Whoever awaits a job that died is told; its letter is there to be replayed."""
    handle = await bb.create_task(refuse())
    assert (await jobs.drain()).dead == 1
    with pytest.raises(JobDead, match="not today"):
        await handle
    assert [letter.id async for letter in bb.dlq.find()] == [handle.id]


async def test_delays_are_kept_to_the_second(jobs: Testing) -> None:
    """What is due later does not run sooner, and runs once the time has come."""
    await bb.create_task(send("ada"), delay=60)
    await bb.create_task(later())
    assert (await jobs.drain()).snoozed == 1
    await jobs.advance(timedelta(seconds=30))
    assert (await jobs.drain()).completed == 1
    await jobs.advance(29.999)
    assert (await jobs.drain()).completed == 0
    await jobs.advance(0.001)
    assert (await jobs.drain()).completed == 1


async def test_a_parent_may_wait_for_time(jobs: Testing) -> None:
    """`drain` returns when only time can bring more, also while a job runs that waits for another."""
    local: Backburner[None] = Backburner("memory://")

    @local.job
    async def child() -> str:
        return "grown"

    @local.job
    async def parent() -> str:
        return await (await local.create_task(child(), delay=1800))

    async with local.testing() as nested:
        handle = await local.create_task(parent())
        assert (await nested.drain()).completed == 0
        assert [job.state for job in nested.all()] == ["running", "scheduled"]
        assert (await nested.advance(hours=1, drain=True)).completed == 2
        assert await handle == "grown"
    assert jobs.all() == ()


async def test_threads_run_too(jobs: Testing) -> None:
    """A `def` job runs in a thread of the engine's."""
    handle = await bb.create_task(in_a_thread())
    assert (await jobs.drain()).completed == 1
    assert (await handle).startswith("backburner")


async def test_handlers_of_events_run(jobs: Testing) -> None:
    """What is published reaches its handlers in the next `drain`."""
    await bb.publish("order.paid", {"total": 12})
    assert (await jobs.drain()).completed == 1
    assert mailbox == ["order.paid"]


async def test_a_drain_that_takes_too_long_says_what_runs() -> None:
    """A job that waits for what never comes ends the wait, by name."""
    local: Backburner[None] = Backburner("memory://")
    never = asyncio.Event()

    @local.job
    async def endless() -> None:
        await never.wait()

    async with local.testing() as jobs:
        handle = await local.create_task(endless())
        with pytest.raises(TimeoutError, match=f"1 still ran .endless {handle.id}.: .*advance"):
            await jobs.drain(timeout=0.05)


async def test_awaiting_what_nothing_runs_is_told() -> None:
    """A test that forgot to drain does not hang: it is told, by the name of the job."""
    async with bb.testing() as jobs:
        handle = await bb.create_task(send("ada"))
        with pytest.raises(NotRunning, match=rf"send {handle.id} would be awaited for ever: await jobs.drain\(\)"):
            await handle
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(_result(handle))
            await jobs.drain()
        assert waiting.result() == "sent to ada"


async def _result(handle: object) -> object:
    return await handle  # type: ignore[misc]  # a handle


# ---- inline --------------------------------------------------------------------------------------------------------


async def test_inline_runs_what_is_stored() -> None:
    """Before `create_task` returns the job has run, and all that came of it; what is due later waits for its time."""
    async with bb.testing(mode="inline") as jobs:
        handle = await bb.create_task(family(["a", "b"]))
        assert (mailbox, handle.done()) == (["a", "b", "the parent"], True)
        await bb.create_tasks([send("now")])
        delayed = await bb.create_task(send("later"), delay=3600)
        assert (mailbox[3:], jobs.all()[-1].state) == (["now"], "scheduled")
        await jobs.advance(hours=1)
        assert (mailbox[4:], await delayed) == (["later"], "sent to later")


async def test_inline_failures_are_those_of_production() -> None:
    """What a job raises is not raised in whoever stored it: it is retried, here when time passes."""
    async with bb.testing(mode="inline") as jobs:
        handle = await bb.create_task(charge(3))
        assert jobs.all()[0].state == "retrying"
        await jobs.advance(minutes=3)
        assert await handle == 3


# ---- assertions ----------------------------------------------------------------------------------------------------


async def test_what_was_enqueued_is_asserted_by_its_call(jobs: Testing) -> None:
    """Arguments are compared as they are stored, defaults and all; options only where they are named."""
    await bb.create_task(send("ada"), delay=60, priority=1, tags=["welcome", "mail"], expires=3600, timeout=5)
    found = jobs.assert_enqueued(send("ada"))
    assert (found.args, found.queue) == ({"to": "ada", "subject": "hi"}, "mail")
    jobs.assert_enqueued(
        send("ada", subject="hi"),
        delay=timedelta(minutes=1),
        at=jobs.now + timedelta(seconds=60),
        priority=1,
        tags=["mail"],
        expires=timedelta(hours=1),
        timeout=5,
        queue="mail",
        id=found.id,
    )
    jobs.assert_enqueued(send, args={"to": "ada"})
    jobs.assert_enqueued(send, count=1)
    jobs.refute_enqueued(send("bob"))
    jobs.refute_enqueued(charge)


async def test_it_matters_not_what_has_become_of_a_job(jobs: Testing) -> None:
    """A job that has run, or was retried, was enqueued all the same, and was due when it was due."""
    await bb.create_task(charge(1), delay=5)
    await jobs.advance(5, drain=True)
    assert jobs.assert_enqueued(charge(1), delay=5).state == "retrying"
    await jobs.advance(minutes=5, drain=True)
    assert jobs.assert_enqueued(charge(1), delay=5).state == "completed"


async def test_a_failed_assertion_shows_the_nearest_job(jobs: Testing) -> None:
    """It says what was expected, and in what the nearest stored job differs; of one kind rather than any other."""
    await bb.create_task(charge(1))
    await bb.create_task(send("bob"))
    nearest = await bb.create_task(send("ada", subject="bye"), delay=30)
    with pytest.raises(AssertionError) as failed:
        jobs.assert_enqueued(send("ada"), delay=60)
    assert str(failed.value) == (
        "send(to='ada', subject='hi'), delay=60 was not stored\n"
        f"nearest of 3 stored: send(to='ada', subject='bye'), scheduled, {nearest.id}\n"
        "  - subject  'hi'   (expected)\n"
        "  + subject  'bye'   (stored)\n"
        "  - delay    1m   (expected)\n"
        "  + delay    30s   (stored)"
    )


async def test_assertions_on_nothing_stored(jobs: Testing) -> None:
    """Where nothing is stored, that is said; a kind that is not, with what is."""
    with pytest.raises(AssertionError, match=r"send\(…\) was not stored\nno job is stored at all"):
        jobs.assert_enqueued(send)
    await bb.create_task(charge(1))
    with pytest.raises(AssertionError, match=r"- job  send   .expected.\n  \+ job  charge   .stored."):
        jobs.assert_enqueued(send)


async def test_counts_are_exact(jobs: Testing) -> None:
    """As many as are said, no more and no less; the others are shown."""
    await bb.create_tasks([send("ada"), send("ada")])
    jobs.assert_enqueued(send("ada"), count=2)
    with pytest.raises(AssertionError, match=r"was stored 2 times, not 1:\n  send\(to='ada'"):
        jobs.assert_enqueued(send("ada"), count=1)
    with pytest.raises(AssertionError, match="was stored, and should not have been"):
        jobs.refute_enqueued(send("ada"))
    with pytest.raises(InvalidOption, match="count=0: that there is none is asserted by refute_enqueued"):
        jobs.assert_enqueued(send("ada"), count=0)


async def test_unique_keys_are_compared(jobs: Testing) -> None:
    """A job that was stored under another key, or none, is not the one that is meant."""
    once = Unique(by=["to"])
    await bb.create_task(send("ada"), unique=once)
    jobs.assert_enqueued(send("ada"), unique=once)
    with pytest.raises(AssertionError, match="- unique"):
        jobs.assert_enqueued(send("ada"), unique=None)


async def test_json_tells_true_from_one(jobs: Testing) -> None:
    """1, 1.0 and true are three values, as they are in what is stored."""
    local: Backburner[None] = Backburner("memory://")

    @local.job
    async def flag(value: object) -> None: ...

    async with local.testing() as nested:
        await local.create_task(flag(value=True))
        nested.assert_enqueued(flag(value=True))
        nested.refute_enqueued(flag(value=1))
    assert jobs.all() == ()


async def test_secrets_are_compared_and_not_shown(jobs: Testing) -> None:
    """A password that differs fails the assertion, and stands in no message."""
    await bb.create_task(login("ada", "hunter2"))
    assert jobs.assert_enqueued(login("ada", "hunter2")).args == {"user": "ada", "password": "***"}
    with pytest.raises(AssertionError) as failed:
        jobs.assert_enqueued(login("ada", "letmein"))
    assert "- password" in str(failed.value)
    assert "hunter2" not in str(failed.value)
    assert "letmein" not in str(failed.value)


async def test_bad_expectations_are_refused(jobs: Testing) -> None:
    """A test that expects what could never be stored is wrong itself."""
    with pytest.raises(NotACall, match=r"expect a call, send_email\('a@b.c'\), or a job"):
        jobs.assert_enqueued("send")  # type: ignore[arg-type]
    with pytest.raises(InvalidOption, match="no job is stored with an option 'delya'; expect id, queue"):
        jobs.assert_enqueued(send, delya=3)  # type: ignore[call-arg]
    with pytest.raises(InvalidOption, match="args= goes with the job alone"):
        jobs.assert_enqueued(send("ada"), args={"to": "ada"})
    with pytest.raises(InvalidOption, match="there is no state 'done'"):
        jobs.all(state="done")
    with pytest.raises(InvalidOption, match="say how long"):
        await jobs.advance()
    with pytest.raises(InvalidOption, match="a length is days="):
        await jobs.advance(fortnights=1)
    with pytest.raises(InvalidOption, match="mode is 'manual' or 'inline', not 'auto'"):
        bb.testing(mode="auto")  # type: ignore[arg-type]


async def test_what_is_left_unnoticed_is_told(jobs: Testing) -> None:
    """`check` names what was neither run nor expected, caused by what it raised."""
    await bb.create_task(send("ada"))
    jobs.assert_enqueued(send("ada"))
    await bb.create_task(charge(5))
    await jobs.drain()
    with pytest.raises(
        AssertionError, match=r"1 job was left that nobody expected:\n  charge\(invoice=5\), retrying"
    ) as left:
        jobs.check()
    assert isinstance(left.value.__cause__, ConnectionError)
    await jobs.advance(minutes=3, drain=True)
    jobs.check()


# ---- time ----------------------------------------------------------------------------------------------------------


async def test_the_clock_stands_still(jobs: Testing) -> None:
    """Time moves by `advance` alone, by just so much; it begins with the machine's, or where it is told to."""
    before = jobs.now
    await bb.create_task(send("ada"))
    await jobs.drain()
    assert jobs.now == before
    await jobs.advance(days=1, hours=2)
    assert jobs.now == before + timedelta(hours=26)
    start = datetime(2027, 3, 28, 0, 30, tzinfo=UTC)
    local: Backburner[None] = Backburner("memory://")
    async with local.testing(start=start) as later_jobs:
        assert later_jobs.now == start


async def test_schedules_tick_as_time_passes() -> None:
    """Each tick on the way becomes a job, at its time; undrained, the second finds the first in its place."""
    local: Backburner[None] = Backburner("memory://")
    ticks: list[datetime | None] = []

    @local.cron("0 * * * *")
    async def hourly() -> None:
        ticks.append(current_job().tick)

    async with local.testing(start=datetime(2027, 1, 1, 0, 30, tzinfo=UTC)) as jobs:
        await jobs.advance(hours=3, drain=True)
        assert [tick.hour for tick in ticks if tick is not None] == [1, 2, 3]
        await jobs.advance(hours=3)
        assert len(jobs.all(state="waiting")) == 1


async def test_expiry_and_retention_go_by_it(jobs: Testing) -> None:
    """What expires is cancelled, and what has ended is deleted, when their time has come."""
    await bb.create_task(send("ada"), delay=30, expires=20)
    await bb.create_task(send("bob"))
    await jobs.drain()
    await jobs.advance(21)
    assert [(job.state, job.reason) for job in jobs.all()] == [("cancelled", "expired"), ("completed", None)]
    await jobs.advance(days=1)
    assert [job.state for job in jobs.all()] == ["cancelled"]
    await jobs.advance(days=8)
    assert jobs.all() == ()


async def test_locks_end_with_their_lease(jobs: Testing) -> None:
    """A lock's lease is time like any other."""
    first = bb.lock("import", lease=30)
    await first.__aenter__()
    await jobs.advance(10)
    waiting = asyncio.ensure_future(bb.lock("import", timeout=0.5).__aenter__())
    await jobs.advance(1)
    assert isinstance((await asyncio.gather(waiting, return_exceptions=True))[0], Exception)
    await first.__aexit__(None, None, None)


# ---- what may happen to a process ----------------------------------------------------------------------------------


class Work:
    """An app whose job says that it runs, and waits."""

    def __init__(self) -> None:
        self.bb: Backburner[None] = Backburner("memory://", grace=20)
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()
        self.stopping: list[bool] = []

        @self.bb.job
        async def work() -> int:
            self.begun.set()
            try:
                await self.go_on.wait()
            finally:
                self.stopping.append(current_job().stopping)
            return current_job().attempt

        self.work = work


async def test_a_deploy_gives_back_what_does_not_end_in_time() -> None:
    """A job that outlives the grace is interrupted, given back uncounted, and runs again in the next life."""
    app = Work()
    async with app.bb.testing() as jobs:
        handle = await app.bb.create_task(app.work())
        async with asyncio.TaskGroup() as group:
            group.create_task(jobs.drain())
            await app.begun.wait()
            before = jobs.now
            await jobs.restart()
        (job,) = jobs.all()
        assert (job.state, job.attempt, job.interruptions, job.failures) == ("waiting", 1, 1, 0)
        assert timedelta(seconds=20) <= jobs.now - before < timedelta(seconds=30)
        app.go_on.set()
        assert (await jobs.drain()).completed == 1
        assert await app.bb.handle(handle.id, app.work) == 2
        assert app.stopping == [True, False]


async def test_a_crash_is_charged_to_what_ran() -> None:
    """As if the process had died: what ran is cut off, taken over, counted as crashed, and runs again."""
    app = Work()
    async with app.bb.testing() as jobs:
        await app.bb.create_task(app.work())
        async with asyncio.TaskGroup() as group:
            group.create_task(jobs.drain())
            await app.begun.wait()
            app.begun.clear()
            await jobs.crash()
            await app.begun.wait()
            app.go_on.set()
        (job,) = jobs.all()
        assert (job.state, job.attempt, job.crashes, job.result) == ("completed", 2, 1, 2)


# ---- what jobs find ------------------------------------------------------------------------------------------------


async def test_resources_are_opened_or_given() -> None:
    """Jobs find what ``lifespan=`` opens, or in its place what the test gives as ``state=``."""
    opened: list[str] = []

    @asynccontextmanager
    async def resources() -> AsyncGenerator[str]:
        opened.append("opened")
        yield "the real thing"
        opened.append("closed")

    local = Backburner("memory://", lifespan=resources)

    async def from_state() -> AsyncGenerator[str]:
        yield f"from {local.state}"

    @local.job
    async def show(it: str = Provide(from_state)) -> str:
        return it

    async with local.testing(mode="inline"):
        assert await (await local.create_task(show())) == "from the real thing"
    assert opened == ["opened", "closed"]
    async with local.testing(mode="inline", state="a double"):
        assert await (await local.create_task(show())) == "from a double"
    assert opened == ["opened", "closed"]


async def test_any_transaction_is_taken(jobs: Testing) -> None:
    """Whatever driver ``tx=`` is of, the job counts at once: a suite that rolls all back sees it; a text is none."""

    class Session:
        """Of some driver."""

    handle = await bb.create_task(send("ada"), tx=Session())
    await bb.publish("order.paid", tx=Session())
    await jobs.drain()
    assert (await handle, mailbox) == ("sent to ada", ["ada", "order.paid"])
    local: Backburner[None] = Backburner("memory://")

    @local.job
    async def own_end() -> str:
        await current_job().complete("done", tx=Session())
        return "never seen"

    async with local.testing(mode="inline"):
        assert await (await local.create_task(own_end())) == "done"
    with pytest.raises(TransactionRefused, match="tx=str is no connection"):
        await bb.create_task(send("ada"), tx="conn")


# ---- entering and leaving ------------------------------------------------------------------------------------------


async def test_each_test_begins_with_nothing() -> None:
    """What one test stored the next does not see, and the app has its own store back afterwards."""
    async with bb.testing() as first:
        await bb.create_task(send("ada"))
    assert len(first.all()) == 1
    async with bb.testing() as second:
        assert second.all() == ()
    with pytest.raises(NotRunning):
        await bb.create_task(send("ada"))


async def test_an_app_that_runs_is_not_tested() -> None:
    """One that was entered before, or is tested already, is refused, and goes on."""
    local: Backburner[None] = Backburner("memory://")
    async with local:
        with pytest.raises(AlreadyRunning, match=r"enter bb.testing\(\) before whatever enters the engine"):
            await local.testing().__aenter__()
        assert local.ready
    async with local.testing():
        with pytest.raises(AlreadyRunning):
            local.testing().__enter__()


async def test_an_app_enters_its_engine_in_a_test() -> None:
    """The app's own lifespan enters the engine that is tested, and leaves it running for the test."""
    async with bb.testing() as jobs:
        async with bb.lifespan():
            await bb.create_task(send("ada"))
            assert bb.ready
        assert (await jobs.drain()).completed == 1


async def test_before_it_is_entered_it_says_so() -> None:
    """What a test would ask of it has no answer yet."""
    jobs = bb.testing()
    with pytest.raises(NotRunning, match=r"enter it first: `async with bb.testing\(\) as jobs`"):
        jobs.all()


async def test_what_runs_at_the_end_is_interrupted() -> None:
    """A test that ends while a job runs leaves nothing behind."""
    app = Work()
    async with app.bb.testing() as jobs:
        await app.bb.create_task(app.work())
        draining = asyncio.create_task(jobs.drain())
        await app.begun.wait()
        draining.cancel()
        await asyncio.wait([draining])
    assert (app.stopping, jobs.all()[0].interruptions) == ([True], 1)
