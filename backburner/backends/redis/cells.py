"""Small values that nodes share, in Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.backends.redis import packing, sending
from backburner.backends.redis.limits import limit_text, open_the_rest
from backburner.model.lane import Cell
from backburner.ports.backend import Hint
from backburner.ports.limits import Cells, Swapped
from backburner.shield import to_the_end

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.backends.redis.session import Session
    from backburner.model.event import NewEvent
    from backburner.model.lane import Limit

__all__ = ["RedisCellStore"]


class RedisCellStore:
    """A `CellStore`."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def load(self, prefix: str) -> Cells:
        """Return the cells whose names begin so, by name."""
        now, *answer = await self._session.scripts.read("read_cells", (self._session.keys.cells,), (prefix,))
        found = sorted(_cell(*item) for item in zip(answer[::2], answer[1::2], strict=True))
        return Cells(now, tuple(Cell(name=name, version=version, value=value) for name, version, value in found))

    async def swap(
        self, name: str, value: str, version: int, limit: Limit | None = None, events: Sequence[NewEvent] = ()
    ) -> Swapped:
        """Write a cell, if its version is the one given, and declare a limit of its name with it."""
        return await to_the_end(
            self._swap(name, value, version, b"" if limit is None else limit_text(limit), sending.events(events))
        )

    async def _swap(self, name: str, value: str, version: int, limit: bytes, events: bytes) -> Swapped:
        keys = self._session.keys
        now, swapped, unfinished = await self._session.scripts.run(
            "cells_swap", (*keys.tables, keys.cells), (name, value, version, limit, keys.hints, Hint.CONTROL, events)
        )
        await open_the_rest(self._session, unfinished)
        return Swapped(packing.number(now), bool(swapped))


def _cell(name: bytes, kept: bytes) -> tuple[str, int, str]:
    version, _, value = kept.partition(b"\0")
    return name.decode(), int(version), value.decode()
