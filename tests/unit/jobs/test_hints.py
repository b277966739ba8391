"""Hints: debounced on both edges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backburner import Unique, current_job
from backburner.errors import StoreUnavailable
from backburner.jobs.hints import PAUSE, Hints
from backburner.ports.backend import Hint
from backburner.ports.telemetry import Signal
from backburner.testing.clock import FakeClock
from tests.unit.jobs.engines import House

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.unit.jobs.told import Stage


class Wire:
    """A notifier that remembers, or fails."""

    def __init__(self) -> None:
        self.sent: list[Hint] = []
        self.error: Exception | None = None

    async def notify(self, hint: Hint) -> None:
        if self.error is not None:
            raise self.error
        self.sent.append(hint)

    def listen(self, heard: Callable[[Hint], None]) -> Callable[[], None]:
        del heard
        return lambda: None


@pytest.fixture
async def wire() -> Wire:
    """Bring a wire."""
    return Wire()


async def test_a_hint_after_quiet_leaves_at_once(stage: Stage, wire: Wire) -> None:
    """The leading edge: when it was quiet a hint leaves without the clock moving, once."""
    hints = Hints(wire, stage.kit)
    hints.tell(Hint.JOBS)
    await stage.settle()
    assert wire.sent == [Hint.JOBS]
    await stage.wait(10)
    assert wire.sent == [Hint.JOBS]


async def test_hints_in_a_pause_are_one_at_its_end(stage: Stage, wire: Wire) -> None:
    """The trailing edge: what comes within a pause leaves together at its end, so the last change is never untold."""
    hints = Hints(wire, stage.kit)
    for _ in range(100):
        hints.tell(Hint.JOBS)
    await stage.settle()
    assert len(wire.sent) == 1
    await stage.wait(PAUSE)
    assert len(wire.sent) == 2
    await stage.wait(10)
    assert len(wire.sent) == 2


async def test_under_a_storm_one_hint_a_pause(stage: Stage, wire: Wire) -> None:
    """However many are told, at most one of a kind leaves a pause."""
    hints = Hints(wire, stage.kit)
    for _ in range(100):
        hints.tell(Hint.JOBS)
        await stage.wait(PAUSE / 10)
    assert 10 <= len(wire.sent) <= 12


async def test_kinds_do_not_wait_for_each_other(stage: Stage, wire: Wire) -> None:
    """A hint of another kind is not held back."""
    hints = Hints(wire, stage.kit)
    hints.tell(Hint.JOBS)
    hints.tell(Hint.CONTROL)
    await stage.settle()
    assert wire.sent == [Hint.JOBS, Hint.CONTROL]


async def test_stop_sends_what_was_held_back(stage: Stage, wire: Wire) -> None:
    """Stopping sends what a pause held back, and leaves no timer."""
    hints = Hints(wire, stage.kit)
    hints.tell(Hint.JOBS)
    hints.tell(Hint.JOBS)
    await hints.stop()
    assert wire.sent == [Hint.JOBS, Hint.JOBS]
    await stage.wait(10)
    assert wire.sent == [Hint.JOBS, Hint.JOBS]


async def test_a_lost_hint_is_told_and_harms_nobody(stage: Stage, wire: Wire) -> None:
    """A notifier that fails is told of; the next hint is sent all the same."""
    hints = Hints(wire, stage.kit)
    wire.error = StoreUnavailable("away")
    hints.tell(Hint.JOBS)
    await stage.settle()
    assert [fields["loop"] for fields in stage.ear.told(Signal.STORE_WAITING)] == ["hints"]
    wire.error = None
    await stage.wait(PAUSE)
    hints.tell(Hint.JOBS)
    await stage.settle()
    assert wire.sent == [Hint.JOBS]


async def test_this_node_hears_what_it_is_to_hear(stage: Stage, wire: Wire) -> None:
    """Whether the store tells the one who told is its affair: what concerns this node too is told it here, debounced."""
    hints = Hints(wire, stage.kit)
    heard: list[Hint] = []
    hints.heard = heard.append
    hints.tell(Hint.JOBS)
    assert heard == []
    for _ in range(100):
        hints.tell(Hint.CONTROL, here=True)
    assert heard == [Hint.CONTROL]
    await stage.wait(10)
    assert heard == [Hint.CONTROL] * 2
    hints.tell(Hint.CONTROL)
    await stage.settle()
    assert heard == [Hint.CONTROL] * 2


async def test_what_this_node_must_know_it_tells_itself() -> None:
    """A store may keep a node's own hints from it: what came free by a cancel, a queue or a keyed follow-up is told here."""
    clock = FakeClock()
    house = House(queues={"default": 1}, clock=clock)

    @house.bb.job
    async def work() -> None: ...

    @house.bb.job
    async def then_again(*, keyed: bool) -> None:
        current_job().then(work(), delay=60, unique=Unique() if keyed else None)

    async with house.bb:
        heard: list[Hint] = []
        house.engine._hints.heard = heard.append

        async def told_after(what: Awaitable[object]) -> set[Hint]:
            await clock.advance(2 * PAUSE)
            heard.clear()
            await what
            await clock.advance(2 * PAUSE)
            return set(heard)

        async def run(*, keyed: bool) -> None:
            handle = await house.bb.create_task(then_again(keyed=keyed))
            await handle

        handle = await house.bb.create_task(work(), delay=60)
        assert await told_after(handle.cancel()) == {Hint.JOBS}
        assert await told_after(house.bb.queues.pause("other")) == {Hint.CONTROL}
        assert await told_after(run(keyed=False)) == set()
        assert await told_after(run(keyed=True)) == {Hint.JOBS}
