"""One POST: to an address that was checked, and no further."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING

import httpx

from backburner.events.sinks.webhooks.answer import Answer
from backburner.events.sinks.webhooks.resolver import checked

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from backburner.events.sinks.webhooks.endpoint import Endpoint
    from backburner.events.sinks.webhooks.resolver import Resolve

__all__ = ["Poster", "trusted"]

#: Connections that are kept for the next delivery, and for how many seconds: less than the five after which common
#: receivers close theirs, since a request that crosses a close is lost.
_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=10, keepalive_expiry=3)
#: Seconds that a body may take once its status has come.
_BODY = 1.0


@functools.cache
def trusted() -> ssl.SSLContext:
    """Return whose certificates are trusted; read once, since that takes longer than a loop should stand still."""
    return httpx.create_ssl_context()


class Poster:
    """Connections to one endpoint, of the loop it is first used on.

    A transport without a client: no proxies or passwords from the environment, no redirects, no cookies.
    """

    def __init__(self, endpoint: Endpoint, *, resolve: Resolve, allow_private: bool, timeout: float, most: int) -> None:
        self._endpoint = endpoint
        self._resolve = resolve
        self._allow_private = allow_private
        self._timeout = timeout
        self._most = most
        self._transport = httpx.AsyncHTTPTransport(verify=trusted(), limits=_LIMITS)

    async def post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send, and return the answer. The caller bounds the time.

        Raises `httpx.HTTPError` where there is no answer, and what `checked` does.
        """
        endpoint = self._endpoint
        *others, last = addresses = await checked(
            endpoint.host, endpoint.port, by=self._resolve, allow_private=self._allow_private
        )
        for address in others:
            try:
                return await self._send(address, len(addresses), body, headers)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                # Nothing was sent: the next may be up.
                continue
        return await self._send(last, len(addresses), body, headers)

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    async def _send(self, address: str, count: int, body: bytes, headers: Mapping[str, str]) -> Answer:
        endpoint = self._endpoint
        request = httpx.Request(
            "POST",
            # The very address that was checked: the name is not looked up again.
            endpoint.url.copy_with(host=address),
            headers={"host": endpoint.authority, **headers},
            content=body,
            extensions={
                # Its certificate is asked for by name, all the same.
                "sni_hostname": endpoint.host.removesuffix("."),
                # One address that does not answer leaves time for the next.
                "timeout": {"connect": self._timeout / count},
            },
        )
        response = await self._transport.handle_async_request(request)
        try:
            return await self._read(response)
        finally:
            await response.aclose()

    async def _read(self, response: httpx.Response) -> Answer:
        """Read the beginning of the body, as it is sent: nothing is unpacked."""
        headers = response.headers
        answer = Answer(response.status_code, headers.get("location"), headers.get("retry-after"))
        read = bytearray()
        try:
            async with asyncio.timeout(min(_BODY, self._timeout / 2)):
                async for chunk in response.aiter_raw():
                    read += chunk
                    if len(read) > self._most:
                        answer.cut = True
                        break
        except (httpx.HTTPError, TimeoutError):
            # The status has told all that matters.
            answer.cut = True
        if "content-encoding" not in headers:
            answer.body = bytes(read[: self._most])
        return answer
