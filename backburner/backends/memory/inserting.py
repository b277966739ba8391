"""Jobs on their way in: groups stored whole or not at all, births."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.backends.content import due_at, expires_at, job_flaw
from backburner.backends.memory.row import Row
from backburner.backends.memory.telling import tell
from backburner.model.job import GROUP_CANCELLED, UNIQUE_GATE, JobState
from backburner.ports.jobs import GroupAnswer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.backends.memory.database import MemoryDatabase
    from backburner.model.job import NewJob
    from backburner.ports.jobs import Birth

__all__ = ["follow", "insert"]

_STORED = GroupAnswer()


def insert(database: MemoryDatabase, group: Sequence[NewJob], birth: Birth | None, now: int) -> GroupAnswer:
    """Store one group, or refuse it."""
    for job in group:
        flaw = job_flaw(job, now)
        if flaw is not None:
            return GroupAnswer(refused=f"job {job.id!r}: {flaw}")
    born: list[str] = []
    duplicates: list[str] = []
    holders: dict[str, str] = {}
    jobs = database.jobs
    for job in group:
        row = _row(job, now)
        token = birth.tokens.get(job.id) if birth is not None else None
        known = jobs.get(job.id)
        if known is not None:
            if birth is not None and token is not None and _born(known, birth.node, token):
                born.append(job.id)
            elif (
                job.parent is None or job.parent != known.job.parent or not _take_up(database, row, known, holders, now)
            ):
                duplicates.append(job.id)
            continue
        if job.unique is not None and (holder := database.keys.holder(job.unique.key, now)) is not None:
            holders[job.id] = holder
            continue
        _enter(database, row, now)
        if birth is not None and token is not None and _may_run(database, row, birth.node, now):
            _bear(database, row, birth.node, token, now)
            born.append(job.id)
        else:
            _stand(database, row, now)
    if born or duplicates or holders:
        return GroupAnswer(born=tuple(born), duplicates=tuple(duplicates), holders=holders)
    return _STORED


def follow(database: MemoryDatabase, jobs: Sequence[NewJob], now: int) -> None:
    """Store follow-ups, which are without flaw; those whose key is held at its gate."""
    for job in jobs:
        if job.id in database.jobs:
            continue
        row = _row(job, now)
        busy = job.unique is not None and database.keys.holder(job.unique.key, now) is not None
        _enter(database, row, now)
        if busy and job.unique is not None:
            database.stand(row, UNIQUE_GATE + job.unique.key, now)
        else:
            _stand(database, row, now)


def _enter(database: MemoryDatabase, row: Row, now: int) -> None:
    database.enter(row)
    if database.log.asked:
        tell(database, "job.enqueued", row, now)


def _bear(database: MemoryDatabase, row: Row, node: str, token: int, now: int) -> None:
    """Let a new row run at once."""
    row.attempt = 1
    row.started_at = now
    database.hold(row, node, token)
    if database.log.asked:
        tell(database, "job.claimed", row, now, node=node)


def _stand(database: MemoryDatabase, row: Row, now: int) -> None:
    """Put a new row where it belongs: one that could run at once, behind those who wait for the same lane."""
    job = row.job
    gate = job.gate
    if job.lanes and not gate and row.due_at <= now:
        gate = database.lanes.gate(job)
    database.stand(row, gate, now)


def _take_up(database: MemoryDatabase, row: Row, known: Row, holders: dict[str, str], now: int) -> bool:
    """Undo that a child's own group cancelled it, or asked to; tell whether it had."""
    if known.asked == GROUP_CANCELLED:
        known.asked = None
        return True
    if known.state is not JobState.CANCELLED or known.reason != GROUP_CANCELLED:
        return False
    job = row.job
    holder = None if job.unique is None else database.keys.holder(job.unique.key, now, beside=job.id)
    if holder is not None:
        holders[job.id] = holder
        return True
    database.strike(known)
    row.token = known.token
    _enter(database, row, now)
    _stand(database, row, now)
    return True


def _row(job: NewJob, now: int) -> Row:
    return Row(job, now, due_at(job, now), expires_at(job, now))


def _born(row: Row, node: str, token: int) -> bool:
    return row.state is JobState.RUNNING and row.node == node and row.token == token


def _may_run(database: MemoryDatabase, row: Row, node: str, now: int) -> bool:
    job = row.job
    if job.gate or job.lanes or row.due_at > now:
        return False
    if database.settings and not _takes_births(database, job.queue, node, now):
        return False
    if database.kinds and job.kind in database.paused_kinds(now):
        return False
    for line in database.queues[job.queue].line.lines[: job.priority + 1]:
        head = line.head()
        if head is not None and head[0] <= now:
            return False
    return True


def _takes_births(database: MemoryDatabase, queue: str, node: str, now: int) -> bool:
    settings = database.settings.get(queue)
    if settings is None:
        return True
    return settings.rate is None and not database.paused(queue, now) and database.room(queue, node, 1) > 0
