"""How tests wait for what events bring about."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from backburner.ports.jobs import Keep
from tests.acceptance.gauge import turn

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from backburner import Backburner, Event
    from backburner.model.event import SubscriptionRecord

__all__ = ["PATIENCE", "Told", "prune", "reading", "seen", "standing", "unsubscribe"]

PATIENCE = 20.0


class Told:
    """The events that somebody was given, in order."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._changed = asyncio.Event()

    def add(self, event: Event) -> None:
        """Keep one."""
        self.events.append(event)
        self._changed.set()

    async def count(self, count: int) -> list[Event]:
        """Wait for so many, and return them all."""
        async with asyncio.timeout(PATIENCE):
            while len(self.events) < count:
                self._changed.clear()
                await self._changed.wait()
        return self.events

    async def of(self, name: str, subject: str | None = None) -> Event:
        """Wait for one of a name, about a subject if one is given, and return the first."""
        async with asyncio.timeout(PATIENCE):
            while not (
                found := [each for each in self.events if each.name == name and subject in {None, each.subject}]
            ):
                self._changed.clear()
                await self._changed.wait()
        return found[0]

    @property
    def names(self) -> list[str]:
        """What they are called."""
        return [event.name for event in self.events]

    @property
    def numbers(self) -> list[int]:
        """What those tell that tell a ``number``."""
        return [event.data["number"] for event in self.events]


@asynccontextmanager
async def reading(bb: Backburner, *names: str, **options: Any) -> AsyncGenerator[Told]:  # noqa: ANN401 - those of `events`
    """Read while the block lasts, under a subscription that is entered before it begins."""
    told = Told()
    before = {each.name for each in await standing(bb)}

    async def read() -> None:
        async for event in bb.events(*names, **options):
            told.add(event)

    async def look() -> bool:
        return task.done() or bool({each.name for each in await standing(bb)} - before)

    task = asyncio.create_task(read())
    if options.get("subscription") not in before:
        await seen(look)
    try:
        yield told
    finally:
        task.cancel()
        await asyncio.wait([task])
    if not task.cancelled():
        task.result()


async def seen(look: Callable[[], Awaitable[Any]]) -> Any:  # noqa: ANN401 - whatever is looked for
    """Look until there is something to see, and return that."""
    async with asyncio.timeout(PATIENCE):
        while not (found := await look()):
            await turn()
    return found


async def standing(bb: Backburner) -> list[SubscriptionRecord]:
    """Return the subscriptions of the store, by name."""
    return [*(await bb._running()._backend.event_reader.subscriptions()).subscriptions]


async def unsubscribe(bb: Backburner, name: str) -> None:
    """Remove a subscription, as an operator does."""
    assert await bb._running()._backend.events.unsubscribe(name)


async def prune(bb: Backburner) -> None:
    """Delete all events there are, as the steward does once their time is over."""
    await bb._running()._backend.admin.prune(Keep(completed=None, cancelled=None, dead=None, events=0), 10_000)
