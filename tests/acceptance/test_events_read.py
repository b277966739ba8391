"""Reading the log of events, on every store: from now on, from a cursor, under a name; and what was deleted meanwhile."""

from __future__ import annotations

import asyncio
import gc
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest

from backburner import Event, EventsGone, InvalidCursor, NotRunning
from backburner.errors import InvalidOption, SubscriptionNotFound
from tests.acceptance.eventful import PATIENCE, prune, reading, seen, standing, unsubscribe
from tests.acceptance.gauge import turn
from tests.stores import SHARED

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from backburner import Backburner


async def publish(bb: Backburner, *numbers: int) -> None:
    """Publish an event for each number."""
    for number in numbers:
        await bb.publish("order.paid", {"number": number}, subject=f"order/{number % 2}")


async def take(bb: Backburner, count: int, **options: Any) -> list[int]:  # noqa: ANN401 - those of `events`
    """Read so many, and stop at the last."""
    async with asyncio.timeout(PATIENCE), aclosing(bb.events("order.*", **options)) as events:
        return [(await anext(events)).data["number"] for _ in range(count)]


async def test_from_now_on(bb: Backburner) -> None:
    """A reader without a name is given what happens from its first step on; when it ends, nothing is left of it."""
    async with bb:
        await publish(bb, 0)
        async with reading(bb, "order.*") as told, reading(bb, "order.*", subject="order/1") as half:
            await bb.publish("parcel.sent")
            await publish(bb, *range(1, 6))
            await told.count(5)
            await half.count(3)
        assert await standing(bb) == []
    assert told.numbers == [1, 2, 3, 4, 5]
    assert half.numbers == [1, 3, 5]
    assert len({event.cursor for event in told.events}) == 5


async def test_many_pages(bb: Backburner) -> None:
    """However many there are, they come in order, and each once."""
    async with bb, reading(bb, "order.*", subscription="billing") as told:
        for first in range(0, 350, 50):
            await asyncio.gather(*(publish(bb, first + each) for each in range(50)))
        await told.count(350)
    assert sorted(told.numbers) == [*range(350)]
    places = [int(event.cursor.partition("-")[2]) for event in told.events]
    assert places == sorted({*places})


@pytest.mark.parametrize("url", SHARED, indirect=True)
async def test_under_a_name_reading_goes_on(make: Callable[..., Backburner]) -> None:
    """In another engine too: what was done is not given again, the one at which its reader stopped is."""
    async with make() as bb:
        async with reading(bb, "order.*", subscription="billing"):
            pass
        await publish(bb, 0, 1, 2, 3)
        assert await take(bb, 2, subscription="billing") == [0, 1]
    async with make() as bb:
        await publish(bb, 4)
        assert await take(bb, 4, subscription="billing") == [1, 2, 3, 4]
        assert await take(bb, 1, subscription="billing") == [4]


@pytest.mark.parametrize("url", SHARED, indirect=True)
async def test_from_a_cursor(make: Callable[..., Backburner]) -> None:
    """A cursor that somebody kept, whoever read it, on whichever engine, is where reading goes on."""
    async with make() as bb, reading(bb, "order.*", subscription="kept") as told:
        await publish(bb, 0, 1, 2, 3)
        cursor = (await told.count(4))[1].cursor
    async with make() as bb:
        assert await take(bb, 2, after=cursor) == [2, 3]
        assert await take(bb, 2, after=cursor, subscription="kept") == [2, 3]
        assert await take(bb, 4, after=f"{cursor.partition('-')[0]}-0") == [0, 1, 2, 3]


async def test_several_readers(bb: Backburner) -> None:
    """Under names of their own each is given all; under one name everything is given to one of them at least."""
    async with (
        bb,
        reading(bb, "order.*", subscription="one") as one,
        reading(bb, "order.*", subscription="other") as other,
        reading(bb, "order.*", subscription="shared") as first,
        reading(bb, "order.*", subscription="shared") as second,
    ):
        await publish(bb, *range(30))
        await one.count(30)
        await other.count(30)

        async def all_given() -> bool:
            return {*first.numbers, *second.numbers} == {*range(30)}

        await seen(all_given)
    assert one.numbers == other.numbers == [*range(30)]


async def test_what_was_deleted_is_told(bb: Backburner) -> None:
    """A reader whose events went before it came is told so, and where it may go on."""
    async with bb:
        async with reading(bb, "order.*", subscription="slow"):
            pass
        await publish(bb, 0, 1)
        await prune(bb)
        await publish(bb, 2)
        with pytest.raises(EventsGone, match="have been deleted"):
            await take(bb, 1, subscription="slow")
        with pytest.raises(EventsGone, match="go on with after=") as gone:
            await take(bb, 1, subscription="slow")
        assert await take(bb, 1, subscription="slow", after=gone.value.after) == [2]


async def test_a_cursor_that_is_none(bb: Backburner) -> None:
    """One of another store, one that lies ahead and one that is no cursor are told apart."""
    async with bb:
        async with reading(bb, "order.*") as told:
            await publish(bb, 0)
            (event,) = await told.count(1)
        log, _, number = event.cursor.partition("-")
        for cursor, why in (
            (f"zzzz{log}-{number}", "another store"),
            (f"{log}-{int(number) + 1000}", "lies ahead"),
            ("yesterday", "is no cursor"),
        ):
            with pytest.raises(InvalidCursor, match=why):
                await take(bb, 1, after=cursor)
        assert await standing(bb) == []


async def test_a_handler_s_subscription_is_not_read(bb: Backburner) -> None:
    """Reading under a handler's name would take its events from it."""

    @bb.on("order.*")
    async def ship(event: Event) -> None:
        del event

    async with bb:
        with pytest.raises(InvalidOption, match="is a handler's"):
            await take(bb, 1, subscription="ship")


async def test_a_subscription_removed_while_it_is_read(bb: Backburner) -> None:
    """Its reader is told; it does not go on as if nothing were missing."""
    async with bb, aclosing(bb.events("order.*", subscription="billing")) as events:
        await given(bb, events)
        await unsubscribe(bb, "billing")
        with pytest.raises(SubscriptionNotFound, match="removed while it was read"):
            async for _ in events:
                pass


async def test_an_engine_that_stops_ends_its_readers(bb: Backburner) -> None:
    """Whoever reads when the engine is left is told, rather than left waiting."""
    async with bb:
        events = bb.events("order.*", subscription="billing")
        await given(bb, events)

        async def read() -> None:
            async for _ in events:
                pass

        reader = asyncio.create_task(read())
        await turn()
    with pytest.raises(NotRunning):
        await reader


async def test_a_reader_that_is_dropped(bb: Backburner) -> None:
    """One that nobody closes, and nobody holds any more, is no trouble to an engine that has stopped."""
    async with bb:
        events = bb.events("order.*")
        await given(bb, events)
    del events
    gc.collect()
    await turn()


async def given(bb: Backburner, events: AsyncGenerator[Event]) -> None:
    """Publish until a reader has its first event."""
    first = asyncio.ensure_future(anext(events))

    async def look() -> bool:
        await publish(bb, 1)
        return first.done()

    await seen(look)
