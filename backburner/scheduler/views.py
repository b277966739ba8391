"""Schedules and their ticks as an app is shown them: moments are aware datetimes, in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from backburner.errors import PayloadNotReadable
from backburner.model.clock import from_micros
from backburner.model.schedule import Outcome  # noqa: TC001 - frameworks read what a status is made of
from backburner.scheduler.rule import decode
from backburner.scheduler.triggers import Cron, Trigger, leaves

if TYPE_CHECKING:
    from backburner.model.schedule import ScheduleRecord, TickRecord
    from backburner.scheduler.rule import Rule

__all__ = [
    "Backfilled",
    "Forecast",
    "Schedule",
    "ScheduleState",
    "Tick",
    "schedule_of",
    "state_of",
    "tick_of",
    "when_of",
]

ScheduleState = Literal["active", "paused", "retired", "ended"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A schedule as it was read."""

    name: str
    #: The kind of its jobs.
    kind: str
    #: None where another version of backburner wrote it, which then says nothing of the policies below either.
    trigger: Trigger | None
    #: The same for people: ``0 9 * * mon-fri Europe/Berlin``.
    when: str
    #: ``active``; ``paused``; ``retired``: no living node declares it; ``ended``: it has no tick any more.
    state: ScheduleState
    #: It stands in code; else a person made it.
    declared: bool
    #: The last tick decided upon, and when a job was last stored.
    last: datetime | None
    fired: datetime | None
    last_job: str | None
    #: The next tick; None: there is none.
    next: datetime | None
    #: By how much the next tick is overdue; zero for one that is not.
    lag: timedelta
    misfire: str | None
    catch_up: timedelta | None
    overlap: str | None
    jitter: timedelta | None
    tolerance: timedelta | None
    #: Of a pause: when it ends by itself, why, and who.
    paused_until: datetime | None
    reason: str | None
    by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A line of the ledger: what was decided of a tick, or of several in a row."""

    id: str
    schedule: str
    tick: datetime
    #: The last of several; ``tick`` for one.
    last: datetime
    #: How many they are; 0: very many, not counted.
    count: int
    outcome: Outcome
    #: Why it was skipped: ``missed``, ``merged`` (a later one fired in its place), ``overlap``, ``unique``, ``paused``,
    #: ``changed`` (the schedule had become another).
    reason: str | None
    #: The job that was stored, or that stood in the way.
    job: str | None
    decided: datetime
    #: By how much it was decided later than it was to fire.
    late: timedelta
    by: str | None
    note: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """A moment at which a schedule will run; or will not, and why."""

    #: None: it will not.
    tick: datetime | None
    #: The time on the wall, in the schedule's zone, without one of its own.
    local: datetime
    zone: str
    #: When it fires: the tick, later by its jitter.
    fires: datetime | None
    #: What is special about it; mostly nothing.
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfilled:
    """What a backfill stored, or in a dry run would store."""

    ticks: int
    #: Those that had a job already.
    known: int
    #: The ids of the jobs, in the order of their ticks; none in a dry run.
    jobs: tuple[str, ...]


def state_of(record: ScheduleRecord) -> ScheduleState:
    """Return what people call it."""
    if record.retired:
        return "retired"
    if record.paused:
        return "paused"
    return "ended" if record.next_tick is None else "active"


def when_of(rule: Rule) -> str:
    """Return when a schedule is due, for people: with the zone its times are in, where that is not said."""
    words = rule.trigger.describe()
    times = any(isinstance(each, Cron) and each.tz is None for each in leaves(rule.trigger))
    return f"{words} {rule.tz}" if times and rule.tz != "UTC" else words


def schedule_of(record: ScheduleRecord, now: int) -> Schedule:
    """Show a schedule."""
    try:
        rule = decode(record.rule)
    except PayloadNotReadable:
        rule = None
    overdue = 0 if record.due_at is None or record.paused else max(0, now - record.due_at)
    return Schedule(
        name=record.name,
        kind=record.kind,
        trigger=None if rule is None else rule.trigger,
        when="not readable here" if rule is None else when_of(rule),
        state=state_of(record),
        declared=record.declared,
        last=_moment(record.last_tick),
        fired=_moment(record.fired_at),
        last_job=record.last_job,
        next=_moment(record.next_tick),
        lag=_length(overdue),
        misfire=None if rule is None else rule.misfire,
        catch_up=None if rule is None else _length(rule.catch_up),
        overlap=None if rule is None else rule.overlap,
        jitter=None if rule is None else _length(rule.jitter),
        tolerance=None if rule is None else _length(rule.tolerance),
        paused_until=_moment(record.paused_until),
        reason=record.reason,
        by=record.by,
    )


def tick_of(record: TickRecord) -> Tick:
    """Show a line of the ledger."""
    return Tick(
        id=record.id,
        schedule=record.schedule,
        tick=from_micros(record.tick),
        last=from_micros(record.last),
        count=record.count,
        outcome=record.outcome,
        reason=record.reason,
        job=record.job,
        decided=from_micros(record.at),
        late=_length(max(0, record.at - record.due_at)),
        by=record.by,
        note=record.note,
    )


def _moment(at: int | None) -> datetime | None:
    return None if at is None else from_micros(at)


def _length(micros: int) -> timedelta:
    return timedelta(microseconds=micros)
