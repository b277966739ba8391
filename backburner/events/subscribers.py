"""Handlers of events, as code declares them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backburner.errors import DuplicateSubscription

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backburner.events.event import Event

__all__ = ["Subscriber", "Subscribers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscriber:
    """Who handles which events, by a job for each."""

    #: Names its subscription in the store: what it has been handed is known under it.
    name: str
    patterns: tuple[str, ...]
    #: The kind of its jobs.
    kind: str
    #: Where it stands: file and line.
    place: str
    #: Makes the call of a job, which the engine stores; an event that it makes None of is passed over.
    call: Callable[[Event], object]


class Subscribers:
    """Handlers in code by name; two of one name are refused."""

    def __init__(self) -> None:
        self._known: dict[str, Subscriber] = {}
        #: Called when one was added.
        self.changed: set[Callable[[], None]] = set()

    def add(self, subscriber: Subscriber) -> None:
        """Add one; the same again changes nothing. Raises `DuplicateSubscription`, naming both places."""
        other = self._known.setdefault(subscriber.name, subscriber)
        if other is not subscriber:
            raise DuplicateSubscription(
                f"subscription {subscriber.name!r} is declared twice: {other.place} and {subscriber.place}; give one "
                'another name, by name="…", or name all its events in one'
            )
        for told in self.changed:
            told()

    def __iter__(self) -> Iterator[Subscriber]:
        return iter(tuple(self._known.values()))

    def __len__(self) -> int:
        return len(self._known)

    def get(self, name: str) -> Subscriber | None:
        """Return the one of this name."""
        return self._known.get(name)
