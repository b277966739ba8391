"""The shop's own tests, with Celery: eager, so without a broker, a worker, a queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from from_celery.before.tasks import app, charge, charge_and_write
from from_celery.shop import Base, CardRefused, Letter, NewOrder, Order, engine, take

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def tables() -> None:
    """Empty the tables."""
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)


@pytest.fixture(autouse=True)
def eager() -> Iterator[None]:
    """Have tasks run where they are called."""
    app.conf.update(task_always_eager=True, task_eager_propagates=True)
    yield
    app.conf.update(task_always_eager=False, task_eager_propagates=False)


def test_an_order_is_charged_and_a_receipt_written() -> None:
    """An order that is taken is paid, and its customer is told."""
    number = take(NewOrder(customer="ada", cents=1250))
    charge_and_write(number)
    with Session(engine) as db:
        assert db.get_one(Order, number).state == "paid"
        assert db.scalars(select(Letter.text).where(Letter.to == "ada")).all() == ["paid 1250"]


def test_a_card_may_be_refused() -> None:
    """What the bank refuses is not tried again."""
    with pytest.raises(CardRefused):
        charge.delay(take(NewOrder(customer="eve", cents=200_000)))
