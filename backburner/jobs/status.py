"""What people are shown of a job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backburner.model.clock import from_micros
from backburner.model.query import Shown, shown

if TYPE_CHECKING:
    from datetime import datetime

    from backburner.model.job import JobRecord

__all__ = ["JobStatus", "status_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """A job as it was read. Moments are aware, in UTC."""

    id: str
    kind: str
    queue: str
    state: Shown
    priority: int
    tags: tuple[str, ...]
    #: Runs begun, failures, crashes and interruptions, each counted apart.
    attempt: int
    failures: int
    crashes: int
    interruptions: int
    created: datetime
    due: datetime
    started: datetime | None
    ended: datetime | None
    #: Why it ended as it did.
    reason: str | None
    #: The last error, as ``Type: message``.
    error: str | None
    #: Where it runs, or ran last.
    node: str | None


def status_of(record: JobRecord, now: int) -> JobStatus:
    """Show a stored job, as of the store's now."""
    return JobStatus(
        id=record.id,
        kind=record.kind,
        queue=record.queue,
        state=shown(record.state, failures=record.failures, due_at=record.due_at, now=now),
        priority=record.priority,
        tags=record.tags,
        attempt=record.attempt,
        failures=record.failures,
        crashes=record.crashes,
        interruptions=record.interruptions,
        created=from_micros(record.created_at),
        due=from_micros(record.due_at),
        started=None if record.started_at is None else from_micros(record.started_at),
        ended=None if record.ended_at is None else from_micros(record.ended_at),
        reason=record.reason,
        error=f"{record.error}: {record.message}" if record.error else None,
        node=record.node,
    )
