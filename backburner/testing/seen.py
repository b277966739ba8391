"""What a test is shown of jobs."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import msgspec

from backburner.codec.marks import masked
from backburner.jobs.status import JobStatus, status_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backburner.model.job import JobRecord

__all__ = ["Drained", "StoredJob", "seen"]

_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredJob(JobStatus):
    """A job as it is stored: all that `JobStatus` tells, and what it carries."""

    #: Arguments by name, as JSON gives them back, ``***`` for secrets.
    args: Mapping[str, Any]
    #: What it returned, likewise; None before.
    result: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """What `Testing.drain` ran: how many runs ended how, a job that ran twice counting twice."""

    completed: int
    #: Failed, and will be tried again.
    retrying: int
    #: Dead letters.
    dead: int
    cancelled: int
    snoozed: int
    #: Cut off, and given back uncounted.
    interrupted: int
    #: What the runs raised that failed or died, in order; one that ran out of time raised nothing.
    errors: tuple[Exception, ...]


def seen(record: JobRecord, now: int) -> StoredJob:
    """Show a stored job."""
    status = status_of(record, now)
    known = {field.name: getattr(status, field.name) for field in fields(status)}
    result = None if record.result is None else _decode(masked(record.result))
    return StoredJob(**known, args=_decode(masked(record.args)), result=result)
