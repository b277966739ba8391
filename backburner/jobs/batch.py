"""What leaves for the store together, and who waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.errors import StoreBusy
from backburner.ports.jobs import CancelAnswer

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping, Sequence

    from backburner.errors import Stored
    from backburner.model.job import NewJob
    from backburner.ports.jobs import GroupAnswer

__all__ = ["Batch", "Cancellation", "Group", "busy_group"]

#: What a job weighs beside its arguments, roughly.
_JOB_BYTES = 256


class Group:
    """Jobs that are stored together or not at all, the births on offer for them, and the caller."""

    __slots__ = ("again_at", "busy", "deadline", "future", "jobs", "size", "tokens", "tried")

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
        self.busy = 0
        self.again_at = 0.0


class Cancellation:
    """Jobs to cancel, and the caller."""

    __slots__ = ("again_at", "answer", "busy", "deadline", "future", "ids", "reason")

    def __init__(self, ids: Sequence[str], reason: str, deadline: float, future: asyncio.Future[CancelAnswer]) -> None:
        self.ids = ids
        self.reason = reason
        self.deadline = deadline
        self.future = future
        #: What is known so far, while some of the jobs are locked.
        self.answer: CancelAnswer | None = None
        self.busy = 0
        self.again_at = 0.0

    @property
    def open(self) -> Sequence[str]:
        """The ids that are still to be answered."""
        return self.ids if self.answer is None else self.answer.busy

    def hear(self, answer: CancelAnswer) -> CancelAnswer:
        """Take an answer for the open ids, and perhaps for others'; return what is known now."""
        mine = set(self.open)
        busy = tuple(job_id for job_id in answer.busy if job_id in mine)
        known = self.answer
        if known is not None or busy != answer.busy:
            answer = CancelAnswer(
                now=answer.now,
                cancelled=(known.cancelled if known else ()) + answer.cancelled,
                asked=(known.asked if known else ()) + answer.asked,
                ended=(known.ended if known else ()) + answer.ended,
                missing=(known.missing if known else ()) + answer.missing,
                busy=busy,
            )
        self.answer = answer
        return answer


class Batch:
    """Groups first, then cancellations, so that none overtakes its job."""

    __slots__ = ("cancellations", "groups", "jobs")

    def __init__(self) -> None:
        self.groups: list[Group] = []
        self.cancellations: list[Cancellation] = []
        self.jobs = 0


def busy_group(job_id: str, stored: Stored, more: str = "") -> StoreBusy:
    """Return the error of a group, named by its first job, that somebody's open transaction keeps from being stored."""
    why = f"the unique key or the id of a job stored with {job_id} is held in somebody's open transaction"
    return StoreBusy(f"{why}{more}", stored=stored, job_id=job_id)
