"""Cells, in SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.matching import beyond
from backburner.backends.sqlite.appending import carry
from backburner.backends.sqlite.limits import declare
from backburner.backends.sqlite.statements import load
from backburner.model.lane import Cell
from backburner.ports.limits import Cells, Swapped

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from backburner.backends.sqlite.session import Session
    from backburner.model.event import NewEvent
    from backburner.model.lane import Limit

__all__ = ["SqliteCellStore"]

_CELLS = load("cells")
_SWAP = load("swap_cell")

_decode_cells = msgspec.json.Decoder(tuple[Cell, ...]).decode


class SqliteCellStore:
    """A `CellStore`."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def load(self, prefix: str) -> Cells:
        """Return the cells whose names begin so, by name."""
        now = self._session.clock.now()
        found = await self._session.reads.one(_CELLS, {"prefix": prefix, "beyond": beyond(prefix)})
        return Cells(now, _decode_cells(found))

    async def swap(
        self, name: str, value: str, version: int, limit: Limit | None = None, events: Sequence[NewEvent] = ()
    ) -> Swapped:
        """Write a cell, if its version is the one given."""
        session = self._session

        def work(connection: sqlite3.Connection) -> Swapped:
            now = session.clock.now()
            row = {"name": name, "value": value, "version": version}
            swapped = connection.execute(_SWAP, row).rowcount > 0
            if swapped and limit is not None:
                declare(connection, {name: limit}, now)
            if swapped:
                carry(connection, events, now)
            return Swapped(now, swapped)

        return await session.write(work)
