"""The loop: wakes are not lost, a failed step backs off and recovers, others get their turn."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from backburner.errors import StoreUnavailable
from backburner.jobs.loop import Loop
from backburner.ports.telemetry import Signal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.unit.jobs.told import Stage


class Steps:
    """A loop whose steps do as told."""

    def __init__(self, stage: Stage) -> None:
        self.taken = 0
        self.errors: list[Exception] = []
        self.answers: list[float | None] = []
        self.gate: asyncio.Event | None = None
        self.loop = Loop("test", self._step, kit=stage.kit)

    async def _step(self) -> float | None:
        self.taken += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.errors:
            raise self.errors.pop(0)
        return self.answers.pop(0) if self.answers else None


@pytest.fixture
async def steps(stage: Stage) -> AsyncIterator[Steps]:
    """Bring a started loop."""
    made = Steps(stage)
    made.loop.start()
    yield made
    await made.loop.stop()


async def test_no_step_without_a_wake(stage: Stage, steps: Steps) -> None:
    """A loop that nobody wakes does nothing, however much time passes."""
    await stage.wait(1000)
    assert steps.taken == 0


async def test_many_wakes_are_one_step(stage: Stage, steps: Steps) -> None:
    """Wakes before a step are served by that one step."""
    for _ in range(5):
        steps.loop.wake()
    await stage.settle()
    assert steps.taken == 1


async def test_a_wake_during_a_step_is_not_lost(stage: Stage, steps: Steps) -> None:
    """A wake that comes while a step is under way brings one more step."""
    steps.gate = asyncio.Event()
    steps.loop.wake()
    await stage.settle()
    steps.loop.wake()
    steps.loop.wake()
    steps.gate.set()
    await stage.settle()
    assert steps.taken == 2


async def test_a_step_says_when_the_next_is_due(stage: Stage, steps: Steps) -> None:
    """A step that answers seconds is followed by another after them, or at a wake, whichever is first."""
    steps.answers = [10.0, 10.0]
    steps.loop.wake()
    await stage.wait(9.9)
    assert steps.taken == 1
    await stage.wait(0.2)
    assert steps.taken == 2
    steps.loop.wake()
    await stage.settle()
    assert steps.taken == 3
    await stage.wait(1000)
    assert steps.taken == 3


async def test_a_step_that_goes_on_lets_others_run(stage: Stage) -> None:
    """Step after step without a pause, others still get their turn: a loop never holds the event loop."""
    turns: list[int] = []
    enough = 1000

    async def step() -> float | None:
        turns.append(len(others))
        return 0 if len(turns) < enough else None

    others: list[int] = []

    async def other() -> None:
        others.append(1)

    loop = Loop("greedy", step, kit=stage.kit)
    loop.start()
    loop.wake()
    await stage.settle()
    task = asyncio.get_running_loop().create_task(other())
    while not others:
        await asyncio.wait([task])
    await loop.stop()
    assert len(turns) < enough


async def test_a_failed_step_backs_off_deaf_to_wakes(stage: Stage, steps: Steps) -> None:
    """After a failure hurrying callers bring no step before the backoff is over; then one follows by itself."""
    steps.errors = [ValueError("no")]
    steps.loop.wake()
    await stage.settle()
    for _ in range(10):
        steps.loop.wake()
        await stage.settle()
    assert steps.taken == 1
    assert steps.loop.failures == 1
    await stage.wait(1)
    assert steps.taken == 2
    assert steps.loop.failures == 0


async def test_failures_are_told_and_the_backoff_grows(stage: Stage, steps: Steps) -> None:
    """Every failure is told with its error and its number in a row, and the pauses grow up to their cap."""
    steps.errors = [ValueError(str(number)) for number in range(20)]
    steps.loop.wake()
    await stage.wait(120)
    told = stage.ear.told(Signal.LOOP_FAILED)
    assert [fields["failures"] for fields in told] == list(range(1, len(told) + 1))
    assert {fields["loop"] for fields in told} == {"test"}
    assert [str(error) for error in stage.ear.errors] == [str(number) for number in range(len(told))]
    # Within two minutes a doubling backoff with a cap of ten seconds leaves room for 16 to 31 failures; a steady one
    # of its first 0.1 s would leave room for 1200.
    assert 16 <= len(told) <= 20


async def test_stop_ends_a_step_under_way(stage: Stage, steps: Steps) -> None:
    """Stopping cancels a step under way and leaves nothing running; stopping again, or before a start, is fine."""
    steps.gate = asyncio.Event()
    steps.loop.wake()
    await stage.settle()
    await steps.loop.stop()
    await steps.loop.stop()
    steps.gate.set()
    await stage.settle()
    assert steps.taken == 1
    await Steps(stage).loop.stop()


async def test_a_backoff_may_be_bounded(stage: Stage) -> None:
    """Where a lease waits for it no pause is longer than was said, however often the step fails."""
    tries: list[float] = []

    async def step() -> None:
        tries.append(stage.clock.monotonic())
        raise StoreUnavailable("away")

    loop = Loop("test", step, kit=stage.kit, longest=1.0)
    loop.start()
    loop.wake()
    await stage.wait(60)
    assert len(tries) >= 60
    assert max(later - earlier for earlier, later in pairwise(tries)) <= 1.001
    assert loop.away
    await loop.stop()


async def test_a_backoff_may_be_cut_short(stage: Stage) -> None:
    """Told that the store is back it tries at once; otherwise it is deaf until its pause is over."""
    errors: list[Exception] = [StoreUnavailable("away")] * 12

    async def step() -> None:
        if errors:
            raise errors.pop()

    loop = Loop("test", step, kit=stage.kit)
    loop.start()
    loop.wake()
    while errors:
        await stage.wait(1)
    loop.wake()
    await stage.settle()
    assert loop.failures == 12
    loop.retry()
    await stage.settle()
    assert (loop.failures, loop.away) == (0, False)
    assert len(stage.ear.told(Signal.STORE_RECOVERED)) == 1
    await loop.stop()


async def test_a_step_that_found_nothing_to_do_tells_of_no_recovery(stage: Stage) -> None:
    """Nobody asked the store, so nobody knows: what failed is forgotten in silence."""
    errors: list[Exception] = [StoreUnavailable("away")]

    async def step() -> None:
        if errors:
            raise errors.pop()
        loop.idle = True

    loop = Loop("test", step, kit=stage.kit)
    loop.start()
    loop.wake()
    await stage.wait(1)
    assert (loop.failures, loop.away) == (0, False)
    assert stage.ear.told(Signal.STORE_RECOVERED) == []
    await loop.stop()
