"""Single connections, made as this store needs them."""

from __future__ import annotations

import select
import socket
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

import hiredis
from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from backburner.backends.redis.place import RedisPlace

__all__ = ["Command", "Wire", "is_stale", "make", "packed"]

#: What is sent: a command's name and its arguments.
Command: TypeAlias = "Sequence[str | bytes | int]"

#: Seconds of silence after which the other end is asked for a sign of life, and between two such questions; unanswered
#: ones until it is given up. The usual two hours are longer than what stands between remembers an idle connection.
_SIGNS = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}
#: Not every system knows all of them.
_KEEPALIVE = {getattr(socket, name): value for name, value in _SIGNS.items() if hasattr(socket, name)}

#: Its own types speak of a tuple of one.
_pack = cast("Callable[[tuple[str | bytes | int, ...]], bytes]", cast("Any", hiredis).pack_command)


class Wire(Protocol):
    """What is used of the driver's connections, whose own types are loose."""

    @property
    def is_connected(self) -> bool:
        """Whether it was connected, and not disconnected since."""
        ...

    async def connect(self) -> None:
        """Connect, log in, choose the database."""
        ...

    async def disconnect(self, nowait: bool = False) -> None:  # noqa: FBT001, FBT002 - the driver's own
        """Close it."""
        ...

    async def send_command(self, *args: str | bytes | int) -> None:
        """Send one command."""
        ...

    async def send_packed_command(self, command: Iterable[bytes]) -> None:
        """Send what was packed."""
        ...

    async def read_response(self) -> Any:  # noqa: ANN401 - whatever Redis answers
        """Read the next answer; raise it if it is an error."""
        ...


def packed(command: Command) -> bytes:
    """Pack one command; the driver's own way takes a script's thousands of arguments one by one, in Python."""
    return _pack(tuple(command))


def make(place: RedisPlace, host: str, port: int, *, timeout: float, sentinel: bool = False) -> Wire:
    """Return a connection that is not open yet, to a server of a place or to one of its sentinels.

    Nothing is ever repeated by the driver, and it bounds nothing but connecting: whoever uses it has a deadline.
    """
    options: dict[str, Any] = {
        "username": place.sentinel_username if sentinel else place.username,
        "password": place.sentinel_password if sentinel else place.password,
        "db": 0 if sentinel else place.database,
        "socket_timeout": None,
        "socket_connect_timeout": timeout,
        "retry": Retry(NoBackoff(), 0),
        "health_check_interval": 0,
        "protocol": 2,
        "client_name": None if sentinel else "backburner",
    }
    kind: Any = Connection
    if host.startswith("/"):
        kind, options["path"] = UnixDomainSocketConnection, host
    else:
        options |= {"host": host, "port": port, "socket_keepalive": True, "socket_keepalive_options": _KEEPALIVE}
        if place.tls:
            kind = SSLConnection
            # Older drivers look at no name unless they are told to.
            options |= {"ssl_cert_reqs": "required", "ssl_check_hostname": True} | dict(place.ssl)
    return cast("Wire", kind(**options))


async def is_stale(wire: Wire) -> bool:
    """Tell whether an idle connection was closed or reset, or has something to say that nobody asked for."""
    driver: Any = wire
    # Version 8 of the driver renamed it, and warns of the old name.
    look = getattr(driver, "can_read", None) or driver.can_read_destructive
    try:
        # Of a reset the driver itself learns only by sending, and of what has just come only when the loop has read it.
        return driver._reader.exception() is not None or _has_news(driver) or bool(await look())  # noqa: SLF001 - there is no other way to ask
    except Exception:  # noqa: BLE001 - whatever is wrong with it, another connection is made
        return True


def _has_news(driver: Any) -> bool:  # noqa: ANN401 - the driver's types are loose
    """Tell whether its socket has anything to be read, if only its end."""
    poll = select.poll()
    poll.register(driver._writer.get_extra_info("socket").fileno(), select.POLLIN)  # noqa: SLF001 - as above
    return bool(poll.poll(0))
