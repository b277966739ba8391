"""What the tests of sinks share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from backburner.events.event import Event
from backburner.events.sinks.webhook import webhook

if TYPE_CHECKING:
    from backburner.events.sinks.webhooks.webhook import Webhook

__all__ = ["SECRET", "example", "hook"]

#: A key of 32 bytes that nobody uses.
SECRET = "whsec_7Vv0r3XhQ2kq9mQmJ1o5eGZ4yT8wLcN6dBfAsKuPiRE="  # noqa: S105 - an example


def example(**changes: Any) -> Event:  # noqa: ANN401 - whatever an event has
    """Return an event, changed where a test says so."""
    fields: dict[str, Any] = {
        "id": "k3xq90ab-42",
        "name": "order.paid",
        "subject": "order/42",
        "time": datetime(2025, 6, 15, 15, 6, 40, 250_000, tzinfo=UTC),
        "data": {"amount": 12.5, "who": "Ada Łovelace"},
        "cursor": "k3xq90ab-42",
    }
    return Event(**{**fields, **changes})


def hook(url: str, **options: Any) -> Webhook:  # noqa: ANN401 - whatever a webhook takes
    """Return a webhook that may go to this machine."""
    return webhook(url, **{"secret": SECRET, "allow_http": True, "allow_private": True, **options})
