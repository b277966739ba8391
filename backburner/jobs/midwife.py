"""Claimed at birth: a job that may run the moment it is stored is stored running, and starts after one commit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.model.job import Claim

if TYPE_CHECKING:
    from backburner.jobs.claimer import Claimer
    from backburner.jobs.executor import Executor
    from backburner.jobs.identity import Identity
    from backburner.jobs.kit import Kit
    from backburner.jobs.run import Why
    from backburner.jobs.slots import Slots
    from backburner.model.job import NewJob

__all__ = ["Midwife"]


class Midwife:
    """Books slots for births and starts what was born.

    The store decides, in the step that stores the job, whether it may run at once: it alone knows whether the queue is
    paused and whether others are ahead. A job that is born is read back from its stored text like any other.
    """

    def __init__(self, slots: Slots, executor: Executor, claimer: Claimer, *, node: Identity, kit: Kit) -> None:
        self._node = node
        self._slots = slots
        self._executor = executor
        self._claimer = claimer
        self._clock = kit.clock
        self._last_token = 0

    def book(self, job: NewJob) -> int:
        """Book a slot for a birth and draw its token; 0 when the job has to wait in line."""
        if (
            job.delay
            or job.at is not None
            or job.gate
            or not self._claimer.open
            or self._slots.free(job.queue) <= 0
            or job.id in self._executor.runs
        ):
            return 0
        self._slots.take(job.queue)
        token = self._last_token = max(self._last_token + 1, self._clock.now())
        return token

    def born(self, job: NewJob, token: int, now: int) -> None:
        """Start a job that was born; one stored twice in one write was born once.

        Born while the engine stops, or under an id that is no longer this node's, it is given back as if it had waited
        in line.
        """
        if job.id in self._executor.runs:
            self.unbook(job)
        elif self._claimer.open and self._node.holder(job.id, token) == self._node.id:
            self._executor.start(_first_claim(job, token, now))
        else:
            self._executor.decline(_first_claim(job, token, now))
            self._slots.give(job.queue)

    def unbook(self, job: NewJob) -> None:
        """Give a slot back: the job was not born."""
        self._slots.give(job.queue)
        self._claimer.freed(suspect=False)

    def expect(self, queue: str, delay: int) -> None:
        """Know of a pending job of this queue."""
        self._claimer.expect(queue, delay)

    def end(self, job_id: str, why: Why) -> bool:
        """Tell a run to end; False when the job does not run here."""
        run = self._executor.runs.get(job_id)
        if run is None:
            return False
        self._executor.end(run, why)
        return True


def _first_claim(job: NewJob, token: int, now: int) -> Claim:
    return Claim(
        id=job.id,
        kind=job.kind,
        queue=job.queue,
        args=job.args,
        priority=job.priority,
        attempt=1,
        failures=0,
        crashes=0,
        interruptions=0,
        token=token,
        timeout=job.timeout,
        retry=job.retry,
        backoff=None,
        created_at=now,
        due_at=now,
        expires_at=job.expires_at if job.expires_in is None else now + job.expires_in,
        claimed_at=now,
        headers=job.headers,
    )
