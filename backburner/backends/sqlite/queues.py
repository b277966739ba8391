"""Pauses and limits, in SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.sqlite.statements import load
from backburner.model.node import QueueRecord

if TYPE_CHECKING:
    from backburner.backends.sqlite.session import Session

__all__ = ["SqliteQueueStore"]

_SET = load("set_queue")
_QUEUES = load("queues")

_decode_queues = msgspec.json.Decoder(tuple[QueueRecord, ...]).decode


class SqliteQueueStore:
    """A `QueueStore`."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def set(self, queue: QueueRecord) -> None:
        """Write a queue's settings."""
        row = (queue.name, queue.paused, queue.paused_until, queue.reason, queue.by, queue.slots)
        await self._session.write(lambda connection: connection.execute(_SET, row).close())

    async def list(self) -> tuple[QueueRecord, ...]:
        """Return the queues that have settings, by name."""
        return _decode_queues(await self._session.reads.one(_QUEUES, (self._session.clock.now(),)))
