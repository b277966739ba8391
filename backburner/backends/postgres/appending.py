"""Events on their way in, as the documents of their function."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.content import refuse_events
from backburner.model.event import patterns_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.model.event import NewEvent

__all__ = ["carried", "documents_of"]

_encode = msgspec.json.Encoder().encode


def documents_of(events: Sequence[NewEvent]) -> list[dict[str, object]]:
    """Return events, each with the patterns that ask for it; raises `StoreRefused` for what cannot be stored.

    That is found here, also where nobody asks for an event: on the server it would end a caller's transaction.
    """
    refuse_events(events)
    return [{**msgspec.structs.asdict(each), "patterns": patterns_of(each.name)} for each in events]


def carried(events: Sequence[NewEvent], now: int | None) -> str | None:
    """Return the document that a statement hands to ``append`` in its own step; None where there is nothing to tell."""
    return _encode({"now": now, "events": documents_of(events)}).decode() if events else None
