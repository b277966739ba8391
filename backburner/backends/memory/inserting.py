"""Jobs on their way in: groups stored whole or not at all, births."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.backends.memory.content import row_flaw
from backburner.backends.memory.row import Row
from backburner.model.job import JobState
from backburner.ports.jobs import GroupAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.backends.memory.database import MemoryDatabase
    from backburner.model.job import NewJob
    from backburner.ports.jobs import Birth

__all__ = ["insert"]

_STORED = GroupAnswer()


def insert(database: MemoryDatabase, group: Sequence[NewJob], birth: Birth | None, now: int) -> GroupAnswer:
    """Store one group, or refuse it."""
    rows = [_row(job, now) for job in group]
    for row in rows:
        flaw = row_flaw(row)
        if flaw is not None:
            return GroupAnswer(refused=f"job {row.job.id!r}: {flaw}")
    born: list[str] = []
    duplicates: list[str] = []
    jobs = database.jobs
    for row in rows:
        job_id = row.job.id
        token = birth.tokens.get(job_id) if birth is not None else None
        known = jobs.get(job_id)
        if known is not None:
            again = birth is not None and token is not None and _born(known, birth.node, token)
            (born if again else duplicates).append(job_id)
            continue
        jobs[job_id] = row
        if birth is not None and token is not None and _may_run(database, row, birth.node, now):
            row.attempt = 1
            row.started_at = now
            database.hold(row, birth.node, token)
            born.append(job_id)
        else:
            database.stand(row, row.job.gate, now)
    if born or duplicates:
        return GroupAnswer(born=tuple(born), duplicates=tuple(duplicates))
    return _STORED


def _row(job: NewJob, now: int) -> Row:
    due = now + max(0, job.delay) if job.at is None else max(now, job.at)
    expires = job.expires_at if job.expires_in is None else now + job.expires_in
    return Row(job, now, due, expires)


def _born(row: Row, node: str, token: int) -> bool:
    return row.state is JobState.RUNNING and row.node == node and row.token == token


def _may_run(database: MemoryDatabase, row: Row, node: str, now: int) -> bool:
    job = row.job
    if job.gate or row.due_at > now or database.paused(job.queue, now) or database.room(job.queue, node, 1) < 1:
        return False
    for line in database.queues[job.queue].line.lines[: job.priority + 1]:
        head = line.head()
        if head is not None and head[0] <= now:
            return False
    return True
