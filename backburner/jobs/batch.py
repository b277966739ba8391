"""What leaves for the store together, and who waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping, Sequence

    from backburner.model.job import NewJob
    from backburner.ports.jobs import CancelAnswer, GroupAnswer

__all__ = ["Batch", "Cancellation", "Group"]

#: What a job weighs beside its arguments, roughly.
_JOB_BYTES = 256


class Group:
    """Jobs that are stored together or not at all, the births on offer for them, and the caller."""

    __slots__ = ("deadline", "future", "jobs", "size", "tokens", "tried")

    def __init__(
        self, jobs: Sequence[NewJob], tokens: Mapping[str, int], deadline: float, future: asyncio.Future[GroupAnswer]
    ) -> None:
        self.jobs = jobs
        self.tokens = tokens
        self.deadline = deadline
        self.future = future
        self.size = sum(len(job.args) for job in jobs) + _JOB_BYTES * len(jobs)
        #: A write of it ended without an answer: it may be stored.
        self.tried = False


class Cancellation:
    """Jobs to cancel, and the caller."""

    __slots__ = ("deadline", "future", "ids", "reason")

    def __init__(self, ids: Sequence[str], reason: str, deadline: float, future: asyncio.Future[CancelAnswer]) -> None:
        self.ids = ids
        self.reason = reason
        self.deadline = deadline
        self.future = future


class Batch:
    """Groups first, then cancellations, so that none overtakes its job."""

    __slots__ = ("cancellations", "groups", "jobs")

    def __init__(self) -> None:
        self.groups: list[Group] = []
        self.cancellations: list[Cancellation] = []
        self.jobs = 0
