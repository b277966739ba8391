"""What the shop is, whoever runs its work: tables, the bank, the post. Nothing here changes when Celery goes."""

from __future__ import annotations

import os
import time

from pydantic import BaseModel, PositiveInt
from sqlalchemy import create_engine, delete, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

engine = create_engine(f"sqlite:///{os.environ.get('SHOP_DB', 'from_celery.db')}")


class Base(DeclarativeBase):
    """The shop's tables."""


class Order(Base):
    """What a customer pays for."""

    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer: Mapped[str]
    cents: Mapped[int]
    state: Mapped[str] = mapped_column(default="taken")


class Letter(Base):
    """What was written to customers, and to those on duty."""

    __tablename__ = "letters"
    id: Mapped[int] = mapped_column(primary_key=True)
    to: Mapped[str]
    text: Mapped[str]


class Basket(Base):
    """What somebody put together and may not buy."""

    __tablename__ = "baskets"
    id: Mapped[int] = mapped_column(primary_key=True)
    until: Mapped[float]


class NewOrder(BaseModel):
    """What a request asks for."""

    customer: str
    cents: PositiveInt


class BankAway(Exception):
    """The bank does not answer: it may in a while."""


class CardRefused(Exception):
    """The bank has answered no: it will again."""


def pay(order: Order, *, attempt: int) -> None:
    """Stand for a bank: it is away when it is first asked for Bob's money, and gives nobody more than a thousand."""
    if order.customer == "bob" and attempt == 1:
        raise BankAway("the bank does not answer")
    if order.cents > 100_000:
        raise CardRefused(f"{order.customer} has no {order.cents // 100} euros")
    order.state = "paid"


def write(db: Session, to: str, text: str) -> None:
    """Write a letter."""
    db.add(Letter(to=to, text=text))
    print(f"letter to {to}: {text}", flush=True)


def paid_by(db: Session, customer: str) -> int:
    """Return the cents that a customer has paid."""
    return db.scalar(select(func.sum(Order.cents)).where(Order.customer == customer, Order.state == "paid")) or 0


def sweep_baskets(db: Session) -> int:
    """Delete the baskets that nobody came back for; return how many there were."""
    swept = len(db.scalars(delete(Basket).where(Basket.until <= time.time()).returning(Basket.id)).all())
    if swept:
        print(f"{swept} swept", flush=True)
    return swept


def take(new: NewOrder) -> int:
    """Store an order; return its number."""
    with Session(engine) as db, db.begin():
        order = Order(customer=new.customer, cents=new.cents)
        db.add(order)
        db.flush()
        return order.id


def put_aside(seconds: float) -> None:
    """Store a basket that is kept for so long."""
    with Session(engine) as db, db.begin():
        db.add(Basket(until=time.time() + seconds))


Base.metadata.create_all(engine)  # a real shop has migrations
