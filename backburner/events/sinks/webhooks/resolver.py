"""From a host's name to its addresses."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, TypeAlias

from backburner.errors import DeliveryFailed, DeliveryRefused
from backburner.events.sinks.webhooks.addresses import refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

__all__ = ["Resolve", "checked", "resolve"]

#: A host and a port to addresses, the best first; raises `OSError` where there are none.
Resolve: TypeAlias = "Callable[[str, int], Awaitable[Sequence[str]]]"

#: Addresses of one host that are tried.
_MOST = 4


async def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system, as it is set up."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


async def checked(host: str, port: int, *, by: Resolve, allow_private: bool) -> tuple[str, ...]:
    """Return the addresses of a host, four at most, in the order they are to be tried.

    Raises `DeliveryFailed` where there are none, and `DeliveryRefused` if a single one is not of the public internet:
    who answers with both is trying something.
    """
    try:
        found = tuple(dict.fromkeys(await by(host, port)))
    except OSError as error:
        raise DeliveryFailed(f"{host} has no address: {error.strerror or error}") from error
    if not found:
        raise DeliveryFailed(f"{host} has no address")
    if not allow_private:
        for address in found:
            why = refusal(address)
            if why is not None:
                raise DeliveryRefused(
                    f"{host} is at {address}, which is {why}: nothing was sent; where that is meant, say allow_private=True"
                )
    return found[:_MOST]
