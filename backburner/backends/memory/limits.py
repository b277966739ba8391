"""What lanes allow, and the small values that nodes share to set it, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.content import refuse_events
from backburner.model.lane import Cell, LaneRecord, Limit
from backburner.ports.backend import Hint
from backburner.ports.limits import Cells, Lanes, Swapped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backburner.backends.memory.connection import Connection
    from backburner.backends.memory.database import MemoryDatabase
    from backburner.model.event import NewEvent
    from backburner.model.lane import LimitRecord

__all__ = ["MemoryCellStore", "MemoryLimitStore"]

_HOLDERS = 10


class MemoryLimitStore:
    """A `LimitStore`."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def declare(self, limits: Mapping[str, Limit]) -> None:
        """Write what code declares, by name."""
        database = self._connection.writing()
        now = self._connection.clock.now()
        changed = [name for name, limit in limits.items() if _declare(database, name, limit, now)]
        if changed:
            database.changed(self._connection, Hint.CONTROL)

    async def override(
        self, name: str, limit: Limit | None, *, by: str | None, reason: str | None, events: Sequence[NewEvent] = ()
    ) -> None:
        """Write what an operator sets in place of what code declares; None takes that back."""
        database = self._connection.writing()
        refuse_events(events)
        now = self._connection.clock.now()
        known = database.lanes.record(name)
        if limit is None:
            by = reason = None
        record = msgspec.structs.replace(known, override=limit, by=by, reason=reason)
        database.lanes.write(record, now)
        database.log.append(events, now)
        database.changed(self._connection, Hint.CONTROL)

    async def list(self) -> tuple[LimitRecord, ...]:
        """Return the limits that are declared or set, by name."""
        return tuple(self._connection.reading().lanes.limits())

    async def lanes(self, names: Sequence[str]) -> Lanes:
        """Return these lanes, in the order asked."""
        database = self._connection.reading()
        now = self._connection.clock.now()
        return Lanes(now, tuple(_read(database, name, now) for name in names))


class MemoryCellStore:
    """A `CellStore`."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def load(self, prefix: str) -> Cells:
        """Return the cells whose names begin so, by name."""
        cells = self._connection.reading().cells
        found = tuple(cell for name, cell in sorted(cells.items()) if name.startswith(prefix))
        return Cells(self._connection.clock.now(), found)

    async def swap(
        self, name: str, value: str, version: int, limit: Limit | None = None, events: Sequence[NewEvent] = ()
    ) -> Swapped:
        """Write a cell if its version is the one given, and a limit of its name and events with it."""
        database = self._connection.writing()
        refuse_events(events)
        now = self._connection.clock.now()
        known = database.cells.get(name)
        if version != (0 if known is None else known.version):
            return Swapped(now, swapped=False)
        database.cells[name] = Cell(name=name, version=version + 1, value=value)
        database.log.append(events, now)
        if limit is not None and _declare(database, name, limit, now):
            database.changed(self._connection, Hint.CONTROL)
        return Swapped(now, swapped=True)


def _declare(database: MemoryDatabase, name: str, limit: Limit, now: int) -> bool:
    """Declare a limit; tell whether it was declared otherwise before."""
    known = database.lanes.record(name)
    if known.declared == limit:
        return False
    database.lanes.write(msgspec.structs.replace(known, declared=limit), now)
    return True


def _read(database: MemoryDatabase, name: str, now: int) -> LaneRecord:
    lane, limit = database.lanes.get(name), database.lanes.limit(name)
    return LaneRecord(
        name=name,
        limit=limit,
        running=len(lane.holders),
        holders=tuple(sorted(lane.holders)[:_HOLDERS]),
        free_at=None if limit.rate is None else lane.usage.next_at(limit.rate, now),
        parked=lane.parked,
    )
