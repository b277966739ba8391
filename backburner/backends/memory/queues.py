"""Pauses and limits, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.ports.backend import Hint

if TYPE_CHECKING:
    from backburner.backends.memory.connection import Connection
    from backburner.model.node import QueueRecord

__all__ = ["MemoryQueueStore"]


class MemoryQueueStore:
    """A `QueueStore`."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def set(self, queue: QueueRecord) -> None:
        """Write a queue's settings."""
        database = self._connection.writing()
        database.settings[queue.name] = queue
        database.changed(self._connection, Hint.CONTROL)

    async def list(self) -> tuple[QueueRecord, ...]:
        """Return the queues that have settings, by name."""
        database = self._connection.reading()
        now = self._connection.clock.now()
        return tuple(
            queue if database.paused(name, now) else msgspec.structs.replace(queue, paused=False, paused_until=None)
            for name, queue in sorted(database.settings.items())
        )
