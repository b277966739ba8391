"""Kinds that are paused, in SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.sqlite.appending import carry
from backburner.backends.sqlite.statements import load
from backburner.model.node import KindRecord

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from backburner.backends.sqlite.session import Session
    from backburner.model.event import NewEvent

__all__ = ["SqliteKindStore"]

_SET = load("set_kind")
_RESUME = load("resume_kind")
_KINDS = load("kinds")

_decode_kinds = msgspec.json.Decoder(tuple[KindRecord, ...]).decode


class SqliteKindStore:
    """A `KindStore`."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def set(self, kind: KindRecord, events: Sequence[NewEvent] = ()) -> None:
        """Write a kind's pause; one that is not paused is forgotten."""
        session = self._session
        row: dict[str, object] = {"name": kind.name}
        if kind.paused:
            row |= {"paused_until": kind.paused_until, "reason": kind.reason, "set_by": kind.by}

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(_SET if kind.paused else _RESUME, row)
            carry(connection, events, session.clock.now())

        await session.write(work)

    async def list(self) -> tuple[KindRecord, ...]:
        """Return the kinds that are paused, by name."""
        return _decode_kinds(await self._session.reads.one(_KINDS, {"now": self._session.clock.now()}))
