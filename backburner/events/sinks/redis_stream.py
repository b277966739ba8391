"""A sink that adds events to a Redis stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec

from backburner.errors import DeliveryFailed, DeliveryRefused, InvalidOption, InvalidUrl, UnknownUrlOption
from backburner.events.sinks import cloudevent
from backburner.events.sinks.bounded import bounded
from backburner.events.sinks.extras import require
from backburner.events.sinks.servers import server_of
from backburner.events.sinks.sink import DELIVERY, named, seconds
from backburner.resilience.checks import check_whole
from backburner.shield import to_the_end

if TYPE_CHECKING:
    from datetime import timedelta

    from backburner.events.event import Event

__all__ = ["RedisStream", "redis_stream"]

_SCHEMES = frozenset({"redis", "rediss"})
_PORT = 6379
_EXAMPLE = "redis://HOST:6379/0, or rediss:// for TLS"
#: The driver's own.
_OPTIONS = frozenset(
    {"ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_password", "ssl_cert_reqs", "ssl_check_hostname"}
)


class RedisStream:
    """A stream as a sink."""

    retry = DELIVERY

    def __init__(
        self,
        url: str,
        key: str,
        *,
        where: str,
        host: str,
        maxlen: int | None,
        timeout: float,
        name: str | None,
        driver: Any,  # noqa: ANN401 - its types are loose
    ) -> None:
        self.name = named(name, "redis", f"{where}/{key}")
        self.breaker = named(None, "redis", host)
        self.timeout = timeout
        self._url = url
        self._key = key
        self._where = where
        self._maxlen = maxlen
        self._driver = driver
        self._client: Any = None

    def __repr__(self) -> str:
        return f"<sink {self.name}>"

    async def send(self, event: Event) -> None:
        """Add an event: a field for each of its attributes, and its data as JSON."""
        fields: dict[str, str | bytes] = {**cloudevent.attributes(event), "data": msgspec.json.encode(event.data)}
        try:
            async with bounded(self.timeout, self.name):
                await self._open().xadd(self._key, fields, maxlen=self._maxlen, approximate=True)
        except self._driver.ResponseError as error:
            told = f"{self.name}: {error}"
            if str(error).startswith("WRONGTYPE"):
                raise DeliveryRefused(f"{told}; the key is no stream: give another") from error
            raise DeliveryFailed(told) from error
        except (self._driver.RedisError, OSError) as error:
            raise DeliveryFailed(f"{self.name}: {type(error).__name__}: {error}") from error

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await to_the_end(client.aclose())

    def _open(self) -> Any:  # noqa: ANN401 - as above
        if self._client is None:
            self._client = self._driver.asyncio.Redis.from_url(
                self._url,
                # Tries are the job's.
                retry=self._driver.asyncio.retry.Retry(self._driver.backoff.NoBackoff(), 0),
                socket_timeout=None,
                socket_connect_timeout=self.timeout,
                protocol=2,
                client_name="backburner",
            )
        return self._client


def redis_stream(
    url: str, key: str, *, maxlen: int | None = None, timeout: timedelta | float = 15, name: str | None = None
) -> RedisStream:
    """Return a sink that adds each event to a stream of a Redis server.

    Args:
        url: ``redis://HOST:6379/0`` or ``rediss://…``, by TLS.
        key: The stream's.
        maxlen: About how many entries it keeps; None is all.
        timeout: A `timedelta` or seconds, for all of a delivery.
        name: What its deliveries go by; made of the server's address and the key, else.

    Raises:
        InvalidUrl: The URL is none of a Redis server.
        InvalidOption: An option has a value that it cannot have.
        CallRefused: redis is not installed.
    """
    require("redis", extra="redis", sink="redis_stream")
    # Now, since it is an extra, and not at the first event, which a loop would stand still for.
    import redis  # noqa: PLC0415

    where, host = _place(url)
    if not key:
        raise InvalidOption("key must not be empty: it is the stream's", option="key")
    if maxlen is not None:
        check_whole(maxlen, "maxlen")
    return RedisStream(
        url, key, where=where, host=host, maxlen=maxlen, timeout=seconds(timeout), name=name, driver=redis
    )


def _place(url: str) -> tuple[str, str]:
    """Return where a URL leads to, as it may be shown, and the server's part of that."""
    parts, server = server_of(url, _SCHEMES, port=_PORT, example=_EXAMPLE)
    database = parts.path.removeprefix("/") or "0"
    if "," in server or not (database.isascii() and database.isdecimal()):
        raise InvalidUrl(f"{server!r}: a stream is in one database, by number, of one server; write {_EXAMPLE}")
    for option, _ in parse_qsl(parts.query, keep_blank_values=True):
        if option not in _OPTIONS:
            raise UnknownUrlOption(
                f"{server!r}: a stream has no option {option!r}; there are: {', '.join(sorted(_OPTIONS))}"
            )
    return f"{server}/{database}", server
