"""`bb.why` and `backburner jobs why`: each thing that a job may wait for, brought about on every store."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from backburner import Backburner, Breaker, Budget, JobNotFound, RetryPolicy, Unique, constant, current_job, exponential
from backburner.model.clock import SystemClock, from_micros
from backburner.model.job import NewJob
from tests.acceptance.commands import command, told
from tests.acceptance.gauge import turn
from tests.acceptance.suspects import fragile
from tests.acceptance.suspects import jobs as suspects

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from backburner import JobHandle, Reason

HOUR = timedelta(hours=1)
PATIENCE = 10


def now() -> datetime:
    """Return the time."""
    return from_micros(SystemClock().now())


@pytest.fixture
def why(url: str) -> Callable[..., Any]:
    """Return what waits until a job waits for one thing, and has people and programs told so alike."""

    async def ask(bb: Backburner, handle: JobHandle[Any] | str, *codes: str) -> tuple[Reason, ...]:
        job = handle if isinstance(handle, str) else handle.id
        async with asyncio.timeout(PATIENCE):
            found = await bb.why(job)
            while tuple(reason.code for reason in found) != codes:
                await turn()
                found = await bb.why(job)
        if not url.startswith("memory"):
            (answer,) = await told(url, "jobs", "why", job)
            assert answer["id"] == job
            assert [(each["code"], each["text"]) for each in answer["reasons"]] == [
                (reason.code, reason.text) for reason in found
            ]
            code, out, _ = await command(url, "jobs", "show", job)
            assert code == 0
            if answer["state"] in {"waiting", "scheduled", "retrying"}:
                assert all(reason.text in out for reason in found)
        return found

    return ask


@pytest.fixture
def bb(make: Callable[..., Backburner]) -> Backburner:
    """Return an engine with one slot in each of three queues, and two in all; jobs are declared before it is entered."""
    return make(queues={"default": 1, "mail": 1, "media": 1}, slots=2, grace=0)


@asynccontextmanager
async def held(bb: Backburner, **options: Any) -> AsyncGenerator[tuple[JobHandle[None], Callable[..., Any]]]:  # noqa: ANN401 - a job's
    """Declare a job, enter, and have one that runs meanwhile; yield its handle, and what stores another."""
    begun, over = asyncio.Event(), asyncio.Event()

    @bb.job(**options)
    async def hold() -> None:
        begun.set()
        await over.wait()

    async def another(**given: Any) -> JobHandle[None]:  # noqa: ANN401 - options
        return await bb.create_task(hold(), **given)

    async with bb:
        first = await another()
        await asyncio.wait_for(begun.wait(), PATIENCE)
        try:
            yield first, another
        finally:
            over.set()


async def test_a_paused_queue(bb: Backburner, why: Callable[..., Any]) -> None:
    """By whom, why and until when."""

    @bb.job(queue="mail")
    async def send() -> None: ...

    until = now().replace(microsecond=0) + HOUR
    async with bb:
        await bb.queues.pause("mail", reason="provider down", until=until, by="ada")
        (reason,) = await why(bb, await bb.create_task(send()), "queue-paused")
        assert (reason.text, reason.until) == ("queue mail is paused by ada (provider down)", until)


async def test_a_paused_kind(bb: Backburner, why: Callable[..., Any]) -> None:
    """By whom and why; for good."""

    @bb.job
    async def send() -> None: ...

    async with bb:
        await bb.kinds.pause("send", reason="INC-7", by="ada")
        (reason,) = await why(bb, await bb.create_task(send()), "kind-paused")
        assert (str(reason), reason.until) == ("kind send is paused by ada (INC-7)", None)


async def test_nobody_takes_its_queue(bb: Backburner, why: Callable[..., Any]) -> None:
    """A queue that no live node has, perhaps for a typing error: it says which there are."""

    @bb.job
    async def send() -> None: ...

    async with bb:
        (reason,) = await why(bb, await bb.create_task(send(), queue="mial"), "queue-unserved")
        assert reason.text == "no live node takes jobs of queue mial; there are nodes for default, mail, media"


async def test_no_node_is_there(make: Callable[..., Backburner], why: Callable[..., Any]) -> None:
    """Of a job that has expired meanwhile it says that too."""
    async with make(run=False) as bb:

        @bb.job
        async def send() -> None: ...

        (reason,) = await why(bb, await bb.create_task(send()), "queue-unserved")
        assert reason.text == "no node is alive"
        (reason, _) = await why(bb, await bb.create_task(send(), expires=0.001), "expired", "queue-unserved")
        assert reason.text.startswith("it expired at ")


async def test_every_node_drains(bb: Backburner, why: Callable[..., Any]) -> None:
    """A node that drains takes nothing."""

    @bb.job(queue="mail")
    async def send() -> None: ...

    async with bb:
        await bb.drain()
        (reason,) = await why(bb, await bb.create_task(send()), "queue-unserved")
        assert reason.text == "each live node of queue mail drains, and takes no new work"


async def test_nobody_knows_its_kind(bb: Backburner, why: Callable[..., Any]) -> None:
    """As after a deploy that lost it."""
    async with bb:
        await bb._running()._backend.jobs.enqueue([[NewJob(id="lost", kind="gone", queue="mail", args="{}")]])
        (reason,) = await why(bb, "lost", "kind-unknown")
        assert reason.text == "no live node of queue mail knows kind gone"


async def test_its_arguments_fit_nowhere(bb: Backburner, why: Callable[..., Any]) -> None:
    """It says what did not fit."""

    @bb.job
    async def charge(cents: int) -> None: ...

    async with bb:
        await bb._running()._backend.jobs.enqueue([[NewJob(id="old", kind="charge", queue="default", args="{}")]])
        (reason,) = await why(bb, "old", "misfit")
        assert "cents" in reason.text


async def test_a_full_lane(bb: Backburner, why: Callable[..., Any]) -> None:
    """Held by the job that runs; an operator who set it so is named."""
    async with held(bb, concurrency=1) as (first, another):
        second = await another(queue="mail")
        (reason,) = await why(bb, second, "lane-full")
        assert reason.text == f"lane concurrency:hold is full: 1 of 1 run, held by job {first.id}"
        assert reason.jobs == (first.id,)
        await bb.limits.set("concurrency:hold", slots=0, by="ada", reason="slow disk")
        (reason,) = await why(bb, second, "lane-full")
        assert "1 of 0 run, set by ada (slow disk), held by" in reason.text
        await bb.limits.reset("concurrency:hold")


async def test_a_rate(bb: Backburner, why: Callable[..., Any]) -> None:
    """When the next permit comes."""

    @bb.job(rate="1/hour")
    async def geocode() -> None: ...

    async with bb:
        await (await bb.create_task(geocode()))
        (reason,) = await why(bb, await bb.create_task(geocode()), "rate")
        assert reason.text == "lane rate:geocode starts 1/hour, and has no permit left"
        assert HOUR / 2 < reason.until - now() < HOUR * 1.5


async def test_a_dry_budget(bb: Backburner, why: Callable[..., Any]) -> None:
    """A retry waits for its permit."""

    @bb.job(
        budget=Budget("stripe", ratio=0.01, reserve="1/hour", capacity=1),
        retry=RetryPolicy(attempts=9, backoff=constant(0.001)),
    )
    async def charge() -> None:
        raise ConnectionError

    async with bb:
        (reason,) = await why(bb, await bb.create_task(charge()), "budget")
        assert reason.text == "retry budget stripe is dry: retries have no permit left"
        assert reason.until > now()


async def test_an_open_breaker(bb: Backburner, why: Callable[..., Any]) -> None:
    """Since when, and until when no probe is sent; or by whom it was opened."""
    breaker = Breaker("stripe", calls=1, open=exponential(3600))

    @bb.job(breaker=breaker, retry="none")
    async def charge() -> None:
        raise ConnectionError

    async with bb:
        await (await bb.create_task(charge())).wait()
        waiting = await bb.create_task(charge())
        (reason,) = await why(bb, waiting, "breaker")
        assert reason.text.startswith("breaker stripe has been open since 20")
        assert reason.text.endswith(", and sends no probe")
        assert reason.until > now()
        await bb.breakers.open("stripe", reason="maintenance", by="ada")
        (reason,) = await why(bb, waiting, "breaker")
        assert reason.text == "breaker stripe was opened by ada (maintenance), and stays so until it is set to auto"


async def test_a_probing_breaker(bb: Backburner, why: Callable[..., Any]) -> None:
    """Which jobs probe."""
    probing, over = asyncio.Event(), asyncio.Event()

    @bb.job(breaker=Breaker("stripe", calls=1, probes=1, open=constant(0.05)), retry="none")
    async def charge(how: str) -> None:
        if how == "badly":
            raise ConnectionError
        probing.set()
        await over.wait()

    async with bb:
        await (await bb.create_task(charge("badly"))).wait()
        probe, waiting = await bb.create_tasks([charge("well"), charge("well")])
        await asyncio.wait_for(probing.wait(), PATIENCE)
        (reason,) = await why(bb, waiting, "breaker")
        assert reason.text.startswith("breaker stripe has probed since 20")
        assert reason.text.endswith(": 1 of 1 probes run")
        assert reason.jobs == (probe.id,)
        over.set()


async def test_another_suspect(make: Callable[..., Backburner], why: Callable[..., Any]) -> None:
    """A job that was there in two crashes waits while another such runs, and names it."""
    async with make(jobs=[suspects], queues={"default": 2}, processes=2, grace=0) as bb:
        first = await bb.create_task(fragile())
        async with asyncio.timeout(PATIENCE):
            while (await first.status()).progress is None:
                await turn()
        (running,) = await why(bb, first, "running")
        assert running.text.endswith(", as attempt 3")
        second = await bb.create_task(fragile())
        (reason,) = await why(bb, second, "suspect")
        assert reason.text.startswith("it was running in 2 crashes, and waits to run with no other suspect beside it")
        assert reason.jobs == (first.id,)


async def test_a_busy_unique_key(bb: Backburner, why: Callable[..., Any]) -> None:
    """A follow-up stands aside for as long as another holds its key."""
    stored: list[str] = []

    @bb.job(queue="mail")
    async def send() -> None: ...

    @bb.job
    async def begin() -> None:
        stored.append(current_job().then(send(), unique=Unique()))

    async with bb:
        await bb.create_task(send(), unique=Unique(), delay=3600)
        await (await bb.create_task(begin()))
        (reason,) = await why(bb, stored[0], "unique")
        assert reason.text.startswith("it waits until no other job holds its unique key ")


async def test_it_is_not_due(bb: Backburner, why: Callable[..., Any]) -> None:
    """Until when, and after which failure."""

    @bb.job(retry=RetryPolicy(attempts=2, backoff=constant(3600)))
    async def charge() -> None:
        raise ConnectionError

    async with bb:
        (reason,) = await why(bb, await bb.create_task(charge(), delay=3600), "not-due")
        assert reason.text == "it is not due"
        failed = await bb.create_task(charge())
        (reason,) = await why(bb, failed, "not-due")
        assert reason.text == "it failed (ConnectionError), and is not tried again"
        assert reason.until > now()


async def test_no_slot_is_free(bb: Backburner, why: Callable[..., Any]) -> None:
    """Those of its queue are taken, by the code's number or by an operator's; or those of the node."""
    async with held(bb, queue="mail") as (_, another):
        second = await another()
        (reason,) = await why(bb, second, "slots-full")
        assert reason.text == "queue mail has no free slot: 1 of 1 slots on 1 node are taken"
        await bb.queues.set("mail", slots=1, by="ada")
        (reason,) = await why(bb, second, "slots-full")
        assert reason.text.endswith("taken (1 each, set by ada)")
        await another(queue="default")
        third = await another(queue="media")
        (reason,) = await why(bb, third, "in-line")
        assert reason.text == "it waits for its turn in queue media: 0 of 1 slots on 1 node are taken"


async def test_the_rate_of_a_queue(bb: Backburner, why: Callable[..., Any]) -> None:
    """What was set, and by whom."""

    @bb.job
    async def send() -> None: ...

    async with bb:
        await bb.queues.set("default", rate="1/hour", by="ada", reason="slow")
        await (await bb.create_task(send()))
        (reason,) = await why(bb, await bb.create_task(send()), "queue-rate")
        assert reason.text == "queue default starts 1/hour, set by ada (slow), and this one by its turn"


async def test_of_one_that_has_ended(bb: Backburner, why: Callable[..., Any]) -> None:
    """It waits for nothing, and says why."""

    @bb.job(retry="none")
    async def send(*, well: bool) -> None:
        if not well:
            raise ConnectionError

    async with bb:
        for well, text in ((True, "it is completed"), (False, "it is dead: exhausted")):
            handle = await bb.create_task(send(well=well))
            await handle.wait()
            (reason,) = await why(bb, handle, "ended")
            assert reason.text == text


async def test_no_such_job(bb: Backburner, url: str) -> None:
    """It raises, and the command ends with 3."""
    async with bb:
        with pytest.raises(JobNotFound, match="there is no job nope"):
            await bb.why("nope")
        if not url.startswith("memory"):
            assert await command(url, "jobs", "why", "nope") == (
                3,
                "",
                "Error: there is no job nope; its retention may have passed\n",
            )
