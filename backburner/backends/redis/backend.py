"""The backend in Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.backends.redis import recording
from backburner.backends.redis.admin import RedisJobAdmin
from backburner.backends.redis.cells import RedisCellStore
from backburner.backends.redis.event_reader import RedisEventReader
from backburner.backends.redis.events import RedisEventStore
from backburner.backends.redis.examine import examine
from backburner.backends.redis.jobs import RedisJobStore
from backburner.backends.redis.keeper import RedisKeeper
from backburner.backends.redis.leases import RedisLeaseStore
from backburner.backends.redis.limits import RedisLimitStore
from backburner.backends.redis.nodes import RedisNodeStore
from backburner.backends.redis.notifier import RedisNotifier
from backburner.backends.redis.operations import RedisOperationStore
from backburner.backends.redis.queues import RedisKindStore, RedisQueueStore
from backburner.backends.redis.reader import RedisJobReader
from backburner.backends.redis.schedule_reader import RedisScheduleReader
from backburner.backends.redis.schedules import RedisScheduleStore
from backburner.backends.redis.schema import RedisSchema
from backburner.backends.redis.session import Session
from backburner.backends.redis.transactions import RedisTransactions

if TYPE_CHECKING:
    from backburner.backends.redis.place import RedisPlace
    from backburner.model.clock import Clock
    from backburner.ports.backend import Finding

__all__ = ["RedisBackend"]


class RedisBackend:
    """A `Backend` in one namespace of Redis or Valkey, shared by any number of processes and machines.

    ``write_timeout`` is how many seconds a script may take, from the call to the answer. What was applied is as durable
    as the server is set up to be; a failover may lose the last moments.
    """

    own_thread = True
    timed_leases = True

    def __init__(self, place: RedisPlace, *, clock: Clock, write_timeout: float = 5.0) -> None:
        self._session = session = Session(place, clock, timeout=write_timeout)
        self.jobs = RedisJobStore(session)
        self.reader = RedisJobReader(session)
        self.admin = RedisJobAdmin(session)
        self.nodes = RedisNodeStore(session)
        self.queues = RedisQueueStore(session)
        self.kinds = RedisKindStore(session)
        self.limits = RedisLimitStore(session)
        self.cells = RedisCellStore(session)
        self.leases = RedisLeaseStore(session)
        self.operations = RedisOperationStore(session)
        self.schedules = RedisScheduleStore(session)
        self.schedule_reader = RedisScheduleReader(session)
        self.events = RedisEventStore(session)
        self.event_reader = RedisEventReader(session)
        self.transactions = RedisTransactions()
        self.notifier = RedisNotifier(session)
        self.schema = RedisSchema(session)

    @property
    def address(self) -> str:
        """The server or servers, and the namespace where it is not the usual one."""
        return self._session.place.address

    @property
    def durability(self) -> str:
        """What survives what, as the server said when the store was opened."""
        return self._session.durability

    def keeper(self) -> RedisKeeper:
        """Return a new keeper."""
        return RedisKeeper(self._session)

    async def examine(self) -> tuple[Finding, ...]:
        """Look the open store over."""
        return await examine(self._session)

    async def open(self, *, create: bool, write: bool = True) -> None:
        """Connect, on the running loop."""
        await self.close()
        await self._session.open(write=write)
        try:
            await self.schema.begin(create=create and write)
            if write:
                await self._session.scripts.run("try", self._session.keys.everything, (recording.log_name(),))
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Disconnect; what runs is awaited."""
        await self.notifier.close()
        await self._session.close()
