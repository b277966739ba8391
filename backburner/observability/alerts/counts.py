"""Counts what alerts look back on: how runs end, and ticks that were missed; here, and over all nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from backburner.model.clock import SECOND
from backburner.model.job import Ending, JobState
from backburner.observability.alerts.metrics import LONGEST_WINDOW
from backburner.ports.telemetry import Signal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from backburner.model.job import Claim, JobRecord, Settlement
    from backburner.observability.alerts.condition import Measure
    from backburner.ports.telemetry import Hooks

__all__ = ["Bucket", "Counts", "Shared"]

RUNS: Final = "jobs.failure_ratio"
MISSED: Final = "schedules.missed"

#: What is counted of all kinds, or schedules, together.
_ALL: Final = ""
_MINUTE: Final = 60 * SECOND
#: Fewer runs say nothing of which share of them fails.
LEAST: Final = 10
#: For ticks that were too many to count.
_VERY_MANY: Final = 10_000
_FAILED: Final = frozenset({Ending.FAILED, Ending.CRASHED, Ending.REJECTED})


class Bucket(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was counted within a minute, by kind or schedule; an empty name is all of them."""

    #: How many runs ended, and how many of those failed.
    runs: dict[str, tuple[int, int]] = {}
    missed: dict[str, int] = {}

    def __add__(self, other: Bucket) -> Bucket:
        """Return both."""
        runs, missed = dict(self.runs), dict(self.missed)
        for name, (ended, failed) in other.runs.items():
            before = runs.get(name, (0, 0))
            runs[name] = before[0] + ended, before[1] + failed
        for name, count in other.missed.items():
            missed[name] = missed.get(name, 0) + count
        return Bucket(runs=runs, missed=missed)


class Shared(msgspec.Struct, frozen=True):
    """What all nodes have counted within the longest time that is looked back on, by minute.

    Its size is bounded by that and by how many kinds and schedules alerts name.
    """

    buckets: dict[int, Bucket] = {}

    def add(self, counted: Bucket, now: int) -> Shared:
        """Return it with what was counted by now, and without what is too old."""
        minute = now // _MINUTE
        oldest = (now - LONGEST_WINDOW) // _MINUTE
        kept = {at: bucket for at, bucket in self.buckets.items() if at >= oldest}
        kept[minute] = kept.get(minute, Bucket()) + counted
        return Shared(kept)

    def failure_ratio(self, kind: str | None, window: int, now: int) -> float | None:
        """Return how many of a hundred runs failed; None where there were too few to say."""
        runs = [bucket.runs.get(kind or _ALL, (0, 0)) for bucket in self._within(window, now)]
        ended = sum(run[0] for run in runs)
        return None if ended < LEAST else 100 * sum(run[1] for run in runs) / ended

    def missed(self, schedule: str | None, window: int, now: int) -> int:
        """Return how many ticks were missed."""
        return sum(bucket.missed.get(schedule or _ALL, 0) for bucket in self._within(window, now))

    def _within(self, window: int, now: int) -> Iterable[Bucket]:
        """Return the buckets that lie within a window, the oldest of them in part."""
        oldest = (now - window) // _MINUTE
        return [bucket for at, bucket in self.buckets.items() if at >= oldest]

    def encode(self) -> str:
        """Return it as JSON text."""
        return msgspec.json.encode(self).decode()

    @staticmethod
    def decode(text: str) -> Shared:
        """Return what a JSON text says; of one that this code cannot read, nothing."""
        try:
            return msgspec.json.decode(text, type=Shared)
        except msgspec.MsgspecError:
            return Shared()


class Counts:
    """Counts what happens on this node, of what alerts ask for; what nobody asks for is not heard at all."""

    def __init__(self) -> None:
        #: The kinds and schedules that alerts name, and the empty name where one is about all.
        self._kinds: set[str] = set()
        self._schedules: set[str] = set()
        self._counted = Bucket()

    def ask(self, measure: Measure, hooks: Hooks) -> None:
        """Count what a measure looks back on, from now on."""
        name = measure.argument or _ALL
        if measure.metric.name == RUNS:
            self._kinds.add(name)
            if self._settled not in hooks.settled:
                hooks.settled.append(self._settled)
        elif measure.metric.name == MISSED:
            self._schedules.add(name)
            if self._heard not in hooks.signal:
                hooks.signal.append(self._heard)

    def take(self) -> Bucket | None:
        """Return what was counted since it was last taken; None: nothing."""
        counted, self._counted = self._counted, Bucket()
        return counted if counted.runs or counted.missed else None

    def give_back(self, counted: Bucket) -> None:
        """Count anew what was taken, and is known not to have been written."""
        self._counted = counted + self._counted

    def _settled(self, job: Claim | JobRecord, settlement: Settlement) -> None:
        """Count a run that completed, or failed, or crashed; one that was cancelled, put off or stopped says nothing."""
        failed = settlement.ending in _FAILED
        if not failed and settlement.state is not JobState.COMPLETED:
            return
        runs = self._counted.runs
        for name in (job.kind, _ALL):
            if name in self._kinds:
                ended = runs.get(name, (0, 0))
                runs[name] = ended[0] + 1, ended[1] + failed

    def _heard(self, signal: Signal, error: BaseException | None, fields: Mapping[str, object]) -> None:
        del error
        if signal is not Signal.SCHEDULE_MISSED:
            return
        ticks = fields.get("ticks")
        count = ticks if isinstance(ticks, int) else _VERY_MANY
        missed = self._counted.missed
        for name in (str(fields.get("schedule", "")), _ALL):
            if name in self._schedules:
                missed[name] = missed.get(name, 0) + count
