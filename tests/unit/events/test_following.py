"""Readers of the log: however long one takes, whoever else reads, whatever is removed, nothing goes by unseen."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backburner.backends import urls
from backburner.errors import NotRunning, StoreUnavailable, SubscriptionNotFound
from backburner.events import following
from backburner.events.bell import Bell
from backburner.events.following import NAMELESS, Following
from backburner.model.clock import SECOND
from backburner.model.event import NewEvent
from backburner.ports.jobs import Keep
from backburner.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from backburner.events.event import Event
    from backburner.model.event import SubscriptionRecord
    from backburner.ports.backend import Backend

KEEP = Keep(completed=None, cancelled=None, dead=None)


class Desk:
    """A store in memory, and readers of it."""

    def __init__(self, backend: Backend, clock: FakeClock) -> None:
        self.backend = backend
        self.clock = clock
        self.bell = Bell()

    def read(self, subscription: str | None = None) -> AsyncGenerator[Event]:
        """Return a reader."""
        return Following(
            self.backend.events,
            self.backend.event_reader,
            self.bell,
            patterns=("order.*",),
            subject=None,
            subscription=subscription,
            after=None,
            ttl=3600 * SECOND,
            clock=self.clock,
            loop=asyncio.get_running_loop(),
        ).events()

    async def publish(self, *names: str) -> None:
        """Store events, and ring."""
        await self.backend.events.append([NewEvent(name=name) for name in names])
        self.bell.ring()

    async def standing(self) -> list[SubscriptionRecord]:
        """Return the subscriptions."""
        return [*(await self.backend.event_reader.subscriptions()).subscriptions]


@asynccontextmanager
async def begun(desk: Desk, subscription: str | None = None) -> AsyncGenerator[AsyncGenerator[Event]]:
    """Bring a reader that is entered, and has had an event."""
    async with aclosing(desk.read(subscription)) as events:
        first = asyncio.ensure_future(anext(events))
        await desk.clock.settle()
        await desk.publish("order.first")
        assert (await first).name == "order.first"
        yield events


@pytest.fixture
async def desk() -> AsyncGenerator[Desk]:
    """Bring a store."""
    clock = FakeClock()
    backend = urls.connect(urls.parse("memory://", base=Path.cwd()), clock=clock, write_timeout=5)
    await backend.open(create=True)
    yield Desk(backend, clock)
    await backend.close()


async def test_a_reader_that_takes_long_is_not_forgotten(desk: Desk) -> None:
    """Over one event longer than a reader that died is remembered: what came meanwhile is there."""
    async with begun(desk) as events:
        for _ in range(10):
            await desk.clock.advance(NAMELESS / SECOND / 4)
            await desk.backend.admin.prune(KEEP, 100)
        await desk.publish("order.second")
        assert (await anext(events)).name == "order.second"
    assert await desk.standing() == []


async def test_a_subscription_that_was_removed_is_not_taken_for_its_renewal(desk: Desk) -> None:
    """Entered anew by the reader's own renewal, it would begin at the end: what came between would be missing in silence."""
    async with begun(desk) as events:
        (record,) = await desk.standing()
        await desk.backend.events.unsubscribe(record.name)
        await desk.publish("order.missed")
        await desk.clock.advance(NAMELESS / SECOND / 4)
        assert await desk.standing() != []
        with pytest.raises(SubscriptionNotFound):
            await anext(events)


async def test_a_slow_reader_s_place_is_kept(desk: Desk) -> None:
    """What it was done with a second ago is not given to another, should it die now."""
    async with begun(desk, "billing") as events:
        await desk.publish(*(f"order.{number}" for number in range(5)))
        for number in range(4):
            assert (await anext(events)).name == f"order.{number}"
            await desk.clock.advance(1)
        (record,) = await desk.standing()
        assert record.cursor == 1 + 3


async def test_outrun_it_asks_where_it_stands(desk: Desk) -> None:
    """Where another reader of its name has moved on, it goes on from there, and does not finish its own page first."""
    async with begun(desk, "billing") as slow:
        await desk.publish(*(f"order.{number}" for number in range(5)))
        assert (await anext(slow)).name == "order.0"
        async with aclosing(desk.read("billing")) as quick:
            names = [(await anext(quick)).name for _ in range(5)]
        assert names[-1] == "order.4"
        await desk.clock.advance(1)
        assert (await anext(slow)).name == "order.4"


async def test_a_ring_while_it_looks_is_heard(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is stored right after its look is given at once, not at the next round."""
    monkeypatch.setattr(following, "LOOK", 3600)
    store = desk.backend.events
    pull = type(store).pull
    missed = False

    async def late(self: object, *args: object, **options: object) -> object:
        nonlocal missed
        found = await pull(self, *args, **options)  # type: ignore[arg-type]
        if not missed and not found.received[0].events:
            missed = True
            await desk.publish("order.second")
        return found

    async with begun(desk) as events:
        monkeypatch.setattr(type(store), "pull", late)
        desk.bell.ring()
        assert (await anext(events)).name == "order.second"
        assert missed


async def test_it_ends_with_its_engine(desk: Desk) -> None:
    """Waiting, and when it is asked for more."""
    async with begun(desk) as events:
        waiting = asyncio.ensure_future(anext(events))
        await desk.clock.settle()
        desk.bell.close()
        with pytest.raises(NotRunning):
            await waiting


async def test_a_store_that_has_gone_ends_it_without_a_word_of_its_leaving(desk: Desk) -> None:
    """It says that the store is away, and not that it could not unsubscribe."""
    async with begun(desk) as events:
        await desk.backend.close()
        with pytest.raises(StoreUnavailable):
            await anext(events)


async def test_cancelled_anywhere_it_leaves_nothing(desk: Desk) -> None:
    """At whichever turn of the loop its reader is cancelled: no subscription stays, and no task."""
    for turns in range(12):
        events = desk.read()
        reader = asyncio.ensure_future(anext(events))
        for _ in range(turns):
            await asyncio.wait([reader], timeout=0)
        reader.cancel()
        await asyncio.wait([reader])
        await events.aclose()
        await desk.clock.settle()
        assert await desk.standing() == []
    assert {task.get_name() for task in asyncio.all_tasks()}.isdisjoint({"backburner.reader"})
