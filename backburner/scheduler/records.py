"""From what was planned to what is stored: the next record of a schedule, and lines of its ledger."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, Protocol

from msgspec import structs

from backburner.errors import InvalidSchedule, PayloadNotReadable
from backburner.model.lane import Limit, lane_name
from backburner.model.schedule import Outcome, ScheduleChange, ScheduleRecord, TickRecord
from backburner.scheduler.agenda import agenda
from backburner.scheduler.planner import OVERLAP, PAUSED
from backburner.scheduler.rule import decode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
    "passed",
    "rearmed",
    "recast",
    "ticks_of",
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


#: Ticks that are counted one by one, where they do not fire.
_COUNTED = 250


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
    record: ScheduleRecord, plan: Plan, jobs: tuple[NewJob, ...], *, days: Agenda, ids: Ids, now: int
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
            due_at=days.due(skip.last),
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
            due_at=days.due(tick),
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


def recast(known: ScheduleRecord, fresh: ScheduleRecord, days: Agenda, ids: Ids, now: int) -> ScheduleChange | None:
    """Return what makes of a stored schedule the one it is to be, whose ticks ``days`` knows; None if it is.

    Where only what holds of its ticks, or its job, has changed, one that is overdue is decided by that. Other ticks count
    from now on: the old ones that are overdue are told of in the ledger.
    """
    after = structs.replace(
        known, kind=fresh.kind, rule=fresh.rule, job=fresh.job, declared=fresh.declared, retired=False
    )
    if _same_ticks(known, days):
        # Where the zones' rules have changed since, the next tick has too.
        after = rearmed(after, days, now)
        return None if after == known else ScheduleChange(schedule=after)
    overdue = known.next_tick
    if overdue is None or overdue > now:
        return ScheduleChange(schedule=_armed(after, days, days.after(_latest(now, known.last_tick))))
    told = passed(known, overdue, PAUSED if known.paused else CHANGED, ids, now)
    after = structs.replace(after, last_tick=told.last)
    return ScheduleChange(schedule=_armed(after, days, days.after(now)), ticks=(told,))


def passed(record: ScheduleRecord, first: int, reason: str, ids: Ids, now: int) -> TickRecord:
    """Return the line of the ledger that tells of all ticks from ``first`` to now; very many are not counted."""
    try:
        ticks = list(islice(ticks_of(agenda(record.name, record.rule), first, now), _COUNTED))
    except (PayloadNotReadable, InvalidSchedule):
        ticks = []
    last, count = (ticks[-1], len(ticks)) if 0 < len(ticks) < _COUNTED else (now, 0)
    return TickRecord(
        id=ids.new(),
        schedule=record.name,
        tick=first,
        last=last,
        count=count,
        outcome=Outcome.SKIPPED,
        reason=reason,
        due_at=last,
    )


def ticks_of(days: Agenda, first: int | None, last: int) -> Iterator[int]:
    """Go through the ticks from one on, to a moment."""
    while first is not None and first <= last:
        yield first
        first = days.after(first)


def rearmed(record: ScheduleRecord, days: Agenda, now: int) -> ScheduleRecord:
    """Return a schedule whose next tick is what the zones' rules say today; one that is overdue stays so.

    The next tick is always after the last that was decided upon.
    """
    following = record.next_tick
    if following is None or following > now:
        following = days.after(_latest(now, record.last_tick))
    return _armed(record, days, following)


def _same_ticks(known: ScheduleRecord, days: Agenda) -> bool:
    """Whether a rule names the ticks that a stored one does; other days may be excluded, unless the next tick is on one.

    A calendar that is a function tells of other days in each year.
    """
    try:
        rule = decode(known.rule)
    except PayloadNotReadable:
        return False
    if any(getattr(rule, field) != getattr(days.rule, field) for field in ("trigger", "tz", "start", "end")):
        return False
    tick = known.next_tick
    return rule.exclude == days.rule.exclude or tick is None or days.after(tick - 1) == tick


def _latest(now: int, last: int | None) -> int:
    return now if last is None else max(now, last)


def _armed(record: ScheduleRecord, days: Agenda, following: int | None) -> ScheduleRecord:
    if record.retired:
        due_at = None
    elif record.paused:
        due_at = record.paused_until
    else:
        due_at = None if following is None else days.due(following)
    return structs.replace(record, next_tick=following, due_at=due_at)
