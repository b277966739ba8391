"""A sink that sends events by PostgreSQL's NOTIFY."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import msgspec

from backburner.errors import DeliveryFailed, DeliveryRefused, InvalidOption
from backburner.events.sinks import cloudevent
from backburner.events.sinks.bounded import bounded
from backburner.events.sinks.extras import require
from backburner.events.sinks.servers import server_of
from backburner.events.sinks.sink import DELIVERY, named, seconds
from backburner.shield import to_the_end

if TYPE_CHECKING:
    from datetime import timedelta

    from backburner.events.event import Event

__all__ = ["PostgresNotify", "postgres_notify"]

_SCHEMES = frozenset({"postgres", "postgresql", "postgresql+asyncpg"})
_PORT = 5432
_EXAMPLE = "postgresql://HOST:5432/DATABASE"
#: Bytes of a payload at most, and of a channel's name.
_LONGEST = 7999
_LONGEST_CHANNEL = 63
#: Connections: a notification takes one round trip.
_CONNECTIONS = 2
#: Seconds after which an idle one is closed, and in which closing one may end politely.
_IDLE = 60.0
_CLOSING = 1.0


class PostgresNotify:
    """A channel as a sink."""

    retry = DELIVERY

    def __init__(
        self,
        dsn: str,
        channel: str,
        *,
        where: str,
        host: str,
        timeout: float,
        name: str | None,
        driver: Any,  # noqa: ANN401 - it brings no types
    ) -> None:
        self.name = named(name, "postgres", f"{where}/{channel}")
        self.breaker = named(None, "postgres", host)
        self.timeout = timeout
        self._dsn = dsn
        self._channel = channel
        self._driver = driver
        self._pool: Any = None

    def __repr__(self) -> str:
        return f"<sink {self.name}>"

    async def send(self, event: Event) -> None:
        """Notify whoever listens now."""
        payload = self._payload(event)
        try:
            async with bounded(self.timeout, self.name):
                pool = await self._open()
                await pool.execute("SELECT pg_notify($1, $2)", self._channel, payload)
        except (self._driver.PostgresError, self._driver.InterfaceError, OSError) as error:
            raise DeliveryFailed(f"{self.name}: {type(error).__name__}: {error}") from error

    async def close(self) -> None:
        """Close the connections."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await to_the_end(_close(pool))

    async def _open(self) -> Any:  # noqa: ANN401 - as above
        if self._pool is None:
            pool = await self._driver.create_pool(
                self._dsn,
                # None is made yet, so a pool that another send was quicker to make is simply left.
                min_size=0,
                max_size=_CONNECTIONS,
                max_inactive_connection_lifetime=_IDLE,
                timeout=self.timeout,
                # Behind a pooler a prepared statement may be another connection's.
                statement_cache_size=0,
                server_settings={"application_name": "backburner"},
            )
            if self._pool is None:
                self._pool = pool
        return self._pool

    def _payload(self, event: Event) -> str:
        whole = cloudevent.encode(event)
        if len(whole) > _LONGEST:
            whole = msgspec.json.encode({**cloudevent.attributes(event), "truncated": True})
        if len(whole) > _LONGEST:
            raise DeliveryRefused(f"{self.name}: without its data too, the event is longer than {_LONGEST} bytes")
        return whole.decode()


async def _close(pool: Any) -> None:  # noqa: ANN401 - as above
    # Out of time it drops what is still in use.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_CLOSING):
            await pool.close()


def postgres_notify(
    url: str, channel: str, *, timeout: timedelta | float = 15, name: str | None = None
) -> PostgresNotify:
    """Return a sink that notifies a channel of each event, as a CloudEvent in JSON.

    PostgreSQL keeps no notifications: who does not listen just then has missed it. A payload has 7999 bytes at most; of
    a larger event all but the data is sent, with ``"truncated": true``.

    Args:
        url: ``postgresql://USER@HOST:5432/DATABASE``, as the driver, asyncpg, takes it.
        channel: The channel's name, of 63 bytes at most; with capitals, who listens quotes it.
        timeout: A `timedelta` or seconds, for all of a delivery.
        name: What its deliveries go by; made of the database's address and the channel, else.

    Raises:
        InvalidUrl: The URL is none of a PostgreSQL server.
        InvalidOption: An option has a value that it cannot have.
        CallRefused: asyncpg is not installed.
    """
    require("asyncpg", extra="postgres", sink="postgres_notify")
    # Now, since it is an extra, and not at the first event, which a loop would stand still for.
    import asyncpg  # type: ignore[import-untyped]  # noqa: PLC0415

    dsn, where, host = _place(url)
    if not 0 < len(channel.encode()) <= _LONGEST_CHANNEL or "\0" in channel:
        raise InvalidOption(
            f"channel={channel!r} must be a name of 1 to {_LONGEST_CHANNEL} bytes, such as 'orders'", option="channel"
        )
    return PostgresNotify(dsn, channel, where=where, host=host, timeout=seconds(timeout), name=name, driver=asyncpg)


def _place(url: str) -> tuple[str, str, str]:
    """Return a URL for the driver, where it leads to, as it may be shown, and the server's part of that."""
    parts, server = server_of(url, _SCHEMES, port=_PORT, example=_EXAMPLE)
    where = f"{server}/{unquote(parts.path).removeprefix('/') or parts.username or ''}"
    # Some frameworks have the driver in the scheme.
    return parts._replace(scheme="postgresql").geturl(), where, server
