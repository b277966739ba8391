"""Pauses and limits, in SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.sqlite.appending import carry
from backburner.backends.sqlite.statements import load
from backburner.model.node import QueueRecord

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from backburner.backends.sqlite.session import Session
    from backburner.model.event import NewEvent

__all__ = ["SqliteQueueStore"]

_SET = load("set_queue")
_RESET = load("reset_queue")
_QUEUES = load("queues")

_encode = msgspec.json.encode
_decode_queues = msgspec.json.Decoder(tuple[QueueRecord, ...]).decode


class SqliteQueueStore:
    """A `QueueStore`."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def set(self, queue: QueueRecord, events: Sequence[NewEvent] = ()) -> None:
        """Write a queue's settings."""
        session = self._session
        row = {
            "name": queue.name,
            "paused": queue.paused,
            "paused_until": queue.paused_until,
            "reason": queue.reason,
            "set_by": queue.by,
            "slots": queue.slots,
            "rate": None if queue.rate is None else _encode(queue.rate).decode(),
        }

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(_SET, row)
            if queue.rate is not None:
                connection.execute(_RESET, {"name": queue.name, "metered": row["rate"]})
            carry(connection, events, session.clock.now())

        await session.write(work)

    async def list(self) -> tuple[QueueRecord, ...]:
        """Return the queues that have settings, by name."""
        return _decode_queues(await self._session.reads.one(_QUEUES, {"now": self._session.clock.now()}))
