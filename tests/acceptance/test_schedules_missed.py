"""Ticks that came while no node lived, or whose predecessor had not ended: what becomes of them, and who is told."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from backburner import Every, JobCancelled, Registry, Unique, current_job
from backburner.model.clock import from_micros, instant
from backburner.testing import FakeClock
from tests.acceptance.gauge import Gauge
from tests.acceptance.ticking import LEAPING, Heard, leap, ledger, lines, seen
from tests.stores import SHARED

if TYPE_CHECKING:
    from collections.abc import Callable

    from backburner import Backburner
    from backburner.scheduler.views import Tick

HOUR = 3_600
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def hour(number: int) -> datetime:
    """Return a full hour after noon."""
    return NOON + timedelta(hours=number)


# ---- nobody was there ----------------------------------------------------------------------------------------------

#: What is said of the schedule; the ticks that fire after an outage of five and a half hours; the others and why.
OUTAGES: dict[str, tuple[dict[str, Any], list[int], list[tuple[int, int, str]]]] = {
    "by-default": ({}, [5], [(1, 4, "merged")]),
    "one": ({"misfire": "one"}, [5], [(1, 4, "merged")]),
    "skip": ({"misfire": "skip"}, [], [(1, 5, "missed")]),
    "all": ({"misfire": "all", "overlap": "queue"}, [1, 2, 3, 4, 5], []),
    "all-of-three": ({"misfire": "all(3)", "overlap": "allow"}, [3, 4, 5], [(1, 2, "merged")]),
    "all-that-are-young": ({"misfire": "all", "catch_up": 2.6 * HOUR}, [3, 4, 5], [(1, 2, "merged")]),
    "one-in-place-of-all": ({"misfire": "all", "overlap": "replace"}, [5], [(1, 4, "merged")]),
    "none-is-young": ({"catch_up": 60}, [], [(1, 5, "missed")]),
}


@pytest.mark.parametrize("url", SHARED, indirect=True)
@pytest.mark.parametrize(("said", "fires", "skips"), OUTAGES.values(), ids=list(OUTAGES))
async def test_after_an_outage(
    make: Callable[..., Backburner],
    said: dict[str, Any],
    fires: list[int],
    skips: list[tuple[int, int, str]],
) -> None:
    """The misfire policy decides of each tick that came meanwhile, once; the ledger and a signal tell of all of them."""
    clock, heard, ran = FakeClock(instant(NOON) + 60_000_000), Heard(), list[datetime | None]()
    jobs = Registry()

    @jobs.cron("0 * * * *", **said)
    async def hourly() -> None:
        ran.append(current_job().tick)

    async with make(jobs=[jobs], clock=clock):
        pass
    clock.move(5.5 * HOUR)
    async with make(jobs=[jobs], clock=clock, listener=heard, keep={"ticks": None}) as bb:
        found = await lines(bb, "hourly", len(fires) + len(skips))
        for line in found:
            if line.outcome == "fired" and line.job is not None:
                await bb.handle(line.job, hourly)
        schedule = await bb.schedules.get("hourly")
    assert [line.tick for line in found if line.outcome == "fired"] == [hour(each) for each in fires]
    assert [(line.tick, line.last, line.count, line.reason) for line in found if line.outcome == "skipped"] == [
        (hour(first), hour(last), last - first + 1, why) for first, last, why in skips
    ]
    assert sorted(filter(None, ran)) == [hour(each) for each in fires]
    assert (schedule.last, schedule.next) == (hour(5), hour(6))
    assert [line.late for line in found if line.outcome == "fired"] == [
        from_micros(clock.now()) - hour(each) for each in fires
    ]
    (missed,) = heard.of("schedule.missed")
    assert (missed["schedule"], missed["tick"], missed["fired"]) == ("hourly", hour(1).isoformat(), len(fires))
    assert missed["ticks"] == 5


async def test_a_miss_is_in_the_log(make_sqlite: Callable[..., Backburner], caplog: pytest.LogCaptureFixture) -> None:
    """A warning with the schedule, the first tick that was missed, by how much, how many they are and how many fired."""
    clock, jobs = FakeClock(instant(NOON) + 60_000_000), Registry()

    @jobs.cron("0 * * * *")
    async def hourly() -> None: ...

    async with make_sqlite(jobs=[jobs], clock=clock):
        pass
    clock.move(5.5 * HOUR)
    async with make_sqlite(jobs=[jobs], clock=clock) as bb:
        await lines(bb, "hourly", 2)
    (missed,) = [record for record in caplog.records if record.message.startswith("schedule.missed")]
    assert (missed.name, missed.levelname) == ("backburner.schedule", "WARNING")
    assert "schedule=hourly tick=2026-05-04T13:00:00+00:00 late=4h31m ticks=5 fired=1" in missed.message


@pytest.mark.parametrize("url", SHARED, indirect=True)
async def test_a_short_outage_is_no_miss(make: Callable[..., Backburner]) -> None:
    """A tick that is overdue by less than its tolerance fires, even with ``misfire="skip"``, and nobody is alarmed."""
    clock, heard, jobs = FakeClock(instant(hour(1)) - 10_000_000), Heard(), Registry()

    @jobs.cron("0 * * * *", misfire="skip", tolerance=120)
    async def hourly() -> None: ...

    async with make(jobs=[jobs], clock=clock):
        pass
    clock.move(100)
    async with make(jobs=[jobs], clock=clock, listener=heard) as bb:
        (line,) = await lines(bb, "hourly", 1)
    assert (line.tick, line.outcome) == (hour(1), "fired")
    assert timedelta(seconds=90) <= line.late < timedelta(seconds=120)
    assert heard.of("schedule.missed") == []


@pytest.mark.parametrize("url", SHARED, indirect=True)
async def test_a_moment_that_passed_while_nobody_lived(make: Callable[..., Backburner]) -> None:
    """A single tick is made good like any other: within a day."""
    clock, jobs = FakeClock(instant(NOON)), Registry()

    @jobs.at(hour(1))
    async def migrate() -> None: ...

    @jobs.at(hour(1), catch_up=60)
    async def announce() -> None: ...

    async with make(jobs=[jobs], clock=clock):
        pass
    clock.move(3 * HOUR)
    async with make(jobs=[jobs], clock=clock) as bb:
        (made_good,), (missed,) = await lines(bb, "migrate", 1), await lines(bb, "announce", 1)
        states = [(await bb.schedules.get(name)).state for name in ("migrate", "announce")]
    assert (made_good.outcome, made_good.tick) == ("fired", hour(1))
    assert (missed.outcome, missed.reason) == ("skipped", "missed")
    assert states == ["ended", "ended"]


async def test_a_clock_that_is_set_back_fires_nothing_again(make_local: Callable[..., Backburner]) -> None:
    """What was decided stays so; the schedule goes on with the first tick after the last that was decided upon."""
    clock = FakeClock(instant(NOON) + 60_000_000)
    bb = make_local(clock=clock, **LEAPING)

    @bb.cron("0 * * * *", overlap="allow")
    async def hourly() -> None: ...

    async with bb:
        for _ in range(3):
            await leap(bb, clock, HOUR)
        clock.move(-2 * HOUR)
        for _ in range(4):
            await leap(bb, clock, HOUR)
        found = await ledger(bb)
    assert [(line.tick, line.outcome) for line in found] == [(hour(each), "fired") for each in (1, 2, 3, 4, 5)]


async def test_millions_of_missed_ticks_cost_little(make_sqlite: Callable[..., Backburner]) -> None:
    """A year of a schedule that is due each second: one fires, and a line tells of all others, uncounted."""
    clock, heard, jobs = FakeClock(instant(NOON)), Heard(), Registry()

    @jobs.every(seconds=1)
    async def often() -> None: ...

    async with make_sqlite(jobs=[jobs], clock=clock):
        pass
    clock.move(365 * 86_400)
    async with make_sqlite(jobs=[jobs], clock=clock, listener=heard) as bb:
        skipped, fired, *_ = await lines(bb, "often", 2)
    assert (skipped.reason, skipped.count, skipped.tick) == ("merged", 0, NOON + timedelta(seconds=1))
    assert fired.tick == NOON + timedelta(days=365)
    assert [missed["ticks"] for missed in heard.of("schedule.missed")] == ["very many"]


# ---- the one before has not ended ----------------------------------------------------------------------------------


class Busy:
    """A schedule whose job is held, as a test likes."""

    def __init__(self, overlap: str) -> None:
        self.jobs = Registry()
        self.gauge = Gauge()
        self.go = asyncio.Event()
        self.ran: list[str] = []
        self.cancelled: list[str] = []

        @self.jobs.job
        async def work() -> None:
            with self.gauge.run():
                job = current_job().id
                self.ran.append(job)
                try:
                    await self.go.wait()
                except asyncio.CancelledError:
                    self.cancelled.append(job)
                    raise

        self.work = work
        self.overlap: Any = overlap

    async def put(self, bb: Backburner) -> None:
        """Begin."""
        await bb.schedules.put("busy", Every(seconds=0.06), self.work(), overlap=self.overlap)


def jobs_of(found: list[Tick], outcome: str = "fired") -> list[str]:
    """Return the jobs that lines of the ledger name."""
    return [line.job for line in found if line.outcome == outcome and line.job is not None]


async def test_a_tick_is_skipped_while_its_predecessor_runs(make: Callable[..., Backburner]) -> None:
    """The default: the ledger names the job that stood in the way; when that has ended, the next tick fires."""
    busy, heard = Busy("skip"), Heard()
    async with make(jobs=[busy.jobs], listener=heard) as bb:
        await busy.put(bb)
        found = await lines(bb, "busy", 4)
        assert [line.outcome for line in found[:4]] == ["fired", "skipped", "skipped", "skipped"]
        assert {line.reason for line in found[1:4]} <= {"overlap", "merged"}
        assert {line.job for line in found if line.reason == "overlap"} == {found[0].job}
        assert busy.gauge.begun[""] == 1
        busy.go.set()
        await lines(bb, "busy", 3, outcome="fired")
        await busy.gauge.until(lambda: busy.gauge.begun[""] >= 2)
    assert busy.gauge.most[""] == 1
    told = heard.of("schedule.skipped")
    assert told
    assert {(each["schedule"], each["why"], each["job"]) for each in told} == {("busy", "overlap", found[0].job)}


async def test_ticks_queue_behind_their_predecessor(make: Callable[..., Backburner]) -> None:
    """``queue``: each has its job, and they run one after another, in the order of their ticks."""
    busy = Busy("queue")
    async with make(jobs=[busy.jobs]) as bb:
        await busy.put(bb)
        await lines(bb, "busy", 4, outcome="fired")
        await busy.gauge.until(lambda: busy.gauge.begun[""] >= 1)
        assert busy.gauge.begun[""] == 1
        await bb.schedules.remove("busy")
        found = jobs_of(await ledger(bb, "busy"))
        busy.go.set()
        for job in found:
            await bb.handle(job, busy.work)
    assert busy.ran == found
    assert busy.gauge.most[""] == 1


async def test_a_tick_takes_its_predecessors_place(make: Callable[..., Backburner]) -> None:
    """``replace``: what ran is cancelled, and says why; never do two run at once."""
    busy = Busy("replace")
    async with make(jobs=[busy.jobs]) as bb:
        await busy.put(bb)
        await busy.gauge.until(lambda: busy.gauge.begun[""] >= 4)
        await bb.schedules.remove("busy")
        *before, last = jobs_of(await ledger(bb, "busy"))
        busy.go.set()
        await bb.handle(last, busy.work)
        for job in before:
            with pytest.raises(JobCancelled):
                await bb.handle(job, busy.work)
        reasons = {(await bb.handle(job, busy.work).status()).reason for job in before}
    assert busy.gauge.most[""] == 1
    assert reasons == {"replaced"}
    assert set(busy.cancelled) <= set(before)
    assert len(busy.cancelled) >= 3


async def test_overlap_may_be_allowed(make: Callable[..., Backburner]) -> None:
    """``allow``: each tick has its job at its time, whatever runs."""
    busy = Busy("allow")
    async with make(jobs=[busy.jobs]) as bb:
        await busy.put(bb)
        await busy.gauge.until(lambda: busy.gauge.now[""] >= 3)
        await bb.schedules.remove("busy")
        busy.go.set()
        for job in jobs_of(await ledger(bb, "busy")):
            await bb.handle(job, busy.work)
    assert busy.gauge.most[""] >= 3


@pytest.mark.parametrize("overlap", ["skip", "queue", "replace"])
async def test_what_a_person_triggers_waits_its_turn_too(make: Callable[..., Backburner], overlap: str) -> None:
    """A job that is triggered, or backfilled, is the schedule's like any other: unless allowed, never two at once."""
    busy = Busy(overlap)
    async with make(jobs=[busy.jobs]) as bb:
        await bb.schedules.put("busy", Every(days=1), busy.work(), overlap=busy.overlap)
        triggered = [await bb.schedules.trigger("busy") for _ in range(3)]
        since = NOON - timedelta(days=30)
        filled = await bb.schedules.backfill("busy", since=since, until=since + timedelta(days=3))
        await busy.gauge.until(lambda: busy.gauge.begun[""] >= 1)
        busy.go.set()
        for job in (*triggered, *filled.jobs):
            await bb.handle(job, busy.work)
    assert (busy.gauge.most[""], busy.gauge.begun[""]) == (1, 6)


async def test_a_tick_takes_the_place_of_what_a_trigger_stands_behind(make: Callable[..., Backburner]) -> None:
    """``replace``: whatever of the schedule has not ended goes, what runs and what a person had stored behind it."""
    busy = Busy("replace")
    async with make(jobs=[busy.jobs], grace=0) as bb:
        await bb.schedules.put("busy", Every(seconds=1), busy.work(), overlap=busy.overlap)
        (first, *_) = await lines(bb, "busy", 1, outcome="fired")
        triggered = await bb.schedules.trigger("busy")
        await lines(bb, "busy", 2, outcome="fired")
        await bb.schedules.remove("busy")
        for job in (str(first.job), triggered):
            with pytest.raises(JobCancelled):
                await bb.handle(job, busy.work)
    assert busy.gauge.most[""] == 1


async def test_a_unique_job_that_is_pending_already(make: Callable[..., Backburner]) -> None:
    """The tick is skipped for that job, which the ledger and a signal name."""
    heard, go, jobs = Heard(), asyncio.Event(), Registry()

    @jobs.job(unique=Unique())
    async def sync() -> None:
        await go.wait()

    async with make(jobs=[jobs], listener=heard) as bb:
        holder = await bb.create_task(sync())
        await bb.schedules.put("sync", Every(seconds=0.05), sync(), overlap="allow")

        async def look() -> list[Tick]:
            return [line for line in await ledger(bb, "sync") if line.reason == "unique"]

        (line, *_) = await seen(look)
        assert (line.outcome, line.job) == ("skipped", holder.id)
        assert await bb.schedules.trigger("sync") == holder.id
        go.set()
        await holder
        await lines(bb, "sync", 1, outcome="fired")

        async def told() -> bool:
            return bool(heard.of("schedule.skipped"))

        await seen(told)
    told_of = heard.of("schedule.skipped")[0]
    assert (told_of["schedule"], told_of["why"], told_of["job"]) == ("sync", "unique", holder.id)
