"""Pauses and queues' limits, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.content import refuse_events
from backburner.ports.backend import Hint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.backends.memory.connection import Connection
    from backburner.model.event import NewEvent
    from backburner.model.node import KindRecord, QueueRecord

__all__ = ["MemoryKindStore", "MemoryQueueStore"]


class MemoryQueueStore:
    """A `QueueStore`."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def set(self, queue: QueueRecord, events: Sequence[NewEvent] = ()) -> None:
        """Write a queue's settings."""
        database = self._connection.writing()
        refuse_events(events)
        database.settings[queue.name] = queue
        if queue.rate is not None:
            database.usage[queue.name].change(queue.rate)
        database.log.append(events, self._connection.clock.now())
        database.changed(self._connection, Hint.CONTROL)

    async def list(self) -> tuple[QueueRecord, ...]:
        """Return the queues that have settings, by name."""
        database = self._connection.reading()
        now = self._connection.clock.now()
        return tuple(
            queue if database.paused(name, now) else msgspec.structs.replace(queue, paused=False, paused_until=None)
            for name, queue in sorted(database.settings.items())
        )


class MemoryKindStore:
    """A `KindStore`."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def set(self, kind: KindRecord, events: Sequence[NewEvent] = ()) -> None:
        """Write a kind's pause, or forget it."""
        database = self._connection.writing()
        refuse_events(events)
        if kind.paused:
            database.kinds[kind.name] = kind
        else:
            database.kinds.pop(kind.name, None)
        database.log.append(events, self._connection.clock.now())
        database.changed(self._connection, Hint.CONTROL)

    async def list(self) -> tuple[KindRecord, ...]:
        """Return the kinds that are paused, by name."""
        paused = self._connection.reading().paused_kinds(self._connection.clock.now())
        return tuple(paused.values())
