"""Events and subscriptions as Redis keeps them; the forms are told at the heads of ``lua/logging.lua`` and ``lua/subscribing.lua``."""

from __future__ import annotations

import re
import secrets
import string

import msgspec

from backburner.model.event import EventRecord, SubscriptionRecord

__all__ = ["event", "log_name", "subscription"]

_LETTERS = string.digits + string.ascii_lowercase
_NAME = 8


class _Subscription(msgspec.Struct):
    """A subscription; its digits are numbers of up to 64 bits."""

    patterns: tuple[str, ...]
    ttl: str
    cursor: str
    created_at: int
    seen_at: int
    kind: str | None = None


_decode_event = msgspec.msgpack.Decoder(tuple[int, str | None, str, str, str]).decode
_decode_subscription = msgspec.msgpack.Decoder(_Subscription).decode


#: An escaped slash; an escaped backslash before it is passed over, and stays.
_ESCAPED = re.compile(r"(\\\\)|\\/")


def log_name() -> str:
    """Draw a name for a log."""
    return "".join(secrets.choice(_LETTERS) for _ in range(_NAME))


def event(number: int, value: bytes) -> EventRecord:
    """Return an event as it is read."""
    time, event_id, name, subject, data = _decode_event(value)
    return EventRecord(number=number, id=event_id, name=name, subject=subject, time=time, data=_plain(data))


def _plain(data: str) -> str:
    """Return JSON text without the escapes of slashes, which scripts write and no other store does."""
    return _ESCAPED.sub(lambda found: found[1] or "/", data) if "\\/" in data else data


def subscription(name: str, value: bytes) -> SubscriptionRecord:
    """Return a subscription as it is read."""
    kept = _decode_subscription(value)
    return SubscriptionRecord(
        name=name,
        patterns=kept.patterns,
        kind=kept.kind,
        ttl=int(kept.ttl),
        cursor=int(kept.cursor),
        created_at=kept.created_at,
        seen_at=kept.seen_at,
    )
