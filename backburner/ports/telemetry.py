"""What the engine tells whoever listens: logs now, metrics and traces later. Without a listener nothing changes."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

__all__ = ["Listener", "Signal"]


class Signal(StrEnum):
    """Everything the engine tells, by name."""

    ENGINE_STARTED = "engine.started"
    ENGINE_STOPPED = "engine.stopped"
    #: A loop's step failed, and not for want of the store; it goes on after a backoff.
    LOOP_FAILED = "loop.failed"
    #: A loop waits for the store, which is busy or away; nothing is lost meanwhile.
    STORE_WAITING = "store.waiting"
    #: A loop that failed works again.
    STORE_RECOVERED = "store.recovered"
    #: Something about the store is not as it should be: what was found at the start, and how to mend it.
    STORE_FINDING = "store.finding"
    JOB_RETRY = "job.retry"
    JOB_DEAD = "job.dead"
    JOB_CANCELLED = "job.cancelled"
    JOB_INTERRUPTED = "job.interrupted"
    #: A dead node's job was taken over.
    JOB_LAPSED = "job.lapsed"
    #: A run no longer held its claim; what it did was not written.
    JOB_LOST = "job.lost"
    #: A run raised after its own transaction had completed it; the job stays completed.
    JOB_LATE_ERROR = "job.late_error"
    #: A run goes on after it was told to end.
    JOB_STUCK = "job.stuck"
    #: Jobs were parked: they wait for a node that knows their kind.
    KIND_UNKNOWN = "kind.unknown"
    #: A job's stored arguments do not fit its signature here; it waits for a node where they do.
    JOB_MISFIT = "job.misfit"
    #: A dependency fails: the jobs that name its breaker wait.
    BREAKER_OPENED = "breaker.opened"
    #: A few of them try it.
    BREAKER_PROBING = "breaker.probing"
    #: It works again.
    BREAKER_CLOSED = "breaker.closed"
    #: A breaker opened on this node alone: the store, where all nodes share it, cannot be asked.
    BREAKER_ALONE = "breaker.alone"
    #: A tick was decided upon long after its time, or skipped since that had passed.
    SCHEDULE_MISSED = "schedule.missed"
    #: A tick was skipped: its predecessor's job, or another with its unique key, has not ended.
    SCHEDULE_SKIPPED = "schedule.skipped"
    #: A schedule in code was stored for the first time, or otherwise than before.
    SCHEDULE_DECLARED = "schedule.declared"
    #: A schedule in code does not fire any more: no living node declares it.
    SCHEDULE_RETIRED = "schedule.retired"
    #: A schedule fired a job whose kind this node does not know, as it was once stored.
    SCHEDULE_UNKNOWN = "schedule.unknown"
    #: This node cannot make out when a schedule is due, or what it stores.
    SCHEDULE_FAILED = "schedule.failed"
    #: The node takes no more work, and ends what it runs.
    NODE_DRAINING = "node.draining"
    #: The node's lease was over, or let go since the loop was silent for so long; what it ran may run elsewhere.
    NODE_STALLED = "node.stalled"
    #: The node could not renew its lease in time; what it ran is interrupted, and it comes back under another id.
    NODE_FENCED = "node.fenced"
    #: A node that had lost its lease works again, under another id.
    NODE_RETURNED = "node.returned"
    #: A worker process ended that was not told to; another takes its place.
    WORKER_DIED = "worker.died"


class Listener(Protocol):
    """Hears signals. Called on the hot path: it must not block, and what it raises is its own loss."""

    def __call__(self, signal: Signal, /, *, error: BaseException | None = None, **fields: object) -> None:
        """Hear one signal, with the error it tells of, if any."""
        ...
