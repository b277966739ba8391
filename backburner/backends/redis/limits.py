"""Limits and lanes, in Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from backburner.backends.redis import packing
from backburner.backends.redis.sending import events as sent_events
from backburner.backends.redis.sending import pack
from backburner.model.lane import LaneRecord, Limit, LimitRecord
from backburner.ports.backend import Hint
from backburner.ports.limits import Lanes
from backburner.shield import to_the_end

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from backburner.backends.redis.session import Session
    from backburner.model.event import NewEvent

__all__ = ["RedisLimitStore", "limit_text", "open_the_rest"]

#: Holders of a lane that are answered.
_HOLDERS = 10

limit_text = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Limit).decode


class _Kept(msgspec.Struct):
    """A limit as ``lanes.lua`` has it: the limits themselves as JSON."""

    declared: str | None = None
    override: str | None = None
    by: str | None = None
    reason: str | None = None


_decode_kept = msgspec.msgpack.Decoder(_Kept).decode


class RedisLimitStore:
    """A `LimitStore`."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def declare(self, limits: Mapping[str, Limit]) -> None:
        """Write what code declares, by name."""
        if limits:
            await to_the_end(
                self._change(
                    "limits_declare", *(arg for item in limits.items() for arg in (item[0], limit_text(item[1])))
                )
            )

    async def override(
        self, name: str, limit: Limit | None, *, by: str | None, reason: str | None, events: Sequence[NewEvent] = ()
    ) -> None:
        """Write what an operator sets in place of what code declares; None takes that back."""
        text = None if limit is None else limit_text(limit).decode()
        # Whoever takes it back sets nothing any more.
        by, reason = (by, reason) if limit is not None else (None, None)
        told = sent_events(events)
        await to_the_end(self._change("limits_override", name, pack(text), pack(by), pack(reason), told))

    async def _change(self, script: str, *args: str | bytes) -> None:
        keys = self._session.keys
        await open_the_rest(
            self._session, await self._session.scripts.run(script, keys.tables, (keys.hints, Hint.CONTROL, *args))
        )

    async def list(self) -> tuple[LimitRecord, ...]:
        """Return the limits that are declared or set, by name."""
        answer = await self._session.scripts.read("read_limits", (self._session.keys.limits,))
        found = (
            _record(name.decode(), _decode_kept(kept)) for name, kept in zip(answer[::2], answer[1::2], strict=True)
        )
        kept = (limit for limit in found if limit.declared is not None or limit.override is not None)
        return tuple(sorted(kept, key=lambda limit: limit.name))

    async def lanes(self, names: Sequence[str]) -> Lanes:
        """Return these lanes, in the order asked."""
        now, *found = await self._session.scripts.read("read_lanes", self._session.keys.tables, (_HOLDERS, *names))
        return Lanes(packing.number(now), tuple(_lane(name, answer) for name, answer in zip(names, found, strict=True)))


async def open_the_rest(session: Session, unfinished: Sequence[bytes]) -> None:
    """Open the other lanes of limits, named with the last lane that was opened, where one script was not enough."""
    for limit, last in zip(unfinished[::2], unfinished[1::2], strict=True):
        lane: bytes | None = last
        while lane is not None:
            lane = await session.scripts.run("limits_open", session.keys.tables, (limit, lane))


def _record(name: str, kept: _Kept) -> LimitRecord:
    return LimitRecord(
        name=name,
        declared=None if kept.declared is None else _decode(kept.declared),
        override=None if kept.override is None else _decode(kept.override),
        by=kept.by,
        reason=kept.reason,
    )


def _lane(name: str, answer: Sequence[Any]) -> LaneRecord:
    limit, running, holders, free_at, parked = answer
    return LaneRecord(
        name=name,
        limit=_decode(limit),
        running=running,
        holders=tuple(holder.decode() for holder in holders),
        free_at=packing.number(free_at) if free_at else None,
        parked=bool(parked),
    )
