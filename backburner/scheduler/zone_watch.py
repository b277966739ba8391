"""The zones' rules change by decree: finds that they have, and when schedules are due by the new ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.errors import BackburnerError
from backburner.model.schedule import ScheduleChange
from backburner.scheduler.agenda import agenda
from backburner.scheduler.records import rearmed
from backburner.scheduler.zones import database_version

if TYPE_CHECKING:
    from backburner.ports.limits import CellStore
    from backburner.ports.schedules import ScheduleReader, ScheduleStore

__all__ = ["ZoneWatch"]

#: The cell that says by which rules the schedules were last gone through.
_CELL = "schedules:zones"
#: Schedules in one step.
_PAGE = 200


class ZoneWatch:
    """Goes once through all schedules, a page at a step, where this node's zones are newer than those they were armed by."""

    def __init__(self, store: ScheduleStore, reader: ScheduleReader, cells: CellStore) -> None:
        self._store = store
        self._reader = reader
        self._cells = cells
        version = database_version()
        #: As a cell's value: JSON text.
        self._version = f'"{version}"'
        #: The version of the cell that is to be written in the end; None before it was looked at.
        self._cell: int | None = None
        self._after: str | None = None
        self._done = not version

    async def step(self) -> bool:
        """Go through a page, if there is any reason to; return whether there is more to do."""
        if self._done:
            return False
        if self._cell is None:
            cells = (await self._cells.load(_CELL)).cells
            known = next((cell for cell in cells if cell.name == _CELL), None)
            self._cell = 0 if known is None else known.version
            # The first to look has nothing to compare with: all there is was armed by nodes like this one.
            if known is None or known.value >= self._version:
                return await self._finish(write=known is None)
        page = await self._reader.find(limit=_PAGE, after=self._after)
        changes: list[ScheduleChange] = []
        for record in page.schedules:
            try:
                after = rearmed(record, agenda(record.name, record.rule), page.now)
            except BackburnerError:
                # It is told when it is due, by every node that cannot make it out.
                continue
            if after != record:
                changes.append(ScheduleChange(schedule=after))
        if changes:
            # One that another node has changed meanwhile was armed by that.
            await self._store.change(changes)
        self._after = page.after
        return True if page.after is not None else await self._finish(write=True)

    async def _finish(self, *, write: bool) -> bool:
        self._done = True
        if write:
            await self._cells.swap(_CELL, self._version, self._cell or 0)
        return False
