"""A stored job: one mutable row."""

from __future__ import annotations

import msgspec

from backburner.model.job import Cause, Claim, JobRecord, JobState, NewJob
from backburner.ports.jobs import Timing

__all__ = ["Row", "claim_of", "record_of", "timing_of"]


class Row(msgspec.Struct, gc=False):
    """What was handed in, and what has become of it.

    A row refers to nothing that refers back to it, so the garbage collector need not know of it.
    """

    job: NewJob
    created_at: int
    due_at: int
    expires_at: int | None
    state: JobState = JobState.PENDING
    gate: str = ""
    #: Which entry of the lines is this row's: an entry with another stamp is a leftover.
    stamp: int = 0
    attempt: int = 0
    failures: int = 0
    crashes: int = 0
    interruptions: int = 0
    token: int = 0
    node: str | None = None
    #: The reason for which somebody asked to cancel it while it runs.
    asked: str | None = None
    #: Its slot is lent while it waits for another job.
    lent: bool = False
    #: Why it was handed over to be settled, and the node it lapsed on; both kept until it is.
    cause: Cause | None = None
    lapsed_on: str | None = None
    backoff: int | None = None
    started_at: int | None = None
    ended_at: int | None = None
    result: str | None = None
    reason: str | None = None
    error: str = ""
    message: str = ""
    fingerprint: str = ""
    progress: tuple[int, int | None] | None = None
    checkpoint: str | None = None


def claim_of(row: Row, gate: str, now: int) -> Claim:
    """Return the row as it is handed to its node, from that gate."""
    job = row.job
    return Claim(
        id=job.id,
        kind=job.kind,
        queue=job.queue,
        args=job.args,
        priority=job.priority,
        attempt=row.attempt,
        failures=row.failures,
        crashes=row.crashes,
        interruptions=row.interruptions,
        token=row.token,
        timeout=job.timeout,
        retry=job.retry,
        backoff=row.backoff,
        created_at=row.created_at,
        due_at=row.due_at,
        expires_at=row.expires_at,
        claimed_at=now,
        gate=gate,
        headers=job.headers,
        checkpoint=row.checkpoint,
        lanes=job.lanes,
    )


def record_of(row: Row) -> JobRecord:
    """Return the row as it is read."""
    job = row.job
    done, total = row.progress or (None, None)
    return JobRecord(
        id=job.id,
        kind=job.kind,
        queue=job.queue,
        state=row.state,
        gate=row.gate,
        priority=job.priority,
        args=job.args,
        result=row.result,
        reason=row.reason,
        tags=job.tags,
        attempt=row.attempt,
        failures=row.failures,
        crashes=row.crashes,
        interruptions=row.interruptions,
        token=row.token,
        node=row.node,
        cancel=row.asked is not None,
        timeout=job.timeout,
        retry=job.retry,
        backoff=row.backoff,
        created_at=row.created_at,
        due_at=row.due_at,
        expires_at=row.expires_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        error=row.error,
        message=row.message,
        fingerprint=row.fingerprint,
        headers=job.headers,
        parent=job.parent,
        unique=None if job.unique is None else job.unique.key,
        checkpoint=row.checkpoint,
        done=done,
        total=total,
        lanes=job.lanes,
    )


def timing_of(row: Row, ended_at: int) -> Timing:
    """Return how the row went, which ended then."""
    return Timing(
        id=row.job.id,
        kind=row.job.kind,
        queue=row.job.queue,
        attempt=row.attempt,
        failures=row.failures,
        created_at=row.created_at,
        due_at=row.due_at,
        started_at=row.started_at,
        ended_at=ended_at,
    )
