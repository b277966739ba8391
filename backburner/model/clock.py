"""Time, injected. The one module that reads a clock.

Inside the engine a duration is an ``int`` of microseconds and an instant an ``int`` of microseconds since 1970 UTC;
`timedelta` and aware `datetime` live in the public surface only. Loops measure their own waiting in ``float`` seconds.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LONGEST", "SECOND", "Clock", "SystemClock", "Timer", "from_micros", "instant", "micros", "pause"]

#: Microseconds in a second.
SECOND = 1_000_000
#: The longest duration, about 285 years: every store can add it to its now, and below 2⁵³ floats stay exact.
LONGEST = 9_000_000_000 * SECOND

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Timer(Protocol):
    """A pending call; `asyncio.TimerHandle` is one."""

    def cancel(self) -> None:
        """Withdraw the call, if it has not happened yet."""


class Clock(Protocol):
    """Where the engine and a store with no clock of its own take the time from."""

    def now(self) -> int:
        """Wall time: microseconds since 1970 UTC. May step."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back, and go on while the machine is suspended where the system can tell."""
        ...

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Timer:
        """Call ``callback`` on the running loop after ``delay`` seconds."""
        ...


class SystemClock:
    """The machine's own clock."""

    __slots__ = ("_monotonic_id",)

    def __init__(self) -> None:
        self._monotonic_id: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

    def now(self) -> int:
        """Wall time: microseconds since 1970 UTC."""
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        """Boot time where the system has it (it counts suspension), else monotonic time, in seconds."""
        return time.clock_gettime(self._monotonic_id)

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Timer:
        """Call ``callback`` on the running loop after ``delay`` seconds."""
        return asyncio.get_running_loop().call_later(delay, callback)


async def pause(clock: Clock, seconds: float) -> None:
    """Wait until ``seconds`` have passed on this clock."""
    over = asyncio.Event()
    timer = clock.call_later(seconds, over.set)
    try:
        await over.wait()
    finally:
        timer.cancel()


def micros(duration: timedelta | float) -> int:
    """Microseconds of a duration (a `timedelta`, or a number of seconds); raises nothing for finite input."""
    if isinstance(duration, timedelta):
        return duration // _MICROSECOND
    return round(duration * SECOND)


def instant(moment: datetime) -> int:
    """Microseconds since 1970 UTC of an aware `datetime`."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(moment: int) -> datetime:
    """Return the aware UTC `datetime` of an instant."""
    return _EPOCH + timedelta(microseconds=moment)
