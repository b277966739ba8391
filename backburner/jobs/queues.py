"""Pausing and limiting queues, over all nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.errors import InvalidOption
from backburner.model.names import check_name
from backburner.model.node import QueueRecord
from backburner.model.times import moment
from backburner.ports.backend import Hint

if TYPE_CHECKING:
    from datetime import datetime

    from backburner.jobs.hints import Hints
    from backburner.ports.queues import QueueStore

__all__ = ["Queues"]


class Queues:
    """What operators set for queues. Other nodes follow within a second where hints arrive, else within a beat."""

    def __init__(self, store: QueueStore, hints: Hints) -> None:
        self._store = store
        self._hints = hints

    async def pause(
        self, name: str, *, reason: str | None = None, until: datetime | None = None, by: str | None = None
    ) -> None:
        """Start no more jobs of a queue, for good or until a moment; what runs goes on."""
        changes: dict[str, object] = {
            "paused": True,
            "paused_until": None if until is None else moment(until, "until"),
            "reason": reason,
            "by": by,
        }
        await self._change(name, changes)

    async def resume(self, name: str) -> None:
        """Start jobs of a queue again."""
        await self._change(name, {"paused": False, "paused_until": None, "reason": None, "by": None})

    async def set(self, name: str, *, slots: int | None) -> None:
        """Set how many jobs of a queue a node may run, in place of what the code declares; None undoes it."""
        if slots is not None and (type(slots) is not int or slots < 1):
            raise InvalidOption(f"slots is a whole number from 1, not {slots!r}; pause stops a queue", option="slots")
        await self._change(name, {"slots": slots})

    async def list(self) -> tuple[QueueRecord, ...]:
        """Return the queues for which something is set."""
        return await self._store.list()

    async def _change(self, name: str, changes: dict[str, object]) -> None:
        check_name(name, "queue")
        known = {record.name: record for record in await self._store.list()}
        record = known.get(name, QueueRecord(name=name))
        await self._store.set(msgspec.structs.replace(record, **changes))
        self._hints.tell(Hint.CONTROL)
