"""Publishing: many callers to a write; whoever waits is told how it ended, however that is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from backburner.errors import NotRunning, StoreBusy, StoreError, StoreRefused
from backburner.events.publisher import Publisher
from backburner.model.event import NewEvent
from backburner.model.ids import Ids
from backburner.ports.events import Appended
from backburner.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Sequence


class Store:
    """Takes events when it is let; refuses those that are called ``bad``."""

    def __init__(self) -> None:
        self.writes: list[list[str]] = []
        self.error: Exception | None = None
        self.open = asyncio.Event()
        self.open.set()

    async def append(self, events: Sequence[NewEvent], tx: object = None) -> Appended:
        del tx
        await self.open.wait()
        if self.error is not None:
            raise self.error
        if any(event.name == "bad" for event in events):
            raise StoreRefused("bad")
        self.writes.append([event.name for event in events])
        return Appended(0, len(events))


class Office:
    """A publisher on a store, and its step."""

    def __init__(self) -> None:
        self.store = Store()
        self.told = 0
        self.publisher = Publisher(
            self.store,  # type: ignore[arg-type]  # what a publisher asks of it
            ids=Ids(FakeClock()),
            wake=lambda: None,
            stored=self._stored,
        )

    def _stored(self) -> None:
        self.told += 1

    async def publish(self, *names: str) -> list[asyncio.Task[str]]:
        """Have events wait."""
        tasks = [asyncio.create_task(self.publisher.publish(NewEvent(name=name))) for name in names]
        await asyncio.wait(tasks, timeout=0)
        return tasks


@pytest.fixture
async def office() -> Office:
    """Bring one."""
    return Office()


async def test_what_waits_leaves_together(office: Office) -> None:
    """While one write is out, others wait for the next; a caller that is cancelled meanwhile takes its event back."""
    office.store.open.clear()
    (first,) = await office.publish("a")
    writing = asyncio.create_task(office.publisher.step())
    await asyncio.wait([writing], timeout=0)
    second, third, fourth = await office.publish("b", "c", "d")
    third.cancel()
    await asyncio.wait([third])
    office.store.open.set()
    assert await writing == 0
    assert await office.publisher.step() is None
    assert office.store.writes == [["a"], ["b", "d"]]
    assert len({await first, await second, await fourth}) == 3
    assert office.told == 2


async def test_one_that_is_refused_is_refused_alone(office: Office) -> None:
    """The others of its write are stored; one whose caller has gone meanwhile is not."""
    good, bad, gone, last = await office.publish("good", "bad", "gone", "last")
    step = office.store.append

    async def append(events: Sequence[NewEvent], tx: object = None) -> Appended:
        if len(events) > 1:
            gone.cancel()
            await asyncio.wait([gone])
        return await step(events, tx)

    office.store.append = append  # type: ignore[method-assign]
    await office.publisher.step()
    assert office.store.writes == [["good"], ["last"]]
    assert await good != await last
    with pytest.raises(StoreRefused):
        await bad


@pytest.mark.parametrize("error", [StoreBusy("later", stored="no"), KeyError("a bug")], ids=["store", "bug"])
async def test_whoever_waits_hears_of_an_error(office: Office, error: Exception) -> None:
    """Each by an error of its own, also of what nobody foresaw; the loop hears of that too, and what comes next is written."""
    office.store.error = error
    one, other = await office.publish("a", "b")
    if isinstance(error, StoreError):
        await office.publisher.step()
    else:
        with pytest.raises(KeyError):
            await office.publisher.step()
    for task in (one, other):
        with pytest.raises(type(error)) as raised:
            await task
        assert raised.value is not error
    office.store.error = None
    (again,) = await office.publish("a")
    await office.publisher.step()
    assert await again


async def test_an_engine_that_stops(office: Office) -> None:
    """Who is being written may be stored, who waits is not, and who comes is refused at once: nobody waits for ever."""
    office.store.open.clear()
    (written,) = await office.publish("a")
    writing = asyncio.create_task(office.publisher.step())
    await asyncio.wait([writing], timeout=0)
    (waiting,) = await office.publish("b")
    writing.cancel()
    await asyncio.wait([writing])
    office.publisher.close()
    (late,) = await office.publish("c")
    for task, said in ((written, "may be stored"), (waiting, "before this event was stored"), (late, "is not stored")):
        with pytest.raises(NotRunning, match=said):
            await task
