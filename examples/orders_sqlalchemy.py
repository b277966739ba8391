"""A shop whose orders are shipped by durable jobs, each with a SQLAlchemy session of its own.

    python examples/orders_sqlalchemy.py

It keeps two files in the working directory: jobs.db is the engine's, orders.db the shop's. One order is shipped at the
first try; one fails half-way, so its changes are rolled back and it is tried again; one asks for more than there is in
stock, and becomes a dead letter that has changed nothing.

Read it from the top: the shop's tables, what jobs share, what each of them is provided with, the jobs, the program.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import ForeignKey, func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from backburner import Backburner, JobDead, Provide, Reject, RetryPolicy, constant, current_job

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

# ---- the shop's tables ---------------------------------------------------------------------------------------------


class Base(DeclarativeBase):
    """The shop's tables."""


class Product(Base):
    """What is for sale, and how much of it there is."""

    __tablename__ = "products"
    name: Mapped[str] = mapped_column(primary_key=True)
    stock: Mapped[int]


class Order(Base):
    """Who bought what, and whether it is on its way."""

    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    product: Mapped[str] = mapped_column(ForeignKey("products.name"))
    quantity: Mapped[int]
    shipped: Mapped[bool] = mapped_column(default=False)


# ---- what jobs share: opened before any runs, closed after the last ---------------------------------------------------


@dataclass(frozen=True, slots=True)
class Resources:
    """What is opened once a process."""

    engine: AsyncEngine


@asynccontextmanager
async def resources() -> AsyncGenerator[Resources]:
    """Connect to the shop's database."""
    engine = create_async_engine("sqlite+aiosqlite:///orders.db")
    try:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        yield Resources(engine)
    finally:
        await engine.dispose()


bb = Backburner("sqlite:///jobs.db", lifespan=resources, retry=RetryPolicy(attempts=3, backoff=constant(0.1)))

# ---- what each attempt of a job is provided with -------------------------------------------------------------------


async def session() -> AsyncGenerator[AsyncSession]:
    """Open a session; commit when the job has returned, roll back when it has raised."""
    async with AsyncSession(bb.state.engine) as db, db.begin():
        yield db


# ---- the jobs ------------------------------------------------------------------------------------------------------


@bb.job
async def ship(order_id: int, db: AsyncSession = Provide(session)) -> int:
    """Ship an order, if that is still to be done; return how much of the product is left.

    The job is completed after its session has committed. Should the process die between the two, the job runs again: so
    it asks first whether the order is shipped.
    """
    order = await db.get_one(Order, order_id)
    if not order.shipped:
        order.shipped = True
        taken = await db.scalar(
            update(Product)
            .where(Product.name == order.product, Product.stock >= order.quantity)
            .values(stock=Product.stock - order.quantity)
            .returning(Product.stock)
        )
        if taken is None:
            raise Reject(f"not enough {order.product} in stock for {order.quantity}")
        await call_the_courier(order)
    product = await db.get_one(Product, order.product, populate_existing=True)
    return product.stock


@bb.job
async def count_shipped(db: AsyncSession = Provide(session)) -> int:
    """Count the orders that are on their way."""
    return await db.scalar(select(func.count()).where(Order.shipped)) or 0


async def call_the_courier(order: Order) -> None:
    """Stand for another service, which has no time for tea when it is asked first."""
    if order.product == "tea" and current_job().attempt == 1:
        raise ConnectionError("the courier does not answer")


# ---- the program ---------------------------------------------------------------------------------------------------


async def place(product: str, quantity: int) -> int:
    """Store an order, and return its number."""
    async with AsyncSession(bb.state.engine) as db, db.begin():
        order = Order(product=product, quantity=quantity)
        db.add(order)
        await db.flush()
        return order.id


async def main() -> None:
    """Fill the shelves, take three orders and ship them."""
    async with bb:
        async with AsyncSession(bb.state.engine) as db, db.begin():
            for name, stock in (("coffee", 10), ("tea", 5)):
                await db.merge(Product(name=name, stock=stock))
        for product, quantity in (("coffee", 2), ("tea", 1), ("tea", 50)):
            order = await place(product, quantity)
            handle = await bb.create_task(ship(order))
            try:
                left = await handle
            except JobDead as error:
                print(f"order {order}: not shipped, {error.reason}")
            else:
                status = await handle.status()
                print(f"order {order}: {quantity} {product} shipped at attempt {status.attempt}, {left} left")
        print(
            f"{await count_shipped()} orders shipped"
        )  # a call that is awaited runs right here, and is provided for too


if __name__ == "__main__":
    asyncio.run(main())
