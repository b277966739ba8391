"""How ended jobs went, by kind."""

from __future__ import annotations

from itertools import count

import pytest

from backburner.model.job import JobState
from backburner.observability.durations import Durations, Spread, percentile, spread
from backburner.ports.jobs import Timing

_IDS = count()


def _job(kind: str = "mail", *, due: int = 0, started: int | None = 0, ended: int = 0, failures: int = 0) -> Timing:
    return Timing(
        id=str(next(_IDS)),
        kind=kind,
        queue="default",
        attempt=1 + failures,
        failures=failures,
        created_at=0,
        due_at=due,
        started_at=started,
        ended_at=ended,
    )


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        # The example of many a textbook.
        ([15, 20, 35, 40, 50], 5, 15),
        ([15, 20, 35, 40, 50], 30, 20),
        ([15, 20, 35, 40, 50], 40, 20),
        ([15, 20, 35, 40, 50], 50, 35),
        ([15, 20, 35, 40, 50], 100, 50),
        ([7], 50, 7),
        ([7], 99, 7),
        ([1, 2], 50, 1),
        ([*range(1, 101)], 95, 95),
        ([*range(1, 101)], 99, 99),
        ([*range(1, 102)], 99, 100),
        ([*range(1, 100)], 99, 99),
    ],
)
def test_percentile(values: list[int], share: int, expected: int) -> None:
    """A percentile is the smallest value that so many per cent of all do not exceed."""
    assert percentile(values, share) == expected
    assert sum(value <= expected for value in values) * 100 >= share * len(values)
    assert sum(value < expected for value in values) * 100 < share * len(values)


def test_spread() -> None:
    """Lengths come in any order; of none there is no spread."""
    assert spread([3, 1, 2]) == Spread(p50=2, p95=3, p99=3, max=3)
    assert spread([]) is None


def test_by_kind() -> None:
    """Each kind is summed up for itself, the busiest first, of as many by name."""
    durations = Durations()
    durations.add(JobState.COMPLETED, _job("b", due=10, started=14, ended=20))
    durations.add(JobState.DEAD, _job("b", due=10, started=12, ended=42))
    durations.add(JobState.COMPLETED, _job("c"))
    durations.add(JobState.COMPLETED, _job("a"))
    first, *others = durations.kinds()
    assert [kind.kind for kind in others] == ["a", "c"]
    assert (first.kind, first.completed, first.dead, first.cancelled, first.ended) == ("b", 1, 1, 0, 2)
    assert first.wait == Spread(p50=2, p95=4, p99=4, max=4)
    assert first.run == Spread(p50=6, p95=30, p99=30, max=30)


def test_what_was_cancelled() -> None:
    """Cancelled jobs are counted, and so is what failed of them; they say nothing of waiting and running."""
    durations = Durations()
    durations.add(JobState.CANCELLED, _job(due=500, started=100, ended=200, failures=1))
    durations.add(JobState.CANCELLED, _job(started=None, ended=200))
    (kind,) = durations.kinds()
    assert (kind.cancelled, kind.retries, kind.wait, kind.run) == (2, 1, None, None)


def test_what_never_ran() -> None:
    """A job that died before it ran counts, without a wait."""
    durations = Durations()
    durations.add(JobState.DEAD, _job(started=None, ended=200))
    (kind,) = durations.kinds()
    assert (kind.dead, kind.retries, kind.wait, kind.run) == (1, 0, None, None)


def test_retries() -> None:
    """The failure that a job died of was followed by no retry; every other was."""
    durations = Durations()
    durations.add(JobState.COMPLETED, _job(failures=2))
    durations.add(JobState.DEAD, _job(failures=3))
    (kind,) = durations.kinds()
    assert kind.retries == 4


def test_clocks_that_went_back() -> None:
    """No time is less than none, whatever the store's clock did in between."""
    durations = Durations()
    durations.add(JobState.COMPLETED, _job(due=100, started=90, ended=80))
    (kind,) = durations.kinds()
    assert kind.wait == kind.run == Spread(p50=0, p95=0, p99=0, max=0)
