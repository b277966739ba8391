"""Events in the caller's own transaction: committed they are handled, rolled back they never were."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiosqlite
import pytest

from backburner import Event, current_job
from backburner.errors import TransactionOpen
from tests.acceptance.callers import POSTGRES, SQLITE, Shop
from tests.acceptance.eventful import Told, reading

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from backburner import Backburner


@pytest.fixture(params=[*POSTGRES, *SQLITE])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Shop:
    """Return an app that connects by each driver there is."""
    return Shop(request.param, request, tmp_path)


async def test_with_its_rows_or_not_at_all(shop: Shop) -> None:
    """What is committed is handled and read, with the id it was given; what is rolled back is not."""
    bb, told = shop.make(), Told()

    @bb.on("order.*")
    async def ship(event: Event) -> None:
        told.add(event)

    async with bb, reading(bb, "order.*") as read:
        async with shop.connected() as app:
            await app.insert(1)
            await bb.publish("order.paid", {"number": 1}, tx=app.tx)
            await app.rollback()
        async with shop.connected() as app:
            await app.insert(2)
            event_id = await bb.publish("order.paid", {"number": 2}, subject="order/2", tx=app.tx)
            await bb.publish("order.sent", {"number": 3}, subject="order/2", tx=app.tx)
            with pytest.raises(TransactionOpen):
                await bb.publish("order.paid")
            await app.commit()
        await told.count(2)
        await read.count(2)
    assert told.numbers == read.numbers == [2, 3]
    assert told.events[0].id == event_id
    assert shop.orders() == [2]


async def test_by_aiosqlite(make_sqlite: Callable[..., Backburner], tmp_path: Path) -> None:
    """The same through a connection of aiosqlite's."""
    bb, told = make_sqlite(), Told()

    @bb.on("order.*")
    async def ship(event: Event) -> None:
        told.add(event)

    async with bb, aiosqlite.connect(tmp_path / "jobs.db") as connection:
        await connection.execute("CREATE TABLE orders (number INTEGER)")
        for number in range(4):
            await connection.execute("INSERT INTO orders VALUES (?)", (number,))
            await bb.publish("order.paid", {"number": number}, tx=connection)
            await (connection.rollback() if number % 2 else connection.commit())
        await told.count(2)
    assert sorted(told.numbers) == [0, 2]


@pytest.mark.parametrize("shop", ["asyncpg"], indirect=True)
async def test_one_that_is_open_holds_nobody_up(shop: Shop) -> None:
    """Where writers do not wait for each other, events behind an open transaction are handled; its own once it commits."""
    bb, told = shop.make(), Told()

    @bb.on("order.*")
    async def ship(event: Event) -> str:
        told.add(event)
        return current_job().id

    async with bb, shop.make() as other:
        async with shop.connected() as app:
            await app.insert(1)
            await bb.publish("order.paid", {"number": 1}, tx=app.tx)
            await other.publish("order.paid", {"number": 2})
            await told.count(1)
            assert told.numbers == [2]
            await app.commit()
        await told.count(2)
    assert told.numbers == [2, 1]
