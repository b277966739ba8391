"""The shop's work, on backburner: in the web's own process, with its jobs in a file.

uvicorn from_celery.after.web:app                   # all there is to start
backburner run from_celery.after.tasks:bb           # workers apart, should there be need of them
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from backburner import Backburner, Event, Provide, RetryPolicy, current_job, exponential
from from_celery.shop import BankAway, Order, engine, paid_by, pay, sweep_baskets, write

if TYPE_CHECKING:
    from collections.abc import Generator

bb = Backburner()  # BACKBURNER_URL, else sqlite:///backburner.db


def session() -> Generator[Session]:
    """Open a session for each run of a job; commit in the end."""
    with Session(engine) as db, db.begin():
        yield db


#: Six attempts are a first one and five retries.
PATIENT = RetryPolicy(name="patient", attempts=6, backoff=exponential(1, cap=600), retry=(BankAway,))


@bb.job(retry=PATIENT, aliases=["from_celery.before.tasks.charge"])
def charge(number: int, db: Session = Provide(session)) -> int:
    """Have the customer pay; the bank may be away. Then comes the receipt: stored in the step that completes this job."""
    job = current_job()
    order = db.get_one(Order, number)
    pay(order, attempt=job.attempt)
    job.then(receipt(number))
    return number


@bb.job(rate="10/second", aliases=["from_celery.before.tasks.receipt"])
def receipt(number: int, db: Session = Provide(session)) -> None:
    """Write to the customer; the post takes ten letters a second, from all processes together."""
    order = db.get_one(Order, number)
    write(db, order.customer, f"paid {order.cents}")


@bb.job
def statement(customer: str, db: Session = Provide(session)) -> int:
    """Sum up what a customer has paid."""
    return paid_by(db, customer)


@bb.job
async def close_month(customers: list[str]) -> int:
    """Sum up each customer, beside each other, and then all."""
    async with bb.TaskGroup() as group:
        sums = [group.create_task(statement(customer)) for customer in customers]
    return sum([await each for each in sums])


@bb.every(seconds=1)
def sweep(db: Session = Provide(session)) -> int:
    """Delete the baskets that nobody came back for."""
    return sweep_baskets(db)


@bb.on("job.dead")
def alarm(event: Event, db: Session = Provide(session)) -> None:
    """Tell those on duty of what has failed for good. A job like any other: it is not lost with the process."""
    write(db, "duty", f"{event.data['kind']} failed: {event.data['message']}")
