"""Events on their way in, as the documents of their function."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.errors import StoreRefused
from backburner.model.event import patterns_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.model.event import NewEvent

__all__ = ["carried", "documents_of", "events_flaw", "text_flaw"]

#: Bytes of an id: it has an entry in an index, which has an end.
_LONGEST_ID = 2600

_encode = msgspec.json.Encoder().encode


def documents_of(events: Sequence[NewEvent]) -> list[dict[str, object]]:
    """Return events, each with the patterns that ask for it; raises `StoreRefused` for what cannot be stored.

    That is found here, also where nobody asks for an event: on the server it would end a caller's transaction.
    """
    flaw = events_flaw(events)
    if flaw is not None:
        raise StoreRefused(f"An event cannot be stored: {flaw}", stored="no")
    return [{**msgspec.structs.asdict(each), "patterns": patterns_of(each.name)} for each in events]


def carried(events: Sequence[NewEvent], now: int | None) -> str | None:
    """Return the document that a statement hands to ``append`` in its own step; None where there is nothing to tell."""
    return _encode({"now": now, "events": documents_of(events)}).decode() if events else None


def events_flaw(events: Sequence[NewEvent]) -> str | None:
    """Say which event no store can keep, and why; None for none."""
    for each in events:
        flaw = _flaw(each)
        if flaw is not None:
            return f"event {each.name!r}: {flaw}"
    return None


def text_flaw(**texts: str | None) -> str | None:
    """Say which text no store can keep, and why; None for none."""
    for name, text in texts.items():
        if not text:
            continue
        if "\0" in text:
            return f"{name} contains NUL"
        try:
            text.encode()
        except UnicodeEncodeError as error:
            return f"{name} is not Unicode text, at character {error.start}"
    return None


def _flaw(event: NewEvent) -> str | None:
    flaw = text_flaw(name=event.name, subject=event.subject, data=event.data, id=event.id, job=event.job)
    if flaw is None and event.id is not None and len(event.id.encode()) > _LONGEST_ID:
        return f"id is longer than {_LONGEST_ID} bytes"
    return flaw
