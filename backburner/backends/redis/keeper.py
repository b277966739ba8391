"""The keeper, in Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.backends.redis import packing
from backburner.backends.redis.client import Client
from backburner.backends.redis.scripts import Scripts
from backburner.ports.backend import Hint
from backburner.ports.nodes import Beat

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from backburner.backends.redis.session import Session

__all__ = ["RedisKeeper"]


class RedisKeeper:
    """A `Keeper`, with a connection of its own, on whichever loop enters it."""

    __slots__ = ("_client", "_keys", "_scripts")

    def __init__(self, session: Session) -> None:
        self._client = Client(session.place, timeout=session.timeout, connections=1)
        self._scripts = Scripts(self._client, session.clock, write=True)
        self._keys = session.keys

    async def __aenter__(self) -> Self:
        self._client.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        await self._client.close()

    async def beat(self, node: str, ttl: int) -> Beat:
        """Renew the lease and answer what the node holds; raises `LeaseLost` when the lease had run out."""
        keys = self._keys
        now, draining, *held = await self._scripts.run(
            "nodes_beat", (keys.nodes, keys.leases, keys.held, keys.runs), (node, ttl)
        )
        return Beat(
            now=now,
            claims=tuple(
                packing.held(job_id.decode(), head) for job_id, head in zip(held[::2], held[1::2], strict=True)
            ),
            drain=draining == b"1",
        )

    async def abandon(self, node: str) -> None:
        """End the lease at once."""
        keys = self._keys
        await self._scripts.run("nodes_abandon", (keys.leases,), (node, keys.hints, Hint.LAPSE))
