"""Schedules and lines of ledgers as Redis keeps them; the forms are told at the head of ``lua/scheduling.lua``."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import msgspec

from backburner.backends.redis import sending
from backburner.backends.redis.packing import eight, number
from backburner.model.schedule import Outcome, ScheduleRecord, TickRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backburner.backends.redis.sending import Argument
    from backburner.model.schedule import ScheduleChange

__all__ = ["change", "schedule", "text", "tick"]


class _Rest(msgspec.Struct, array_like=True, gc=False):
    """What a line says beside when it was written, and what became of its ticks."""

    schedule: str
    tick: int
    last: int
    count: int
    due_at: int
    by: str | None
    note: str | None


#: Version, and when it was created and changed.
_HEAD = struct.Struct(">3q")

_decode_schedule = msgspec.msgpack.Decoder(tuple[str | None, ScheduleRecord]).decode
_decode_tick = msgspec.msgpack.Decoder(tuple[tuple[Outcome, str | None, str | None], _Rest]).decode


def change(made: ScheduleChange) -> Iterator[Argument]:
    """Bring a change as ``schedules_change.lua`` takes it."""
    record = made.schedule
    yield record.name
    yield eight(record.version) + eight(record.created_at)
    yield _eight_or_nothing(record.due_at)
    yield record.last_job or ""
    yield sending.pack(msgspec.structs.replace(record, version=0, last_job=None, created_at=0, changed_at=0))
    yield sending.events(made.events)
    yield len(made.ticks)
    yield len(made.jobs)
    for line in made.ticks:
        rest = _Rest(line.schedule, line.tick, line.last, line.count, line.due_at, line.by, line.note)
        became = (line.outcome, line.reason, line.job)
        yield from (line.id, line.schedule, _eight_or_nothing(line.at or None), line.job or "")
        yield from (sending.pack(became), sending.pack(rest))
    for job in made.jobs:
        yield from sending.job(job)


def schedule(value: bytes) -> ScheduleRecord:
    """Return a schedule as it is read."""
    version, created, changed = _HEAD.unpack_from(value)
    last_job, record = _decode_schedule(memoryview(value)[_HEAD.size :])
    return msgspec.structs.replace(record, version=version, last_job=last_job, created_at=created, changed_at=changed)


def tick(tick_id: str, value: bytes) -> TickRecord:
    """Return a line of the ledger as it is read."""
    (outcome, reason, job), rest = _decode_tick(memoryview(value)[8:])
    return TickRecord(
        id=tick_id,
        schedule=rest.schedule,
        tick=rest.tick,
        last=rest.last,
        count=rest.count,
        outcome=outcome,
        reason=reason,
        job=job,
        due_at=rest.due_at,
        at=number(value[:8]),
        by=rest.by,
        note=rest.note,
    )


def text(asked: str) -> bytes:
    """Return a name or id that is asked for, of which nothing is known, not even that it is Unicode text."""
    return asked.encode("utf-8", "surrogatepass")


def _eight_or_nothing(value: int | None) -> bytes:
    return b"" if value is None else eight(value)
