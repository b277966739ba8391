"""The clock for tests, and the arithmetic of time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from backburner.model.clock import SECOND, SystemClock, from_micros, instant, micros
from backburner.testing import FakeClock


async def test_time_stands_still_until_told() -> None:
    """Wall time and monotonic time move together, by `move` and `advance` alone."""
    clock = FakeClock(now=5)
    assert (clock.now(), clock.monotonic()) == (5, 0.0)
    clock.move(1.5)
    await clock.advance(timedelta(seconds=2))
    assert (clock.now(), clock.monotonic()) == (5 + 3_500_000, 3.5)


async def test_timers_fire_in_order_at_their_time() -> None:
    """`advance` stops at each timer on the way, in order of time, then of making; those beyond wait."""
    clock = FakeClock(now=0)
    fired: list[tuple[str, int]] = []
    for name, delay in (("c", 3.0), ("a", 1.0), ("b", 1.0), ("late", 3.1)):
        clock.call_later(delay, lambda name=name: fired.append((name, clock.now())))  # type: ignore[misc]
    await clock.advance(3)
    assert fired == [("a", SECOND), ("b", SECOND), ("c", 3 * SECOND)]
    assert clock.now() == 3 * SECOND


async def test_the_shortest_delay_takes_time() -> None:
    """What waits for less than a microsecond, and then again, does not keep the time from passing."""
    clock = FakeClock(now=0)
    waits = 0

    def wait() -> None:
        nonlocal waits
        waits += 1
        if waits < 100:
            clock.call_later(1e-9, wait)

    wait()
    await clock.advance(10 / SECOND)
    assert (waits, clock.now()) == (11, 10)


async def test_a_cancelled_timer_never_fires() -> None:
    """A withdrawn call does not happen."""
    clock = FakeClock()
    fired: list[int] = []
    timer = clock.call_later(1, lambda: fired.append(1))
    timer.cancel()
    await clock.advance(2)
    assert fired == []


async def test_tasks_woken_by_a_timer_run_before_the_next() -> None:
    """What a timer wakes runs at the timer's own moment, and may set a timer that fires on the same way."""
    clock = FakeClock(now=0)
    seen: list[int] = []

    async def tick() -> None:
        for _ in range(3):
            woken = asyncio.Event()
            clock.call_later(1, woken.set)
            await woken.wait()
            seen.append(clock.now())

    task = asyncio.create_task(tick())
    await clock.settle()
    await clock.advance(10)
    await task
    assert seen == [SECOND, 2 * SECOND, 3 * SECOND]


async def test_a_step_of_the_wall_clock_calls_no_timer() -> None:
    """`move` calls nothing; what it passed is called by the next `advance`, and time does not go back for it."""
    clock = FakeClock(now=0)
    fired: list[int] = []
    clock.call_later(1, lambda: fired.append(clock.now()))
    clock.move(5)
    assert fired == []
    await clock.advance(0)
    assert fired == [5 * SECOND]


def test_durations_and_instants() -> None:
    """Microseconds, timedeltas and aware datetimes turn into each other exactly."""
    assert micros(1.5) == 1_500_000
    assert micros(timedelta(microseconds=-1)) == -1
    assert micros(timedelta(days=365_000)) == 365_000 * 86_400 * SECOND
    moment = datetime(2024, 2, 29, 12, 0, 0, 123_457, tzinfo=UTC)
    assert from_micros(instant(moment)) == moment


@pytest.mark.parametrize("seconds", [0.1, 0.2, 0.3, 1e-6, 86_400.000001])
def test_seconds_are_rounded_not_cut(seconds: float) -> None:
    """A float that lies a hair below its microsecond means that microsecond."""
    assert micros(seconds) == int(f"{seconds:.6f}".replace(".", ""))


async def test_the_system_clock_reads_the_machine() -> None:
    """The system clock tells the machine's wall time, never runs back, and calls on the running loop."""
    clock = SystemClock()
    before = clock.monotonic()
    called = asyncio.Event()
    clock.call_later(0, called.set)
    await called.wait()
    assert clock.monotonic() >= before
    assert abs(from_micros(clock.now()).timestamp() - clock.now() / SECOND) < 1
