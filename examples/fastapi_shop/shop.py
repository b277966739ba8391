"""A shop on FastAPI: what it promises in a request, it does in a job, and one commit holds the order and its job.

    pip install backburner fastapi 'sqlalchemy[asyncio]' uvicorn
    cd examples
    uvicorn fastapi_shop.shop:app               # answers requests and runs jobs: one process, one file, shop.db

    curl -X POST localhost:8000/orders -H 'content-type: application/json' -d '{"product": "teapot", "quantity": 2}'
    curl 'localhost:8000/orders/1?wait=5'       # packed, as soon as it is
    curl localhost:8000/health/ready/

On PostgreSQL, with as many processes as you like:

    pip install 'backburner[postgres]'
    DATABASE_URL=postgresql+asyncpg://shop@db.internal/shop uvicorn fastapi_shop.shop:app --workers 4

Read it from the top: the tables, the session that requests and jobs are given, the jobs, the requests.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator  # noqa: TC003 - FastAPI reads the annotations of what it depends on
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel, PositiveInt
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from backburner import Backburner, Event, Provide, current_job

#: Tables and jobs share a database: that is what lets one transaction hold both.
DATABASE = os.environ.get("DATABASE_URL", "sqlite+aiosqlite:///shop.db")

# ---- tables --------------------------------------------------------------------------------------------------------


class Base(DeclarativeBase):
    """The shop's tables."""


class Order(Base):
    """Who ordered what, and how far that has come."""

    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    product: Mapped[str]
    quantity: Mapped[int]
    state: Mapped[str] = mapped_column(default="taken")


class Letter(Base):
    """What customers were written."""

    __tablename__ = "letters"
    id: Mapped[str] = mapped_column(primary_key=True)
    text: Mapped[str]


# ---- what is opened once a process, and what each request and each attempt of a job is given -------------------------


@asynccontextmanager
async def resources() -> AsyncGenerator[async_sessionmaker[AsyncSession]]:
    """Connect to the database: before any job runs, until the last has ended. Jobs and requests find it in bb.state."""
    engine = create_async_engine(DATABASE)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)  # a real shop has migrations
        yield async_sessionmaker(engine, expire_on_commit=False)
    finally:
        await engine.dispose()


bb = Backburner(os.environ.get("BACKBURNER_URL", DATABASE), lifespan=resources)


async def session() -> AsyncGenerator[AsyncSession]:
    """Open a session in a transaction; commit in the end, roll back what has raised."""
    async with bb.state.begin() as db:
        yield db


# ---- jobs ----------------------------------------------------------------------------------------------------------


@bb.job
async def pack(number: int, db: AsyncSession = Provide(session)) -> str:
    """Pack an order. Its new state and the end of this job are one commit: it is packed exactly once."""
    order = await db.get_one(Order, number)
    order.state = "packed"
    packed = f"{order.quantity} {order.product}"
    await db.flush()
    await current_job().complete(packed, tx=db)
    return packed


@bb.on("order.placed")
async def confirm(event: Event, db: AsyncSession = Provide(session)) -> None:
    """Write to the customer: one letter for each event, however often this job has to run."""
    await db.merge(Letter(id=event.id, text=f"Thank you for your {event.subject}: {event.data['product']}"))


@bb.cron("0 7 * * *", tz="Europe/Berlin")
async def report(db: AsyncSession = Provide(session)) -> dict[str, int]:
    """Count the orders by state, each morning, on one process of all."""
    rows = await db.execute(select(Order.state, func.count()).group_by(Order.state))
    return {state: count for state, count in rows}  # noqa: C416 - dict(rows) has no types


# ---- requests ------------------------------------------------------------------------------------------------------

app = FastAPI(lifespan=bb.lifespan)
app.mount("/health/live", bb.health.live)
app.mount("/health/ready", bb.health.ready)

#: The scope says when it commits: when the function has returned, before anybody is answered.
Session = Annotated[AsyncSession, Depends(session, scope="function")]


class NewOrder(BaseModel):
    """What a customer sends."""

    product: str
    quantity: PositiveInt = 1


@app.post("/orders", status_code=202)
async def place(new: NewOrder, db: Session) -> dict[str, str | int]:
    """Take an order. It, the job that packs it and the event that tells of it are stored together, or none is."""
    order = Order(product=new.product, quantity=new.quantity)
    db.add(order)
    await db.flush()
    job = await bb.create_task(pack(order.id), id=f"pack-{order.id}", tx=db)
    await bb.publish("order.placed", new.model_dump(), subject=f"order/{order.id}", tx=db)
    return {"order": order.id, "job": job.id}


@app.get("/orders/{number}")
async def show(number: int, db: Session, wait: float = 0) -> dict[str, str | int]:
    """Show an order; ``?wait=5`` answers once it is packed, or after five seconds."""
    await bb.handle(f"pack-{number}", pack).wait(wait)  # the session takes a connection no sooner than it reads
    order = await db.get(Order, number)
    if order is None:
        raise HTTPException(404)
    return {"product": order.product, "quantity": order.quantity, "state": order.state}
