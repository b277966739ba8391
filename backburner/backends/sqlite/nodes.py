"""The list of nodes, in SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.sqlite.appending import carry
from backburner.backends.sqlite.encoding import to_json
from backburner.backends.sqlite.statements import load
from backburner.model.node import NodeRecord

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from backburner.backends.sqlite.session import Session
    from backburner.model.event import NewEvent

__all__ = ["SqliteNodeStore"]

_PUBLISH = load("publish")
_HAS_NODE = load("has_node")
_STRIKE = load("strike")
_NODES = load("nodes")
_DRAIN = load("drain")

_decode_nodes = msgspec.json.Decoder(list[NodeRecord]).decode
_encode = msgspec.json.Encoder(order="deterministic").encode


class SqliteNodeStore:
    """A `NodeStore`. A node lives while its lock is held; the time it asks for is not asked about."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def publish(self, node: NodeRecord, ttl: int, events: Sequence[NewEvent] = ()) -> None:
        """Enter a node, alive until it is withdrawn, abandoned or its process dies."""
        del ttl
        session = self._session
        row = {
            "id": node.id,
            "host": node.host,
            "pid": node.pid,
            "started_at": node.started_at,
            "queues": _encode(node.queues).decode(),
            "kinds": _encode(node.kinds).decode(),
            "signatures": _encode(node.signatures).decode(),
            "kind_queues": _encode(node.kind_queues).decode(),
            "schedules": _encode(node.schedules).decode(),
        }

        def work(connection: sqlite3.Connection) -> None:
            # Locked before it is entered: who reads of it sees it alive.
            session.locks.hold(node.id)
            (known,) = connection.execute(_HAS_NODE, {"id": node.id}).fetchone()
            connection.execute(_PUBLISH, row)
            if not known:
                carry(connection, events, session.clock.now())

        await session.write(work)

    async def withdraw(self, node: str, events: Sequence[NewEvent] = ()) -> None:
        """Strike a node; what it still held is recovered as lapsed."""
        session, locks = self._session, self._session.locks

        def work(connection: sqlite3.Connection) -> None:
            if connection.execute(_STRIKE, {"nodes": to_json([node])}).rowcount > 0:
                carry(connection, events, session.clock.now())

        await session.write(work)
        locks.forget([node])
        locks.release(node)

    async def drain(self, node: str, events: Sequence[NewEvent] = ()) -> bool:
        """Ask a node to drain; False when no live node has this id."""
        session = self._session

        def work(connection: sqlite3.Connection) -> bool:
            if session.locks.dead([node]) or connection.execute(_DRAIN, {"node": node}).rowcount < 1:
                return False
            carry(connection, events, session.clock.now())
            return True

        return await session.write(work)

    async def find(self) -> tuple[NodeRecord, ...]:
        """Return the nodes, each alive or not, by id."""
        nodes = _decode_nodes(await self._session.reads.one(_NODES))
        dead = frozenset(self._session.locks.dead(node.id for node in nodes))
        return tuple(msgspec.structs.replace(node, alive=node.id not in dead) for node in nodes)
