"""The list of nodes, in PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.postgres.appending import carried
from backburner.model.node import NodeRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.backends.postgres.session import Session
    from backburner.model.event import NewEvent

__all__ = ["PostgresNodeStore"]

_decode_nodes = msgspec.json.Decoder(tuple[NodeRecord, ...]).decode
_encode = msgspec.json.Encoder(order="deterministic").encode


class PostgresNodeStore:
    """A `NodeStore`. A node lives until a moment of the server's clock, which each of its beats puts off."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def publish(self, node: NodeRecord, ttl: int, events: Sequence[NewEvent] = ()) -> None:
        """Enter a node, alive for ``ttl`` microseconds unless it beats, and store events if it is new."""
        session = self._session
        queues, signatures = _encode(node.queues).decode(), _encode(node.signatures).decode()
        row = (node.id, node.host, node.pid, node.started_at, queues, [*node.kinds], signatures)
        more = (_encode(node.kind_queues).decode(), [*node.schedules], ttl, carried(events, session.now))
        await session.runs.value(session.statement("publish"), session.now, *row, *more)

    async def withdraw(self, node: str, events: Sequence[NewEvent] = ()) -> None:
        """Strike a node, and store events if it was there; what it still held is recovered as lapsed."""
        session = self._session
        await session.runs.value(session.statement("withdraw"), node, carried(events, session.now))

    async def drain(self, node: str, events: Sequence[NewEvent] = ()) -> bool:
        """Ask a node to drain, and store events; False, and none, when no live node has this id."""
        session = self._session
        told = carried(events, session.now)
        return await session.runs.value(session.statement("drain"), session.now, node, told) is not None

    async def find(self) -> tuple[NodeRecord, ...]:
        """Return the nodes, each alive or not, by id."""
        session = self._session
        return _decode_nodes(await session.reads.value(session.statement("nodes"), session.now))
