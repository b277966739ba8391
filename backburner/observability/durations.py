"""How jobs went that have ended, by kind: how many, how long they waited, how long they ran. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backburner.model.job import JobState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.ports.jobs import Timing

__all__ = ["Durations", "Ended", "Spread", "percentile", "spread"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How lengths of time, in microseconds, are spread."""

    p50: int
    p95: int
    p99: int
    max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How the jobs of a kind went."""

    kind: str
    completed: int
    dead: int
    cancelled: int
    #: Failures that were followed by another attempt, or would have been: all but the one that a job died of.
    retries: int
    #: From when a job's last run might have begun until it did; of those that completed or died. None: none of them ran.
    wait: Spread | None
    #: How long that run took; of one whose node died, until that was noticed.
    run: Spread | None

    @property
    def ended(self) -> int:
        """How many there are in all."""
        return self.completed + self.dead + self.cancelled


@dataclass(slots=True)
class _Kind:
    counts: dict[JobState, int] = field(default_factory=dict[JobState, int])
    retries: int = 0
    waits: list[int] = field(default_factory=list[int])
    runs: list[int] = field(default_factory=list[int])


class Durations:
    """Sums up jobs that have ended, a few numbers each."""

    def __init__(self) -> None:
        self._kinds: dict[str, _Kind] = {}

    def add(self, state: JobState, job: Timing) -> None:
        """Count a job that ended in this state."""
        kind = self._kinds.setdefault(job.kind, _Kind())
        kind.counts[state] = kind.counts.get(state, 0) + 1
        kind.retries += max(0, job.failures - (state is JobState.DEAD))
        # One that was cancelled may have been between two runs: its moments belong to no run that ended it.
        if job.started_at is not None and state is not JobState.CANCELLED:
            kind.waits.append(max(0, job.started_at - job.due_at))
            kind.runs.append(max(0, job.ended_at - job.started_at))

    def kinds(self) -> Sequence[Ended]:
        """Return what is known of each kind, that of which most ended first."""
        found = [_ended(name, kind) for name, kind in self._kinds.items()]
        return sorted(found, key=lambda ended: (-ended.ended, ended.kind))


def spread(lengths: Sequence[int]) -> Spread | None:
    """Return how lengths are spread; None where there is none."""
    if not lengths:
        return None
    ordered = sorted(lengths)
    p50, p95, p99 = (percentile(ordered, share) for share in (50, 95, 99))
    return Spread(p50=p50, p95=p95, p99=p99, max=ordered[-1])


def percentile(ordered: Sequence[int], share: int) -> int:
    """Return the percentile by nearest rank of values in ascending order: always one of them, never one between two.

    It is the smallest value that at least ``share`` per cent of all do not exceed: that of rank ⌈share · n / 100⌉, the
    inverse of the empirical distribution function (definition 1 in Hyndman and Fan, "Sample Quantiles in Statistical
    Packages", The American Statistician 50, 1996). Of fewer than 100 values the 99th percentile is the greatest.
    """
    rank = -(-share * len(ordered) // 100)
    return ordered[max(rank, 1) - 1]


def _ended(name: str, kind: _Kind) -> Ended:
    return Ended(
        kind=name,
        completed=kind.counts.get(JobState.COMPLETED, 0),
        dead=kind.counts.get(JobState.DEAD, 0),
        cancelled=kind.counts.get(JobState.CANCELLED, 0),
        retries=kind.retries,
        wait=spread(kind.waits),
        run=spread(kind.runs),
    )
