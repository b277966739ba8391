"""What metrics show of a store: a few reads, none of which walks over what has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from backburner.ports.jobs import Backlog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from backburner.model.node import NodeRecord
    from backburner.ports.events import EventReader
    from backburner.ports.jobs import JobReader
    from backburner.ports.nodes import NodeStore
    from backburner.ports.schedules import ScheduleStore

__all__ = ["BreakerSeen", "Sample", "Sampler"]

_OPEN = "open"


class BreakerSeen(Protocol):
    """A breaker as operators see it."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def phase(self) -> str:
        """``closed``, ``open``, ``half_open`` or ``closing``."""
        ...

    @property
    def forced(self) -> bool:
        """An operator opened it, whatever its phase."""
        ...


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One moment of a store."""

    backlog: Backlog
    #: How many nodes there are, by state: ``working``, ``draining``, ``dead``.
    nodes: dict[str, int]
    #: Slots of the working nodes, by queue.
    slots: dict[str, int]
    #: The phase of each breaker; of one that an operator opened, ``open``.
    breakers: dict[str, str]
    #: How many events were stored since the last that each subscription is done with.
    lags: dict[str, int]
    #: Microseconds by which the earliest schedule that is due is late; 0: none is due.
    overdue: int


class Sampler:
    """Reads a store, one read after the other; raises what the store raises. ``breakers`` answers them all."""

    def __init__(
        self,
        *,
        reader: JobReader,
        nodes: NodeStore,
        schedules: ScheduleStore,
        events: EventReader,
        breakers: Callable[[], Awaitable[Sequence[BreakerSeen]]],
    ) -> None:
        self._reader = reader
        self._nodes = nodes
        self._schedules = schedules
        self._events = events
        self._breakers = breakers

    async def take(self) -> Sample:
        """Return what the store holds now."""
        backlog = await self._reader.backlog()
        nodes = await self._nodes.find()
        due = await self._schedules.due(1)
        heard = await self._events.subscriptions()
        breakers = await self._breakers()
        return Sample(
            backlog=backlog,
            nodes=_counted(nodes),
            slots=_slots(nodes),
            breakers={seen.name: _OPEN if seen.forced else seen.phase for seen in breakers},
            lags={each.name: max(0, heard.last - each.cursor) for each in heard.subscriptions},
            overdue=max((due.now - each.due_at for each in due.schedules if each.due_at is not None), default=0),
        )


def _counted(nodes: Iterable[NodeRecord]) -> dict[str, int]:
    counted = {"working": 0, "draining": 0, "dead": 0}
    for node in nodes:
        counted["dead" if not node.alive else "draining" if node.draining else "working"] += 1
    return counted


def _slots(nodes: Iterable[NodeRecord]) -> dict[str, int]:
    slots: dict[str, int] = {}
    for node in nodes:
        if node.alive and not node.draining:
            for queue, count in node.queues.items():
                slots[queue] = slots.get(queue, 0) + count
    return slots
