"""Limits and cells, in PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.matching import beyond
from backburner.backends.postgres.appending import documents_of
from backburner.model.lane import LaneRecord, LimitRecord
from backburner.ports.limits import Cells, Lanes, Swapped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backburner.backends.postgres.session import Session
    from backburner.model.event import NewEvent
    from backburner.model.lane import Limit

__all__ = ["PostgresCellStore", "PostgresLimitStore"]

_encode = msgspec.json.Encoder().encode
_decode_limits = msgspec.json.Decoder(tuple[LimitRecord, ...]).decode
_decode_lanes = msgspec.json.Decoder(tuple[int, tuple[LaneRecord, ...]]).decode
_decode_cells = msgspec.json.Decoder(Cells).decode
_decode_swapped = msgspec.json.Decoder(Swapped).decode


class PostgresLimitStore:
    """A `LimitStore`."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def declare(self, limits: Mapping[str, Limit]) -> None:
        """Write what code declares, by name."""
        session = self._session
        stated = {name: _written(limit) for name, limit in limits.items()}
        await session.call(session.intake, "declare", _encode({"now": session.now, "limits": stated}))

    async def override(
        self, name: str, limit: Limit | None, *, by: str | None, reason: str | None, events: Sequence[NewEvent] = ()
    ) -> None:
        """Write what an operator sets in place of what code declares, and store events; None takes that back."""
        session = self._session
        given = {"now": session.now, "name": name, "limit": _written(limit), "by": by, "reason": reason}
        await session.call(session.intake, "override", _encode({**given, "events": documents_of(events)}))

    async def list(self) -> tuple[LimitRecord, ...]:
        """Return the limits that are declared or set, by name."""
        return _decode_limits(await self._session.reads.value(self._session.statement("limits")))

    async def lanes(self, names: Sequence[str]) -> Lanes:
        """Return these lanes, in the order asked."""
        session = self._session
        answer = await session.reads.value(session.statement("lanes"), session.now, [*names])
        return Lanes(*_decode_lanes(answer))


class PostgresCellStore:
    """A `CellStore`."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def load(self, prefix: str) -> Cells:
        """Return the cells whose names begin so, by name."""
        session = self._session
        statement = session.statement("cells")
        return _decode_cells(await session.reads.value(statement, session.now, prefix, beyond(prefix)))

    async def swap(
        self, name: str, value: str, version: int, limit: Limit | None = None, events: Sequence[NewEvent] = ()
    ) -> Swapped:
        """Write a cell, if its version is the one given, declare a limit with it, and store events."""
        session = self._session
        given = {"now": session.now, "name": name, "value": value, "version": version, "limit": _written(limit)}
        document = _encode({**given, "events": documents_of(events)})
        return _decode_swapped(await session.call(session.intake, "swap_cell", document))


def _written(limit: Limit | None) -> str | None:
    return None if limit is None else _encode(limit).decode()
