"""Operations, in PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.postgres.appending import carried
from backburner.model.operation import OperationRecord
from backburner.ports.operations import Operations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.backends.postgres.session import Session
    from backburner.model.event import NewEvent

__all__ = ["PostgresOperationStore"]

_decode = msgspec.json.Decoder(tuple[int, tuple[OperationRecord, ...]]).decode


class PostgresOperationStore:
    """An `OperationStore`."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def put(self, operation: OperationRecord, events: Sequence[NewEvent] = ()) -> bool:
        """Write a new operation as version 1, and store events; False, and nothing, when the id exists."""
        session = self._session
        row = (operation.id, operation.action, operation.state, operation.active, operation.by, operation.reason)
        told = carried(events, session.now)
        return await session.intake.value(session.statement("put_operation"), session.now, *row, told) is not None

    async def get(self, ids: Sequence[str]) -> Operations:
        """Return those of these ids that exist, newest id first."""
        session = self._session
        return Operations(*_decode(await session.reads.value(session.statement("get_operations"), session.now, [*ids])))

    async def find(self, *, active: bool | None = None, limit: int, after: str | None = None) -> Operations:
        """Return operations, newest id first, those below ``after``."""
        session = self._session
        # One more than asked for tells whether there is a next page.
        answer = await session.reads.value(session.statement("find_operations"), session.now, after, active, limit + 1)
        now, found = _decode(answer)
        page = found[:limit]
        return Operations(now, page, page[-1].id if page and len(found) > limit else None)

    async def swap(self, operation: OperationRecord, events: Sequence[NewEvent] = ()) -> bool:
        """Write ``state`` and ``active``, and store events, if the stored version is the operation's; else False."""
        session = self._session
        row = (operation.id, operation.version, operation.state, operation.active)
        told = carried(events, session.now)
        return await session.intake.value(session.statement("swap_operation"), session.now, *row, told) is not None
