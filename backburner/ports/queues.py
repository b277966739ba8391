"""The role that holds pauses and limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from backburner.model.node import QueueRecord

__all__ = ["QueueStore"]


class QueueStore(Protocol):
    """What operators set for queues; `JobStore.claim` and births read it in their own step."""

    async def set(self, queue: QueueRecord) -> None:
        """Write a queue's settings, in place of those before."""
        ...

    async def list(self) -> tuple[QueueRecord, ...]:
        """Return the queues that have settings, by name; a pause whose end has passed is shown as none."""
        ...
