"""`backburner schedules add`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice
from typing import TYPE_CHECKING, get_args

import click

from backburner import config
from backburner.cli import completing
from backburner.cli.moments import ahead, named
from backburner.cli.reading import each, reading
from backburner.cli.render import Mode, json_option, mode, note, one
from backburner.cli.schedules.arguments import arguments, check_arguments, marked_arguments
from backburner.cli.schedules.block import block
from backburner.cli.schedules.coming import COMING, Coming, coming
from backburner.cli.schedules.desk import Desk, desk
from backburner.cli.schedules.record import Row, read_row, schedule_json
from backburner.cli.schedules.timing import Timing, timing_options
from backburner.cli.store import url_option
from backburner.cli.who import audit_options
from backburner.dlq.preparing import living_signatures
from backburner.errors import ScheduleNotFound
from backburner.jobs.limits import near
from backburner.jobs.standing import order_unseen
from backburner.model.clock import from_micros
from backburner.model.duration import parse
from backburner.model.job import DEFAULT_QUEUE
from backburner.scheduler.agenda import agenda
from backburner.scheduler.rule import Overlap, make_rule
from backburner.scheduler.schedules import check_schedule_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.cli.times import Moment
    from backburner.model.schedule import ScheduleRecord
    from backburner.scheduler.rule import Rule, ScheduleOptions

__all__ = ["command"]

#: Moments that are shown.
_SHOWN = 3


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no day; write 2026-12-25") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Policies:
    """What is said of ticks, beside when they are. Durations are microseconds."""

    start: Moment | None
    end: Moment | None
    exclude: tuple[date, ...]
    misfire: str | None
    catch_up: int | None
    overlap: Overlap | None
    jitter: int | None
    tolerance: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """What is said of its jobs."""

    kind: str
    args: str
    queue: str | None
    priority: int | None
    unchecked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What is to be put, beside when it fires; and who asks for it, and why."""

    policies: _Policies
    job: _Job
    reason: str | None
    by: str | None


@click.command("add")
@click.argument("name", shell_complete=completing.schedules)
@click.argument("kind")
@timing_options
@click.option(
    "--args",
    metavar="JSON",
    default="{}",
    callback=reading(arguments),
    help='The job\'s arguments, by name: \'{"region": "eu"}\'. Checked against what living nodes say of the kind.',
)
@click.option("--unchecked", is_flag=True, help="Do not check the arguments.")
@click.option("--queue", shell_complete=completing.queues, help="In place of the job's own.")
@click.option("--priority", metavar="0-9", type=click.IntRange(0, 9), help="In place of the job's own; 0 is first.")
@click.option("--start", metavar="MOMENT", callback=reading(named), help="No tick before: 2026-11-21T03:04Z.")
@click.option("--end", metavar="MOMENT", callback=reading(named), help="No tick then, or after.")
@click.option("--exclude", metavar="DAY", multiple=True, callback=each(_day), help="No tick on this day; repeatable.")
@click.option(
    "--misfire", metavar="skip|one|all|all(N)", help="Which ticks that were missed fire later.  [default: one]"
)
@click.option("--catch-up", metavar="DURATION", callback=reading(parse), help="How old those may be.  [default: 24h]")
@click.option(
    "--overlap",
    type=click.Choice(get_args(Overlap)),
    help="What becomes of a tick while the job of the one before has not ended.  [default: skip]",
)
@click.option("--jitter", metavar="DURATION", callback=reading(parse), help="Each tick fires up to this much later.")
@click.option(
    "--tolerance", metavar="DURATION", callback=reading(parse), help="Overdue by more it is missed.  [default: 1m]"
)
@audit_options
@json_option
@url_option
def command(
    *,
    name: str,
    kind: str,
    timing: Timing,
    args: str,
    unchecked: bool,
    queue: str | None,
    priority: int | None,
    start: Moment | None,
    end: Moment | None,
    exclude: tuple[date, ...],
    misfire: str | None,
    catch_up: int | None,
    overlap: Overlap | None,
    jitter: int | None,
    tolerance: int | None,
    reason: str | None,
    by: str | None,
    as_json: bool,
    url: str | None,
) -> None:
    """Have a job of KIND stored by --cron, in an interval (--every) or once (--at), under a NAME.

    A schedule of that name which was put before is changed: by a rule that is another it counts from now on. The same
    again changes nothing. One that stands in code is changed there. A kind that no living node knows is taken: its jobs
    are stored, and wait for a node that does. Shows the next three ticks.
    """
    job = _Job(kind=kind, args=args, queue=queue, priority=priority, unchecked=unchecked)
    policies = _Policies(
        start=start,
        end=end,
        exclude=exclude,
        misfire=misfire,
        catch_up=catch_up,
        overlap=overlap,
        jitter=jitter,
        tolerance=tolerance,
    )
    asked = _Asked(policies=policies, job=job, reason=reason, by=by)
    asyncio.run(_add(check_schedule_name(name), timing, asked, mode(as_json=as_json), url=url))


async def _add(name: str, timing: Timing, asked: _Asked, how: Mode, *, url: str | None) -> None:
    job = asked.job
    async with desk(url, write=True) as opened:
        home = opened.homes.get(job.kind, DEFAULT_QUEUE)
        args = await _checked(opened, job)
        stored = order_unseen(job.kind, args, queue=job.queue, priority=job.priority, home=home)
        rule = _rule(timing, asked.policies, await opened.now())
        before = await _find(opened, name)
        await opened.schedules.put(name, rule, job.kind, stored, by=asked.by, reason=asked.reason)
        row = await read_row(opened, name)
    days = agenda(name, row.record.rule)
    _tell(row, _done(before, row.record), coming(days, islice(days.upcoming(row.now), _SHOWN)), how)


def _rule(timing: Timing, policies: _Policies, now: int) -> Rule:
    options: ScheduleOptions = {"exclude": policies.exclude}
    start: int | None = None
    if policies.start is not None:
        start = ahead("start", policies.start, now, timing.zone)
        options["start"] = from_micros(start)
    if policies.end is not None:
        options["end"] = from_micros(ahead("end", policies.end, now, timing.zone))
    if policies.misfire is not None:
        options["misfire"] = policies.misfire
    if policies.overlap is not None:
        options["overlap"] = policies.overlap
    if policies.catch_up is not None:
        options["catch_up"] = timedelta(microseconds=policies.catch_up)
    if policies.jitter is not None:
        options["jitter"] = timedelta(microseconds=policies.jitter)
    if policies.tolerance is not None:
        options["tolerance"] = timedelta(microseconds=policies.tolerance)
    return make_rule(timing.trigger(now, start), options, tz=timing.tz or config.time_zone(), now=now)


async def _checked(opened: Desk, job: _Job) -> str:
    """Return the arguments, checked, their secrets marked; tell of a kind that no living node knows."""
    known = await living_signatures(opened.backend.nodes)
    args = marked_arguments(job.args, known.get(job.kind, ()))
    if job.kind not in known:
        note(
            f"no living node knows {job.kind}: its jobs wait for one that does, its arguments were not checked"
            f"{near(job.kind, known) if known else ''}"
        )
    elif not job.unchecked:
        check_arguments(job.kind, args, known[job.kind])
    return args


async def _find(opened: Desk, name: str) -> ScheduleRecord | None:
    try:
        return (await opened.schedules.get(name)).record
    except ScheduleNotFound:
        return None


def _done(before: ScheduleRecord | None, after: ScheduleRecord) -> str:
    if before is None:
        return "added"
    return "unchanged" if before.version == after.version else "changed"


def _tell(row: Row, done: str, following: Sequence[Coming], how: Mode) -> None:
    value = {**schedule_json(row), "done": done, "following": [COMING.value(each) for each in following]}
    fields: list[tuple[str, ...]] = [
        (done, row.record.name),
        ("kind", row.record.kind),
        ("when", row.when),
        *(("next", *COMING.fields(each)) for each in following if how is Mode.LINES),
    ]
    one(how, value, fields, text=block("next", [COMING.cells(each) for each in following]))
    if row.state == "paused":
        note(f"it is paused{row.pause}: nothing fires until `backburner schedules resume {row.record.name}`")
