"""The shop's own tests, with backburner: a store in memory, a clock that stands still, and retries as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from from_celery.after.tasks import alarm, bb, charge, receipt
from from_celery.shop import Base, Letter, NewOrder, Order, engine, take

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from backburner.testing import Testing

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio."""
    return "asyncio"


@pytest.fixture(autouse=True)
def tables() -> None:
    """Empty the tables."""
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)


@pytest.fixture
async def jobs() -> AsyncIterator[Testing]:
    """Put the app under test."""
    async with bb.testing() as jobs:
        yield jobs


async def test_an_order_is_charged_and_a_receipt_written(jobs: Testing) -> None:
    """An order that is taken is paid, and its customer is told."""
    number = take(NewOrder(customer="ada", cents=1250))
    handle = await bb.create_task(charge(number))
    await jobs.drain()
    assert await handle == number
    with Session(engine) as db:
        assert db.get_one(Order, number).state == "paid"
        assert db.scalars(select(Letter.text).where(Letter.to == "ada")).all() == ["paid 1250"]


async def test_a_card_may_be_refused(jobs: Testing) -> None:
    """What the bank refuses is not tried again, and those on duty are told."""
    handle = await bb.create_task(charge(take(NewOrder(customer="eve", cents=200_000))))
    assert (await jobs.drain()).dead == 1
    assert (await handle.status()).attempt == 1
    jobs.refute_enqueued(receipt)
    jobs.assert_enqueued(alarm, count=1)


async def test_the_bank_may_be_away(jobs: Testing) -> None:
    """What eager tasks cannot show: the charge waits for its second attempt, and nobody was written to yet."""
    handle = await bb.create_task(charge(take(NewOrder(customer="bob", cents=300))))
    assert (await jobs.drain()).retrying == 1
    assert (await handle.status()).due > jobs.now
    jobs.refute_enqueued(receipt)
