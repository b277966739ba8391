"""The list of nodes, in Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from backburner.backends.redis import sending
from backburner.model.node import NodeRecord
from backburner.ports.backend import Hint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backburner.backends.redis.session import Session
    from backburner.model.event import NewEvent

__all__ = ["RedisNodeStore"]

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(NodeRecord).decode

#: What stands before the record of a node that was asked to drain: the node itself does not write it.
_DRAINING = b"1"


class RedisNodeStore:
    """A `NodeStore`. A node lives as long as its lease, by the server's clock."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    async def publish(self, node: NodeRecord, ttl: int, events: Sequence[NewEvent] = ()) -> None:
        """Enter a node, alive for ``ttl`` microseconds unless it beats."""
        keys = self._session.keys
        args = (node.id, _encode(node), ttl, sending.events(events))
        await self._session.scripts.run("nodes_publish", (*keys.logging, keys.nodes, keys.leases), args)

    async def withdraw(self, node: str, events: Sequence[NewEvent] = ()) -> None:
        """Strike a node; what it still held is recovered as lapsed."""
        keys = self._session.keys
        args = (node, keys.hints, Hint.LAPSE, sending.events(events))
        await self._session.scripts.run("nodes_withdraw", (*keys.logging, keys.nodes, keys.leases, keys.held), args)

    async def drain(self, node: str, events: Sequence[NewEvent] = ()) -> bool:
        """Ask a node to drain; False when no live node has this id."""
        keys = self._session.keys
        args = (node, keys.hints, Hint.CONTROL, sending.events(events))
        return bool(await self._session.scripts.run("nodes_drain", (*keys.logging, keys.nodes, keys.leases), args))

    async def find(self) -> tuple[NodeRecord, ...]:
        """Return the nodes, each alive or not, by id."""
        keys = self._session.keys
        answer = await self._session.scripts.read("nodes_find", (keys.nodes, keys.leases))
        found = (
            msgspec.structs.replace(_decode(entry[1:]), alive=bool(alive), draining=entry[:1] == _DRAINING)
            for entry, alive in zip(answer[::2], answer[1::2], strict=True)
        )
        return tuple(sorted(found, key=lambda node: node.id))
