"""Jobs on a schedule, as code declares them: on every store, and told of in the ledger."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from backburner import Backburner, Cron, Every, Registry, current_job
from backburner.model.clock import SystemClock, from_micros, instant
from backburner.testing import FakeClock
from tests.acceptance import scheduled
from tests.acceptance.ticking import LEAPING, PATIENCE, leap, ledger, lines, seen, shown

if TYPE_CHECKING:
    from collections.abc import Callable

#: Time enough for a busy machine to store a declaration: one that comes too late never runs.
SOON = timedelta(milliseconds=600)


def now() -> datetime:
    """Return the time."""
    return from_micros(SystemClock().now())


class Diary:
    """What ran, in order, and an await for so many entries."""

    def __init__(self) -> None:
        self.entries: list[Any] = []
        self._written = asyncio.Condition()

    async def write(self, entry: object) -> None:
        """Note a run."""
        async with self._written:
            self.entries.append(entry)
            self._written.notify_all()

    async def until(self, count: int) -> list[Any]:
        """Wait for so many."""
        async with asyncio.timeout(PATIENCE), self._written:
            await self._written.wait_for(lambda: len(self.entries) >= count)
        return self.entries


async def test_a_function_runs_on_a_schedule(bb: Backburner) -> None:
    """``@bb.every`` over a bare function makes it a job that is stored at each tick; the ledger says which and when."""
    diary = Diary()

    @bb.every(seconds=0.04)
    async def tidy() -> None:
        await diary.write(current_job().id)

    async with bb:
        await diary.until(3)
        fired = await lines(bb, "tidy", 3, outcome="fired")
        (schedule,) = await shown(bb)
    assert {line.job for line in fired} >= set(diary.entries)
    assert len({line.tick for line in fired}) == len(fired)
    assert all(instant(line.tick) % 40_000 == 0 for line in fired)
    assert all((line.last, line.count, line.reason) == (line.tick, 1, None) for line in fired)
    assert all(timedelta(0) <= line.late < timedelta(seconds=5) and line.decided >= line.tick for line in fired)
    assert (schedule.name, schedule.kind, schedule.state, schedule.declared) == ("tidy", "tidy", "active", True)
    assert (schedule.trigger, schedule.when) == (Every(seconds=0.04), "every 40ms")
    assert schedule.last_job is not None
    assert schedule.next is not None
    assert schedule.last is not None
    assert schedule.next > schedule.last


async def test_whatever_may_be_scheduled(make: Callable[..., Backburner]) -> None:
    """Functions, ``def`` and ``async``, jobs and calls with arguments; several on one job; in a registry, with its prefix."""
    ran = set[str]()
    jobs = Registry("app")
    bb = make(jobs=[jobs])

    @bb.every(seconds=0.05)
    async def bare() -> None:
        ran.add("bare")

    @bb.every(seconds=0.05)
    def plain() -> None:
        ran.add("plain")

    @bb.every(seconds=0.05)
    @bb.job(queue="default", timeout=5)
    async def job() -> None:
        ran.add("job")

    @bb.job
    async def report(which: str, rows: int = 3) -> None:
        ran.add(f"{which} {rows}")

    bb.every(seconds=0.05, name="daily")(report("daily"))
    bb.every(seconds=0.06, name="weekly")(report("weekly", rows=7))

    @jobs.every(seconds=0.05)
    async def late() -> None:
        ran.add("late")

    await job()
    assert ran == {"job"}
    ran.clear()
    expected = {"bare", "plain", "job", "daily 3", "weekly 7", "late"}

    async def look() -> bool:
        return ran >= expected

    async with bb:
        await seen(look)
        schedules = await shown(bb)
    assert {schedule.name: schedule.kind for schedule in schedules} == {
        "app.late": "app.late",
        "bare": "bare",
        "daily": "report",
        "job": "job",
        "plain": "plain",
        "weekly": "report",
    }


async def test_a_job_may_have_several(bb: Backburner) -> None:
    """Decorators over decorators: each schedule but the first has a name of its own, and the function stays a job."""

    @bb.cron("0 9 * * *")
    @bb.cron("0 12 * * sat", name="on-saturdays")
    @bb.job
    async def report() -> str:
        return "reported"

    async with bb:
        schedules = {schedule.name: schedule.when for schedule in await shown(bb)}
        assert await (await bb.create_task(report())) == "reported"
    assert schedules == {"on-saturdays": "0 12 * * sat", "report": "0 9 * * *"}


async def test_declared_while_it_runs(bb: Backburner) -> None:
    """A schedule that is declared once the engine runs is taken up at once."""
    diary = Diary()
    async with bb:

        @bb.every(seconds=0.03)
        async def late() -> None:
            await diary.write(1)

        await diary.until(2)


async def test_at_a_moment(bb: Backburner) -> None:
    """``@bb.at`` runs once, for that moment; then the schedule has ended, and says so."""
    diary = Diary()
    async with bb:
        moment = now() + SOON

        @bb.at(moment)
        async def migrate() -> None:
            await diary.write(current_job().tick)

        assert await diary.until(1) == [moment]

        async def look() -> bool:
            return (await bb.schedules.get("migrate")).state == "ended"

        await seen(look)
        (line,) = await ledger(bb)
        schedule = await bb.schedules.get("migrate")
    assert (line.tick, line.outcome, schedule.next, schedule.last) == (moment, "fired", None, moment)


async def test_a_moment_that_had_passed_when_it_was_declared(bb: Backburner) -> None:
    """Nothing runs for it: it may stay in code for good."""

    @bb.at(datetime(2020, 1, 1, tzinfo=UTC))
    async def migrate() -> None:
        raise AssertionError

    async with bb:
        schedule = await bb.schedules.get("migrate")
        assert (schedule.state, schedule.next, schedule.last) == ("ended", None, None)
        assert await ledger(bb) == []


async def test_nine_in_the_morning_in_berlin(make_local: Callable[..., Backburner]) -> None:
    """A cron expression is of its own zone's time: on Fridays and Mondays, and not between, whatever clocks are set to."""
    clock = FakeClock(instant(datetime(2026, 3, 26, 20, tzinfo=UTC)))
    bb = make_local(clock=clock, **LEAPING)

    @bb.cron("0 9 * * mon-fri", tz="Europe/Berlin", overlap="allow")
    async def greet() -> None: ...

    async with bb:
        for _ in range(100):
            await leap(bb, clock, 3_600)
        ticks = [(line.tick, line.outcome) for line in await ledger(bb)]
        schedule = await bb.schedules.get("greet")
    # The clocks are set forward on Sunday, the 29th.
    assert ticks == [
        (datetime(2026, 3, 27, 8, tzinfo=UTC), "fired"),
        (datetime(2026, 3, 30, 7, tzinfo=UTC), "fired"),
    ]
    assert (schedule.when, schedule.next) == (
        "0 9 * * mon-fri Europe/Berlin",
        datetime(2026, 3, 31, 7, tzinfo=UTC),
    )


async def test_the_engines_zone_is_that_of_schedules_without_one(make: Callable[..., Backburner]) -> None:
    """``Backburner(tz=)``; a schedule says otherwise for itself; intervals need none."""
    bb = make(tz="Asia/Kathmandu")

    @bb.cron("0 9 * * *")
    async def here() -> None: ...

    @bb.cron("0 9 * * *", tz="UTC")
    async def there() -> None: ...

    @bb.every(hours=1)
    async def anywhere() -> None: ...

    async with bb:
        times = {each.name: each.next.time().isoformat("minutes") for each in await shown(bb) if each.next}
        words = {each.name: each.when for each in await shown(bb)}
    assert (times["here"], times["there"]) == ("03:15", "09:00")
    assert words == {"here": "0 9 * * * Asia/Kathmandu", "there": "0 9 * * * UTC", "anywhere": "every 1h"}


async def test_start_end_and_days_left_out(make_local: Callable[..., Backburner]) -> None:
    """No tick before ``start``, none at ``end`` or after, none on days that are excluded; then it has ended."""
    clock = FakeClock(instant(datetime(2026, 12, 20, tzinfo=UTC)))
    bb = make_local(clock=clock, **LEAPING)
    holidays = {datetime(2026, 12, 25, tzinfo=UTC).date()}

    @bb.cron(
        "0 9 * * *",
        start=datetime(2026, 12, 23, tzinfo=UTC),
        end=datetime(2026, 12, 28, 9, tzinfo=UTC),
        exclude=lambda day: day in holidays or day.weekday() == 6,
        overlap="allow",
    )
    async def count() -> None: ...

    async with bb:
        for _ in range(30):
            await leap(bb, clock, 9 * 3_600)
        ticks = [(line.tick, line.outcome) for line in await ledger(bb)]
        schedule = await bb.schedules.get("count")
    # The 27th is a Sunday.
    assert ticks == [(datetime(2026, 12, day, 9, tzinfo=UTC), "fired") for day in (23, 24, 26)]
    assert (schedule.state, schedule.next) == ("ended", None)


async def test_both_and_either(make_local: Callable[..., Backburner]) -> None:
    """Triggers are combined: Friday the 13th, or noon on the 1st of a month."""
    clock = FakeClock(instant(datetime(2026, 10, 31, tzinfo=UTC)))
    bb = make_local(clock=clock, keep={"ticks": None}, **LEAPING)

    @bb.scheduled(Cron("0 0 13 * *") & Cron("0 0 * * fri") | Cron("0 12 1 * *"), overlap="allow")
    async def beware() -> None: ...

    async with bb:
        for _ in range(64):
            await leap(bb, clock, 12 * 3_600)
        ticks = [line.tick for line in await ledger(bb, outcome="fired")]
    assert ticks == [
        datetime(2026, 11, 1, 12, tzinfo=UTC),
        datetime(2026, 11, 13, tzinfo=UTC),
        datetime(2026, 12, 1, 12, tzinfo=UTC),
    ]


async def test_a_job_knows_its_tick(make: Callable[..., Backburner]) -> None:
    """``current_job().tick`` and ``.schedule``: on the loop, in a thread, in a child's run, and not in other jobs."""
    found: dict[str, Any] = {}
    bb = make()

    def note(which: str) -> None:
        found.setdefault(which, (current_job().schedule, current_job().tick))

    @bb.job
    async def child() -> None:
        note("child")

    @bb.job
    async def follow_up() -> None:
        note("follow-up")

    @bb.job
    async def other() -> None:
        note("other")

    @bb.every(seconds=0.1, name="often")
    async def parent() -> None:
        note("loop")
        current_job().then(follow_up())
        await (await bb.create_task(child()))

    @bb.every(seconds=0.1)
    def threaded() -> None:
        note("thread")

    async def look() -> bool:
        return len(found) == 5

    async with bb:
        await bb.create_task(other())
        await seen(look)
        ticks = {name: [line.tick for line in await ledger(bb, name)] for name in ("often", "threaded")}
    assert found.pop("other") == (None, None)
    name, tick = found.pop("thread")
    assert name == "threaded"
    assert tick in ticks["threaded"]
    assert {name for name, _ in found.values()} == {"often"}
    assert {tick for _, tick in found.values()} <= set(ticks["often"])


async def test_a_job_in_a_process_knows_its_tick(make_sqlite: Callable[..., Backburner]) -> None:
    """Its context says so there too."""
    async with make_sqlite(jobs=[scheduled.jobs]) as bb:
        (line, *_) = await lines(bb, "apart", 1)
        assert line.job is not None
        told = await bb.handle(line.job, scheduled.apart)
    assert told == ["apart", line.tick.isoformat()]


async def test_queue_and_priority(bb: Backburner) -> None:
    """A schedule's own queue and priority stand in place of the job's; the options of its call do too."""

    @bb.job(queue="default", priority=3)
    async def work(which: str) -> str:
        return which

    async with bb:
        soon = now() + SOON
        bb.at(soon, name="declared")(work("declared"))
        bb.at(soon, name="said", queue="mail", priority=0)(work("said"))
        bb.at(soon, name="preset", priority=9)(work.options(queue="slow", tags=["night"])("preset"))
        found = {}
        for name in ("declared", "said", "preset"):
            (line,) = await lines(bb, name, 1)
            assert line.job is not None
            status = await bb.handle(line.job, work).status()
            found[name] = (status.queue, status.priority, tuple(status.tags))
    assert found == {
        "declared": ("default", 3, ()),
        "said": ("mail", 0, ()),
        "preset": ("slow", 9, ("night",)),
    }
