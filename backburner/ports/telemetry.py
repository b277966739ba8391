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
    #: The node takes no more work, and ends what it runs.
    NODE_DRAINING = "node.draining"
    #: The loop was silent for so long that the keeper let the lease go.
    NODE_STALLED = "node.stalled"


class Listener(Protocol):
    """Hears signals. Called on the hot path: it must not block, and what it raises is its own loss."""

    def __call__(self, signal: Signal, /, *, error: BaseException | None = None, **fields: object) -> None:
        """Hear one signal, with the error it tells of, if any."""
        ...
