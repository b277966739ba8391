"""What people are shown of a job."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - frameworks read what a status is made of
from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - frameworks read what a status is made of
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from backburner.codec.marks import masked
from backburner.model.clock import from_micros
from backburner.model.query import Shown, shown

if TYPE_CHECKING:
    from backburner.model.job import JobRecord

__all__ = ["JobStatus", "Progress", "status_of"]

_decode = msgspec.json.Decoder().decode
_decode_headers = msgspec.json.Decoder(dict[str, str]).decode


class Progress(NamedTuple):
    """How far a job has come."""

    done: int
    #: Of how many, if that is known.
    total: int | None


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
    #: What its runs told last; None before the first word.
    progress: Progress | None
    #: What its runs saved last, as JSON gives it back, ``***`` for secrets; None before.
    checkpoint: Any
    #: The id of the job in whose run it was stored.
    parent: str | None
    #: What it carries from where it was stored.
    headers: Mapping[str, str]


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
        progress=None if record.done is None else Progress(record.done, record.total),
        checkpoint=None if record.checkpoint is None else _decode(masked(record.checkpoint)),
        parent=record.parent,
        headers={} if record.headers is None else _decode_headers(record.headers),
    )
