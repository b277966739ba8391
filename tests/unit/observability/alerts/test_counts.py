"""What alerts look back on: counted here, shared by all, bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pytest

from backburner.model.clock import SECOND
from backburner.model.job import Ending, JobState, Settlement
from backburner.observability.alerts.counts import Bucket, Counts, Shared
from backburner.observability.alerts.grammar import parse
from backburner.ports.telemetry import Hooks, Signal

if TYPE_CHECKING:
    from collections.abc import Iterable

MINUTE = 60 * SECOND
START = 1_750_000_020 * SECOND


class _Job(NamedTuple):
    kind: str


class Node:
    """Counts of a node, whose hooks are called as the engine calls them."""

    def __init__(self, *texts: str) -> None:
        self.hooks = Hooks()
        self.counts = Counts()
        for text in texts:
            for comparison in parse(text).comparisons:
                self.counts.ask(comparison.measure, self.hooks)

    def settle(self, kind: str, state: JobState, ending: Ending | None = None, times: int = 1) -> None:
        """Tell of claims that ended."""
        for _ in range(times):
            for settled in self.hooks.settled:
                settled(cast("Any", _Job(kind)), Settlement(id="1", token=1, state=state, ending=ending))

    def hear(self, signal: Signal, **fields: object) -> None:
        """Tell of a signal."""
        for heard in self.hooks.signal:
            heard(signal, None, fields)


def shared(*counted: tuple[float, Bucket | None]) -> Shared:
    """Share what was counted by these minutes, written and read each time."""
    found = Shared()
    for minute, bucket in counted:
        found = Shared.decode(found.add(bucket or Bucket(), START + round(minute * MINUTE)).encode())
    return found


def test_nothing_is_heard_that_nobody_asks_for() -> None:
    """Other metrics are read from the store: no hook is taken for them."""
    node = Node("dlq.count > 1", "queue.depth > 1")
    assert (node.hooks.settled, node.hooks.signal) == ([], [])
    runs, missed = Node("jobs.failure_ratio > 1%"), Node("schedules.missed > 1")
    assert (len(runs.hooks.settled), len(runs.hooks.signal)) == (1, 0)
    assert (len(missed.hooks.settled), len(missed.hooks.signal)) == (0, 1)
    assert len(Node("jobs.failure_ratio > 1%", "jobs.failure_ratio[a] > 1%").hooks.settled) == 1


def test_runs_that_end_by_themselves_are_counted() -> None:
    """Completed, failed, rejected or crashed; what was cancelled, put off, stopped or given back says nothing."""
    node = Node("jobs.failure_ratio > 1%", "jobs.failure_ratio[charge] > 1%")
    node.settle("charge", JobState.COMPLETED, times=4)
    node.settle("charge", JobState.PENDING, Ending.FAILED)
    node.settle("charge", JobState.DEAD, Ending.FAILED)
    node.settle("mail", JobState.DEAD, Ending.REJECTED)
    node.settle("mail", JobState.PENDING, Ending.CRASHED)
    for ending in (Ending.SNOOZED, Ending.INTERRUPTED, Ending.MISFIT, None):
        node.settle("charge", JobState.PENDING, ending)
    node.settle("charge", JobState.CANCELLED, Ending.CANCELLED)
    counted = node.counts.take()
    assert counted == Bucket(runs={"": (8, 4), "charge": (6, 2)})
    assert node.counts.take() is None


def test_missed_ticks_are_counted_by_schedule() -> None:
    """As many as the scheduler tells of."""
    node = Node("schedules.missed > 1", "schedules.missed[daily] > 1")
    node.hear(Signal.SCHEDULE_MISSED, schedule="daily", ticks=3)
    node.hear(Signal.SCHEDULE_MISSED, schedule="hourly", ticks=1)
    node.hear(Signal.SCHEDULE_SKIPPED, schedule="daily", ticks=1)
    assert node.counts.take() == Bucket(missed={"": 4, "daily": 3})
    node.hear(Signal.SCHEDULE_MISSED, schedule="hourly", ticks="very many")
    counted = node.counts.take()
    assert counted is not None
    assert counted.missed[""] > 1000


def test_what_is_given_back_is_counted_once_more() -> None:
    """With what came meanwhile."""
    node = Node("jobs.failure_ratio > 1%")
    node.settle("charge", JobState.COMPLETED, times=2)
    counted = node.counts.take()
    assert counted is not None
    node.settle("charge", JobState.DEAD, Ending.FAILED)
    node.counts.give_back(counted)
    assert node.counts.take() == Bucket(runs={"": (3, 1)})


@pytest.mark.parametrize(
    ("runs", "ratio"), [([(9, 9)], None), ([(5, 1), (5, 1)], 20.0), ([(100, 0)], 0.0), ([(30, 10)], 100 / 3)]
)
def test_the_failure_ratio_is_of_all_nodes(runs: Iterable[tuple[int, int]], ratio: float | None) -> None:
    """Of ten runs or more, whoever counted them."""
    found = shared(*((0, Bucket(runs={"": run})) for run in runs))
    assert found.failure_ratio(None, 5 * MINUTE, START) == ratio
    assert found.failure_ratio("charge", 5 * MINUTE, START) is None


def test_what_lies_before_the_window_is_not_seen() -> None:
    """The oldest minute counts whole."""
    found = shared((0, Bucket(missed={"": 1})), (10, Bucket(missed={"": 10})), (11, Bucket(missed={"": 100})))
    at = START + 11 * MINUTE
    assert [found.missed(None, minutes * MINUTE, at) for minutes in (1, 2, 10, 11, 60)] == [110, 110, 110, 111, 111]


def test_it_stays_small() -> None:
    """However long it is written, an hour of minutes is kept."""
    found = shared(*((minute, Bucket(runs={"": (1_000_000, 1_000)})) for minute in range(300)))
    assert len(found.buckets) == 61
    assert len(found.encode()) < 4_000


@pytest.mark.parametrize("text", ["", "{", "[3]", '{"x": 1}'])
def test_what_cannot_be_read_is_as_good_as_nothing(text: str) -> None:
    """Another version's cell is begun anew."""
    assert Shared.decode(text) == Shared()
