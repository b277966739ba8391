"""A day at a payment provider: up, slow, down for an hour, flapping, back; and what that costs it and us.

Where nothing happens for hours, the day is told in short.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from backburner import Backburner, Breaker, Budget, RetryPolicy, exponential
from backburner.model.clock import SECOND
from backburner.model.query import JobFilter
from backburner.testing import FakeClock

if TYPE_CHECKING:
    from backburner.ports.telemetry import Signal

MINUTE = 60
HOUR = 60 * MINUTE
BEGIN_SLOW, END_SLOW = 1 * HOUR, 2 * HOUR
BEGIN_DOWN, END_DOWN = 3 * HOUR, 4 * HOUR
BEGIN_FLAPPING, END_FLAPPING = 6 * HOUR, 7 * HOUR
END = 8 * HOUR
#: Jobs stored each minute.
ARRIVALS = 6


class Provider:
    """A dependency that is well or not, by the time of day; notes every call."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._began = clock.now()
        #: Of each call: seconds since it began, whether it succeeded, whether it was a retry.
        self.calls: list[tuple[float, bool, bool]] = []

    @property
    def time(self) -> float:
        """Seconds since the day began."""
        return (self._clock.now() - self._began) / SECOND

    async def charge(self, *, again: bool) -> None:
        """Take a moment, or long, and fail or not."""
        began = self.time
        slow = BEGIN_SLOW <= began < END_SLOW
        over = asyncio.Event()
        self._clock.call_later(8.0 if slow else 0.2, over.set)
        await over.wait()
        down = BEGIN_DOWN <= began < END_DOWN
        flapping = BEGIN_FLAPPING <= began < END_FLAPPING and int(began / 40) % 2 == 0
        self.calls.append((began, not (down or flapping), again))
        if down or flapping:
            raise ConnectionError("503 Service Unavailable")

    def between(self, begin: float, end: float) -> int:
        """Count the calls of a time."""
        return sum(begin <= at < end for at, _, _ in self.calls)

    def retries(self, begin: float, end: float) -> int:
        """Count the retries of a time."""
        return sum(begin <= at < end and again for at, _, again in self.calls)


class Ears:
    """Hears what the engine tells."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self.heard: list[tuple[float, Signal]] = []

    def __call__(self, signal: Signal, /, *, error: BaseException | None = None, **fields: object) -> None:
        del error, fields
        self.heard.append((self._provider.time, signal))

    def count(self, name: str, begin: float, end: float) -> int:
        """Count what was told in a time."""
        return sum(signal.value == name and begin <= at < end for at, signal in self.heard)


@pytest.mark.limit(180)  # so many timers take 20 s of processor time
async def test_a_day() -> None:
    """The provider is not stormed, no attempt is spent on an open breaker, and everything completes."""
    clock = FakeClock()
    provider = Provider(clock)
    ears = Ears(provider)
    # Alone, six attempts last half an hour: an outage of an hour would be the end of every job in it.
    retry = RetryPolicy(attempts=6, backoff=exponential(10, factor=3, cap=HOUR))
    breaker = Breaker("payments", calls=ARRIVALS, slow=5, probes=3)
    budget = Budget("payments", ratio=0.2, reserve="1/minute", capacity=20)
    bb = Backburner(
        "memory://", clock=clock, listener=ears, queues={"default": 20}, retry=retry, keep={"completed": None}
    )
    attempts: Counter[int] = Counter()

    @bb.job(breaker=breaker, budget=budget)
    async def charge(number: int) -> None:
        attempts[number] += 1
        await provider.charge(again=attempts[number] > 1)

    async with bb:
        number = 0
        for _ in range(END // MINUTE):
            await bb.create_tasks([charge(number + each) for each in range(ARRIVALS)])
            number += ARRIVALS
            await clock.advance(timedelta(minutes=1))
        # Night: what is left of the day's retries.
        await clock.advance(timedelta(hours=2))
        states = await bb._running()._backend.reader.count(JobFilter())
        assert {state.value: count for state, count in states.items()} == {"completed": number}

    # Down: what tripped it and ran beside, then a few probes each time that it opened again; 360 jobs waited.
    opened = ears.count("breaker.opened", BEGIN_DOWN, END_DOWN)
    assert 2 <= opened <= 12
    assert provider.between(BEGIN_DOWN, END_DOWN) <= 2 * ARRIVALS + (3 + 1) * opened
    assert ears.count("breaker.closed", END_DOWN, END_DOWN + HOUR) == 1
    # Slow: the same, and what did run completed.
    assert provider.between(BEGIN_SLOW, END_SLOW) <= 2 * ARRIVALS + (3 + 1) * ears.count(
        "breaker.opened", BEGIN_SLOW, END_SLOW
    )
    # Whatever the hour, retries are a share of the first attempts, and the reserve.
    for hour in range(END // HOUR):
        first = provider.between(hour * HOUR, (hour + 1) * HOUR) - provider.retries(hour * HOUR, (hour + 1) * HOUR)
        assert provider.retries(hour * HOUR, (hour + 1) * HOUR) <= 0.2 * first + 60 + 20
    # No attempt was spent but on a call, and none of those was the last that a job had.
    assert sum(attempts.values()) == len(provider.calls)
    assert max(attempts.values()) < 6
