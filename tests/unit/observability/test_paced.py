"""Reading on behalf of all who ask."""

from __future__ import annotations

import asyncio

from backburner.observability.paced import Paced
from backburner.testing.clock import FakeClock


class Source:
    """Answers how often it was read, once it is let go."""

    def __init__(self) -> None:
        self.reads = 0
        self.cancelled = 0
        self.open = asyncio.Event()
        self.open.set()
        self.error: Exception | None = None

    async def read(self) -> int:
        self.reads += 1
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        return self.reads


def paced(source: Source, clock: FakeClock) -> Paced[int]:
    """Read every 15 seconds at most, and a tenth of the time; for 5 seconds at most."""
    return Paced(source.read, every=15, share=0.1, deadline=5, clock=clock)


async def test_nothing_is_read_before_its_time() -> None:
    """Who asks within the time is answered with the last reading."""
    clock, source = FakeClock(), Source()
    shared = paced(source, clock)
    assert shared.last is None
    assert (await shared.get()).value == 1
    await clock.advance(14.9)
    assert (await shared.get()).value == 1
    await clock.advance(0.1)
    assert (await shared.get()).value == 2


async def test_a_slow_reading_is_repeated_later() -> None:
    """Reading takes a tenth of the time: one that took 2 seconds is not repeated for 20."""
    clock, source = FakeClock(), Source()
    shared = paced(source, clock)
    source.open.clear()
    asking = asyncio.ensure_future(shared.get())
    await clock.settle()
    await clock.advance(2)
    source.open.set()
    assert (await asking).seconds == 2
    await clock.advance(17.9)
    assert (await shared.get()).value == 1
    await clock.advance(0.1)
    assert (await shared.get()).value == 2


async def test_all_who_ask_at_once_share_one_reading() -> None:
    """However many ask, the source is read once."""
    clock, source = FakeClock(), Source()
    shared = paced(source, clock)
    source.open.clear()
    asking = [asyncio.ensure_future(shared.get()) for _ in range(10)]
    await clock.settle()
    source.open.set()
    assert [(await each).value for each in asking] == [1] * 10
    assert source.reads == 1


async def test_who_goes_away_takes_the_reading_from_nobody() -> None:
    """The one who began it is cancelled, and the others are answered."""
    clock, source = FakeClock(), Source()
    shared = paced(source, clock)
    source.open.clear()
    first, second = asyncio.ensure_future(shared.get()), asyncio.ensure_future(shared.get())
    await clock.settle()
    first.cancel()
    await clock.settle()
    source.open.set()
    assert (await second).value == 1
    assert first.cancelled()


async def test_what_takes_too_long_is_cancelled() -> None:
    """A source that does not answer is given up, and left alone for ten times as long."""
    clock, source = FakeClock(), Source()
    shared = paced(source, clock)
    source.open.clear()
    asking = asyncio.ensure_future(shared.get())
    await clock.settle()
    await clock.advance(5)
    reading = await asking
    assert isinstance(reading.error, TimeoutError)
    assert (reading.value, reading.seconds, source.cancelled) == (None, 5, 1)
    source.open.set()
    await clock.advance(44.9)
    assert (await shared.get()).error is reading.error
    await clock.advance(0.1)
    assert (await shared.get()).value == 2


async def test_an_error_is_answered() -> None:
    """What the source raises reaches nobody as a raise, and is not asked for again at once."""
    clock, source = FakeClock(), Source()
    shared = paced(source, clock)
    source.error = ConnectionError("away")
    assert (await shared.get()).error is source.error
    assert (await shared.get()).error is source.error
    assert source.reads == 1


def test_a_reading_that_another_loop_left_over_holds_nobody_up() -> None:
    """An engine may be entered again, on another loop, though the one before ended while it read."""
    clock, source = FakeClock(), Source()
    reader = paced(source, clock)
    source.open.clear()

    async def ask() -> int | None:
        return (await reader.get()).value

    async def begin() -> asyncio.Task[int | None]:
        asking = asyncio.create_task(ask())
        while not source.reads:
            await asyncio.wait([asking], timeout=0)
        return asking

    loop = asyncio.new_event_loop()
    left = loop.run_until_complete(begin())
    source.open = asyncio.Event()
    source.open.set()
    assert asyncio.run(ask()) == 2
    # Nobody else may be told of what is left: it ends with its loop.
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.wait([left]))
    loop.close()
