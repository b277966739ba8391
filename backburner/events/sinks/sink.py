"""What a sink is."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Protocol

from backburner.errors import DeliveryRefused, InvalidOption
from backburner.model.clock import SECOND
from backburner.model.names import LONGEST_NAME, check_name
from backburner.model.times import duration
from backburner.resilience.backoff import exponential
from backburner.resilience.retry import RetryPolicy

if TYPE_CHECKING:
    from datetime import timedelta

    from backburner.events.event import Event

__all__ = ["DELIVERY", "Sink", "named", "seconds"]

#: How deliveries are tried again: 20 times in all, within 37 to 75 hours, so that a receiver may be down for a weekend's
#: day and a half. The policies for jobs give up after a night.
DELIVERY = RetryPolicy(
    name="delivery", attempts=20, backoff=exponential(10, factor=3, cap=6 * 3600), reject=(DeliveryRefused,)
)

_HASH = 8


class Sink(Protocol):
    """Somewhere events are sent. Each delivery is a job of its own, which calls `send`.

    What it holds open it opens at the first `send` after its making or closing, on the loop that this runs on.
    """

    @property
    def name(self) -> str:
        """What its jobs' kind is named after: the same in every process and after every start, and without secrets."""
        ...

    @property
    def retry(self) -> RetryPolicy:
        """When a delivery that failed is tried again; `DeliveryRefused` is not."""
        ...

    @property
    def breaker(self) -> str | None:
        """The name of the breaker of where it sends: sinks that send to one host share it."""
        ...

    @property
    def timeout(self) -> float:
        """Seconds after which `send` itself gives up, by `DeliveryFailed`."""
        ...

    async def send(self, event: Event) -> None:
        """Deliver an event; several at once are fine, and one may come again.

        Raises `DeliveryFailed` to be tried again, with a ``retry_after`` if the other side asked for time, and
        `DeliveryRefused` where that would be in vain. Any other error is tried again too.
        """
        ...

    async def close(self) -> None:
        """Close what was opened. A second time does nothing; the next `send` opens anew, on another loop too."""
        ...


def named(given: str | None, scheme: str, where: str) -> str:
    """Return the name that was given, checked, or one made of where a sink sends, cut where it is too long."""
    if given is not None:
        return check_name(given, "name")
    made = f"{scheme}:{where}"
    if len(made) > LONGEST_NAME:
        made = f"{made[: LONGEST_NAME - _HASH - 1]}~{hashlib.sha256(made.encode()).hexdigest()[:_HASH]}"
    return check_name(made, "name")


def seconds(timeout: timedelta | float) -> float:
    """Return a timeout in seconds; raises `InvalidOption` for one of no time."""
    length = duration(timeout, "timeout")
    if length == 0:
        raise InvalidOption("timeout=0 leaves no time to send: give seconds, such as 15", option="timeout")
    return length / SECOND
