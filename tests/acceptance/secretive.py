"""Jobs with secrets, which do with them what must not be seen: they name them in errors, and return them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any

from backburner import Registry, Reject, Retry, Secret, Snooze, current_job

__all__ = ["Card", "Customer", "Declined", "jobs"]

jobs = Registry("shop")


class Declined(ConnectionError):
    """An error with more than a text."""

    def __init__(self, number: str) -> None:
        super().__init__(f"the bank declined {number}")
        self.number = number
        self.add_note(f"see https://bank.example/cards?number={number}")


@dataclass
class Card:
    """One of many."""

    number: Annotated[str, Secret]
    holder: str


@dataclass
class Customer:
    """Secrets in lists and in values."""

    name: str
    cards: list[Card]
    keys: dict[str, Annotated[str, Secret]]


def decline(number: str) -> None:
    """Fail a few frames down."""
    raise Declined(number)


@jobs.job
async def charge(number: Annotated[str, Secret], amount: int = 1) -> str:
    """Be declined, unless it costs nothing."""
    if amount:
        try:
            decline(number)
        except Declined as error:
            raise LookupError(f"no way to charge {number!r}") from error
    return f"charged {amount}"


@jobs.job
async def charge_any(customer: Customer) -> None:
    """Have every card declined at once."""
    keys = list(customer.keys.values())
    faults = [Declined(card.number) for card in customer.cards] + [Declined(key) for key in keys]
    raise ExceptionGroup("nothing left", faults)


@jobs.job
def charge_in_a_thread(number: Annotated[str, Secret]) -> None:
    """Be declined, in a thread."""
    decline(number)


@jobs.job(executor="process")
def charge_elsewhere(number: Annotated[str, Secret], extra: dict[str, Any]) -> None:
    """Be declined, in another process, where names are known too."""
    raise Declined(f"{number}, {extra['token']}")


@jobs.job
async def log_in(account: dict[str, Any]) -> None:
    """Fail with what only the engine is told to mask."""
    raise PermissionError(f"{account['user']['password']} and {account['token']} are wrong")


@jobs.job
async def end(number: Annotated[str, Secret], how: str) -> None:
    """End by a signal that says too much."""
    match how:
        case "reject":
            raise Reject(f"{number} is no card")
        case "retry":
            raise Retry(f"{number} is busy", delay=0)
        case "snooze" if current_job().attempt == 1:
            raise Snooze(0, f"{number} sleeps")
        case "hang":
            await asyncio.Event().wait()
        case _:
            return


@jobs.job
async def remember(account: dict[str, Any]) -> str:
    """Save a secret for the next run."""
    job = current_job()
    if job.attempt == 1:
        await job.checkpoint(account)
        raise Retry("once more", delay=0)
    return f"remembered {job.last_checkpoint == account}"


@jobs.job(executor="process")
def remember_elsewhere(account: dict[str, Any]) -> str:
    """Save a secret from another process."""
    job = current_job()
    if job.attempt == 1:
        job.checkpoint(account)
        raise Retry("once more", delay=0)
    job.then(log_in(account))
    return f"remembered {job.last_checkpoint == account}"


@jobs.job
async def issue(number: Annotated[str, Secret]) -> Card:
    """Return a secret."""
    return Card(number, "Ada")


@jobs.job
async def misissue(number: Annotated[str, Secret]) -> Card:
    """Return what cannot be stored, with a secret in it."""
    return Card(f"{number}\x00", "Ada")
