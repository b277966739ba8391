"""What operators set for queues and kinds, in Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.redis import sending
from backburner.model.lane import Rate
from backburner.model.node import KindRecord, QueueRecord
from backburner.ports.backend import Hint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.backends.redis.session import Session
    from backburner.model.event import NewEvent

__all__ = ["RedisKindStore", "RedisQueueStore"]


class _Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings as scripts read them: a moment as 19 digits, since their numbers are floats."""

    name: str
    paused: bool
    paused_until: str | None
    reason: str | None
    by: str | None
    slots: int | None = None
    rate: Rate | None = None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Settings).decode


def _text(rate: Rate) -> str:
    """Return a rate as scripts write it (`rate_of` in lanes.lua)."""
    return f"{rate.algorithm} {rate.limit} {rate.period} {rate.burst}"


class RedisQueueStore:
    """A `QueueStore`."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def set(self, queue: QueueRecord, events: Sequence[NewEvent] = ()) -> None:
        """Write a queue's settings."""
        keys = self._session.keys
        settings = _Settings(
            name=queue.name,
            paused=queue.paused,
            paused_until=_digits(queue.paused_until),
            reason=queue.reason,
            by=queue.by,
            slots=queue.slots,
            rate=queue.rate,
        )
        text = "" if queue.rate is None else _text(queue.rate)
        await self._session.scripts.run(
            "queues_set",
            (*keys.logging, keys.queues, keys.leases, keys.meters, keys.filling),
            (queue.name, _encode(settings), text, keys.hints, Hint.CONTROL, sending.events(events)),
        )

    async def list(self) -> tuple[QueueRecord, ...]:
        """Return the queues that have settings, by name."""
        now, packed = await self._session.scripts.read("queues_list", (self._session.keys.queues,))
        return tuple(sorted((_queue(_decode(each), now) for each in packed), key=lambda queue: queue.name))


class RedisKindStore:
    """A `KindStore`."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def set(self, kind: KindRecord, events: Sequence[NewEvent] = ()) -> None:
        """Write a kind's pause; one that is not paused is forgotten."""
        keys = self._session.keys
        settings = _Settings(
            name=kind.name,
            paused=True,
            paused_until=_digits(kind.paused_until),
            reason=kind.reason,
            by=kind.by,
        )
        packed = _encode(settings) if kind.paused else b""
        args = (kind.name, packed, keys.hints, Hint.CONTROL, sending.events(events))
        await self._session.scripts.run("kinds_set", (*keys.logging, keys.kinds, keys.leases), args)

    async def list(self) -> tuple[KindRecord, ...]:
        """Return the kinds that are paused, by name."""
        now, packed = await self._session.scripts.read("queues_list", (self._session.keys.kinds,))
        kinds = (_kind(settings) for each in packed if _is_paused(settings := _decode(each), now))
        return tuple(sorted(kinds, key=lambda kind: kind.name))


def _digits(moment: int | None) -> str | None:
    return None if moment is None else f"{max(0, moment):019}"


def _moment(settings: _Settings) -> int | None:
    return None if settings.paused_until is None else int(settings.paused_until)


def _is_paused(settings: _Settings, now: int) -> bool:
    until = _moment(settings)
    return settings.paused and (until is None or until > now)


def _queue(settings: _Settings, now: int) -> QueueRecord:
    paused = _is_paused(settings, now)
    return QueueRecord(
        name=settings.name,
        paused=paused,
        paused_until=_moment(settings) if paused else None,
        reason=settings.reason,
        by=settings.by,
        slots=settings.slots,
        rate=settings.rate,
    )


def _kind(settings: _Settings) -> KindRecord:
    return KindRecord(name=settings.name, paused_until=_moment(settings), reason=settings.reason, by=settings.by)
