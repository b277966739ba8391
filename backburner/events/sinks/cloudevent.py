"""Events as CloudEvents 1.0, for the world outside.

==================  =================================================================
attribute           is
==================  =================================================================
id                  ``Event.id``
source              ``/backburner/<log>``, the log's name being the front of the cursor
type                ``Event.name``
subject             ``Event.subject``; left out where it is empty
time                ``Event.time``, by RFC 3339, in UTC
datacontenttype     ``application/json``
data                ``Event.data``
sequence            the number in the cursor, of 18 digits, so that text sorts as numbers do
cursor              ``Event.cursor``, which reading can go on from
traceparent         of the trace it was published in, if any; likewise ``tracestate``
==================  =================================================================

``id`` and ``source`` together name an event; ``sequence``, ``traceparent`` and ``tracestate`` are the extensions of those
names, ``cursor`` is one of our own.
"""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from backburner.events.event import Event

__all__ = ["CONTENT_TYPE", "attributes", "encode"]

#: Of the structured form.
CONTENT_TYPE = "application/cloudevents+json"

#: As many digits as a cursor has at most.
_DIGITS = 18
#: The extension for distributed tracing.
_TRACING = ("traceparent", "tracestate")


def attributes(event: Event) -> dict[str, str]:
    """Return all but the data."""
    log, _, number = event.cursor.rpartition("-")
    found = {
        "specversion": "1.0",
        "id": event.id,
        "source": f"/backburner/{log}",
        "type": event.name,
        "subject": event.subject,
        "time": event.time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "sequence": number.zfill(_DIGITS),
        "cursor": event.cursor,
    }
    if not event.subject:
        del found["subject"]
    return found | {name: event.headers[name] for name in _TRACING if name in event.headers}


def encode(event: Event) -> bytes:
    """Return the structured form: one JSON object, the same for every delivery of an event."""
    whole: dict[str, Any] = {**attributes(event), "data": event.data}
    return msgspec.json.encode(whole)
