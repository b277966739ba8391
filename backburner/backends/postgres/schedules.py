"""Schedules, in PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.postgres.appending import carried
from backburner.backends.postgres.changing import change
from backburner.backends.postgres.due_floor import DueFloor
from backburner.model.schedule import ScheduleRecord
from backburner.ports.schedules import Due

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.backends.postgres.session import Session
    from backburner.model.event import NewEvent
    from backburner.model.schedule import ScheduleChange
    from backburner.ports.schedules import Changed

__all__ = ["PostgresScheduleStore"]


class _Due(msgspec.Struct):
    now: int
    schedules: tuple[ScheduleRecord, ...]
    unended: frozenset[str]
    wait: int | None
    #: Microseconds that it took to look for them from the head.
    looked: int | None


_encode = msgspec.json.Encoder().encode
_decode_due = msgspec.json.Decoder(_Due).decode


class PostgresScheduleStore:
    """A `ScheduleStore`. It looks on the connection that stores jobs: a long read delays no tick."""

    __slots__ = ("_floor", "_session")

    def __init__(self, session: Session) -> None:
        self._session = session
        self._floor = DueFloor(session.clock, steady=session.now is None)

    async def due(self, limit: int) -> Due:
        """Return schedules whose ``due_at`` has come, the earliest ``limit``."""
        session = self._session
        document = {"now": session.now, "limit": limit, "floor": self._floor.ask()}
        found = _decode_due(await session.call(session.intake, "due", _encode(document)))
        first = found.schedules[0].due_at if found.schedules else None
        self._floor.learn(found.now + (found.wait or 0) if first is None else first, found.looked)
        return Due(now=found.now, schedules=found.schedules, unended=found.unended, wait=found.wait)

    async def change(self, changes: Sequence[ScheduleChange]) -> Changed:
        """Write schedules, lines of their ledgers, and jobs, each change whole or not at all."""
        session = self._session
        changed = await change(changes, session.now, lambda each: session.call(session.intake, "change", each))
        for each in changes:
            if each.schedule.due_at is not None:
                self._floor.lower(each.schedule.due_at)
        return changed

    async def remove(self, name: str, version: int, events: Sequence[NewEvent] = ()) -> bool:
        """Delete a schedule of that version, and store events; False, and none, when there is no such."""
        session = self._session
        row = (name, version, carried(events, session.now))
        return await session.intake.value(session.statement("remove_schedule"), *row) is not None
