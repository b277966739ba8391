"""The way to a webhook; what it is made of needs an extra."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.events.sinks.extras import require
from backburner.events.sinks.sink import seconds
from backburner.model.clock import SystemClock
from backburner.resilience.checks import check_whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from backburner.events.sinks.webhooks.resolver import Resolve
    from backburner.events.sinks.webhooks.webhook import Webhook
    from backburner.model.clock import Clock

__all__ = ["webhook"]

_MOST = 64 * 1024


def webhook(
    url: str,
    *,
    secret: str | Sequence[str],
    headers: Mapping[str, str] | None = None,
    timeout: timedelta | float = 15,
    allow_http: bool = False,
    allow_private: bool = False,
    max_response: int = _MOST,
    name: str | None = None,
    resolve: Resolve | None = None,
    clock: Clock | None = None,
) -> Webhook:
    """Return a sink that posts each event to a URL, as a CloudEvent, signed by Standard Webhooks.

    2xx is success. 408, 425, 429, 5xx and no answer in time are tried again, and not before a ``Retry-After``; any other
    answer, redirects among them, makes the delivery a dead letter. It goes to addresses of the public internet alone,
    and to the very one that was checked.

    Args:
        url: ``https://…``; its path and query may be secrets, and are not shown.
        secret: ``whsec_`` and base64, or a text of 32 characters or more; of several each signs, the newest first.
        headers: More headers for each request.
        timeout: A `timedelta` or seconds, for all of it: looking up, connecting, sending, the answer.
        allow_http: Whether it may be ``http://``.
        allow_private: Whether it may be in a private network, or on this machine.
        max_response: Bytes of an answer that are read.
        name: What its deliveries go by; made of the URL, else, so that a URL that changes is another sink.
        resolve: From a host and a port to its addresses, in place of the system's way.
        clock: Where the timestamp of an attempt is from, in place of the system's.

    Raises:
        InvalidUrl: The URL is none, or leads where it may not.
        InvalidOption: A secret could be guessed, or another option has a value that it cannot have.
        CallRefused: httpx is not installed.
    """
    require("httpx", extra="webhook", sink="webhook")
    # Only now, since httpx is an extra.
    from backburner.events.sinks.webhooks.endpoint import endpoint_of  # noqa: PLC0415
    from backburner.events.sinks.webhooks.headers import check_headers  # noqa: PLC0415
    from backburner.events.sinks.webhooks.keys import Keys  # noqa: PLC0415
    from backburner.events.sinks.webhooks.resolver import resolve as by_the_system  # noqa: PLC0415
    from backburner.events.sinks.webhooks.webhook import Webhook  # noqa: PLC0415

    check_whole(max_response, "max_response")
    return Webhook(
        endpoint_of(url, allow_http=allow_http, allow_private=allow_private),
        Keys(secret),
        headers=check_headers(headers),
        timeout=seconds(timeout),
        allow_private=allow_private,
        max_response=max_response,
        name=name,
        resolve=by_the_system if resolve is None else resolve,
        clock=SystemClock() if clock is None else clock,
    )
