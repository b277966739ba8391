"""What may be said of a job beside its call."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from backburner.jobs.unique import Unique
    from backburner.resilience.retry import RetryPolicy

__all__ = ["BatchOptions", "CallOptions", "GroupOptions", "TaskOptions"]


class GroupOptions(TypedDict, total=False):
    """What holds for each of many jobs. Durations are a `timedelta` or seconds; moments are aware."""

    delay: timedelta | float
    """The job is due after this time, or at this moment; at most one of the two."""
    at: datetime
    queue: str
    priority: int
    """0 (first) to 9 (last)."""
    expires: timedelta | float | datetime
    """No run of the job, no retry either, starts later than this time from now, or this moment; it is cancelled then."""
    unique: Unique | None
    """Of jobs with the same key one is stored; whoever stores another is answered that one. None: none, also if declared."""
    tags: Sequence[str]
    retry: str | RetryPolicy
    timeout: timedelta | float | None
    """How long a run may take; None for no limit."""


class BatchOptions(GroupOptions, total=False):
    """What `create_tasks` takes beside the calls."""

    tx: object
    """Your own connection to the same store, in a transaction: the jobs are stored in it."""


class CallOptions(GroupOptions, total=False):
    """What holds for one job."""

    id: str
    """The job's id. Storing an id twice stores one job: what makes a repeated `create_task` safe."""


class TaskOptions(CallOptions, total=False):
    """What `create_task` takes beside the call."""

    name: str
    """Inside a job: names a child among its siblings, so that a parent which runs again finds it whatever its arguments."""
    tx: object
    """Your own connection to the same store, in a transaction: the job is stored in it, and never was if it rolls back."""
