"""Operations, in SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.sqlite.appending import carry
from backburner.backends.sqlite.encoding import to_json
from backburner.backends.sqlite.statements import load
from backburner.model.operation import OperationRecord
from backburner.ports.operations import Operations

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from backburner.backends.sqlite.session import Session
    from backburner.model.event import NewEvent

__all__ = ["SqliteOperationStore", "swap"]

_PUT = load("put_operation")
_GET = load("operations")
_FIND = load("find_operations")
_SWAP = load("swap_operation")

_decode_operations = msgspec.json.Decoder(tuple[OperationRecord, ...]).decode


class SqliteOperationStore:
    """An `OperationStore`."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def put(self, operation: OperationRecord, events: Sequence[NewEvent] = ()) -> bool:
        """Write a new operation as version 1; False when the id exists."""
        row = {
            "id": operation.id,
            "action": operation.action,
            "active": operation.active,
            "set_by": operation.by,
            "reason": operation.reason,
            "state": operation.state,
        }
        session = self._session

        def work(connection: sqlite3.Connection) -> bool:
            now = session.clock.now()
            put = connection.execute(_PUT, row | {"now": now}).rowcount > 0
            if put:
                carry(connection, events, now)
            return put

        return await session.write(work)

    async def get(self, ids: Sequence[str]) -> Operations:
        """Return those of these ids that exist, newest id first, in one page."""
        now = self._session.clock.now()
        return Operations(now, _decode_operations(await self._session.reads.one(_GET, {"ids": to_json(ids)})))

    async def find(self, *, active: bool | None = None, limit: int, after: str | None = None) -> Operations:
        """Return operations, those below ``after``."""
        now = self._session.clock.now()
        # One more than asked for tells whether there is a next page.
        parameters = {"active": active, "after": after, "limit": limit + 1}
        found = _decode_operations(await self._session.reads.one(_FIND, parameters))
        page = found[:limit]
        return Operations(now, page, page[-1].id if page and len(found) > limit else None)

    async def swap(self, operation: OperationRecord, events: Sequence[NewEvent] = ()) -> bool:
        """Write state and activity if the stored version is the operation's."""
        session = self._session

        def work(connection: sqlite3.Connection) -> bool:
            now = session.clock.now()
            swapped = swap(connection, operation, now)
            if swapped:
                carry(connection, events, now)
            return swapped

        return await session.write(work)


def swap(
    connection: sqlite3.Connection,
    operation: OperationRecord,
    now: int,
    *,
    done: int = 0,
    kept: int = 0,
    missed: int = 0,
) -> bool:
    """Write how far an operation has come, if the stored version is its own; its counters grow by these."""
    row = {
        "id": operation.id,
        "version": operation.version,
        "active": operation.active,
        "state": operation.state,
        "now": now,
        "done": done,
        "kept": kept,
        "missed": missed,
    }
    return connection.execute(_SWAP, row).rowcount > 0
