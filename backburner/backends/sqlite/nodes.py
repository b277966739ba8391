"""The list of nodes, in SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.sqlite.encoding import to_json
from backburner.backends.sqlite.statements import load
from backburner.model.node import NodeRecord

if TYPE_CHECKING:
    import sqlite3

    from backburner.backends.sqlite.session import Session

__all__ = ["SqliteNodeStore"]

_PUBLISH = load("publish")
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

    async def publish(self, node: NodeRecord, ttl: int) -> None:
        """Enter a node, alive until it is withdrawn, abandoned or its process dies."""
        del ttl
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
            self._session.locks.hold(node.id)
            connection.execute(_PUBLISH, row)

        await self._session.write(work)

    async def withdraw(self, node: str) -> None:
        """Strike a node; what it still held is recovered as lapsed."""
        locks = self._session.locks
        await self._session.write(lambda connection: connection.execute(_STRIKE, {"nodes": to_json([node])}).close())
        locks.forget([node])
        locks.release(node)

    async def drain(self, node: str) -> bool:
        """Ask a node to drain; False when no live node has this id."""

        def work(connection: sqlite3.Connection) -> bool:
            if self._session.locks.dead([node]):
                return False
            return connection.execute(_DRAIN, {"node": node}).rowcount > 0

        return await self._session.write(work)

    async def find(self) -> tuple[NodeRecord, ...]:
        """Return the nodes, each alive or not, by id."""
        nodes = _decode_nodes(await self._session.reads.one(_NODES))
        dead = frozenset(self._session.locks.dead(node.id for node in nodes))
        return tuple(msgspec.structs.replace(node, alive=node.id not in dead) for node in nodes)
