"""Kinds that are paused, in SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.sqlite.statements import load
from backburner.model.node import KindRecord

if TYPE_CHECKING:
    from backburner.backends.sqlite.session import Session

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

    async def set(self, kind: KindRecord) -> None:
        """Write a kind's pause; one that is not paused is forgotten."""
        row: dict[str, object] = {"name": kind.name}
        if kind.paused:
            row |= {"paused_until": kind.paused_until, "reason": kind.reason, "set_by": kind.by}
        await self._session.write(lambda connection: connection.execute(_SET if kind.paused else _RESUME, row).close())

    async def list(self) -> tuple[KindRecord, ...]:
        """Return the kinds that are paused, by name."""
        return _decode_kinds(await self._session.reads.one(_KINDS, {"now": self._session.clock.now()}))
