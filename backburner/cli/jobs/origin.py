"""Where a job comes from: the jobs above it, its schedule, a replay."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from backburner.cli.jobs.record import state_of
from backburner.model.schedule import SCHEDULE_HEADER, TICK_HEADER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.model.job import JobRecord
    from backburner.ports.jobs import JobReader

__all__ = ["ancestors_of", "kin", "schedule_of"]

#: How far up is looked.
_MOST = 20


async def ancestors_of(reader: JobReader, job: JobRecord) -> Sequence[JobRecord]:
    """Return the job in whose run this one was stored, the one in whose run that was, and so on, as far as they are kept."""
    found: list[JobRecord] = []
    while job.parent is not None and len(found) < _MOST:
        jobs = (await reader.get([job.parent])).jobs
        if not jobs:
            break
        job = jobs[0]
        found.append(job)
    return found


def kin(job: JobRecord, now: int) -> dict[str, object]:
    """Return what `--json` writes of a job that another is related to."""
    return {"id": job.id, "kind": job.kind, "state": state_of(job, now)}


def schedule_of(job: JobRecord) -> tuple[str, str] | None:
    """Return the schedule that stored a job, and the tick it is for, in UTC; None where none did."""
    headers = json.loads(job.headers or "{}")
    schedule, tick = headers.get(SCHEDULE_HEADER), headers.get(TICK_HEADER)
    return (schedule, tick) if isinstance(schedule, str) and isinstance(tick, str) else None
