"""The roles that hold events, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.backends.content import refuse_events, refuse_subscription
from backburner.backends.memory.eventlog import fits
from backburner.backends.memory.inserting import insert
from backburner.ports.backend import Hint
from backburner.ports.events import Appended, Confirmed, EventPage, Pulled, Received, Subscribed, Subscriptions

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from backburner.backends.memory.connection import Connection
    from backburner.backends.memory.database import MemoryDatabase
    from backburner.backends.memory.eventlog import EventLog
    from backburner.model.event import EventRecord, NewEvent, NewSubscription
    from backburner.ports.events import Confirmation
    from backburner.ports.jobs import GroupAnswer

__all__ = ["MemoryEventReader", "MemoryEventStore"]


class MemoryEventStore:
    """An `EventStore`. Nothing here is ever half-way, so every event has its number at once."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def append(self, events: Sequence[NewEvent], tx: object = None) -> Appended:
        """Store those that are asked for, or kept."""
        self._connection.refuse(tx)
        database = self._connection.writing()
        refuse_events(events)
        now = self._connection.clock.now()
        stored = database.log.append(events, now)
        if stored:
            database.changed(self._connection, Hint.JOBS)
        return Appended(now, stored)

    async def subscribe(self, subscription: NewSubscription) -> Subscribed:
        """Enter a subscription, or take up the one of this name."""
        log = self._connection.writing().log
        refuse_subscription(subscription)
        now = self._connection.clock.now()
        record = log.subscribe(subscription, now)
        return Subscribed(now=now, log=log.name, last=log.last, subscription=record)

    async def unsubscribe(self, name: str) -> bool:
        """Forget a subscription."""
        log = self._connection.writing().log
        if name not in log.subscriptions:
            return False
        log.unsubscribe([name])
        return True

    async def pull(self, names: Collection[str], *, limit: int) -> Pulled:
        """Hand subscriptions what they ask for."""
        log = self._connection.reading().log
        found = tuple(_received(log, name, limit) for name in sorted({*names}) if name in log.subscriptions)
        return Pulled(now=self._connection.clock.now(), log=log.name, received=found)

    async def confirm(self, confirmations: Sequence[Confirmation]) -> Confirmed:
        """Move subscriptions on, each with its jobs."""
        database = self._connection.writing()
        now = self._connection.clock.now()
        groups = tuple([_confirm(database, confirmation, now) for confirmation in confirmations])
        if any(confirmation.jobs for confirmation in confirmations):
            database.changed(self._connection, Hint.JOBS)
        return Confirmed(now=now, groups=groups)


class MemoryEventReader:
    """An `EventReader`."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def read(
        self,
        *,
        patterns: Collection[str] = (),
        subject: str | None = None,
        since: int | None = None,
        until: int | None = None,
        after: int | None = None,
        newest: bool = False,
        limit: int,
    ) -> EventPage:
        """Return events that match, up from above ``after``, or down from below it."""
        log = self._connection.reading().log
        looked_at, upto = log.below(after) if newest else log.above(after or 0)
        found: list[EventRecord] = []
        for event in looked_at:
            if (
                (not patterns or fits(event.name, patterns))
                and (subject is None or event.subject == subject)
                and (since is None or event.time >= since)
                and (until is None or event.time < until)
            ):
                found.append(event)
                if len(found) == limit:
                    upto = event.number
                    break
        return EventPage(
            now=self._connection.clock.now(),
            log=log.name,
            events=tuple(found),
            upto=upto,
            end=upto <= log.pruned + 1 if newest else upto >= log.last,
            pruned=log.pruned,
            last=log.last,
        )

    async def subscriptions(self) -> Subscriptions:
        """Return all subscriptions, by name."""
        log = self._connection.reading().log
        records = tuple(record for _, record in sorted(log.subscriptions.items()))
        return Subscriptions(now=self._connection.clock.now(), log=log.name, last=log.last, subscriptions=records)


def _received(log: EventLog, name: str, limit: int) -> Received:
    record = log.subscriptions[name]
    looked_at, upto = log.above(record.cursor)
    found: list[EventRecord] = []
    for event in looked_at:
        if fits(event.name, record.patterns):
            found.append(event)
            if len(found) == limit:
                upto = event.number
                break
    lost = log.pruned if log.pruned > record.cursor else None
    return Received(name=name, cursor=record.cursor, upto=upto, events=tuple(found), lost=lost)


def _confirm(database: MemoryDatabase, confirmation: Confirmation, now: int) -> GroupAnswer | None:
    record = database.log.subscriptions.get(confirmation.name)
    if record is None or record.cursor != confirmation.cursor:
        return None
    answer = insert(database, confirmation.jobs, None, now)
    if answer.refused is None:
        database.log.move(record, confirmation.upto)
    return answer
