"""Schedules, in SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.sqlite.appending import carry
from backburner.backends.sqlite.changing import change
from backburner.backends.sqlite.statements import load
from backburner.model.schedule import ScheduleRecord
from backburner.ports.schedules import Due

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from backburner.backends.sqlite.session import Session
    from backburner.model.event import NewEvent
    from backburner.model.schedule import ScheduleChange
    from backburner.ports.schedules import Changed

__all__ = ["SqliteScheduleStore"]

_DUE = load("due_schedules")
_REMOVE = load("remove_schedule")

_decode_schedules = msgspec.json.Decoder(tuple[ScheduleRecord, ...]).decode
_decode_names = msgspec.json.Decoder(frozenset[str]).decode


class SqliteScheduleStore:
    """A `ScheduleStore`. What is due is asked on the connection that reads: it delays no write, nor waits for one."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def due(self, limit: int) -> Due:
        """Return schedules that are due, the earliest ``limit``."""
        now = self._session.clock.now()
        # One more than asked for tells whether there are more.
        ((found, unended, next_at),) = await self._session.reads.all(_DUE, {"now": now, "limit": limit + 1})
        schedules = _decode_schedules(found)
        page = schedules[:limit]
        names = _decode_names(unended)
        if len(schedules) > limit:
            return Due(now=now, schedules=page, unended=names - {schedules[-1].name}, wait=0)
        return Due(now=now, schedules=page, unended=names, wait=None if next_at is None else next_at - now)

    async def change(self, changes: Sequence[ScheduleChange]) -> Changed:
        """Write schedules, lines of their ledgers, and jobs."""
        session = self._session
        return await session.write(lambda connection: change(connection, changes, session.clock.now()))

    async def remove(self, name: str, version: int, events: Sequence[NewEvent] = ()) -> bool:
        """Delete a schedule of that version; False when there is none."""
        session = self._session
        row = {"name": name, "version": version}

        def work(connection: sqlite3.Connection) -> bool:
            removed = connection.execute(_REMOVE, row).rowcount > 0
            if removed:
                carry(connection, events, session.clock.now())
            return removed

        return await session.write(work)
