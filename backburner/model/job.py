"""A job as it is stored, claimed, read; and how a claim ends."""

from __future__ import annotations

from enum import StrEnum

import msgspec

__all__ = [
    "CANCELLED",
    "CORRELATION_HEADER",
    "DEFAULT_PRIORITY",
    "DEFAULT_QUEUE",
    "GROUP_CANCELLED",
    "MISFIT_GATE",
    "PAUSED_GATE",
    "PRIORITIES",
    "SUSPECT_CRASHES",
    "SUSPECT_GATE",
    "UNIQUE_GATE",
    "UNKNOWN_GATE",
    "Attempt",
    "Cause",
    "Claim",
    "Ending",
    "JobImage",
    "JobRecord",
    "JobState",
    "NewJob",
    "Recovered",
    "Settlement",
    "UniqueKey",
]

#: Priorities, first to last.
PRIORITIES = range(10)
DEFAULT_PRIORITY = 5
#: The queue of jobs that name none.
DEFAULT_QUEUE = "default"

#: Crashes in company after which a job is a suspect: it runs with no other suspect beside it.
SUSPECT_CRASHES = 2
#: The gate where suspects wait: a node claims one at a time.
SUSPECT_GATE = "suspect"
#: The gate of jobs whose kind no claiming node knew is this and the kind.
UNKNOWN_GATE = "unknown:"
#: The gate of jobs whose arguments did not fit is this, the kind, a colon, and the signatures they did not fit, in order
#: and separated by commas.
MISFIT_GATE = "misfit:"
#: The gate of jobs whose kind an operator has paused is this and the kind.
PAUSED_GATE = "paused:"
#: The gate of follow-ups whose unique key was busy is this and the key.
UNIQUE_GATE = "unique:"

#: The header by which a job, and what is stored in its runs, know the request that they are from.
CORRELATION_HEADER = "correlation_id"

#: The reasons of jobs that a person cancelled, and of children whose own group did when it failed.
CANCELLED = "cancelled"
GROUP_CANCELLED = "group"


class JobState(StrEnum):
    """The stored states."""

    #: Waiting for a node: due now, later (scheduled), or again (retrying).
    PENDING = "pending"
    #: Held by a claim.
    RUNNING = "running"
    #: Ended with a result. Final.
    COMPLETED = "completed"
    #: Ended by a person, by the job itself or by its expiry. Final.
    CANCELLED = "cancelled"
    #: A dead letter: out of attempts, rejected or poison. Final until replayed.
    DEAD = "dead"


class Ending(StrEnum):
    """How one attempt ended; the completed ones leave no record of their own."""

    #: It raised, or ran out of time; counts against its retry policy.
    FAILED = "failed"
    #: It raised `Reject`, or its arguments could not be read.
    REJECTED = "rejected"
    #: Its node died, or its own process; counts as a crash, never as a failure.
    CRASHED = "crashed"
    #: Its node stopped or lost its store; counts as nothing.
    INTERRUPTED = "interrupted"
    #: It raised `Snooze`; counts as nothing.
    SNOOZED = "snoozed"
    #: It raised `Cancel`, or a person cancelled it.
    CANCELLED = "cancelled"
    #: Its stored arguments did not fit the signature that its node declares; counts as nothing.
    MISFIT = "misfit"


class UniqueKey(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A key that only one job holds at a time.

    A job holds its key while its state is one of ``states``, and for ``period`` microseconds from storing whatever its
    state; not while it stands at the key's own gate.
    """

    key: str
    states: tuple[JobState, ...]
    period: int | None = None


class NewJob(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A job on its way to the store.

    ``args`` is JSON text: one object, the arguments by name. Durations count from the store's own now; an instant
    appears only where a user named one. Of ``delay`` and ``at``, and of ``expires_in`` and ``expires_at``, one is set.
    """

    id: str
    kind: str
    queue: str
    args: str
    priority: int = DEFAULT_PRIORITY
    #: Microseconds from the store's now.
    delay: int = 0
    at: int | None = None
    expires_in: int | None = None
    expires_at: int | None = None
    #: Microseconds a run may take; 0 is no limit, None leaves it to the job's declaration.
    timeout: int | None = None
    #: JSON text of a retry policy for this job alone; None leaves it to the declaration.
    retry: str | None = None
    tags: tuple[str, ...] = ()
    #: The gate the job is born at: empty is the line.
    gate: str = ""
    #: JSON text, one object of texts: what the engine carries from who stores the job to its runs.
    headers: str | None = None
    #: The job in whose run it was stored as a child; it is kept at least until that one is final.
    parent: str | None = None
    unique: UniqueKey | None = None
    #: The lanes that a claim has to ask, in order.
    lanes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        # Without what it carries: that may hold secrets, and a report of an error shows the variables of its frames.
        return f"<{type(self).__name__} {self.id} of {self.kind}>"


class Claim(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """A job handed to a node. The field order is the column order of a store's claim."""

    id: str
    kind: str
    queue: str
    args: str
    priority: int
    #: The number of this run, counted from 1.
    attempt: int
    failures: int
    crashes: int
    interruptions: int
    #: Fences every write about this run.
    token: int
    timeout: int | None
    retry: str | None
    #: The last retry's delay in microseconds, for backoffs that grow from it.
    backoff: int | None
    created_at: int
    due_at: int
    expires_at: int | None
    #: The store's now when the job was claimed.
    claimed_at: int
    #: The gate it stood at until then.
    gate: str = ""
    headers: str | None = None
    #: JSON text: what an earlier run saved.
    checkpoint: str | None = None
    lanes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        # Without what it carries: that may hold secrets, and a report of an error shows the variables of its frames.
        return f"<{type(self).__name__} {self.id} of {self.kind}, attempt {self.attempt}>"


class Cause(StrEnum):
    """Why a job was recovered."""

    #: Its node died while running it.
    LAPSED = "lapsed"
    #: It was not started before it expired.
    EXPIRED = "expired"


class Recovered(msgspec.Struct, frozen=True, kw_only=True):
    """A job handed to a node to settle, not to run."""

    claim: Claim
    cause: Cause
    #: The node that ran it, for a lapsed one.
    node: str | None = None
    #: A person asked to cancel it while it ran.
    cancel: bool = False


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt that did not complete, as the history keeps it."""

    attempt: int
    ending: Ending
    node: str
    started_at: int
    ended_at: int
    #: The error's type, qualified; empty where nothing was raised.
    error: str = ""
    message: str = ""
    traceback: str = ""
    fingerprint: str = ""


class Settlement(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """How a claim ended: flat columns that the engine worked out, applied where node and token still match.

    A settlement to ``pending`` of a job that was asked to be cancelled becomes ``cancelled``, with the reason given
    then: the one thing a store decides, since only it can see both. A settlement to ``running`` leaves the job with its
    node: of its fields only ``progress``, ``checkpoint`` and ``lent`` are looked at.
    """

    id: str
    token: int
    state: JobState
    #: JSON text, for ``completed``.
    result: str | None = None
    #: Why it ended so: ``exhausted``, ``rejected: …``, ``poison``, ``cancelled``, ``expired``, or the job's own words.
    reason: str | None = None
    #: For ``pending``: microseconds from the store's now until the job is due.
    delay: int = 0
    #: For ``pending``: the gate it goes to; empty is the line.
    gate: str = ""
    #: For ``pending``: the delay that the backoff chose, to grow from next time. None keeps the stored one.
    backoff: int | None = None
    #: Added to the job's counters.
    failed: int = 0
    crashed: int = 0
    interrupted: int = 0
    #: What the history keeps. None for a completed run, and for a claim given back before it started.
    ending: Ending | None = None
    error: str = ""
    message: str = ""
    traceback: str = ""
    fingerprint: str = ""
    #: The attempt was never started: its number is given back too.
    unstarted: bool = False
    #: How far the run has come: done, and of how many if that is known. None keeps what is stored.
    progress: tuple[int, int | None] | None = None
    #: JSON text that the next run is handed. None keeps what is stored.
    checkpoint: str | None = None
    #: For ``running``: its slot is lent while it waits for another job. None keeps what is stored.
    lent: bool | None = None
    #: Follow-ups, stored in the same step if, and only if, this settlement is applied.
    jobs: tuple[NewJob, ...] = ()

    def __repr__(self) -> str:
        # Without what it carries: that may hold secrets, and a report of an error shows the variables of its frames.
        return f"<{type(self).__name__} of {self.id} to {self.state}>"


class JobRecord(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A job as it is read. The field order is the column order of a store's reads."""

    id: str
    kind: str
    queue: str
    state: JobState
    gate: str
    priority: int
    args: str
    result: str | None
    reason: str | None
    tags: tuple[str, ...]
    attempt: int
    failures: int
    crashes: int
    interruptions: int
    token: int
    #: The node that runs it, or ran it last.
    node: str | None
    #: A person asked to cancel it while it ran.
    cancel: bool
    timeout: int | None
    retry: str | None
    backoff: int | None
    created_at: int
    due_at: int
    expires_at: int | None
    #: When its last attempt was claimed.
    started_at: int | None
    #: When it reached its final state.
    ended_at: int | None
    #: The last error's type and message; empty without one.
    error: str
    message: str
    fingerprint: str
    headers: str | None = None
    parent: str | None = None
    #: The unique key it was stored with, whether it holds it or not.
    unique: str | None = None
    #: JSON text: what its last run saved.
    checkpoint: str | None = None
    #: How far it has come, and of how many; None before it told.
    done: int | None = None
    total: int | None = None
    lanes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        # Without what it carries: that may hold secrets, and a report of an error shows the variables of its frames.
        return f"<{type(self).__name__} {self.id} of {self.kind}, {self.state}>"


class JobImage(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a store keeps of one job, for another store to take over."""

    record: JobRecord
    #: In which states it holds its unique key, and until when it does so whatever its state.
    unique_states: tuple[JobState, ...] = ()
    unique_until: int | None = None
    #: For one that runs: why it was asked to be cancelled; None where it was not.
    asked: str | None = None
    #: Its attempts that did not complete, oldest first.
    history: tuple[Attempt, ...] = ()
