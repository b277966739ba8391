"""Events and subscriptions, as they are stored; and which patterns a name matches."""

from __future__ import annotations

import msgspec

__all__ = [
    "ALL",
    "EventRecord",
    "NewEvent",
    "NewSubscription",
    "SubscriptionRecord",
    "matches",
    "patterns_of",
]

#: The pattern that matches every name.
ALL = "*"


class NewEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An event on its way to the store, which keeps it if a subscription asks for its name, or if it is ``kept``."""

    #: Dotted, such as ``order.paid``.
    name: str
    #: What it tells of, such as ``order/42``; events of one subject are delivered in their order.
    subject: str = ""
    #: JSON text: one object.
    data: str = "{}"
    #: The publisher's own: the second of one id is not stored. None: the store's number names it.
    id: str | None = None
    #: It is stored whether or not anybody asks for it.
    kept: bool = False
    #: Within a `ScheduleChange`: it is stored only if this job of the change is, or, with ``held``, only if that is not,
    #: since another holds its unique key.
    job: str | None = None
    held: bool = False


class EventRecord(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """An event as it is read. The field order is the column order of a store's reads."""

    #: Given once the event is committed, and never again: whoever has read up to a number has missed nothing below it.
    number: int
    #: The publisher's; None where it gave none.
    id: str | None
    name: str
    subject: str
    #: The store's now when it was written, in microseconds.
    time: int
    #: JSON text: one object.
    data: str


class NewSubscription(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks for which events."""

    name: str
    #: Names, or the front of names and ``.*`` (``job.*``: all below ``job.``), or ``*``.
    patterns: tuple[str, ...]
    #: The kind of the jobs that handle its events; None: somebody reads them.
    kind: str | None = None
    #: Microseconds: it is forgotten when nobody has subscribed under its name for so long.
    ttl: int
    #: The number of the last event it is done with. None: where it stands, and for a new one the end of the log.
    after: int | None = None


class SubscriptionRecord(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A subscription as it is read. The field order is the column order of a store's reads."""

    name: str
    patterns: tuple[str, ...]
    kind: str | None
    ttl: int
    #: The number of the last event it is done with.
    cursor: int
    created_at: int
    #: When somebody last subscribed under this name.
    seen_at: int


def patterns_of(name: str) -> tuple[str, ...]:
    """Return every pattern that matches a name: ``order.paid`` is asked for by itself, ``order.*`` and ``*``."""
    found = [name]
    front = name
    while (dot := front.rfind(".")) > 0:
        front = front[:dot]
        found.append(f"{front}.*")
    return (*found, ALL)


def matches(pattern: str, name: str) -> bool:
    """Tell whether a pattern asks for a name."""
    if pattern in {ALL, name}:
        return True
    return pattern.endswith(".*") and name.startswith(pattern[:-1])
