"""Schedules, for the type checkers: never run, only checked, by mypy and pyright in strict mode.

Where a line must be an error, the checkers are told to expect one: an ignore that is not needed is an error itself.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, assert_type

from backburner import At, Backburner, Call, Cron, Every, Job, JobContext, JobHandle, Registry, current_job
from backburner.scheduler.triggers import AllOf, AnyOf
from backburner.scheduler.views import Backfilled, Forecast, Schedule, Tick

bb = Backburner("memory://", tz="Europe/Berlin", keep={"ticks": timedelta(days=7)})
jobs = Registry("reports")
NIGHT = datetime(2027, 1, 1, tzinfo=UTC)


@bb.cron("0 9 * * mon-fri", tz="Europe/Berlin", on_gap="skip", on_overlap="both")
async def greet(name: str = "all") -> int:
    """Greet."""
    return len(name)


@bb.every(minutes=5, misfire="skip", overlap="queue", jitter=timedelta(seconds=10), queue="mail", priority=0)
def tidy() -> list[str]:
    """Tidy."""
    return []


@bb.at(NIGHT, name="once", catch_up=3600)
@bb.cron("*/10 * * * * *", seconds=True, start=NIGHT, exclude={date(2027, 12, 25)})
@bb.job(timeout=5)
async def migrate() -> str:
    """Migrate."""
    return "done"


@jobs.scheduled(Cron("0 0 13 * *") & Cron("0 0 * * fri") | Every(days=30), exclude=lambda day: day.month == 8)
async def beware() -> None:
    """Beware."""


@bb.job
async def report(which: str, *, rows: int = 3) -> bytes:
    """Report."""
    return bytes(rows) + which.encode()


daily = bb.cron("0 6 * * *", name="daily")(report("daily", rows=7))


async def use() -> None:
    """What is scheduled is what it was: a job or a call."""
    assert_type(daily, Call[bytes])
    assert_type(await greet("ada"), int)
    assert_type(await bb.create_task(greet()), JobHandle[int])
    assert_type(await (await bb.create_task(tidy())), list[str])
    assert_type(await (await bb.create_task(migrate())), str)
    job: Job[[], str] = migrate
    assert_type(Cron("0 9 * * *") & Every(hours=1), AllOf)
    assert_type(At(NIGHT) | Every(hours=1), AnyOf)
    assert_type(await bb.schedules.put("x", Every(hours=1), report("all"), overlap="allow", tolerance=5), bool)
    assert_type(await bb.schedules.put("x", At(NIGHT) | Cron("0 9 * * *"), greet.options(queue="q")()), bool)
    assert_type(await bb.schedules.pause("x", until=NIGHT, reason="r", by="ada"), Schedule)
    assert_type(await bb.schedules.resume("x"), Schedule)
    assert_type(await bb.schedules.trigger("x", by="ada"), str)
    assert_type(await bb.schedules.get("x"), Schedule)
    assert_type([each async for each in bb.schedules.list(declared=True)], list[Schedule])
    assert_type(await bb.schedules.preview("x", count=3), tuple[Forecast, ...])
    assert_type([each async for each in bb.schedules.ticks("x", outcome="fired", limit=5)], list[Tick])
    assert_type(await bb.schedules.backfill("x", since=NIGHT, until=NIGHT, dry_run=True), Backfilled)
    context: JobContext[Any] = current_job()
    assert_type(context.tick, datetime | None)
    assert_type(context.schedule, str | None)
    assert job is migrate


async def misuse() -> None:
    """Every line here is an error."""
    greet(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    bb.cron("0 9 * * *", misfier="one")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    bb.cron("0 9 * * *", overlap="never")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    bb.cron("0 9 * * *", on_gap="later")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    bb.cron("0 9 * * *")(7)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    bb.every(5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    bb.at("2027-01-01")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await bb.schedules.put("x", "0 9 * * *", report("all"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await bb.schedules.put("x", Every(hours=1), report)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
