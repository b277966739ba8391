"""The events, the subscriptions, and who asks for what."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

import msgspec

from backburner.model.event import EventRecord, NewEvent, SubscriptionRecord, patterns_of
from backburner.ports.events import LOOKED_AT

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from backburner.model.event import NewSubscription

__all__ = ["TOLD", "EventLog", "fits"]

#: What the store tells by itself.
TOLD: Final = (
    *("job.enqueued", "job.claimed", "job.completed", "job.retry", "job.snoozed", "job.interrupted", "job.crashed"),
    *("job.misfit", "job.released", "job.cancelled", "job.dead", "job.replayed", "job.purged", "node.lost"),
)
_ALPHABET: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


def fits(name: str, patterns: Collection[str]) -> bool:
    """Tell whether one of some patterns asks for a name."""
    return any(pattern in patterns for pattern in patterns_of(name))


class EventLog:
    """The events by number, without a gap: the first is the one after the last that was pruned."""

    __slots__ = ("_events", "_ids", "_patterns", "asked", "name", "pruned", "subscriptions")

    def __init__(self) -> None:
        self.name = "".join(secrets.choice(_ALPHABET) for _ in range(8))
        #: The greatest number that was deleted.
        self.pruned = 0
        self._events: list[EventRecord] = []
        #: Those of the events that have one.
        self._ids: set[str] = set()
        self.subscriptions: dict[str, SubscriptionRecord] = {}
        self._patterns: frozenset[str] = frozenset()
        #: What is asked for of that which the store tells by itself: mostly nothing, and then nothing is made.
        self.asked: frozenset[str] = frozenset()

    @property
    def last(self) -> int:
        """The number of the newest event, of those deleted too; 0 before the first."""
        return self.pruned + len(self._events)

    # ---- who asks ----------------------------------------------------------------------------------------------------

    def subscribe(self, new: NewSubscription, now: int) -> SubscriptionRecord:
        """Enter a subscription, or renew it."""
        known = self.subscriptions.get(new.name)
        stands = self.last if known is None else known.cursor
        record = SubscriptionRecord(
            name=new.name,
            patterns=new.patterns,
            kind=new.kind,
            ttl=new.ttl,
            cursor=stands if new.after is None else new.after,
            created_at=now if known is None else known.created_at,
            seen_at=now,
        )
        self.subscriptions[new.name] = record
        self._ask()
        return record

    def unsubscribe(self, names: Collection[str]) -> None:
        """Forget subscriptions."""
        for name in names:
            del self.subscriptions[name]
        self._ask()

    def _ask(self) -> None:
        self._patterns = frozenset(pattern for record in self.subscriptions.values() for pattern in record.patterns)
        self.asked = frozenset(name for name in TOLD if fits(name, self._patterns))

    def move(self, record: SubscriptionRecord, upto: int) -> None:
        """Move a subscription on."""
        self.subscriptions[record.name] = msgspec.structs.replace(record, cursor=upto)

    # ---- what is written -----------------------------------------------------------------------------------------------

    def append(self, events: Sequence[NewEvent], now: int) -> int:
        """Store events that are asked for, or kept; return how many."""
        stored = 0
        for event in events:
            if event.id in self._ids or not (event.kept or fits(event.name, self._patterns)):
                continue
            if event.id is not None:
                self._ids.add(event.id)
            self.write(event.name, event.subject, event.data, now, event.id)
            stored += 1
        return stored

    def write(self, name: str, subject: str, data: str, now: int, event_id: str | None = None) -> None:
        """Store one event."""
        number = self.last + 1
        self._events.append(EventRecord(number=number, id=event_id, name=name, subject=subject, time=now, data=data))

    def prune(self, before: int, limit: int) -> int:
        """Delete the oldest events, written by that moment, at most so many; return how many they were."""
        gone = 0
        for event in self._events[: max(0, limit)]:
            if event.time > before:
                break
            if event.id is not None:
                self._ids.discard(event.id)
            gone += 1
        del self._events[:gone]
        self.pruned += gone
        return gone

    def forget(self, now: int) -> int:
        """Forget the subscriptions that nobody has renewed for their ttl; return how many they were."""
        gone = [record.name for record in self.subscriptions.values() if record.seen_at <= now - record.ttl]
        if gone:
            self.unsubscribe(gone)
        return len(gone)

    # ---- what is read --------------------------------------------------------------------------------------------------

    def above(self, number: int) -> tuple[Sequence[EventRecord], int]:
        """Return the events above a number, at most `LOOKED_AT`, and how far they go."""
        start = max(number, self.pruned) - self.pruned
        found = self._events[start : start + LOOKED_AT]
        return found, self.pruned + start + len(found)

    def below(self, number: int | None) -> tuple[Sequence[EventRecord], int]:
        """Return the events below a number (None: all), the newest first, at most `LOOKED_AT`, and how far they go."""
        end = len(self._events) if number is None else max(0, min(number - 1, self.last) - self.pruned)
        start = max(0, end - LOOKED_AT)
        return self._events[start:end][::-1], self.pruned + start + 1
