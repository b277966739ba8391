"""What a pending job waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.cli.jobs.record import gate_line
from backburner.cli.times import ago, iso
from backburner.model.job import JobState

if TYPE_CHECKING:
    from backburner.model.job import JobRecord
    from backburner.ports.backend import Backend

__all__ = ["waits_for"]


async def waits_for(backend: Backend, job: JobRecord, now: int) -> str:
    """Say in a line what has to happen before the job runs; empty for a job that is not pending."""
    if job.state is not JobState.PENDING:
        return ""
    if job.gate:
        return gate_line(job)
    if job.due_at > now:
        return f"its time, {iso(job.due_at)} ({ago(job.due_at, now)})"
    return await _paused(backend, job.queue) or await _nobody(backend, job) or f"a free slot in queue {job.queue}"


async def _paused(backend: Backend, name: str) -> str:
    queue = next((queue for queue in await backend.queues.list() if queue.name == name and queue.paused), None)
    if queue is None:
        return ""
    until = f" until {iso(queue.paused_until)}" if queue.paused_until else ""
    return f"queue {name}, which is paused{until}{f': {queue.reason}' if queue.reason else ''}"


async def _nobody(backend: Backend, job: JobRecord) -> str:
    alive = [node for node in await backend.nodes.find() if node.alive and job.queue in node.queues]
    if not alive:
        return f"a node that runs queue {job.queue}; none is alive"
    if not any(job.kind in node.kinds for node in alive):
        return f"a node that knows the kind {job.kind}; no living node of queue {job.queue} does"
    return ""
