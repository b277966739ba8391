"""Counts what the engine tells, for metrics: a few additions a job, into plain lists and dicts."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from backburner.model.clock import SECOND
from backburner.model.job import Ending, JobState
from backburner.ports.telemetry import Signal, Telemetry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backburner.model.job import Claim, JobRecord, NewJob, Settlement

__all__ = ["MOST", "OTHER", "OUTCOMES", "RUN_BOUNDS", "WAIT_BOUNDS", "Histogram", "Series", "Tally"]

#: Pairs of a kind and a queue that are counted apart; what comes later is counted together, as `OTHER`.
MOST: Final = 1_000
OTHER: Final = "other"

#: Upper bounds of the buckets, in seconds.
RUN_BOUNDS: Final = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
WAIT_BOUNDS: Final = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)

#: Python looks the members of an enumeration up anew each time; this one is compared with each job's.
_STATE_COMPLETED: Final = JobState.COMPLETED

_COMPLETED = "completed"
_DEAD = "dead"
_RETRY = "retry"
_CANCELLED = "cancelled"
_EXPIRED = "expired"
_RELEASED = "released"
_LOST = "lost"
#: What became of a claim whose job runs again, by how the run ended.
_AGAIN = {
    Ending.FAILED: _RETRY,
    Ending.SNOOZED: "snoozed",
    Ending.INTERRUPTED: "interrupted",
    Ending.CRASHED: "crashed",
    Ending.MISFIT: "misfit",
}
#: Every way that a claim can end. `released` was given back without an attempt; `lost` was another's by then.
OUTCOMES: Final = (_COMPLETED, _DEAD, _CANCELLED, _EXPIRED, *_AGAIN.values(), _RELEASED, _LOST)
#: These are shown from the first, at zero: else their first increase would go unseen.
_SHOWN = (_COMPLETED, _RETRY, _DEAD)


class Histogram:
    """How many values fell into each bucket: up to its bound, and above the one before."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        #: One more than there are bounds: the last is for what is above them all.
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0


class Series:
    """What is counted of one kind in one queue."""

    __slots__ = ("outcomes", "run", "stored", "waited")

    def __init__(self) -> None:
        self.stored = 0
        #: Seconds that runs took; and for how long they had been due when they were claimed.
        self.run = Histogram(RUN_BOUNDS)
        self.waited = Histogram(WAIT_BOUNDS)
        self.outcomes: dict[str, int] = dict.fromkeys(_SHOWN, 0)


class Tally(Telemetry):
    """Counts by kind, queue and outcome, and signals by name; never by ids, so that it stays small.

    Written on the engine's loop. It may be read from another thread: a copy of what is read is one step under the
    interpreter lock.
    """

    guarded = False

    def __init__(self, *, most: int = MOST) -> None:
        self._most = most
        self._series: dict[tuple[str, str], Series] = {}
        self._signals = dict.fromkeys(Signal, 0)

    # ---- what the engine tells -----------------------------------------------------------------------------------

    def stored(self, jobs: Sequence[NewJob]) -> None:
        """Count jobs that were stored from here."""
        kind = queue = series = None
        for job in jobs:
            # Most of those stored together are of one kind.
            if series is None or job.kind != kind or job.queue != queue:
                kind, queue = job.kind, job.queue
                series = self._of(kind, queue)
            series.stored += 1

    def ended(self, claim: Claim, settlement: Settlement | None, seconds: float) -> None:
        """Count a run, and how long it had waited for its claim."""
        del settlement
        series = self._series.get((claim.kind, claim.queue)) or self._enter(claim.kind, claim.queue)
        # Written out, as this is told of every run: what `Histogram` would be asked for twice.
        run, waited = series.run, series.waited
        run.counts[bisect_left(RUN_BOUNDS, seconds)] += 1
        run.sum += seconds
        late = claim.claimed_at - claim.due_at
        late_seconds = late / SECOND if late > 0 else 0.0
        waited.counts[bisect_left(WAIT_BOUNDS, late_seconds)] += 1
        waited.sum += late_seconds

    def settled(self, job: Claim | JobRecord, settlement: Settlement) -> None:
        """Count how a claim ended."""
        series = self._series.get((job.kind, job.queue)) or self._enter(job.kind, job.queue)
        outcomes = series.outcomes
        if settlement.state is _STATE_COMPLETED:
            outcomes[_COMPLETED] += 1
        else:
            outcome = _outcome(settlement)
            outcomes[outcome] = outcomes.get(outcome, 0) + 1

    def signal(self, signal: Signal, error: BaseException | None, fields: Mapping[str, object]) -> None:
        """Count a signal; a claim that was lost is settled by nobody here, and known by its signal alone."""
        del error
        self._signals[signal] += 1
        if signal is Signal.JOB_LOST:
            outcomes = self._of(str(fields.get("kind", OTHER)), str(fields.get("queue", OTHER))).outcomes
            outcomes[_LOST] = outcomes.get(_LOST, 0) + 1

    # ---- what was counted ----------------------------------------------------------------------------------------

    def series(self) -> tuple[tuple[tuple[str, str], Series], ...]:
        """Return what was counted of each kind and queue."""
        return tuple(self._series.items())

    def signals(self) -> Mapping[Signal, int]:
        """Return how often each signal was told."""
        return self._signals.copy()

    def _of(self, kind: str, queue: str) -> Series:
        series = self._series.get((kind, queue))
        return self._enter(kind, queue) if series is None else series

    def _enter(self, kind: str, queue: str) -> Series:
        key = (kind, queue) if len(self._series) < self._most else (OTHER, OTHER)
        return self._series.setdefault(key, Series())


def _outcome(settlement: Settlement) -> str:
    if settlement.state is JobState.PENDING:
        return _RELEASED if settlement.ending is None else _AGAIN.get(settlement.ending, _RELEASED)
    if settlement.state is JobState.DEAD:
        return _DEAD
    return _EXPIRED if settlement.reason == _EXPIRED else _CANCELLED
