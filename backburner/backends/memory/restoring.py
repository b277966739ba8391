"""Whole jobs: out of this store, and into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.backends.content import image_flaw
from backburner.backends.memory.keys import holds
from backburner.backends.memory.row import Row, record_of
from backburner.errors import StoreRefused
from backburner.model.job import JobImage, JobState, NewJob, UniqueKey
from backburner.ports.jobs import Restored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.backends.memory.database import MemoryDatabase

__all__ = ["image_of", "restore"]


def image_of(database: MemoryDatabase, row: Row) -> JobImage:
    """Return all that is kept of a row."""
    unique = row.job.unique
    states = () if unique is None else unique.states
    until = None if unique is None or unique.period is None else row.created_at + unique.period
    history = tuple(database.history.get(row.job.id, ()))
    return JobImage(record=record_of(row), unique_states=states, unique_until=until, asked=row.asked, history=history)


def restore(database: MemoryDatabase, images: Sequence[JobImage], now: int) -> Restored:
    """Store whole jobs; raises `StoreRefused` before any is stored."""
    for image in images:
        flaw = image_flaw(image)
        if flaw is not None:
            job_id = image.record.id
            raise StoreRefused(f"Job {job_id!r} cannot be restored: {flaw}", stored="no", job_id=job_id)
    known: list[str] = []
    holders: dict[str, str] = {}
    for image in images:
        row = _row(image)
        job = row.job
        held = holds(row, now)
        if job.id in database.jobs:
            known.append(job.id)
        elif held and job.unique is not None and (holder := database.keys.holder(job.unique.key, now)) is not None:
            holders[job.id] = holder
        else:
            _enter(database, row, now)
            if image.history:
                database.history[job.id] = list(image.history)
    return Restored(now=now, known=tuple(known), holders=holders)


def _enter(database: MemoryDatabase, row: Row, now: int) -> None:
    database.enter(row)
    if row.state is JobState.PENDING:
        database.stand_anew(row, row.gate, now)
    else:
        database.file(row, now)


def _row(image: JobImage) -> Row:
    record = image.record
    unique = None
    if record.unique is not None:
        period = None if image.unique_until is None else image.unique_until - record.created_at
        unique = UniqueKey(record.unique, image.unique_states, period)
    job = NewJob(
        id=record.id,
        kind=record.kind,
        queue=record.queue,
        args=record.args,
        priority=record.priority,
        timeout=record.timeout,
        retry=record.retry,
        tags=record.tags,
        headers=record.headers,
        parent=record.parent,
        unique=unique,
        lanes=record.lanes,
    )
    return Row(
        job,
        record.created_at,
        record.due_at,
        record.expires_at,
        state=record.state,
        gate=record.gate,
        attempt=record.attempt,
        failures=record.failures,
        crashes=record.crashes,
        interruptions=record.interruptions,
        token=record.token,
        node=record.node,
        backoff=record.backoff,
        started_at=record.started_at,
        ended_at=record.ended_at,
        result=record.result,
        reason=record.reason,
        error=record.error,
        message=record.message,
        fingerprint=record.fingerprint,
        progress=None if record.done is None else (record.done, record.total),
        checkpoint=record.checkpoint,
    )
