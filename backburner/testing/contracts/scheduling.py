"""Short ways to make schedules, ticks and changes, for tests that care about one field of them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import msgspec

from backburner.model.schedule import Outcome, ScheduleChange, ScheduleRecord, TickRecord
from backburner.ports.schedules import ChangeAnswer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backburner.model.job import NewJob
    from backburner.ports.backend import Backend

__all__ = ["change", "fire", "known", "ledger", "plan", "schedule", "skip", "stored", "tick"]

_numbers = itertools.count(1)


def schedule(name: str = "daily", version: int = 0, **fields: Any) -> ScheduleRecord:  # noqa: ANN401 - any field of it
    """Make a schedule, as one that is not stored yet."""
    given: dict[str, Any] = {"name": name, "version": version, "kind": "note", "rule": "{}", "job": "{}"}
    return ScheduleRecord(**given | fields)


def tick(moment: int = 1_000, **fields: Any) -> TickRecord:  # noqa: ANN401 - any field of it
    """Make a line of a ledger that tells of one tick, with an id above all before it."""
    given: dict[str, Any] = {
        "id": f"{next(_numbers):026}",
        "schedule": "daily",
        "tick": moment,
        "last": moment,
        "outcome": Outcome.FIRED,
        "due_at": moment,
    }
    return TickRecord(**given | fields)


def skip(moment: int = 1_000, **fields: Any) -> TickRecord:  # noqa: ANN401 - any field of it
    """Make a line of a ledger that tells of a tick that was skipped."""
    given: dict[str, Any] = {"outcome": Outcome.SKIPPED, "reason": "missed"}
    return tick(moment, **given | fields)


def fire(job: NewJob, of: ScheduleRecord | None = None, **fields: Any) -> ScheduleChange:  # noqa: ANN401 - of a tick
    """Make the change that stores a job for one tick of a schedule."""
    record = schedule() if of is None else of
    given: dict[str, Any] = {"schedule": record.name, "job": job.id}
    line = tick(**given | fields)
    record = msgspec.structs.replace(record, last_tick=line.last, fired_at=line.due_at, last_job=job.id)
    return ScheduleChange(schedule=record, ticks=(line,), jobs=(job,))


async def change(backend: Backend, *changes: ScheduleChange) -> tuple[ChangeAnswer, ...]:
    """Make changes in one call; return the answers."""
    return (await backend.schedules.change(changes)).changes


async def plan(backend: Backend, name: str = "daily", **fields: Any) -> ScheduleRecord:  # noqa: ANN401 - any field
    """Store a new schedule; return what is stored."""
    record = schedule(name, **fields)
    assert await change(backend, ScheduleChange(schedule=record)) == (ChangeAnswer(),)
    return await stored(backend, name)


async def stored(backend: Backend, name: str = "daily") -> ScheduleRecord:
    """Read one schedule that exists."""
    (record,) = (await backend.schedule_reader.get([name])).schedules
    return record


async def known(backend: Backend, names: Iterable[str]) -> list[str]:
    """Return which of these schedules exist, by name."""
    return [record.name for record in (await backend.schedule_reader.get([*names])).schedules]


async def ledger(backend: Backend, **where: Any) -> list[TickRecord]:  # noqa: ANN401 - as `ScheduleReader.ticks`
    """Read lines of the ledger, the first decided first."""
    page = await backend.schedule_reader.ticks(limit=10_000, **where)
    assert page.after is None
    return [*reversed(page.ticks)]
