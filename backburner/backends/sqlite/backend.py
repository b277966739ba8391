"""The backend in SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.backends.sqlite.admin import SqliteJobAdmin
from backburner.backends.sqlite.cells import SqliteCellStore
from backburner.backends.sqlite.event_reader import SqliteEventReader
from backburner.backends.sqlite.events import SqliteEventStore
from backburner.backends.sqlite.examining import examine
from backburner.backends.sqlite.jobs import SqliteJobStore
from backburner.backends.sqlite.keeper import SqliteKeeper
from backburner.backends.sqlite.kinds import SqliteKindStore
from backburner.backends.sqlite.leases import SqliteLeaseStore
from backburner.backends.sqlite.limits import SqliteLimitStore
from backburner.backends.sqlite.nodes import SqliteNodeStore
from backburner.backends.sqlite.notifier import SqliteNotifier
from backburner.backends.sqlite.operations import SqliteOperationStore
from backburner.backends.sqlite.place import Place
from backburner.backends.sqlite.queues import SqliteQueueStore
from backburner.backends.sqlite.reader import SqliteJobReader
from backburner.backends.sqlite.schedule_reader import SqliteScheduleReader
from backburner.backends.sqlite.schedules import SqliteScheduleStore
from backburner.backends.sqlite.schema import SqliteSchema
from backburner.backends.sqlite.session import Session
from backburner.backends.sqlite.transactions import SqliteTransactions

if TYPE_CHECKING:
    from pathlib import Path

    from backburner.model.clock import Clock
    from backburner.ports.backend import Finding

__all__ = ["SqliteBackend"]


class SqliteBackend:
    """A `Backend` in one file on a local disk, shared by the processes of one machine.

    ``write_timeout`` is how many seconds a transaction waits for the file's lock, and may take. ``synchronous`` is
    SQLite's: under FULL every commit survives a power cut, under NORMAL the last ones may be lost (none is torn).
    """

    own_thread = True
    timed_leases = False

    def __init__(self, path: Path, *, clock: Clock, write_timeout: float = 5.0, synchronous: str = "FULL") -> None:
        place = Place(path=path.resolve(), timeout=write_timeout, synchronous=synchronous.upper())
        self._session = session = Session(place, clock)
        self.transactions = SqliteTransactions(session)
        self.jobs = SqliteJobStore(session, self.transactions)
        self.reader = SqliteJobReader(session)
        self.admin = SqliteJobAdmin(session)
        self.nodes = SqliteNodeStore(session)
        self.queues = SqliteQueueStore(session)
        self.kinds = SqliteKindStore(session)
        self.limits = SqliteLimitStore(session)
        self.cells = SqliteCellStore(session)
        self.leases = SqliteLeaseStore(session)
        self.operations = SqliteOperationStore(session)
        self.schedules = SqliteScheduleStore(session)
        self.schedule_reader = SqliteScheduleReader(session)
        self.events = SqliteEventStore(session, self.transactions)
        self.event_reader = SqliteEventReader(session)
        self.notifier = SqliteNotifier(session)
        self.schema = SqliteSchema(session)

    @property
    def address(self) -> str:
        """The file's absolute path."""
        return f"sqlite:///{self._session.place.path}"

    @property
    def durability(self) -> str:
        """What survives what."""
        return f"WAL, synchronous={self._session.place.synchronous}"

    def keeper(self) -> SqliteKeeper:
        """Return a new keeper."""
        return SqliteKeeper(self._session)

    async def examine(self) -> tuple[Finding, ...]:
        """Look the open store over."""
        return await examine(self._session, self.schema, self.nodes)

    async def open(self, *, create: bool, write: bool = True) -> None:
        """Connect, on the running loop."""
        await self._session.open(create=create, write=write)

    async def close(self) -> None:
        """Disconnect; what waits is written first, and locks still held are let go."""
        await self._session.close()
