"""What the engine tells whoever listens: logs, metrics, traces. Without anybody who listens nothing changes."""

from __future__ import annotations

from contextlib import nullcontext
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType

    from backburner.model.job import Claim, JobRecord, NewJob, Settlement

__all__ = ["Hooks", "Listener", "Signal", "Telemetry"]


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
    #: A retry budget has run out; retries wait.
    BUDGET_DRY = "budget.dry"
    #: No retry waits for it any more.
    BUDGET_REFILLED = "budget.refilled"
    #: A lock's lease was over, or could not be renewed, while its holder worked here.
    LOCK_LOST = "lock.lost"
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
    #: An event could not be made a job of its handler's; the subscription goes on without it.
    EVENT_REFUSED = "event.refused"
    #: Events went, their time being over, before a subscription was handed them.
    EVENTS_LOST = "events.lost"
    #: An alert's condition holds, and has for as long as it says.
    ALERT_FIRED = "alert.fired"
    #: An alert that fired holds no more.
    ALERT_RESOLVED = "alert.resolved"
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


class Telemetry:
    """Watches jobs come and go. What a subclass does not define costs nothing; what it raises is its own loss.

    Everything is called on the engine's loop, on the hot path, and must not block. Where a process stores by ``bb.blocking``
    alone, that is the loop of a thread of its own.
    """

    #: What it raises is caught and told of, which costs a call more each time; false: it adds numbers, and raises nothing.
    guarded: ClassVar[bool] = True

    def headers(self) -> Mapping[str, str]:
        """Return what is to travel with a job that is stored now, to its runs, its children and its follow-ups."""
        return {}

    def storing(self, calls: int) -> AbstractContextManager[object]:
        """Surround the making and storing of so many calls; what a call raises passes through."""
        del calls
        return nullcontext()

    def stored(self, jobs: Sequence[NewJob]) -> None:
        """Hear of jobs that were stored from here: called, followed up, fired by a schedule, made of an event."""

    def running(self, claim: Claim) -> AbstractContextManager[object]:
        """Surround a run, in its own task and context; what it raises passes through, as it is: with its secrets."""
        del claim
        return nullcontext()

    def carrying(self, claim: Claim) -> AbstractContextManager[object]:
        """Surround a run whose job carries headers; the others cost nothing."""
        del claim
        return nullcontext()

    def ended(self, claim: Claim, settlement: Settlement | None, seconds: float) -> None:
        """Hear of a run that has ended, and how it will be settled; None: its claim is lost. It took so many seconds.

        Also, once, of one that was given up and goes on; not of one that had begun before this telemetry came.
        """

    def settled(self, job: Claim | JobRecord, settlement: Settlement) -> None:
        """Hear of how a claim ended, once that is durable; also of those that were given back without a run."""

    def signal(self, signal: Signal, error: BaseException | None, fields: Mapping[str, object]) -> None:
        """Hear a signal, as a `Listener` does."""


class Hooks:
    """What telemetries define, by method: parts of the engine look whether there is anybody before they tell."""

    __slots__ = ("carrying", "ended", "headers", "running", "settled", "signal", "stored", "storing")

    def __init__(self) -> None:
        self.headers: list[Callable[[], Mapping[str, str]]] = []
        self.storing: list[Callable[[int], AbstractContextManager[object]]] = []
        self.stored: list[Callable[[Sequence[NewJob]], None]] = []
        self.running: list[Callable[[Claim], AbstractContextManager[object]]] = []
        self.carrying: list[Callable[[Claim], AbstractContextManager[object]]] = []
        self.ended: list[Callable[[Claim, Settlement | None, float], None]] = []
        self.settled: list[Callable[[Claim | JobRecord, Settlement], None]] = []
        self.signal: list[Callable[[Signal, BaseException | None, Mapping[str, object]], None]] = []

    def add(self, telemetry: Telemetry, guard: Callable[[str, Any], Any] | None = None) -> None:
        """Have a telemetry hear what it defines, from now on; ``guard`` makes of a method, by its name, what is called."""
        for name in self.__slots__:
            method = getattr(telemetry, name)
            if getattr(method, "__func__", method) is not getattr(Telemetry, name):
                getattr(self, name).append(guard(name, method) if guard is not None and telemetry.guarded else method)

    def copy(self) -> Hooks:
        """Return the same telemetries, to which others may be added apart."""
        made = Hooks()
        for name in self.__slots__:
            getattr(made, name).extend(getattr(self, name))
        return made

    def carry(self) -> Mapping[str, str]:
        """Return what is to travel with what is stored, or run elsewhere, here and now."""
        known = self.headers
        # An engine has one by itself, and most have no other.
        if len(known) == 1:
            return known[0]()
        carried: dict[str, str] = {}
        for headers in known:
            carried |= headers()
        return carried

    def around_storing(self, calls: int) -> AbstractContextManager[object]:
        """Return what surrounds the storing of so many calls: the first telemetry is the outermost."""
        return _nested([surround(calls) for surround in self.storing])

    def around_run(self, claim: Claim) -> AbstractContextManager[object]:
        """Return what surrounds a run."""
        around = self.running if claim.headers is None else (*self.carrying, *self.running)
        return _nested([surround(claim) for surround in around])


def _nested(managers: Sequence[AbstractContextManager[object]]) -> AbstractContextManager[object]:
    """Return one manager of several, the first the outermost."""
    nested: AbstractContextManager[object] | None = None
    for manager in reversed(managers):
        # One that does nothing is left out: it would be entered and left for each run.
        if type(manager) is not nullcontext:
            nested = manager if nested is None else _Within(manager, nested)
    return nullcontext() if nested is None else nested


class _Within:
    """A manager within another; it takes a fraction of what an `ExitStack` does."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, outer: AbstractContextManager[object], inner: AbstractContextManager[object]) -> None:
        self._outer = outer
        self._inner = inner

    def __enter__(self) -> None:
        self._outer.__enter__()
        try:
            self._inner.__enter__()
        except BaseException as error:
            self._outer.__exit__(type(error), error, error.__traceback__)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        try:
            self._inner.__exit__(kind, error, trace)
        finally:
            self._outer.__exit__(kind, error, trace)
