"""The backend in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.backends.memory.admin import MemoryJobAdmin
from backburner.backends.memory.connection import Connection
from backburner.backends.memory.database import MemoryDatabase
from backburner.backends.memory.events import MemoryEventReader, MemoryEventStore
from backburner.backends.memory.jobs import MemoryJobStore
from backburner.backends.memory.leases import MemoryLeaseStore
from backburner.backends.memory.limits import MemoryCellStore, MemoryLimitStore
from backburner.backends.memory.nodes import MemoryKeeper, MemoryNodeStore
from backburner.backends.memory.notifier import MemoryNotifier
from backburner.backends.memory.operations import MemoryOperationStore
from backburner.backends.memory.queues import MemoryKindStore, MemoryQueueStore
from backburner.backends.memory.reader import MemoryJobReader
from backburner.backends.memory.schedules import MemoryScheduleReader, MemoryScheduleStore
from backburner.backends.memory.transactions import MemoryTransactions
from backburner.ports.backend import Finding, Level, SchemaState

if TYPE_CHECKING:
    from backburner.model.clock import Clock
    from backburner.ports.backend import Migration

__all__ = ["MemoryBackend"]


class MemorySchema:
    """A `Schema` without tables: there is never anything to do."""

    @property
    def steps(self) -> tuple[Migration, ...]:
        """There are none."""
        return ()

    @property
    def unattended(self) -> bool:
        """There is nothing to upgrade."""
        return True

    def grants(self, role: str) -> str | None:
        """Answer that this store knows no roles."""
        del role
        return None

    async def state(self) -> SchemaState:
        """Answer that nothing is wanted."""
        return SchemaState(current=0, wanted=0, pending=())

    async def upgrade(self) -> SchemaState:
        """Do nothing."""
        return await self.state()


class MemoryBackend:
    """A `Backend` whose jobs live in a `MemoryDatabase`, and die with it; several may share one.

    With ``pretends`` it takes whatever transaction it is told to join for one that has committed at once, as tests want.
    Closed and opened again, on another loop too, it finds its jobs as they were.
    """

    address = "memory://"
    durability = "none: dies with the process"
    own_thread = False
    timed_leases = False

    def __init__(self, clock: Clock, database: MemoryDatabase | None = None, *, pretends: bool = False) -> None:
        database = MemoryDatabase() if database is None else database
        self._connection = connection = Connection(clock, database, pretends=pretends)
        self.jobs = MemoryJobStore(connection)
        self.reader = MemoryJobReader(connection)
        self.admin = MemoryJobAdmin(connection)
        self.nodes = MemoryNodeStore(connection)
        self.queues = MemoryQueueStore(connection)
        self.kinds = MemoryKindStore(connection)
        self.limits = MemoryLimitStore(connection)
        self.cells = MemoryCellStore(connection)
        self.leases = MemoryLeaseStore(connection)
        self.operations = MemoryOperationStore(connection)
        self.schedules = MemoryScheduleStore(connection)
        self.schedule_reader = MemoryScheduleReader(connection)
        self.events = MemoryEventStore(connection)
        self.event_reader = MemoryEventReader(connection)
        self.transactions = MemoryTransactions(connection)
        self.notifier = MemoryNotifier(connection)
        self.schema = MemorySchema()

    def keeper(self) -> MemoryKeeper:
        """Return a new keeper."""
        return MemoryKeeper(self._connection)

    async def examine(self) -> tuple[Finding, ...]:
        """Say that it is memory: there is nothing else to look at."""
        self._connection.reading()
        found = Finding(
            check="durability",
            level=Level.WARNING,
            found="The store is memory: its jobs die with the process, and no other process sees them",
            mend="for work that must survive, give a URL such as sqlite:///jobs.db",
        )
        return (found,)

    async def open(self, *, create: bool, write: bool = True) -> None:
        """Open the store; memory is always there, so there is nothing to create."""
        del create
        self._connection.open(write=write)

    async def close(self) -> None:
        """Close the store; its listeners are forgotten, its jobs are not."""
        self._connection.close()
