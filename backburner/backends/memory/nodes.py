"""The roles that know who is alive, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.content import refuse_events
from backburner.backends.memory.claiming import require_lease
from backburner.backends.memory.database import Node
from backburner.ports.backend import Hint
from backburner.ports.nodes import Beat, Held

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

    from backburner.backends.memory.connection import Connection
    from backburner.model.event import NewEvent
    from backburner.model.node import NodeRecord

__all__ = ["MemoryKeeper", "MemoryNodeStore"]


class MemoryKeeper:
    """A `Keeper`."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        pass

    async def beat(self, node: str, ttl: int) -> Beat:
        """Renew the node's lease and answer what it holds."""
        database = self._connection.writing()
        now = self._connection.clock.now()
        require_lease(database, node, now)
        database.nodes[node].lease = now + ttl
        rows = database.running.get(node, {})
        return Beat(
            now=now,
            claims=tuple(Held(row.job.id, row.token, row.asked is not None) for row in rows.values()),
            drain=database.nodes[node].draining,
        )

    async def abandon(self, node: str) -> None:
        """Let the lease go at once."""
        database = self._connection.writing()
        entry = database.nodes.get(node)
        if entry is not None:
            entry.lease = 0
            database.changed(self._connection, Hint.LAPSE)


class MemoryNodeStore:
    """A `NodeStore`."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def publish(self, node: NodeRecord, ttl: int, events: Sequence[NewEvent] = ()) -> None:
        """Enter a node, alive for ``ttl``."""
        database = self._connection.writing()
        refuse_events(events)
        now = self._connection.clock.now()
        known = database.nodes.get(node.id)
        draining = known is not None and known.draining
        database.nodes[node.id] = Node(node, now + ttl, draining=draining)
        if known is None:
            database.log.append(events, now)

    async def withdraw(self, node: str, events: Sequence[NewEvent] = ()) -> None:
        """Strike a node."""
        database = self._connection.writing()
        refuse_events(events)
        if database.nodes.pop(node, None) is not None:
            database.log.append(events, self._connection.clock.now())
        if node in database.running:
            database.changed(self._connection, Hint.LAPSE)

    async def drain(self, node: str, events: Sequence[NewEvent] = ()) -> bool:
        """Ask a live node to drain."""
        database = self._connection.writing()
        refuse_events(events)
        now = self._connection.clock.now()
        if not database.alive(node, now):
            return False
        database.nodes[node].draining = True
        database.log.append(events, now)
        database.changed(self._connection, Hint.CONTROL)
        return True

    async def find(self) -> tuple[NodeRecord, ...]:
        """Return the nodes, each alive or not, by id."""
        database = self._connection.reading()
        now = self._connection.clock.now()
        return tuple(
            msgspec.structs.replace(node.record, alive=node.lease > now, draining=node.draining)
            for _, node in sorted(database.nodes.items())
        )
