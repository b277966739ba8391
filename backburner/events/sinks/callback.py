"""A sink of one's own: an async function."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from backburner.errors import InvalidOption
from backburner.events.sinks.bounded import bounded
from backburner.events.sinks.sink import DELIVERY, named, seconds

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import timedelta

    from backburner.events.event import Event

__all__ = ["Callback", "callback"]


class Callback:
    """A function as a sink."""

    breaker = None
    retry = DELIVERY

    def __init__(self, function: Callable[[Event], Awaitable[None]], *, name: str, timeout: float) -> None:
        self._function = function
        self.name = name
        self.timeout = timeout

    def __repr__(self) -> str:
        return f"<sink {self.name}>"

    async def send(self, event: Event) -> None:
        """Call the function."""
        async with bounded(self.timeout, self.name):
            await self._function(event)

    async def close(self) -> None:
        """Close nothing: what the function holds is its own."""


def callback(
    function: Callable[[Event], Awaitable[None]], *, name: str | None = None, timeout: timedelta | float = 60
) -> Callback:
    """Return a sink that awaits a function with each event.

    It may raise `DeliveryRefused` where another try would be in vain; any other error is tried again. One event may
    come twice: its id is then the same. Raises `InvalidOption` for what is no async function, and for one without a
    name that would be the same tomorrow, unless ``name`` is given.
    """
    inner = function if inspect.iscoroutinefunction(function) else getattr(function, "__call__", None)  # noqa: B004 - it is looked at, not asked for
    if not inspect.iscoroutinefunction(inner):
        raise InvalidOption(f"{function!r} is no async function: write async def, with one argument, the event")
    where = f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', '<none>')}"
    if name is None and "<" in where:
        raise InvalidOption(
            f"{where} has no name of its own, which its deliveries go by: define it at the top of its module, or give one, name=…",
            option="name",
        )
    return Callback(function, name=named(name, "call", where), timeout=seconds(timeout))
