"""Operations and what became of them, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.content import refuse_events
from backburner.ports.backend import Hint
from backburner.ports.operations import Operations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.backends.memory.connection import Connection
    from backburner.backends.memory.database import MemoryDatabase
    from backburner.model.event import NewEvent
    from backburner.model.operation import OperationRecord

__all__ = ["MemoryOperationStore", "advance"]


def advance(
    database: MemoryDatabase, operation: OperationRecord, now: int, *, done: int = 0, kept: int = 0, missed: int = 0
) -> bool:
    """Write an operation's ``state`` and ``active`` and add what was done, if it is as it was read; tell whether it was."""
    known = database.operations.get(operation.id)
    if known is None or known.version != operation.version:
        return False
    database.operations[operation.id] = msgspec.structs.replace(
        known,
        state=operation.state,
        active=operation.active,
        version=known.version + 1,
        done=known.done + done,
        kept=known.kept + kept,
        missed=known.missed + missed,
        changed_at=now,
    )
    return True


class MemoryOperationStore:
    """An `OperationStore`."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def put(self, operation: OperationRecord, events: Sequence[NewEvent] = ()) -> bool:
        """Write a new operation as version 1."""
        database = self._connection.writing()
        refuse_events(events)
        now = self._connection.clock.now()
        if operation.id in database.operations:
            return False
        new = msgspec.structs.replace(operation, version=1, created_at=now, changed_at=now)
        database.operations[operation.id] = new
        database.log.append(events, now)
        database.changed(self._connection, Hint.CONTROL)
        return True

    async def get(self, ids: Sequence[str]) -> Operations:
        """Return those of these ids that exist, newest id first."""
        operations = self._connection.reading().operations
        found = sorted({job_id for job_id in ids if job_id in operations}, reverse=True)
        return Operations(self._connection.clock.now(), tuple(operations[job_id] for job_id in found))

    async def find(self, *, active: bool | None = None, limit: int, after: str | None = None) -> Operations:
        """Return operations, newest id first, below ``after``."""
        operations = self._connection.reading().operations
        found = [
            operation
            for name, operation in sorted(operations.items(), reverse=True)
            if (after is None or name < after) and (active is None or operation.active is active)
        ]
        page = tuple(found[:limit])
        return Operations(self._connection.clock.now(), page, page[-1].id if page and len(found) > limit else None)

    async def swap(self, operation: OperationRecord, events: Sequence[NewEvent] = ()) -> bool:
        """Write ``state`` and ``active`` if the stored version is the operation's."""
        database = self._connection.writing()
        refuse_events(events)
        now = self._connection.clock.now()
        if not advance(database, operation, now):
            return False
        database.log.append(events, now)
        return True
