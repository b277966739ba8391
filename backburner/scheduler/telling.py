"""What is told of a schedule's change, in the step that makes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

from backburner.model.clock import SECOND, from_micros
from backburner.model.schedule import UNIQUE, Outcome, ScheduleChange
from backburner.model.telling import tell

if TYPE_CHECKING:
    from backburner.model.event import NewEvent
    from backburner.model.schedule import TickRecord

__all__ = ["told"]


def told(change: ScheduleChange, now: int, *more: NewEvent) -> ScheduleChange:
    """Return a change with the events that its lines of the ledger are, and ``more``; ``now`` is the store's."""
    keyed = {job.id for job in change.jobs if job.unique is not None}
    events = [event for tick in change.ticks for event in _of(tick, now, keyed=tick.job in keyed)]
    return structs.replace(change, events=(*events, *more))


def _of(tick: TickRecord, now: int, *, keyed: bool) -> tuple[NewEvent, ...]:
    moment = from_micros(tick.tick)
    if tick.outcome is Outcome.SKIPPED:
        return (
            tell(
                "schedule.skipped",
                tick.schedule,
                tick=moment,
                last=from_micros(tick.last),
                count=tick.count or None,
                reason=tick.reason,
            ),
        )
    if tick.outcome is not Outcome.FIRED:
        return ()  # a person's doing, which is told as such
    late = round(max(0, now - tick.due_at) / SECOND, 3)
    fired = structs.replace(tell("schedule.fired", tick.schedule, tick=moment, job=tick.job, late=late), job=tick.job)
    if not keyed:
        return (fired,)
    # Only the store can see whether another job holds its key.
    skipped = tell("schedule.skipped", tick.schedule, tick=moment, last=moment, count=1, reason=UNIQUE)
    return fired, structs.replace(skipped, job=tick.job, held=True)
