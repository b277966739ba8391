"""Reads of schedules and of the ledger of their ticks, in PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.postgres.filtering import numbered
from backburner.backends.postgres.statements import fill
from backburner.model.schedule import ScheduleRecord, TickRecord
from backburner.ports.schedules import Schedules, Ticks

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from backburner.backends.postgres.session import Session
    from backburner.model.schedule import Outcome

__all__ = ["PostgresScheduleReader"]

_decode_schedules = msgspec.json.Decoder(tuple[int, tuple[ScheduleRecord, ...]]).decode
_decode_ticks = msgspec.json.Decoder(tuple[int, tuple[TickRecord, ...]]).decode


class PostgresScheduleReader:
    """A `ScheduleReader`: each read is one statement that answers one JSON text."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def get(self, names: Collection[str]) -> Schedules:
        """Return those of these names that exist, in one page."""
        session = self._session
        answer = await session.reads.value(session.statement("get_schedules"), session.now, [*names])
        return Schedules(*_decode_schedules(answer))

    async def find(
        self, *, declared: bool | None = None, kind: str | None = None, limit: int, after: str | None = None
    ) -> Schedules:
        """Return schedules by name, those after ``after``."""
        given: list[tuple[str, object]] = [("name > ?", after), ("kind = ?", kind)]
        conditions = [(text, value) for text, value in given if value is not None]
        if declared is not None:
            conditions.append(("declared" if declared else "NOT declared", None))
        # One more than asked for tells whether there is a next page.
        now, found = _decode_schedules(await self._filtered("find_schedules", conditions, limit + 1))
        page = found[:limit]
        return Schedules(now, page, page[-1].name if page and len(found) > limit else None)

    async def ticks(
        self,
        *,
        schedule: str | None = None,
        outcomes: Collection[Outcome] = (),
        since: int | None = None,
        until: int | None = None,
        limit: int,
        after: str | None = None,
    ) -> Ticks:
        """Return lines of the ledger, greatest id first, those below ``after``."""
        given: list[tuple[str, object]] = [
            *(("id < ?", after), ("schedule = ?", schedule), ("last >= ?", since), ("tick < ?", until))
        ]
        conditions = [(text, value) for text, value in given if value is not None]
        if outcomes:
            # Named in the statement: of those that did not fire there is an index.
            named = ", ".join([repr(str(each)) for each in sorted({*outcomes})])
            conditions.append((f"outcome IN ({named})", None))
        now, found = _decode_ticks(await self._filtered("find_ticks", conditions, limit + 1))
        page = found[:limit]
        return Ticks(now, page, page[-1].id if page and len(found) > limit else None)

    async def _filtered(self, name: str, conditions: Sequence[tuple[str, object]], limit: int) -> str:
        """Read by a statement with these conditions, whose parameters come after now and the limit."""
        session = self._session
        text, parameters = numbered(conditions, first=3)
        statement = fill(session.statement(name).replace("{where}", text), session.place.schema)
        answer: str = await session.reads.value(statement, session.now, limit, *parameters)
        return answer
