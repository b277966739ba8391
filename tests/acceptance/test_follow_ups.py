"""`ctx.then(call)`: a chain, one link stored by the step that completes the other."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from backburner import (
    Backburner,
    Cancel,
    JobCancelled,
    JobDead,
    Reject,
    Snooze,
    Unique,
    current_job,
)
from backburner.errors import JobNotFound, NotRunning
from backburner.model.clock import SystemClock, from_micros

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.acceptance.conftest import Writes


async def test_a_chain(bb: Backburner) -> None:
    """What Celery calls a chain: each link names the next, which is stored when the link completes."""
    ended: asyncio.Queue[list[str]] = asyncio.Queue()

    @bb.job
    async def fetch(done: list[str]) -> None:
        current_job().then(parse([*done, "fetched"]))

    @bb.job
    async def parse(done: list[str]) -> None:
        current_job().then(save([*done, "parsed"]))

    @bb.job
    async def save(done: list[str]) -> None:
        ended.put_nowait([*done, "saved"])

    async with bb:
        await bb.create_task(fetch([]))
        assert await ended.get() == ["fetched", "parsed", "saved"]


async def test_it_is_stored_with_the_completion_and_in_no_write_of_its_own(bb: Backburner, writes: Writes) -> None:
    """`then` answers the follow-up's id at once; the job is there as soon as its predecessor has completed."""
    said: list[str] = []

    @bb.job
    async def after(n: int) -> int:
        return n + 1

    @bb.job
    async def first() -> str:
        said.append(current_job().then(after(1)))
        with pytest.raises(JobNotFound):
            await bb.handle(said[0], after).status()
        return "done"

    async with bb:
        handle = await bb.create_task(first())
        assert await handle == "done"
        follow_up = bb.handle(said[0], after)
        assert (await follow_up.status()).kind == "after"
        assert await follow_up == 2
    assert writes.groups == [["first"]]


@pytest.mark.parametrize("error", [ConnectionError, Snooze(0)])
async def test_it_is_buffered_per_attempt(bb: Backburner, error: Exception) -> None:
    """What a run that fails, or snoozes, had noted is dropped: only the completing run's follow-ups are stored."""
    said: list[str] = []

    @bb.job
    async def after(attempt: int) -> int:
        return attempt

    @bb.job
    async def first() -> None:
        said.append(current_job().then(after(current_job().attempt)))
        if current_job().attempt < 3:
            raise error

    async with bb:
        await (await bb.create_task(first()))
        assert await bb.handle(said[2], after) == 3
        for dropped in said[:2]:
            with pytest.raises(JobNotFound):
                await bb.handle(dropped, after).status()
    assert len(set(said)) == 3


@pytest.mark.parametrize("error", [Reject("no"), Cancel("no need"), None])
async def test_never_without_the_completion(bb: Backburner, error: Exception | None) -> None:
    """A job that dies, cancels itself or is cancelled leaves no follow-up."""
    said: list[str] = []
    noted = asyncio.Event()

    @bb.job
    async def after() -> None:
        raise AssertionError("it must not run")

    @bb.job
    async def first() -> None:
        said.append(current_job().then(after()))
        noted.set()
        if error is not None:
            raise error
        await asyncio.Event().wait()

    async with bb:
        handle = await bb.create_task(first())
        await noted.wait()
        if error is None:
            assert await handle.cancel()
        with pytest.raises((JobDead, JobCancelled)):
            await handle
        with pytest.raises(JobNotFound):
            await bb.handle(said[0], after).status()


async def test_it_is_checked_and_encoded_at_the_call(bb: Backburner) -> None:
    """A call that cannot be stored is refused where `then` stands; what is changed later does not reach the job."""
    said: list[str] = []

    @bb.job
    async def after(words: list[str]) -> list[str]:
        return words

    @bb.job(retry="none")
    async def wrong() -> None:
        current_job().then(after(object()))  # type: ignore[arg-type]

    @bb.job(retry="none")
    async def named() -> None:
        current_job().then(after([]), name="one")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]

    @bb.job
    async def first() -> None:
        words = ["as it was"]
        said.append(current_job().then(after(words)))
        words.append("changed")

    async with bb:
        with pytest.raises(JobDead, match=r"ArgumentNotStorable: after\(\): argument words"):
            await (await bb.create_task(wrong()))
        with pytest.raises(JobDead, match="InvalidOption: then takes no name="):
            await (await bb.create_task(named()))
        await (await bb.create_task(first()))
        assert await bb.handle(said[0], after) == ["as it was"]


async def test_its_options_are_a_jobs(bb: Backburner) -> None:
    """Delay, moment, queue, priority, tags, id and expiry mean what they mean for `create_task`."""
    moment = from_micros(SystemClock().now()) + timedelta(hours=2)

    @bb.job
    async def after() -> None: ...

    @bb.job
    async def first() -> None:
        job = current_job()
        assert job.then(after(), id="delayed", delay=3600, queue="other", priority=2, tags=["a"]) == "delayed"
        assert job.then(after(), id="at", at=moment) == "at"
        assert job.then(after.options(priority=7)(), id="preset", delay=3600) == "preset"

    async with bb:
        handle = await bb.create_task(first())
        await handle
        completed = (await handle.status()).ended
        assert completed is not None
        delayed = await bb.handle("delayed", after).status()
        assert (delayed.state, delayed.queue, delayed.priority, delayed.tags) == ("scheduled", "other", 2, ("a",))
        assert delayed.due == completed + timedelta(hours=1)
        assert (await bb.handle("at", after).status()).due == moment
        assert (await bb.handle("preset", after).status()).priority == 7


async def test_it_is_no_child(bb: Backburner) -> None:
    """A follow-up has a life of its own: its predecessor is final before it begins, and is not its parent."""
    said: list[str] = []

    @bb.job
    async def after() -> str:
        return current_job().headers.get("who", "nobody")

    @bb.job
    async def first() -> None:
        said.append(current_job().then(after()))

    async with bb:
        await (await bb.create_task(first()))
        assert await bb.handle(said[0], after) == "nobody"
        assert (await bb.handle(said[0], after).status()).parent is None


async def test_many_and_more(bb: Backburner) -> None:
    """A job has as many follow-ups as it likes; from a `def` job and from a job's own tasks `then` is the same."""
    said: list[str] = []

    @bb.job
    async def after(n: int) -> int:
        return n

    async def note(n: int) -> None:
        said.append(current_job().then(after(n)))

    @bb.job
    async def first() -> None:
        async with asyncio.TaskGroup() as group:
            for n in range(5):
                group.create_task(note(n))

    @bb.job
    def in_a_thread() -> None:
        said.append(current_job().then(after(5)))

    async with bb:
        await (await bb.create_task(first()))
        await (await bb.create_task(in_a_thread()))
        assert [await bb.handle(job_id, after) for job_id in said] == list(range(6))


async def test_after_the_end_it_is_too_late(bb: Backburner) -> None:
    """A task that its job left behind may note nothing any more: `AlreadyEnded`, and nothing is stored."""
    over = asyncio.Event()
    left: list[asyncio.Task[str]] = []

    @bb.job
    async def after() -> None: ...

    async def straggler() -> str:
        await over.wait()
        return current_job().then(after())

    @bb.job
    async def first() -> None:
        left.append(asyncio.create_task(straggler()))

    async with bb:
        await (await bb.create_task(first()))
        over.set()
        with pytest.raises(RuntimeError, match=r"first \S+ has ended: then has to come before"):
            await left[0]


async def test_of_a_call_awaited_directly(bb: Backburner) -> None:
    """A call awaited without a store stores its follow-ups once it has returned; without an engine it says so."""
    said: list[str] = []

    @bb.job
    async def after() -> str:
        return "after"

    @bb.job
    async def first(*, fail: bool = False) -> str:
        said.append(current_job().then(following))
        if fail:
            raise ConnectionError
        return "first"

    following = after()
    with pytest.raises(NotRunning):
        await first()
    async with bb:
        assert await first() == "first"
        assert await bb.handle(said[0], after) == "after"
        with pytest.raises(ConnectionError):
            await first(fail=True)
        with pytest.raises(JobNotFound):
            await bb.handle(said[1], after).status()


# ---- a unique key that is held -------------------------------------------------------------------------------------


async def test_a_busy_unique_key_parks_the_follow_up_and_never_delays_the_settle(bb: Backburner) -> None:
    """Held, the key does not fail the job that completes: the follow-up waits for it, and then runs."""
    said: list[str] = []
    runs: list[str] = []
    release, started = asyncio.Event(), asyncio.Event()

    @bb.job(unique=Unique(by=["to"]))
    async def send(to: str, text: str) -> str:
        assert to == "ada"
        runs.append(text)
        started.set()
        if text == "holder":
            await release.wait()
        return text

    @bb.job
    async def first(text: str) -> str:
        said.append(current_job().then(send("ada", text)))
        return "settled"

    async with bb:
        holder = await bb.create_task(send("ada", "holder"))
        await started.wait()
        assert await (await bb.create_task(first("one"))) == "settled"
        assert await (await bb.create_task(first("two"))) == "settled"
        parked = [bb.handle(job_id, send) for job_id in said]
        assert not await parked[0].wait(0.02)
        assert runs == ["holder"]
        assert [(await handle.status()).attempt for handle in parked] == [0, 0]
        release.set()
        assert await holder == "holder"
        assert [await handle for handle in parked] == ["one", "two"]
    assert runs == ["holder", "one", "two"]


async def test_a_scheduled_holders_cancellation_lets_it_in_at_once(bb: Backburner) -> None:
    """Also a key that no run of this engine held is heard of when it comes free."""
    said: list[str] = []

    @bb.job(unique=Unique())
    async def single() -> str:
        return "it ran"

    @bb.job
    async def first() -> None:
        said.append(current_job().then(single()))

    async with bb:
        holder = await bb.create_task(single(), delay=3600)
        await (await bb.create_task(first()))
        parked = bb.handle(said[0], single)
        # Longer than hints about what was written until now may be held back.
        assert not await parked.wait(0.15)
        assert await holder.cancel()
        assert await parked == "it ran"


@pytest.mark.parametrize("how", ["cancelled", "dead"])
async def test_a_parked_follow_up_is_let_in_however_the_key_comes_free(bb: Backburner, how: str) -> None:
    """The holder's cancellation, or death, lets the follow-up in as its completion would."""
    said: list[str] = []
    go, started = asyncio.Event(), asyncio.Event()

    @bb.job(unique=Unique(by=[]), retry="none")
    async def single(*, holder: bool) -> str:
        started.set()
        if holder:
            await go.wait()
            raise ConnectionError
        return "it ran"

    @bb.job
    async def first() -> None:
        said.append(current_job().then(single(holder=False)))

    async with bb:
        holder = await bb.create_task(single(holder=True))
        await started.wait()
        await (await bb.create_task(first()))
        if how == "cancelled":
            await holder.cancel()
        else:
            go.set()
        assert await bb.handle(said[0], single) == "it ran"


async def test_a_parked_follow_up_can_be_cancelled(bb: Backburner) -> None:
    """While it waits for its key a follow-up is a pending job like any other."""
    said: list[str] = []

    @bb.job(unique=Unique())
    async def single() -> None: ...

    @bb.job
    async def first() -> None:
        said.append(current_job().then(single()))

    async with bb:
        holder = await bb.create_task(single(), delay=3600)
        await (await bb.create_task(first()))
        parked = bb.handle(said[0], single)
        assert await parked.cancel()
        assert (await parked.status()).state == "cancelled"
        assert not holder.done()


# ---- where it runs -------------------------------------------------------------------------------------------------


async def test_it_runs_wherever_its_queue_does(make_sqlite: Callable[..., Backburner]) -> None:
    """A follow-up for a queue that this engine does not run is left for one that does."""
    here, there = make_sqlite(queues={"default": 5}), make_sqlite(queues={"mail": 5})
    said: list[str] = []

    def declare(bb: Backburner, place: str) -> None:
        @bb.job(name="after")
        async def after() -> str:
            return place

    @here.job
    async def first() -> None:
        said.append(current_job().then(after_here(), queue="mail"))

    @here.job(name="after")
    async def after_here() -> str:
        return "here"

    declare(there, "there")
    async with here:
        await (await here.create_task(first()))
        handle = here.handle(said[0], after_here)
        assert (await handle.status()).state == "waiting"
        async with there:
            assert await handle == "there"
