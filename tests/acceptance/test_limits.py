"""Limits on every store, over two engines where a store is shared: never more than they say, and nobody pays for it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from backburner import Adaptive, Budget, Bulkhead, Registry, RetryPolicy, constant, current_job
from backburner.model.query import JobFilter, Shown
from backburner.testing import FakeClock
from tests.acceptance.crews import PATIENCE, crew, empty, finished, lane, records, store
from tests.acceptance.gauge import Gauge, turn
from tests.stores import SHARED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backburner import Backburner

# ---- slots ---------------------------------------------------------------------------------------------------------


async def test_as_many_run_at_once_and_never_more(make: Callable[..., Backburner]) -> None:
    """``concurrency=3`` over all engines: three meet, again and again; each job runs in its first attempt."""
    jobs, gauge, together = Registry(), Gauge(), asyncio.Barrier(3)

    @jobs.job(concurrency=3)
    async def render(page: int) -> int:
        with gauge.run():
            await together.wait()
        return page

    async with crew(make, jobs) as engines:
        ended = await finished(await store(engines, [render(page) for page in range(30)]))
        await empty(engines[0], "concurrency:render")
    assert (gauge.most[""], gauge.begun[""]) == (3, 30)
    assert {(each.state, each.attempt, each.interruptions) for each in ended} == {("completed", 1, 0)}


async def test_one_tenants_backlog_holds_nobody_up(make: Callable[..., Backburner]) -> None:
    """``concurrency_key``: each tenant has its own room; fifty jobs of one stand aside while those of others run."""
    jobs, gauge, go = Registry(), Gauge(), asyncio.Event()

    @jobs.job(concurrency=1, concurrency_key="tenant")
    async def export(tenant: str, month: int) -> int:
        with gauge.run(tenant):
            if tenant == "big":
                await go.wait()
        return month

    async with crew(make, jobs) as engines:
        big = await store(engines, [export("big", month) for month in range(50)])
        await gauge.until(lambda: gauge.now["big"] == 1)
        small = await store(engines, [export(f"small-{month % 3}", month) for month in range(12)])
        await finished(small)
        assert (gauge.now["big"], gauge.begun["big"]) == (1, 1)
        go.set()
        ended = await finished(big)
        await empty(engines[0], "concurrency:export/big", *(f"concurrency:export/small-{each}" for each in range(3)))
    assert set(gauge.most.values()) == {1}
    assert {(each.state, each.attempt) for each in ended} == {("completed", 1)}


async def test_a_bulkhead_is_shared_by_kinds(make: Callable[..., Backburner]) -> None:
    """Two kinds that name one bulkhead have its room between them; a third kind needs none of it."""
    jobs, gauge, go = Registry(), Gauge(), asyncio.Event()

    @jobs.job(bulkhead=Bulkhead("pdf", slots=2))
    async def invoice() -> None:
        with gauge.run():
            await go.wait()

    @jobs.job(bulkhead="pdf")
    async def letter() -> None:
        with gauge.run():
            await go.wait()

    @jobs.job
    async def other() -> None: ...

    async with crew(make, jobs) as engines:
        handles = await store(engines, [call for _ in range(8) for call in (invoice(), letter())])
        await gauge.until(lambda: gauge.now[""] == 2)
        await finished(await store(engines, [other() for _ in range(8)]))
        assert gauge.begun[""] == 2
        go.set()
        await finished(handles)
        await empty(engines[0], "bulkhead:pdf")
    assert (gauge.most[""], gauge.begun[""]) == (2, 16)


async def test_a_job_asks_all_its_lanes(make: Callable[..., Backburner]) -> None:
    """What one lane lets in another may refuse: the narrowest decides, and none is held by a job that waits for another."""
    jobs, gauge = Registry(), Gauge()

    @jobs.job(concurrency=2, concurrency_key="tenant", bulkhead=Bulkhead("disk", slots=3), rate="1000/s")
    async def write(tenant: str) -> None:
        with gauge.run(tenant), gauge.run("disk"):
            await turn()

    async with crew(make, jobs) as engines:
        handles = await store(engines, [write("abcd"[number % 4]) for number in range(40)])
        ended = await finished(handles)
        await empty(engines[0], "bulkhead:disk", *(f"concurrency:write/{tenant}" for tenant in "abcd"))
    assert gauge.most["disk"] <= 3
    assert max(gauge.most[tenant] for tenant in "abcd") <= 2
    assert {(each.state, each.attempt) for each in ended} == {("completed", 1)}


# ---- rates ---------------------------------------------------------------------------------------------------------


async def test_a_rate_spreads_starts(make: Callable[..., Backburner]) -> None:
    """``rate="25/s"``: of all engines' starts, by the store's time, no two are nearer than 40 ms."""
    jobs = Registry()

    @jobs.job(rate="25/s")
    async def call() -> None: ...

    async with crew(make, jobs) as engines:
        ended = await finished(await store(engines, [call() for _ in range(12)]))
    starts = sorted(each.started for each in ended if each.started is not None)
    assert len(starts) == 12
    assert all(later - earlier >= timedelta(milliseconds=40) for earlier, later in pairwise(starts))
    assert {each.attempt for each in ended} == {1}


async def test_a_rate_is_kept_in_any_stretch_of_time(make_local: Callable[..., Backburner]) -> None:
    """``"1/s burst 4"``: in any stretch of time, at most four and one a second; a retry counts as a start."""
    clock, began = FakeClock(), list[float]()
    bb = make_local(clock=clock, queues={"default": 50})

    @bb.job(rate="1/s burst 4")
    async def call() -> None:
        began.append(clock.monotonic())
        if current_job().attempt == 1:
            raise ConnectionError

    async with bb:
        handles = await bb.create_tasks([call() for _ in range(10)])
        while not all(handle.done() for handle in handles):
            await clock.advance(0.1)
            await turn()
            await asyncio.gather(*(handle.wait(0) for handle in handles))
    assert len(began) == 20
    # A start is noticed here a step of the clock late at most.
    assert all(later - earlier >= number - 3 - 0.2 for earlier, number, later in stretches(began))
    assert began[-1] - began[0] >= 16 - 0.2


def stretches(moments: Sequence[float]) -> list[tuple[float, int, float]]:
    """Return every stretch between two moments, with how many came in it after the first."""
    count = len(moments)
    return [(moments[first], last - first, moments[last]) for first in range(count) for last in range(first, count)]


# ---- budgets -------------------------------------------------------------------------------------------------------


async def test_retries_are_a_share_of_first_attempts(make: Callable[..., Backburner]) -> None:
    """A budget lets through a fifth, and what was saved; the rest waits, spends nothing, and completes when it is raised."""
    jobs, gauge = Registry(), Gauge()
    retry = RetryPolicy(attempts=2, backoff=constant(0.001))

    @jobs.job(budget=Budget("stripe", ratio=0.2, reserve="1/hour", capacity=3), retry=retry)
    async def charge() -> None:
        with gauge.run("first" if current_job().attempt == 1 else "again"):
            if current_job().attempt == 1:
                raise ConnectionError

    async with crew(make, jobs) as engines:
        bb = engines[0]
        handles = await store(engines, [charge() for _ in range(40)])
        dry = JobFilter(states=(Shown.RETRYING,), kinds=("charge",))
        while gauge.begun["first"] < 40 or not all(
            each.gate == "lane:budget:stripe" for each in await records(bb, dry)
        ):
            await turn()
        left = await records(bb, dry)
        assert 3 <= gauge.begun["again"] <= 3 + 40 * 0.2
        assert {(each.attempt, each.failures) for each in left} == {(1, 1)}
        assert [reason.code for reason in await bb.why(left[0].id)] == ["budget"]
        await bb.limits.set("budget:stripe", rate="1000/s burst 100")
        ended = await finished(handles)
    assert gauge.begun["again"] == 40
    assert {(each.state, each.attempt, each.failures) for each in ended} == {("completed", 2, 1)}


# ---- adaptive ------------------------------------------------------------------------------------------------------


async def test_an_adaptive_limit_falls_when_runs_fail_and_grows_when_they_do_not(
    make: Callable[..., Backburner],
) -> None:
    """By how runs end on all engines: halved when they fail, one more for each good round that made use of it."""
    jobs, gauge = Registry(), Gauge()
    well = asyncio.Event()

    @jobs.job(concurrency=Adaptive(start=2, most=20), retry=RetryPolicy(attempts=None, backoff=constant(0.001)))
    async def crawl(url: int) -> int:
        with gauge.run():
            await turn()
            if not well.is_set():
                raise ConnectionError
        return url

    async with crew(make, jobs) as engines:
        name = "concurrency:crawl"
        assert (await lane(engines[0], name)).limit.slots == 2
        handles = await store(engines, [crawl(url) for url in range(600)])
        while (await lane(engines[0], name)).limit.slots != 1:
            await turn()
        assert gauge.most[""] <= 2
        well.set()
        while (await lane(engines[0], name)).limit.slots == 1:
            await turn()
        await engines[0].limits.set(name, slots=20)
        ended = await finished(handles)
        await empty(engines[0], name)
    assert {each.state for each in ended} == {"completed"}


async def test_what_is_not_made_use_of_does_not_grow(make_local: Callable[..., Backburner]) -> None:
    """A job now and then says nothing of how many a dependency bears: the slots stay as they are."""
    clock = FakeClock()
    bb = make_local(clock=clock)

    @bb.job(concurrency=Adaptive(start=10, most=50))
    async def crawl() -> None: ...

    async with bb:
        for _ in range(6):
            handle = await bb.create_task(crawl())
            assert await handle.wait(PATIENCE)
            for _ in range(12):
                await clock.advance(10)
                await turn()
        assert (await lane(bb, "concurrency:crawl")).limit.slots == 10


# ---- what is declared ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", SHARED, indirect=True)
async def test_a_redeploy_changes_the_limit(make: Callable[..., Backburner]) -> None:
    """The last engine that starts declares: more room lets in at once who stands there, on engines that run already too."""
    jobs, gauge, go = Registry(), Gauge(), asyncio.Event()

    @jobs.job(name="render", concurrency=1)
    async def before() -> None:
        with gauge.run():
            await go.wait()

    changed = Registry()

    @changed.job(name="render", concurrency=4)
    async def after() -> None:
        with gauge.run():
            await go.wait()

    async with make(jobs=[jobs]) as old:
        handles = await old.create_tasks([before() for _ in range(10)])
        await gauge.until(lambda: gauge.now[""] == 1)
        async with make(jobs=[changed], run=False):
            assert (await lane(old, "concurrency:render")).limit.slots == 1
        async with make(jobs=[changed], queues={"other": 1}):
            await gauge.until(lambda: gauge.now[""] == 4)
            go.set()
            await finished(handles)
    assert gauge.most[""] == 4


@pytest.mark.parametrize("url", SHARED, indirect=True)
async def test_a_restart_keeps_limits(make: Callable[..., Backburner]) -> None:
    """Entered again, the same engine finds its lanes as they stood, an operator's word on them too."""
    jobs, gauge = Registry(), Gauge()

    @jobs.job(concurrency=5)
    async def render() -> None:
        with gauge.run():
            await turn()

    bb = make(jobs=[jobs])
    async with bb:
        await bb.limits.set("concurrency:render", slots=0, reason="not now", by="ops")
        handles = await bb.create_tasks([render() for _ in range(6)])
        while not (await lane(bb, "concurrency:render")).parked:
            await turn()
    async with bb:
        (record,) = await bb.limits.list()
        assert (record.limit.slots, record.by, record.reason) == (0, "ops", "not now")
        assert gauge.begun[""] == 0
        await bb.limits.set("concurrency:render", slots=2)
        ended = await finished([bb.handle(handle.id, render) for handle in handles])
    assert gauge.most[""] <= 2
    assert {(each.state, each.attempt) for each in ended} == {("completed", 1)}
