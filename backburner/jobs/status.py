"""What people are shown of a job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backburner.model.clock import from_micros
from backburner.model.job import JobRecord, JobState
from backburner.model.query import Shown

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["JobStatus", "shown", "status_of"]


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


def shown(record: JobRecord, now: int) -> Shown:
    """Return the state that people are shown."""
    if record.state is not JobState.PENDING:
        return Shown(record.state.value)
    if record.failures:
        return Shown.RETRYING
    return Shown.SCHEDULED if record.due_at > now else Shown.WAITING


def status_of(record: JobRecord, now: int) -> JobStatus:
    """Show a stored job, as of the store's now."""
    return JobStatus(
        id=record.id,
        kind=record.kind,
        queue=record.queue,
        state=shown(record, now),
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
