"""What operators set for queues and kinds, in PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.postgres.appending import carried
from backburner.model.node import KindRecord, QueueRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.backends.postgres.session import Session
    from backburner.model.event import NewEvent

__all__ = ["PostgresKindStore", "PostgresQueueStore"]

_encode = msgspec.json.Encoder().encode
_decode_queues = msgspec.json.Decoder(tuple[QueueRecord, ...]).decode
_decode_kinds = msgspec.json.Decoder(tuple[KindRecord, ...]).decode


class PostgresQueueStore:
    """A `QueueStore`."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def set(self, queue: QueueRecord, events: Sequence[NewEvent] = ()) -> None:
        """Write a queue's settings, and store events."""
        session = self._session
        rate = None if queue.rate is None else _encode(queue.rate).decode()
        row = (queue.name, queue.paused, queue.paused_until, queue.reason, queue.by, queue.slots, rate)
        await session.intake.value(session.statement("set_queue"), *row, carried(events, session.now))

    async def list(self) -> tuple[QueueRecord, ...]:
        """Return the queues that have settings, by name."""
        session = self._session
        return _decode_queues(await session.reads.value(session.statement("queues"), session.now))


class PostgresKindStore:
    """A `KindStore`."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def set(self, kind: KindRecord, events: Sequence[NewEvent] = ()) -> None:
        """Write a kind's pause, and store events; one that is not paused is forgotten."""
        session = self._session
        told = carried(events, session.now)
        if kind.paused:
            row = (kind.name, kind.paused_until, kind.reason, kind.by)
            await session.intake.value(session.statement("set_kind"), *row, told)
        else:
            await session.intake.value(session.statement("resume_kind"), kind.name, told)

    async def list(self) -> tuple[KindRecord, ...]:
        """Return the kinds that are paused, by name."""
        session = self._session
        return _decode_kinds(await session.reads.value(session.statement("kinds"), session.now))
