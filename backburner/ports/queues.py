"""The roles that hold pauses and queues' limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.model.event import NewEvent
    from backburner.model.node import KindRecord, QueueRecord

__all__ = ["KindStore", "QueueStore"]


class QueueStore(Protocol):
    """What operators set for queues; `JobStore.claim` and births read it in their own step."""

    async def set(self, queue: QueueRecord, events: Sequence[NewEvent] = ()) -> None:
        """Write a queue's settings, in place of those before; the use of its rate is kept, another begins anew.

        Events are stored in the same step, as by `EventStore.append`.
        """
        ...

    async def list(self) -> tuple[QueueRecord, ...]:
        """Return the queues that have settings, by name; a pause whose end has passed is shown as none."""
        ...


class KindStore(Protocol):
    """Kinds that operators have paused; `JobStore.claim` and births read it in their own step."""

    async def set(self, kind: KindRecord, events: Sequence[NewEvent] = ()) -> None:
        """Write a kind's pause, in place of the one before; one that is not paused is forgotten. Events as with queues."""
        ...

    async def list(self) -> tuple[KindRecord, ...]:
        """Return the kinds that are paused, by name; a pause whose end has passed is none."""
        ...
