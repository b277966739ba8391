"""`bb.schedules`: put, changed, read and foreseen while engines run, from any process, on every store."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from backburner import At, Backburner, Cron, Every, Registry, current_job
from backburner.errors import ScheduleNotFound
from backburner.model.clock import SystemClock, from_micros
from tests.acceptance.gauge import Gauge, turn
from tests.acceptance.ticking import ledger, lines, seen, shown
from tests.stores import SHARED

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

HOUR = timedelta(hours=1)


def now() -> datetime:
    """Return the time."""
    return from_micros(SystemClock().now())


jobs = Registry("app")


@jobs.job
async def report(which: str = "all") -> str:
    """Return what it was for."""
    return f"{which} for {current_job().schedule}"


@asynccontextmanager
async def two(make: Callable[..., Backburner]) -> AsyncGenerator[tuple[Backburner, Backburner]]:
    """Enter a worker, and another engine on its store that only stores; in memory they are one."""
    async with make(jobs=[jobs]) as worker:
        if make.args[0] == "memory://":  # type: ignore[attr-defined]
            yield worker, worker
        else:
            async with make(jobs=[jobs], run=False) as web:
                yield worker, web


@pytest.mark.parametrize("url", SHARED, indirect=True)
async def test_what_one_puts_another_fires_within_a_second(make: Callable[..., Backburner]) -> None:
    """A schedule that was put elsewhere is known within a second, though the worker's next look is ten seconds away."""
    async with two(make) as (worker, web):
        began = now()
        assert await web.schedules.put("often", Every(seconds=0.05), report("sales")) is True
        (first, *_) = await lines(worker, "often", 2, outcome="fired")
        # A busy machine is given more than the second.
        assert first.decided - began < timedelta(seconds=3)
        assert first.job is not None
        assert await web.handle(first.job, report) == "sales for often"
        await web.schedules.remove("often")
        assert await shown(worker) == []
        assert await ledger(worker, "often")
        with pytest.raises(ScheduleNotFound, match="there is no schedule 'often'"):
            await web.schedules.get("often")


async def test_put_again_changes_it(make: Callable[..., Backburner]) -> None:
    """In place of the one of that name, from now on; it says whether there was none."""
    async with two(make) as (worker, web):
        assert await web.schedules.put("daily", Cron("0 6 * * *"), report()) is True
        assert await web.schedules.put("daily", Cron("0 7 * * *", tz="Asia/Tokyo"), report("sales")) is False
        assert await web.schedules.put("daily", Cron("0 7 * * *", tz="Asia/Tokyo"), report("sales")) is False
        (schedule,) = await shown(worker)
        assert (schedule.when, schedule.kind, schedule.declared) == ("0 7 * * * Asia/Tokyo", "app.report", False)
        assert schedule.next is not None
        assert (schedule.next.hour, schedule.next.minute) == (22, 0)
        assert (schedule.last, schedule.fired, schedule.last_job) == (None, None, None)


async def test_paused_it_skips_and_says_so(make: Callable[..., Backburner]) -> None:
    """By whom and why; the ledger counts what was skipped; resumed it goes on from the next tick."""
    async with two(make) as (worker, web):
        await web.schedules.put("often", Every(seconds=0.05), report())
        await lines(worker, "often", 1, outcome="fired")
        paused = await web.schedules.pause("often", reason="INC-7", by="ada")
        assert (paused.state, paused.reason, paused.by, paused.paused_until) == ("paused", "INC-7", "ada", None)
        assert paused.next is not None
        later = paused.next + timedelta(milliseconds=200)

        async def passed() -> bool:
            return now() > later

        await seen(passed)
        before = await ledger(worker, "often", outcome="fired")
        resumed = await web.schedules.resume("often")
        assert (resumed.state, resumed.reason, resumed.by) == ("active", None, None)
        after = await lines(worker, "often", len(before) + 2, outcome="fired")
        (skipped,) = [line for line in await ledger(web, "often", outcome="skipped") if line.reason == "paused"]
    assert skipped.tick == paused.next
    assert skipped.count == (skipped.last - skipped.tick) / timedelta(milliseconds=50) + 1 >= 4
    assert all(not skipped.tick <= line.tick <= skipped.last for line in after)
    assert after[len(before)].tick > skipped.last


async def test_a_pause_ends_by_itself(make: Callable[..., Backburner]) -> None:
    """``until=``: then it fires again, with what it skipped in the ledger; it has forgotten the pause."""
    async with two(make) as (worker, web):
        await web.schedules.put("often", Every(seconds=0.05), report())
        until = now() + timedelta(seconds=0.3)
        paused = await web.schedules.pause("often", until=until, reason="a while")
        assert paused.paused_until == until
        (line, *_) = await lines(worker, "often", 2, outcome="fired", since=until)
        schedule = await web.schedules.get("often")
        (skipped,) = [line for line in await ledger(web, "often", outcome="skipped") if line.reason == "paused"]
    assert line.tick > until
    assert (schedule.state, schedule.reason, schedule.paused_until) == ("active", None, None)
    assert skipped.last <= until


async def test_triggered_by_hand(make: Callable[..., Backburner]) -> None:
    """One job now, beside its ticks; who and why stands in the ledger."""
    async with two(make) as (worker, web):
        await web.schedules.put("daily", Cron("0 6 1 1 *"), report("sales"))
        before = await web.schedules.get("daily")
        job = await web.schedules.trigger("daily", by="ada", reason="the boss asked")
        assert await web.handle(job, report) == "sales for daily"
        (line,) = await ledger(worker)
        after = await web.schedules.get("daily")
    assert (line.outcome, line.job, line.by, line.note) == ("triggered", job, "ada", "the boss asked")
    assert (after.next, after.last, after.last_job) == (before.next, None, job)
    assert after.fired is not None


async def test_a_paused_one_may_be_triggered(make: Callable[..., Backburner]) -> None:
    """A person may try it before it is resumed."""
    async with two(make) as (_, web):
        await web.schedules.put("daily", Cron("0 6 1 1 *"), report("sales"))
        await web.schedules.pause("daily")
        assert await web.handle(await web.schedules.trigger("daily"), report) == "sales for daily"
        assert (await web.schedules.get("daily")).state == "paused"


async def test_listed_by_name_kind_and_origin(make: Callable[..., Backburner]) -> None:
    """All of them, in order, more than a page too."""
    async with two(make) as (worker, web):

        @worker.cron("0 6 * * *")
        async def declared() -> None: ...

        async def is_stored() -> bool:
            return len(await shown(web)) == 1

        await seen(is_stored)
        await asyncio.gather(*(web.schedules.put(f"put-{n:03}", Cron("0 6 * * *"), report()) for n in range(210)))
        every = [schedule.name for schedule in await shown(web)]
        assert every == ["declared", *(f"put-{n:03}" for n in range(210))]
        assert [each.name for each in await shown(web, kind="declared")] == ["declared"]
        assert [each.name for each in await shown(web, declared=True)] == ["declared"]
        assert len(await shown(web, declared=False)) == 210


async def test_the_ledger_is_chosen_from(make: Callable[..., Backburner]) -> None:
    """By name, by what became of the tick, by its moment; the last first, and as many as are asked for."""
    async with two(make) as (_, web):
        await web.schedules.put("hourly", Cron("0 * * * *"), report())
        await web.schedules.put("other", Cron("0 * * * *"), report())
        since = datetime(2025, 3, 1, tzinfo=UTC)
        await web.schedules.backfill("hourly", since=since, until=since + 5 * HOUR)
        await web.schedules.trigger("other")
        assert len(await ledger(web)) == 6
        assert {line.schedule for line in await ledger(web, "hourly")} == {"hourly"}
        assert [line.schedule for line in await ledger(web, outcome="triggered")] == ["other"]
        some = await ledger(web, "hourly", since=since + HOUR, until=since + 3 * HOUR)
        assert [line.tick for line in some] == [since + HOUR, since + 2 * HOUR]
        newest = [line.tick async for line in web.schedules.ticks("hourly", limit=2)]
        assert newest == [since + 4 * HOUR, since + 3 * HOUR]


async def test_backfilled(make: Callable[..., Backburner]) -> None:
    """Jobs for ticks that passed, each knowing which; one after another; what has one already gets none; dry runs tell."""
    gauge, ticks, history = Gauge(), list[datetime | None](), Registry()

    @history.job
    async def count() -> None:
        with gauge.run():
            await turn()
            ticks.append(current_job().tick)

    since = datetime(2025, 3, 1, tzinfo=UTC)
    async with make(jobs=[history]) as bb:
        await bb.schedules.put("daily", Cron("0 6 * * *"), count())
        rehearsed = await bb.schedules.backfill("daily", since=since, until=since + timedelta(days=5), dry_run=True)
        assert (rehearsed.ticks, rehearsed.known, rehearsed.jobs) == (5, 0, ())
        first = await bb.schedules.backfill("daily", since=since, until=since + timedelta(days=3), by="ada", reason="r")
        second = await bb.schedules.backfill("daily", since=since, until=since + timedelta(days=5))
        assert (first.ticks, first.known, len(first.jobs)) == (3, 0, 3)
        assert (second.ticks, second.known, len(second.jobs)) == (2, 3, 2)
        for job in (*first.jobs, *second.jobs):
            await bb.handle(job, count)
        written = await ledger(bb, "daily")
        schedule = await bb.schedules.get("daily")
    mornings = [datetime(2025, 3, day, 6, tzinfo=UTC) for day in range(1, 6)]
    assert ticks == mornings
    assert gauge.most[""] == 1
    assert [line.tick for line in written] == mornings
    assert [line.job for line in written] == [*first.jobs, *second.jobs]
    assert {(line.outcome, line.by, line.note) for line in written[:3]} == {("backfilled", "ada", "r")}
    assert (schedule.last, schedule.last_job) == (None, None)


async def test_foreseen(make: Callable[..., Backburner]) -> None:
    """``preview`` tells the moments, by UTC and by the wall, and what a change of the clocks does to one."""
    async with two(make) as (_, web):
        await web.schedules.put("early", Cron("30 2 * * *", tz="Europe/Berlin"), report())
        spring = await web.schedules.preview("early", count=3, since=datetime(2027, 3, 27, tzinfo=UTC))
        autumn = await web.schedules.preview("early", count=2, since=datetime(2027, 10, 30, 12, tzinfo=UTC))
        await web.schedules.put(
            "early", Cron("30 2 * * *", tz="Europe/Berlin", on_gap="skip", on_overlap="both"), report()
        )
        skipped = await web.schedules.preview("early", count=2, since=datetime(2027, 3, 27, 12, tzinfo=UTC))
        both = await web.schedules.preview("early", count=2, since=datetime(2027, 10, 30, 12, tzinfo=UTC))
    assert [each.tick for each in spring] == [
        datetime(2027, 3, 27, 1, 30, tzinfo=UTC),
        datetime(2027, 3, 28, 1, tzinfo=UTC),
        datetime(2027, 3, 29, 0, 30, tzinfo=UTC),
    ]
    assert [each.local for each in spring] == [datetime(2027, 3, day, 2, 30) for day in (27, 28, 29)]  # noqa: DTZ001 - on the wall
    assert [each.note for each in spring] == ["", "02:30 does not exist on 2027-03-28: runs at 03:00", ""]
    assert {(each.zone, each.fires == each.tick) for each in spring} == {("Europe/Berlin", True)}
    assert (autumn[0].tick, autumn[0].note) == (
        datetime(2027, 10, 31, 0, 30, tzinfo=UTC),
        "02:30 comes twice on 2027-10-31: runs at the first",
    )
    assert (skipped[0].tick, skipped[0].fires, skipped[0].note) == (
        None,
        None,
        "02:30 does not exist on 2027-03-28: not run",
    )
    assert [each.note for each in both] == [
        "02:30 comes twice on 2027-10-31: this is the first",
        "02:30 comes twice on 2027-10-31: this is the second",
    ]


async def test_days_left_out_are_foreseen(make: Callable[..., Backburner]) -> None:
    """A day that is excluded is in the preview, and says so."""
    async with two(make) as (_, web):
        await web.schedules.put("daily", Cron("0 6 * * *"), report(), exclude=[date(2027, 12, 25)])
        found = await web.schedules.preview("daily", count=3, since=datetime(2027, 12, 24, tzinfo=UTC))
    assert [(each.local.day, each.tick is None, each.note) for each in found] == [
        (24, False, ""),
        (25, True, "excluded"),
        (26, False, ""),
    ]


async def test_jitter_is_the_same_everywhere(make: Callable[..., Backburner]) -> None:
    """Each tick has its own delay below the jitter, drawn alike by every node, of any process and store."""
    trigger, since = Cron("0 6 * * *"), datetime(2027, 1, 1, tzinfo=UTC)
    async with two(make) as (worker, web), Backburner("memory://", jobs=[jobs], run=False) as elsewhere:
        for bb in (web, elsewhere):
            await bb.schedules.put("daily", trigger, report(), jitter=600)
        seen_here = await worker.schedules.preview("daily", count=20, since=since)
        assert seen_here == await elsewhere.schedules.preview("daily", count=20, since=since)
    delays = [each.fires - each.tick for each in seen_here if each.tick and each.fires]
    assert len(delays) == len(set(delays)) == 20
    assert all(timedelta(0) <= delay <= timedelta(minutes=10) for delay in delays)
    assert max(delays) - min(delays) > timedelta(minutes=4)


async def test_a_jittered_tick_fires_with_its_delay(make: Callable[..., Backburner]) -> None:
    """The job is for the tick itself, and is stored at its part of the jitter, not before."""
    async with two(make) as (worker, web):
        await web.schedules.put("soon", At(now() + timedelta(milliseconds=600)), report(), jitter=0.5)
        (expected,) = await web.schedules.preview("soon", count=1)
        (line,) = await lines(worker, "soon", 1)
    assert expected.fires is not None
    assert line.tick == expected.tick
    assert line.decided >= expected.fires > line.tick
    assert line.decided - expected.fires == line.late


async def test_what_is_put_outlives_every_engine(make_sqlite: Callable[..., Backburner]) -> None:
    """It is stored: engines that start later, with the code, fire it."""
    async with make_sqlite(jobs=[jobs], run=False) as web:
        await web.schedules.put("often", Every(seconds=0.05), report())
    async with make_sqlite(jobs=[jobs]) as worker:
        await lines(worker, "often", 2, outcome="fired")
