"""What the roles of one backend share while it is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.backends.redis.client import Client
from backburner.backends.redis.keys import Keys
from backburner.backends.redis.scripts import Scripts
from backburner.backends.redis.server import Server

if TYPE_CHECKING:
    from backburner.backends.redis.place import RedisPlace
    from backburner.model.clock import Clock

__all__ = ["Session"]


class Session:
    """The connections, the scripts and the key names of one namespace."""

    def __init__(self, place: RedisPlace, clock: Clock, *, timeout: float) -> None:
        self.place = place
        self.clock = clock
        self.timeout = timeout
        self.keys = Keys(place.namespace)
        self.client = Client(place, timeout=timeout)
        self.scripts = Scripts(self.client, clock, write=False)
        #: What the server said of itself when the store was opened.
        self.server: Server | None = None

    async def open(self, *, write: bool) -> None:
        """Connect; raises `StoreUnsupported` for a server that is too old, `StoreReadOnly` for a replica to write to."""
        await self.close()
        self.client.open()
        try:
            server = await Server.ask(self.client)
            server.check(self.place.address, write=write)
        except BaseException:
            await self.close()
            raise
        self.server = server
        self.scripts = Scripts(self.client, self.clock, write=write)

    async def close(self) -> None:
        """Disconnect; what runs is awaited."""
        self.scripts = Scripts(self.client, self.clock, write=False)
        await self.client.close()

    @property
    def durability(self) -> str:
        """What survives what, as the server said when it was asked last."""
        if self.server is None:
            return "as the server is set up"
        kept = "append-only file" if self.server.keeps else "no append-only file: a restart of the server loses jobs"
        evicts = self.server.evicts
        return f"{kept}; evicts: a full memory loses jobs ({evicts})" if evicts else kept
