"""Pausing and limiting queues, and pausing kinds, over all nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, UnsetType

from backburner.errors import InvalidOption
from backburner.model.names import check_name
from backburner.model.node import KindRecord, QueueRecord
from backburner.model.telling import tell
from backburner.model.times import moment
from backburner.ports.backend import Hint
from backburner.resilience.rates import rate_of, rate_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from backburner.model.event import NewEvent
    from backburner.model.lane import Rate
    from backburner.ports.queues import KindStore, QueueStore

__all__ = ["KindPauses", "Queues", "check_limit_slots"]


class Queues:
    """What operators set for queues. Other nodes follow within a second where hints arrive, else within a beat.

    ``tell`` is called with the hint that nodes should hear, without waiting.
    """

    def __init__(self, store: QueueStore, tell: Callable[[Hint], None]) -> None:
        self._store = store
        self._tell = tell

    async def pause(
        self, name: str, *, reason: str | None = None, until: datetime | None = None, by: str | None = None
    ) -> None:
        """Start no more jobs of a queue, for good or until a moment; what runs goes on. Raises `InvalidOption`."""
        end = None if until is None else moment(until, "until")
        record = msgspec.structs.replace(await self._get(name), paused=True, paused_until=end, reason=reason, by=by)
        await self._put(record, tell("operator.queue.paused", name, by=by, reason=reason, until=until))

    async def resume(self, name: str, *, reason: str | None = None, by: str | None = None) -> None:
        """Start jobs of a queue again."""
        record = await self._get(name)
        record = msgspec.structs.replace(record, paused=False, paused_until=None, reason=None, by=None)
        await self._put(record, tell("operator.queue.resumed", name, by=by, reason=reason))

    async def set(
        self,
        name: str,
        *,
        slots: int | UnsetType | None = UNSET,
        rate: str | Rate | UnsetType | None = UNSET,
        reason: str | None = None,
        by: str | None = None,
    ) -> None:
        """Set how many jobs of a queue each node may run, in place of what the code declares, and how many may start.

        ``rate`` holds over all nodes: ``"100/minute"``. None undoes either; what is not given stays. Of a queue that is
        paused, who paused it and why stay. Raises `InvalidOption`.
        """
        if isinstance(slots, UnsetType) and isinstance(rate, UnsetType):
            raise InvalidOption("nothing is set: give slots= or rate=; pause stops a queue", option="slots")
        changes: dict[str, object] = {}
        if not isinstance(slots, UnsetType):
            changes["slots"] = None if slots is None else check_limit_slots(slots, least=1)
        if not isinstance(rate, UnsetType):
            changes["rate"] = None if rate is None else rate_of(rate)
        record = await self._get(name)
        if not record.paused:
            changes |= {"reason": reason, "by": by}
        record = msgspec.structs.replace(record, **changes)
        shown = None if record.rate is None else rate_text(record.rate)
        told = tell("operator.queue.set", name, by=by, reason=reason, slots=record.slots, rate=shown)
        await self._put(record, told)

    async def list(self) -> tuple[QueueRecord, ...]:
        """Return the queues for which something is set."""
        return tuple(record for record in await self._store.list() if record != QueueRecord(name=record.name))

    async def _get(self, name: str) -> QueueRecord:
        check_name(name, "queue")
        return next((record for record in await self._store.list() if record.name == name), QueueRecord(name=name))

    async def _put(self, record: QueueRecord, told: NewEvent) -> None:
        await self._store.set(record, (told,))
        self._tell(Hint.CONTROL)


class KindPauses:
    """Kinds that operators hold back on all nodes, whatever their queue; other nodes follow as they do with queues."""

    def __init__(self, store: KindStore, tell: Callable[[Hint], None]) -> None:
        self._store = store
        self._tell = tell

    async def pause(
        self, name: str, *, reason: str | None = None, until: datetime | None = None, by: str | None = None
    ) -> None:
        """Start no more jobs of a kind, for good or until a moment; what runs goes on. Raises `InvalidOption`."""
        end = None if until is None else moment(until, "until")
        record = KindRecord(name=check_name(name, "kind"), paused_until=end, reason=reason, by=by)
        await self._set(record, tell("operator.kind.paused", name, by=by, reason=reason, until=until))

    async def resume(self, name: str, *, reason: str | None = None, by: str | None = None) -> None:
        """Start jobs of a kind again."""
        record = KindRecord(name=check_name(name, "kind"), paused=False)
        await self._set(record, tell("operator.kind.resumed", name, by=by, reason=reason))

    async def list(self) -> tuple[KindRecord, ...]:
        """Return the kinds that are paused."""
        return await self._store.list()

    async def _set(self, kind: KindRecord, told: NewEvent) -> None:
        await self._store.set(kind, (told,))
        self._tell(Hint.CONTROL)


def check_limit_slots(slots: object, *, least: int) -> int:
    """Return a number of slots, or raise `InvalidOption`."""
    if type(slots) is not int or slots < least:
        stop = "; pause stops a queue" if least else ""
        raise InvalidOption(f"slots is a whole number from {least}, not {slots!r}{stop}", option="slots")
    return slots
