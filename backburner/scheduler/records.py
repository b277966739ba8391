"""From what was planned to what is stored: the next record of a schedule, and lines of its ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from msgspec import structs

from backburner.model.lane import Limit, lane_name
from backburner.model.schedule import Outcome, ScheduleChange, ScheduleRecord, TickRecord
from backburner.scheduler.planner import OVERLAP

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backburner.model.ids import Ids
    from backburner.model.job import NewJob
    from backburner.scheduler.agenda import Agenda
    from backburner.scheduler.planner import Plan
    from backburner.scheduler.rule import Rule

__all__ = [
    "CHANGED",
    "LIMIT",
    "ONE_AT_A_TIME",
    "Builder",
    "BuiltJob",
    "Ordered",
    "Orderer",
    "change_of",
    "lane_of",
    "rearmed",
    "recast",
]

#: Why a tick was skipped that was due when the schedule became another.
CHANGED = "changed"

#: The limit under which jobs of a schedule run one after another, and what it allows each schedule's own lane.
LIMIT = "schedule"
ONE_AT_A_TIME = Limit(slots=1)


class BuiltJob(NamedTuple):
    """The job of one tick."""

    job: NewJob
    #: Why it is as it was once stored, and not as the code has it now; None where it is.
    stale: str | None


class Ordered(NamedTuple):
    """A call as a schedule stores it."""

    kind: str
    #: JSON text.
    job: str


class Orderer(Protocol):
    """Makes what is stored of a call; ``said`` are the options said of the schedule. Raises `CallRefused`."""

    def __call__(self, call: object, said: Mapping[str, object], /) -> Ordered:
        """Return it."""
        ...


class Builder(Protocol):
    """Makes the job of a tick from the text that is stored with its schedule; raises `PayloadNotReadable`."""

    def __call__(self, text: str, *, job_id: str, schedule: str, tick: int, lane: str | None) -> BuiltJob:
        """Return the job."""
        ...


def lane_of(name: str, rule: Rule) -> str | None:
    """Return the lane that keeps a schedule's jobs from running at once; None where they may."""
    return None if rule.overlap == "allow" else lane_name(LIMIT, name)


def change_of(
    record: ScheduleRecord, plan: Plan, jobs: tuple[NewJob, ...], *, agenda: Agenda, ids: Ids, now: int
) -> ScheduleChange:
    """Return the change that a plan comes to; ``jobs`` are those of its ticks, in their order."""
    ticks = [
        TickRecord(
            id=ids.new(),
            schedule=record.name,
            tick=skip.first,
            last=skip.last,
            count=skip.count,
            outcome=Outcome.SKIPPED,
            reason=skip.reason,
            job=record.last_job if skip.reason == OVERLAP else None,
            due_at=agenda.due(skip.last),
        )
        for skip in plan.skips
    ]
    ticks += [
        TickRecord(
            id=ids.new(),
            schedule=record.name,
            tick=tick,
            last=tick,
            outcome=Outcome.FIRED,
            job=job.id,
            due_at=agenda.due(tick),
        )
        for tick, job in zip(plan.fires, jobs, strict=True)
    ]
    after = structs.replace(
        record,
        last_tick=plan.last_tick,
        next_tick=plan.next_tick,
        due_at=plan.due_at,
        **({"paused": False, "paused_until": None, "reason": None, "by": None} if plan.resumes else {}),
        **({"last_job": jobs[-1].id, "fired_at": now} if jobs else {}),
    )
    return ScheduleChange(schedule=after, ticks=tuple(ticks), jobs=jobs)


def rearmed(record: ScheduleRecord, agenda: Agenda, now: int) -> ScheduleRecord:
    """Return a schedule whose next tick is what the zones' rules say today; one that is overdue stays so.

    The next tick is always after the last that was decided upon.
    """
    if record.next_tick is not None and record.next_tick <= now:
        return record
    following = agenda.after(now if record.last_tick is None else max(now, record.last_tick))
    return _armed(record, agenda, following)


def recast(record: ScheduleRecord, agenda: Agenda, ids: Ids, now: int) -> ScheduleChange:
    """Return a schedule that follows another rule from now on; a tick of the old one that was due is told of."""
    overdue = record.next_tick
    ticks: tuple[TickRecord, ...] = ()
    last = record.last_tick
    if overdue is not None and overdue <= now and not record.paused and not record.retired:
        last = overdue
        ticks = (
            TickRecord(
                id=ids.new(),
                schedule=record.name,
                tick=overdue,
                last=overdue,
                outcome=Outcome.SKIPPED,
                reason=CHANGED,
                due_at=overdue,
            ),
        )
    following = agenda.after(now if last is None else max(now, last))
    return ScheduleChange(schedule=_armed(structs.replace(record, last_tick=last), agenda, following), ticks=ticks)


def _armed(record: ScheduleRecord, agenda: Agenda, following: int | None) -> ScheduleRecord:
    if record.retired:
        due_at = None
    elif record.paused:
        due_at = record.paused_until
    else:
        due_at = None if following is None else agenda.due(following)
    return structs.replace(record, next_tick=following, due_at=due_at)
