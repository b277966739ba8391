"""A webhook: events as signed requests."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx

from backburner.errors import DeliveryFailed
from backburner.events.sinks import cloudevent
from backburner.events.sinks.bounded import bounded
from backburner.events.sinks.sink import DELIVERY, named
from backburner.events.sinks.webhooks.answer import judge, masked
from backburner.events.sinks.webhooks.poster import Poster, trusted
from backburner.model.clock import SECOND
from backburner.shield import to_the_end

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backburner.events.event import Event
    from backburner.events.sinks.webhooks.endpoint import Endpoint
    from backburner.events.sinks.webhooks.keys import Keys
    from backburner.events.sinks.webhooks.resolver import Resolve
    from backburner.model.clock import Clock

__all__ = ["Webhook"]

_SECRET_VALUE = re.compile(r"[^ \t]+")


class Webhook:
    """An endpoint as a sink."""

    retry = DELIVERY

    def __init__(
        self,
        endpoint: Endpoint,
        keys: Keys,
        *,
        headers: Mapping[str, str],
        timeout: float,
        allow_private: bool,
        max_response: int,
        name: str | None,
        resolve: Resolve,
        clock: Clock,
    ) -> None:
        self.name = named(name, "webhook", endpoint.shown.partition("://")[2])
        self.breaker = named(None, "webhook", endpoint.host)
        self.timeout = timeout
        self._endpoint = endpoint
        self._keys = keys
        self._headers = headers
        self._allow_private = allow_private
        self._max_response = max_response
        self._resolve = resolve
        self._clock = clock
        self._poster: Poster | None = None
        if endpoint.url.scheme == "https":
            # Before a loop waits for it.
            trusted()
        # Of `Bearer abc`, `abc` alone is one too.
        words = (word for value in headers.values() for word in _SECRET_VALUE.findall(value))
        self._secrets = (*keys.texts, *headers.values(), *words, *endpoint.secrets)

    def __repr__(self) -> str:
        return f"<sink {self.name}>"

    async def send(self, event: Event) -> None:
        """Post an event, and go by the status that comes back."""
        body = cloudevent.encode(event)
        where = self._endpoint.shown
        try:
            async with bounded(self.timeout, where):
                answer = await self._open().post(body, self._signed(event.id, body))
        except httpx.HTTPError as error:
            # Its cause is left out: it may tell what came back, in which a secret may be echoed.
            told = masked(str(error), self._secrets)
            raise DeliveryFailed(f"{where}: {type(error).__name__}{told and f': {told}'}") from None
        judge(answer, where, self._secrets)

    async def close(self) -> None:
        """Close the connections."""
        poster, self._poster = self._poster, None
        if poster is not None:
            await to_the_end(poster.close())

    def _open(self) -> Poster:
        if self._poster is None:
            self._poster = Poster(
                self._endpoint,
                resolve=self._resolve,
                allow_private=self._allow_private,
                timeout=self.timeout,
                most=self._max_response,
            )
        return self._poster

    def _signed(self, id: str, body: bytes) -> dict[str, str]:
        # Whatever text an id is, a header can carry it so, and no full stop in it can be taken for the one behind it.
        shown = quote(id, safe="").replace(".", "%2E")
        timestamp = self._clock.now() // SECOND
        return {
            "user-agent": "backburner",
            **self._headers,
            "content-type": cloudevent.CONTENT_TYPE,
            # Bodies are counted as they are sent: one that unpacks to a thousand times its size is of no use.
            "accept-encoding": "identity",
            "webhook-id": shown,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": self._keys.sign(shown, timestamp, body),
        }
