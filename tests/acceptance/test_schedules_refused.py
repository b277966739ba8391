"""Schedules that are refused where they are written: what is wrong, and a spelling that is right."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import aiosqlite
import pytest

from backburner import At, Backburner, Cron, Every, Registry
from backburner.errors import (
    ArgumentNotStorable,
    DuplicateSchedule,
    InvalidArguments,
    InvalidOption,
    InvalidSchedule,
    NotAJob,
    ScheduleNotFound,
    TransactionOpen,
    UnknownKind,
)
from backburner.model.clock import SystemClock, from_micros
from tests.acceptance.ticking import shown

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

NIGHT = datetime(2026, 1, 1, tzinfo=UTC)
NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001 - to be refused


@pytest.fixture
def jobs() -> Registry:
    """Return where schedules are declared."""
    return Registry()


async def tidy() -> None:
    """Do nothing."""


async def report(which: str) -> None:
    """Do nothing."""


#: Each with what its error names: what is wrong, and a spelling that is right.
EXPRESSIONS = {
    "0 0 30 2 *": ("30", "29 days", "write a day up to 29, or L for the last"),
    "0 0 31 4,6,9,11 *": ("31", "30 days", "write a day up to 30, or L for the last"),
    "0 0 1-1 * *": ("'1-1' is the day of month 1 alone", "write 1"),
    "*/90 * * * *": ("'*/90' steps beyond its range, 0 to 59", "for a longer interval, Every(minutes=90)"),
    "*/5 * * * * *": ("has six fields", 'Cron("*/5 * * * * *", seconds=True)'),
    "R 3 * * *": ("'R' is drawn anew by each process", "write H"),
    "61 * * * *": ("61 is no minute", "from 0 to 59"),
    "0 9 * * mo": ("'mo' is no day of week", "sun, mon, tue, wed, thu, fri, sat"),
    "0 9 13 * 5#2": ("5#2", "beside the day", "write Cron(", "&", "|"),
    "@every 1h": ("'@every 1h' is an interval, not a cron expression", "write Every(hours=1)"),
    "@reboot": ("'@reboot' names no moment", "create the job where your app starts"),
    "CRON_TZ=Europe/Berlin 0 9 * * *": ("sets a time zone inside", 'write Cron("0 9 * * *", tz="Europe/Berlin")'),
    "0 9 * *": ("'0 9 * *' has 4", "five fields: minute, hour, day of month, month, day of week"),
    "": ("an empty cron expression", '"* * * * *" is every minute'),
}


@pytest.mark.parametrize(("expression", "said"), EXPRESSIONS.items(), ids=list(EXPRESSIONS))
def test_expressions(jobs: Registry, expression: str, said: tuple[str, ...]) -> None:
    """What never comes, and what different crons read differently, with a spelling that is sure."""
    with pytest.raises(InvalidSchedule) as refused:
        jobs.cron(expression)
    assert [each for each in said if each not in str(refused.value)] == []
    with pytest.raises(InvalidSchedule):
        Cron(expression)


ZONES = {
    "Berlin": "did you mean 'Europe/Berlin'?",
    "europe/berlin": "did you mean 'Europe/Berlin'?",
    "Europe/Berln": "did you mean 'Europe/Berlin' or ",
    "America/New York": "did you mean 'America/New_York'?",
    "+02:00": 'write one such as "Europe/Berlin", "America/New_York" or "UTC"',
}


@pytest.mark.parametrize(("tz", "said"), ZONES.items())
def test_zones(jobs: Registry, tz: str, said: str) -> None:
    """An unknown zone names the nearest, of a schedule and of an engine."""
    with pytest.raises(InvalidSchedule) as refused:
        jobs.cron("0 9 * * *", tz=tz)
    assert f"tz={tz!r} is not a time zone of the tz database: {said}" in str(refused.value)
    assert refused.value.part == "tz"
    with pytest.raises(InvalidSchedule):
        Backburner("memory://", tz=tz)


INTERVALS: dict[str, tuple[dict[str, Any], str]] = {
    "zero": ({}, "an interval of nothing is no schedule: say how long, such as Every(minutes=5)"),
    "zero-said": ({"minutes": 0}, "an interval of nothing is no schedule"),
    "tiny": ({"seconds": 0.001}, "an interval of 1ms is no schedule: the shortest is 10ms"),
    "negative": ({"minutes": -1}, "minutes must not be negative: -1"),
    "text": ({"minutes": "5"}, "minutes takes a number, such as Every(minutes=5), not '5'"),
    "flag": ({"minutes": True}, "minutes takes a number"),
    "endless": ({"seconds": float("inf")}, "seconds takes a number"),
    "centuries": ({"weeks": 20_000}, "an interval of more than 285 years"),
    "naive-start": ({"minutes": 5, "start": NAIVE}, "has no time zone; say which is meant"),
}


@pytest.mark.parametrize(("given", "said"), INTERVALS.values(), ids=list(INTERVALS))
def test_intervals(jobs: Registry, given: dict[str, Any], said: str) -> None:
    """None that is nothing, or less."""
    with pytest.raises(InvalidSchedule) as refused:
        jobs.every(**given)
    assert said in str(refused.value)


def test_moments(jobs: Registry) -> None:
    """Without a zone nobody knows when that is."""
    with pytest.raises(InvalidSchedule, match="has no time zone; say which is meant"):
        jobs.at(NAIVE)
    with pytest.raises(InvalidSchedule, match="moment takes an aware datetime"):
        jobs.at("2026-01-01")  # type: ignore[arg-type]


TARGETS: dict[str, tuple[Any, type[Exception], str]] = {
    "arguments": (report, InvalidArguments, r"report\(\) missing a required argument: 'which'.*bb.cron\(…\)\(report\("),
    "number": (7, NotAJob, "a job is a function"),
    "lambda": (lambda: None, NotAJob, "a lambda has no name to be stored under"),
    "method": (Registry().job, NotAJob, "a method cannot be a job"),
}


@pytest.mark.parametrize(("target", "error", "said"), TARGETS.values(), ids=list(TARGETS))
def test_what_is_scheduled(jobs: Registry, target: object, error: type[Exception], said: str) -> None:
    """A function is called without arguments; what is no job is none on a schedule either."""
    with pytest.raises(error, match=said):
        jobs.cron("0 9 * * *")(target)  # type: ignore[call-overload]


def test_two_of_one_name(jobs: Registry) -> None:
    """Both places are named, and the mend; also over registries, where an engine brings them together."""
    job = jobs.job(tidy)
    jobs.cron("0 9 * * *")(job)
    with pytest.raises(DuplicateSchedule) as refused:
        jobs.cron("0 12 * * *")(job)
    text = str(refused.value)
    assert text.startswith("schedule 'tidy' is declared twice: ")
    assert text.count("test_schedules_refused.py:") == 2
    assert all(each in text for each in (", 0 9 * * *", ", 0 12 * * *", '@bb.cron("…", name="…")'))
    other = Registry("other")
    other.every(hours=1, name="tidy")(other.job(tidy))
    with pytest.raises(DuplicateSchedule, match="schedule 'tidy' is declared twice"):
        Backburner("memory://", jobs=[jobs, other])


#: Options, and what is said of them.
OPTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown": ({"misfier": "one"}, "a schedule has no option 'misfier'; it takes start, end, exclude, misfire"),
    "of-a-job": ({"timeout": 5}, "a schedule has no option 'timeout'; it takes "),
    "name": ({"name": "x" * 101}, "a schedule's name has at most 100 characters"),
    "no-name": ({"name": ""}, "name must not be empty"),
}

#: What is checked once the engine's zone is known.
RULES: dict[str, tuple[dict[str, Any], str]] = {
    "overlap": ({"overlap": "never"}, "overlap='never' is none of allow, skip, queue, replace"),
    "misfire": ({"misfire": "none"}, 'misfire=\'none\' is none of "skip", "one"'),
    "misfire-count": ({"misfire": "all(1)"}, "between 2 and 1,000 ticks can be caught up with"),
    "jitter": ({"jitter": -1}, "jitter must not be negative"),
    "priority": ({"priority": 10}, "priority"),
    "queue": ({"queue": ""}, "queue must not be empty"),
    "naive-start": ({"start": NAIVE}, "has no time zone"),
    "end-first": ({"start": NIGHT, "end": NIGHT}, "before it starts"),
    "exclude-text": ({"exclude": "2026-12-25"}, "exclude takes dates, or a function"),
    "exclude-moment": ({"exclude": [NIGHT]}, "exclude takes whole days"),
}


@pytest.mark.parametrize(("given", "said"), OPTIONS.values(), ids=list(OPTIONS))
def test_options(jobs: Registry, given: dict[str, Any], said: str) -> None:
    """An option that is unknown is answered by those there are; a name must be one."""
    with pytest.raises(InvalidOption) as refused:
        jobs.cron("0 9 * * *", **given)(tidy)
    assert said in str(refused.value)


@pytest.mark.parametrize(("given", "said"), RULES.values(), ids=list(RULES))
async def test_options_in_code(jobs: Registry, given: dict[str, Any], said: str) -> None:
    """Refused by the decorator, where it stands, or at the latest by the start of the app, which then does not start."""
    with pytest.raises((InvalidOption, InvalidSchedule)) as refused:
        await declared(jobs, lambda: jobs.cron("0 9 * * *", **given)(tidy))
    assert said in str(refused.value)


async def test_never_in_code(jobs: Registry) -> None:
    """Triggers that never meet name no moment."""
    with pytest.raises(
        InvalidSchedule, match=r"'tidy'.* can never fire: 0 9 \* \* \* and 0 10 \* \* \* names no moment"
    ):
        await declared(jobs, lambda: jobs.scheduled(Cron("0 9 * * *") & Cron("0 10 * * *"))(tidy))


def test_a_text_for_a_trigger(jobs: Registry) -> None:
    """``scheduled`` takes a trigger, and says how to write one."""
    with pytest.raises(InvalidSchedule, match="does not say when: write Cron"):
        jobs.scheduled("0 9 * * *")  # type: ignore[arg-type]


@pytest.mark.parametrize("once", [{"delay": 5}, {"at": NIGHT}, {"id": "x"}], ids=["delay", "at", "id"])
async def test_a_call_that_says_when_in_code(jobs: Registry, once: dict[str, Any]) -> None:
    """A call whose options say when it is due, or which job it is, is none for a schedule."""
    job = jobs.job(report)
    with pytest.raises(InvalidOption, match="a scheduled call takes no"):
        await declared(jobs, lambda: jobs.cron("0 9 * * *", name="daily")(job.options(**once)("all")))


async def test_a_value_that_does_not_fit_in_code(jobs: Registry) -> None:
    """A call's values are checked as `create_task` checks them."""
    job = jobs.job(report)
    with pytest.raises(ArgumentNotStorable, match="argument which does not fit: Expected str, got int"):
        await declared(jobs, lambda: jobs.cron("0 9 * * *", name="daily")(job(5)))  # type: ignore[arg-type]


async def test_a_job_of_another_engine_in_code(jobs: Registry) -> None:
    """A job that the engine does not know cannot be on its schedule."""
    stranger = Registry("other").job(tidy)
    with pytest.raises(UnknownKind, match=r"other.tidy .* is not a job of this engine"):
        await declared(jobs, lambda: jobs.cron("0 9 * * *")(stranger))


async def declared(jobs: Registry, declare: Callable[[], object]) -> None:
    """Declare a schedule, and start an app that has it."""
    declare()
    async with Backburner("memory://", jobs=[jobs]):
        pass


# ---- at run time ---------------------------------------------------------------------------------------------------


@pytest.fixture
async def bb(make: Callable[..., Backburner], jobs: Registry) -> AsyncIterator[Backburner]:
    """Return an engine that runs nothing."""
    async with make(jobs=[jobs], run=False) as engine:
        yield engine


async def test_put_refuses_and_changes_nothing(bb: Backburner, jobs: Registry) -> None:
    """Options, triggers and calls: the error is the one of the call that made it, and nothing is stored."""
    job = jobs.job(report)
    nine = Cron("0 9 * * *")
    for given, said in RULES.values():
        with pytest.raises((InvalidOption, InvalidSchedule)) as refused:
            await bb.schedules.put("daily", nine, job("all"), **given)
        assert said in str(refused.value)
    past = from_micros(SystemClock().now()) - timedelta(days=1)
    for trigger, said in (
        (nine & Cron("0 10 * * *"), "would never fire: 0 9 * * * and 0 10 * * * has no tick after now"),
        (At(past), "would never fire: at "),
        ("0 9 * * *", "does not say when: write Cron"),
    ):
        with pytest.raises(InvalidSchedule) as never:
            await bb.schedules.put("daily", trigger, job("all"))  # type: ignore[arg-type]
        assert said in str(never.value)
    with pytest.raises(InvalidSchedule, match="would never fire"):
        await bb.schedules.put("daily", nine, job("all"), end=past)
    with pytest.raises(ArgumentNotStorable, match="argument which does not fit: Expected str, got int"):
        await bb.schedules.put("daily", nine, job(5))  # type: ignore[arg-type]
    for once in ({"delay": 5}, {"at": NIGHT}, {"id": "x"}):
        with pytest.raises(InvalidOption, match=f"a scheduled call takes no {next(iter(once))}="):
            await bb.schedules.put("daily", nine, job.options(**once)("all"))
    stranger = Registry("other").job(report)
    with pytest.raises(UnknownKind):
        await bb.schedules.put("daily", nine, stranger("all"))
    with pytest.raises(InvalidOption, match="a schedule's name has at most 100 characters"):
        await bb.schedules.put("x" * 101, nine, job("all"))
    assert await shown(bb) == []


async def test_put_refuses_what_is_no_call(bb: Backburner, jobs: Registry) -> None:
    """The job itself, a coroutine and anything else are told from a call."""
    job = jobs.job(report)
    coroutine = report("all")
    for wrong in (job, coroutine, report, None):
        with pytest.raises((InvalidArguments, TypeError)) as refused:
            await bb.schedules.put("daily", Cron("0 9 * * *"), wrong)  # type: ignore[arg-type]
        assert str(refused.value)
    coroutine.close()


async def test_a_name_that_there_is_not(bb: Backburner) -> None:
    """Whatever is done to it."""
    schedules = bb.schedules
    for action in (
        schedules.get("daily"),
        schedules.pause("daily"),
        schedules.resume("daily"),
        schedules.trigger("daily"),
        schedules.preview("daily"),
        schedules.remove("daily"),
        schedules.backfill("daily", since=NIGHT - timedelta(days=2), until=NIGHT - timedelta(days=1)),
    ):
        with pytest.raises(ScheduleNotFound, match="there is no schedule 'daily': `backburner schedules list` shows"):
            await action


async def test_a_backfill_of_too_many(bb: Backburner, jobs: Registry) -> None:
    """The count is in the error, and what to say for it to be done; nothing is stored."""
    job = jobs.job(tidy)
    await bb.schedules.put("hourly", Every(hours=1), job())
    since = datetime(2025, 3, 1, tzinfo=UTC)
    with pytest.raises(InvalidOption) as refused:
        await bb.schedules.backfill("hourly", since=since, until=since + timedelta(days=5), limit=100)
    assert str(refused.value).startswith("120 ticks of 'hourly' lie in that range")
    assert "100 are allowed" in str(refused.value)
    with pytest.raises(InvalidOption, match=r"[0-9],[0-9]{3} ticks of 'hourly' lie in that range.*1,000 are allowed"):
        await bb.schedules.backfill("hourly", since=since, until=since + timedelta(days=500))
    with pytest.raises(InvalidOption, match="a backfill is of the past"):
        await bb.schedules.backfill("hourly", since=since, until=since)
    with pytest.raises(InvalidOption, match="a backfill is of the past"):
        await bb.schedules.backfill("hourly", since=since, until=datetime(2200, 1, 1, tzinfo=UTC))
    with pytest.raises(InvalidOption, match="limit is at least one tick, not -1"):
        await bb.schedules.backfill("hourly", since=since, until=since + timedelta(days=1), limit=-1)
    with pytest.raises(InvalidOption, match="zone"):
        await bb.schedules.backfill("hourly", since=NAIVE, until=since)
    assert [tick async for tick in bb.schedules.ticks()] == []


async def test_other_questions(bb: Backburner, jobs: Registry) -> None:
    """Pauses end in the future; previews, limits and outcomes are within reason."""
    job = jobs.job(tidy)
    await bb.schedules.put("daily", Cron("0 9 * * *"), job(), exclude=[date(2026, 12, 25)])
    with pytest.raises(InvalidOption, match="until has passed: a pause ends in the future"):
        await bb.schedules.pause("daily", until=NIGHT - timedelta(days=400))
    with pytest.raises(InvalidOption, match="count is between 1 and 10,000, not 0"):
        await bb.schedules.preview("daily", count=0)
    with pytest.raises(InvalidOption, match="outcome='done' is none of fired, skipped, triggered, backfilled"):
        await anext(bb.schedules.ticks(outcome="done"))
    assert (await bb.schedules.get("daily")).state == "active"


# ---- at run time, beside other things ------------------------------------------------------------------------------


@pytest.mark.parametrize("option", [{"misfier": "one"}, {"tz": "Europe/Berlin"}, {"timeout": 3}])
async def test_an_option_there_is_not(option: dict[str, Any]) -> None:
    """What `put` does not know it refuses, naming what there is."""
    jobs = Registry()

    @jobs.job
    async def tidy() -> None: ...

    async with Backburner("memory://", jobs=[jobs], run=False) as bb:
        with pytest.raises(
            InvalidOption, match=f"a schedule has no option '{next(iter(option))}'; it takes start, end"
        ):
            await bb.schedules.put("tidy", Every(hours=1), tidy(), **option)


async def test_beside_ones_own_transaction(tmp_path: Path) -> None:
    """A task that has jobs in a transaction of its own would wait for itself: it is told at once."""
    jobs = Registry()

    @jobs.job
    async def tidy() -> None: ...

    path = tmp_path / "jobs.db"
    async with Backburner(f"sqlite:///{path}", jobs=[jobs], run=False) as bb, aiosqlite.connect(path) as conn:
        await bb.schedules.put("tidy", Every(hours=1), tidy())
        await conn.execute("BEGIN IMMEDIATE")
        await bb.create_task(tidy(), tx=conn)
        changes: list[Callable[[], Awaitable[object]]] = [
            lambda: bb.schedules.put("tidy", Every(hours=2), tidy()),
            lambda: bb.schedules.pause("tidy"),
            lambda: bb.schedules.resume("tidy"),
            lambda: bb.schedules.trigger("tidy"),
            lambda: bb.schedules.remove("tidy"),
        ]
        for change in changes:
            with pytest.raises(TransactionOpen):
                await change()
        await conn.rollback()
        await bb.schedules.remove("tidy")


async def test_a_calendar_that_fails() -> None:
    """What a calendar raises is told by the start, with the schedule it belongs to."""
    jobs = Registry()

    @jobs.cron("0 9 * * *", name="daily", exclude=lambda day: day.year // 0 == 1)
    async def tidy() -> None: ...

    with pytest.raises(InvalidSchedule, match=r"schedule 'daily' \(.*\): its calendar failed: ZeroDivisionError"):
        async with Backburner("memory://", jobs=[jobs]):
            pass
