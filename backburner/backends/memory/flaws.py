"""What no store can keep of events and subscriptions, refused before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.errors import StoreRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.model.event import NewEvent, NewSubscription

__all__ = ["event_flaw", "refuse_events", "refuse_subscription"]


def refuse_events(events: Sequence[NewEvent]) -> None:
    """Raise `StoreRefused` if one of some events cannot be stored."""
    for event in events:
        flaw = event_flaw(event)
        if flaw is not None:
            raise StoreRefused(f"The event {event.name!r}: {flaw}", stored="no")


def refuse_subscription(subscription: NewSubscription) -> None:
    """Raise `StoreRefused` if a subscription cannot be stored."""
    flaw = _flaw(name=subscription.name, kind=subscription.kind, patterns="".join(subscription.patterns))
    if flaw is not None:
        raise StoreRefused(f"The subscription {subscription.name!r}: {flaw}", stored="no")


def event_flaw(event: NewEvent) -> str | None:
    """Say what is wrong with an event; None for nothing."""
    return _flaw(name=event.name, subject=event.subject, data=event.data, id=event.id)


def _flaw(**texts: str | None) -> str | None:
    for name, text in texts.items():
        if text is None:
            continue
        if "\0" in text:
            return f"{name} contains NUL"
        try:
            text.encode()
        except UnicodeEncodeError as error:
            return f"{name} is not Unicode text, at character {error.start}"
    return None
