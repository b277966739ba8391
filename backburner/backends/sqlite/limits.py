"""Limits and their lanes, in SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.sqlite.appending import carry
from backburner.backends.sqlite.encoding import to_json
from backburner.backends.sqlite.lanes import Lane, named
from backburner.backends.sqlite.statements import load
from backburner.model.lane import LaneRecord, Limit, LimitRecord
from backburner.ports.limits import Lanes
from backburner.resilience import rates

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from backburner.backends.sqlite.session import Session
    from backburner.model.event import NewEvent

__all__ = ["SqliteLimitStore", "declare"]

_LIMITS = load("limits")
_SET = load("set_limits")
_FORGET = load("forget_limit")
_OPEN = load("open_limit")
_RESET = load("reset_lanes")
_SHOW = load("show_lanes")

#: Holders that a lane tells of.
_MOST_HOLDERS = 10


class _Shown(Lane, array_like=True):
    """A lane as it is shown: the column order of its statement."""

    holders: tuple[str, ...]


_decode_limits = msgspec.json.Decoder(tuple[LimitRecord, ...]).decode
_decode_shown = msgspec.json.Decoder(list[_Shown]).decode


class SqliteLimitStore:
    """A `LimitStore`."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def declare(self, limits: Mapping[str, Limit]) -> None:
        """Write what code declares."""
        session = self._session
        await session.write(lambda connection: declare(connection, limits, session.clock.now()))

    async def override(
        self, name: str, limit: Limit | None, *, by: str | None, reason: str | None, events: Sequence[NewEvent] = ()
    ) -> None:
        """Write what an operator sets in place of what code declares."""
        session = self._session

        def change(record: LimitRecord) -> LimitRecord:
            if limit is None:
                return LimitRecord(name=name, declared=record.declared)
            return LimitRecord(name=name, declared=record.declared, override=limit, by=by, reason=reason)

        def work(connection: sqlite3.Connection) -> None:
            now = session.clock.now()
            _change(connection, [name], change, now)
            carry(connection, events, now)

        await session.write(work)

    async def list(self) -> tuple[LimitRecord, ...]:
        """Return the limits that are declared or set, by name."""
        return _decode_limits(await self._session.reads.one(_LIMITS, {"names": None}))

    async def lanes(self, names: Sequence[str]) -> Lanes:
        """Return these lanes, in the order asked."""
        now = self._session.clock.now()
        found = await self._session.reads.one(_SHOW, {"lanes": to_json(names), "most": _MOST_HOLDERS})
        return Lanes(now, tuple(_record(lane, now) for lane in _decode_shown(found)))


def declare(connection: sqlite3.Connection, limits: Mapping[str, Limit], now: int) -> None:
    """Write what code declares, in place of what it declared before; one that is as it was is not written."""
    _change(connection, limits, lambda record: msgspec.structs.replace(record, declared=limits[record.name]), now)


def _change(
    connection: sqlite3.Connection, names: Iterable[str], change: Callable[[LimitRecord], LimitRecord], now: int
) -> None:
    """Write limits of which something changes; lanes open whose limit is another then."""
    asked = [*names]
    (found,) = connection.execute(_LIMITS, {"names": to_json(asked)}).fetchone()
    stored = {record.name: record for record in _decode_limits(found)}
    before = [stored.get(name) or LimitRecord(name=name) for name in asked]
    changes = [(old, new) for old in before if (new := change(old)) != old]
    if changes:
        connection.execute(_SET, {"limits": to_json([msgspec.structs.astuple(new) for _, new in changes])})
    for _, new in changes:
        if new.declared is None and new.override is None:
            connection.execute(_FORGET, {"name": new.name})
    others = [(old, new) for old, new in changes if old.limit != new.limit]
    for _, new in others:
        if new.limit.rate is not None:
            connection.execute(_RESET, {"limit": new.name, "metered": named(new.limit.rate)})
        connection.execute(_OPEN, {"limit": new.name, "now": now})


def _record(lane: _Shown, now: int) -> LaneRecord:
    rate = lane.limit.rate
    return LaneRecord(
        name=lane.name,
        limit=lane.limit,
        running=lane.running,
        holders=lane.holders,
        free_at=None if rate is None else rates.next_at(rate, lane.meter, now),
        parked=bool(lane.parked),
    )
