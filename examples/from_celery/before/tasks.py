"""The shop's work, on Celery: a worker, a beat, and a Redis between them and the web.

celery -A from_celery.before.tasks worker --beat
"""

from __future__ import annotations

import os
from typing import Any

from celery import Celery, Task, chain, chord
from celery.result import AsyncResult
from celery.signals import task_failure
from sqlalchemy.orm import Session

from from_celery.shop import BankAway, Order, engine, paid_by, pay, sweep_baskets, write

REDIS = os.environ.get("REDIS_URL", "redis://localhost:6379/0")

app = Celery("shop", broker=REDIS, backend=REDIS)
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    beat_schedule={"sweep": {"task": "from_celery.before.tasks.sweep", "schedule": 1.0}},
)


class SessionTask(Task):  # type: ignore[type-arg] # Celery's own class takes no parameters
    """A base for tasks that need the database: a session for each run, committed in the end."""

    session: Session

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever the task takes
        """Run the task in a session."""
        with Session(engine) as self.session, self.session.begin():
            return super().__call__(*args, **kwargs)


@app.task(base=SessionTask, bind=True, autoretry_for=(BankAway,), retry_backoff=1, retry_backoff_max=600, max_retries=5)
def charge(self: SessionTask, number: int) -> int:
    """Have the customer pay; the bank may be away."""
    order = self.session.get_one(Order, number)
    pay(order, attempt=self.request.retries + 1)
    return number


@app.task(base=SessionTask, bind=True, rate_limit="10/s")
def receipt(self: SessionTask, number: int) -> None:
    """Write to the customer; the post takes ten letters a second."""
    order = self.session.get_one(Order, number)
    write(self.session, order.customer, f"paid {order.cents}")


def charge_and_write(number: int) -> str:
    """Charge an order, then write the receipt; return the id of the charge."""
    done = chain(charge.s(number), receipt.s()).delay()
    assert isinstance(done.parent, AsyncResult)
    return done.parent.id


@app.task(base=SessionTask, bind=True)
def statement(self: SessionTask, customer: str) -> int:
    """Sum up what a customer has paid."""
    return paid_by(self.session, customer)


@app.task
def total(sums: list[int]) -> int:
    """Sum up all customers."""
    return sum(sums)


def close_month(customers: list[str]) -> str:
    """Sum up each customer, beside each other, and then all; return the id of the sum."""
    return str(chord((statement.s(customer) for customer in customers), total.s()).delay().id)


@app.task(base=SessionTask, bind=True)
def sweep(self: SessionTask) -> int:
    """Delete the baskets that nobody came back for."""
    return sweep_baskets(self.session)


@task_failure.connect
def alarm(sender: Task, exception: Exception, **_: object) -> None:  # type: ignore[type-arg]
    """Tell those on duty of what has failed for good."""
    with Session(engine) as db, db.begin():
        write(db, "duty", f"{sender.name.rpartition('.')[2]} failed: {exception}")
