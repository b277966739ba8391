"""What no store can keep, so every store refuses it: text that is not Unicode, NUL in it, numbers beyond 64 bits.

For stores that do not find it themselves before they have written something.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.errors import StoreRefused
from backburner.model.job import PRIORITIES, JobState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backburner.model.event import NewEvent, NewSubscription
    from backburner.model.job import Attempt, JobImage, NewJob, Settlement
    from backburner.model.schedule import ScheduleChange, ScheduleRecord, TickRecord
    from backburner.ports.jobs import Letter

__all__ = [
    "change_flaw",
    "due_at",
    "events_flaw",
    "expires_at",
    "image_flaw",
    "job_flaw",
    "letter_flaw",
    "refuse_events",
    "refuse_subscription",
    "settlement_flaw",
]

_LAST = (1 << 63) - 1
#: Bytes: it has an entry in an index, which in PostgreSQL has an end.
_LONGEST_EVENT_ID = 2_600
#: The fields of a record that are text, and those that are numbers, whether there is one or not.
_TEXTS = (
    *("id", "kind", "queue", "gate", "args", "result", "reason", "node", "retry", "headers", "parent", "unique"),
    *("error", "message", "fingerprint", "checkpoint"),
)
_NUMBERS = (
    *("attempt", "failures", "crashes", "interruptions", "token", "timeout", "backoff", "done", "total"),
    *("created_at", "due_at", "expires_at", "started_at", "ended_at"),
)


def due_at(job: NewJob, now: int) -> int:
    """Return when a new job may first run."""
    return now + max(0, job.delay) if job.at is None else max(now, job.at)


def expires_at(job: NewJob, now: int) -> int | None:
    """Return from when on a new job may not be started; None is never."""
    return job.expires_at if job.expires_in is None else now + job.expires_in


def job_flaw(job: NewJob, now: int) -> str | None:
    """Say what is wrong with a new job; None for nothing."""
    names = (job.id, job.kind, job.queue)
    if not (job.args.isascii() and all([name.isascii() and "\0" not in name for name in names])) or job.tags:  # noqa: C419 - a list takes half the time
        flaw = _text_flaw(id=job.id, kind=job.kind, queue=job.queue, args=job.args, tags="".join(job.tags))
        if flaw is not None:
            return flaw
    if job.gate or job.lanes or job.retry is not None or job.headers is not None or job.parent is not None:
        lanes = "".join(job.lanes)
        flaw = _text_flaw(gate=job.gate, retry=job.retry, headers=job.headers, parent=job.parent, lanes=lanes)
        if flaw is not None:
            return flaw
    if job.unique is not None:
        flaw = _text_flaw(unique=job.unique.key) or _number_flaw(period=now + (job.unique.period or 0))
        if flaw is not None:
            return flaw
    if job.priority not in PRIORITIES:
        return f"priority is {job.priority}, not one of 0 to 9"
    return _number_flaw(due=due_at(job, now), expires=expires_at(job, now) or 0, timeout=job.timeout or 0)


def settlement_flaw(settlement: Settlement, now: int) -> str | None:
    """Say what is wrong with a settlement, its follow-ups included; None for nothing."""
    result = settlement.result
    if result is not None and not result.isascii():
        flaw = _text_flaw(result=result)
        if flaw is not None:
            return flaw
    if settlement.checkpoint is not None or settlement.progress is not None:
        done, total = settlement.progress or (0, None)
        flaw = _text_flaw(checkpoint=settlement.checkpoint) or _number_flaw(done=done, total=total or 0)
        if flaw is not None:
            return flaw
    for job in settlement.jobs:
        flaw = job_flaw(job, now)
        if flaw is not None:
            return flaw
    if settlement.ending is None and settlement.reason is None and not (settlement.delay or settlement.gate):
        return None
    return _text_flaw(
        reason=settlement.reason,
        gate=settlement.gate,
        error=settlement.error,
        message=settlement.message,
        traceback=settlement.traceback,
        fingerprint=settlement.fingerprint,
    ) or _number_flaw(due=now + settlement.delay, backoff=settlement.backoff or 0)


def letter_flaw(letter: Letter) -> str | None:
    """Say what keeps a dead letter from being replayed so; None for nothing."""
    return _text_flaw(args=letter.args, retry=letter.retry, gate=letter.gate)


def image_flaw(image: JobImage) -> str | None:
    """Say what keeps a whole job from being restored; None for nothing."""
    job = image.record
    if job.state is JobState.RUNNING:
        return "it is running: a job is taken over pending, or ended"
    if (job.ended_at is None) is not (job.state is JobState.PENDING):
        return f"it is {job.state}, and " + ("has not ended" if job.ended_at is None else "has ended")
    if job.priority not in PRIORITIES:
        return f"priority is {job.priority}, not one of 0 to 9"
    flaw = _text_flaw(
        **{name: text for name in _TEXTS if (text := getattr(job, name)) is not None},
        tags="".join(job.tags),
        lanes="".join(job.lanes),
    ) or _number_flaw(
        **{name: number for name in _NUMBERS if (number := getattr(job, name)) is not None},
        unique_until=image.unique_until or 0,
    )
    return flaw or next(filter(None, map(_attempt_flaw, image.history)), None)


def change_flaw(change: ScheduleChange, now: int) -> str | None:
    """Say what is wrong with a change of a schedule, and where, its ticks and jobs included; None for nothing."""
    schedule = change.schedule
    flaw = _schedule_flaw(schedule)
    if flaw is not None:
        return f"schedule {schedule.name!r}: {flaw}"
    for tick in change.ticks:
        flaw = _tick_flaw(tick)
        if flaw is not None:
            return f"tick {tick.id!r}: {flaw}"
    for job in change.jobs:
        flaw = job_flaw(job, now)
        if flaw is not None:
            return f"job {job.id!r}: {flaw}"
    return None


def _schedule_flaw(schedule: ScheduleRecord) -> str | None:
    return _text_flaw(
        name=schedule.name,
        kind=schedule.kind,
        rule=schedule.rule,
        job=schedule.job,
        last_job=schedule.last_job,
        reason=schedule.reason,
        by=schedule.by,
    ) or _number_flaw(
        version=schedule.version,
        next_tick=schedule.next_tick or 0,
        due_at=schedule.due_at or 0,
        last_tick=schedule.last_tick or 0,
        fired_at=schedule.fired_at or 0,
        paused_until=schedule.paused_until or 0,
    )


def _tick_flaw(tick: TickRecord) -> str | None:
    return _text_flaw(
        id=tick.id, schedule=tick.schedule, reason=tick.reason, job=tick.job, by=tick.by, note=tick.note
    ) or _number_flaw(tick=tick.tick, last=tick.last, count=tick.count, due_at=tick.due_at, at=tick.at)


def _attempt_flaw(attempt: Attempt) -> str | None:
    return _text_flaw(
        node=attempt.node,
        error=attempt.error,
        message=attempt.message,
        traceback=attempt.traceback,
        fingerprint=attempt.fingerprint,
    ) or _number_flaw(attempt=attempt.attempt, started_at=attempt.started_at, ended_at=attempt.ended_at)


def events_flaw(events: Iterable[NewEvent]) -> str | None:
    """Say which of some events is wrong, and what; None for nothing."""
    for event in events:
        flaw = _event_flaw(event)
        if flaw is not None:
            return f"event {event.name!r}: {flaw}"
    return None


def _event_flaw(event: NewEvent) -> str | None:
    flaw = _text_flaw(name=event.name, subject=event.subject, data=event.data, id=event.id, job=event.job)
    if flaw is None and event.id is not None and len(event.id.encode()) > _LONGEST_EVENT_ID:
        return f"id is longer than {_LONGEST_EVENT_ID:,} bytes"
    return flaw


def refuse_events(events: Iterable[NewEvent]) -> None:
    """Raise `StoreRefused` if one of some events cannot be stored."""
    flaw = events_flaw(events)
    if flaw is not None:
        raise StoreRefused(flaw, stored="no")


def refuse_subscription(subscription: NewSubscription) -> None:
    """Raise `StoreRefused` if a subscription cannot be stored."""
    flaw = _text_flaw(name=subscription.name, kind=subscription.kind, patterns="".join(subscription.patterns))
    if flaw is not None:
        raise StoreRefused(f"subscription {subscription.name!r}: {flaw}", stored="no")


def _text_flaw(**texts: str | None) -> str | None:
    for name, text in texts.items():
        if not text:
            continue
        if "\0" in text:
            return f"{name} contains NUL"
        try:
            text.encode()
        except UnicodeEncodeError as error:
            return f"{name} is not Unicode text, at character {error.start}"
    return None


def _number_flaw(**numbers: int) -> str | None:
    for name, number in numbers.items():
        if not -_LAST <= number <= _LAST:
            return f"{name} is beyond 64 bits"
    return None
