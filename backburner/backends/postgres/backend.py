"""The backend in PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backburner.backends.postgres.admin import PostgresJobAdmin
from backburner.backends.postgres.event_reader import PostgresEventReader
from backburner.backends.postgres.events import PostgresEventStore
from backburner.backends.postgres.examining import examine
from backburner.backends.postgres.jobs import PostgresJobStore
from backburner.backends.postgres.keeper import PostgresKeeper
from backburner.backends.postgres.leases import PostgresLeaseStore
from backburner.backends.postgres.limits import PostgresCellStore, PostgresLimitStore
from backburner.backends.postgres.nodes import PostgresNodeStore
from backburner.backends.postgres.notifier import PostgresNotifier
from backburner.backends.postgres.operations import PostgresOperationStore
from backburner.backends.postgres.queues import PostgresKindStore, PostgresQueueStore
from backburner.backends.postgres.reader import PostgresJobReader
from backburner.backends.postgres.schedule_reader import PostgresScheduleReader
from backburner.backends.postgres.schedules import PostgresScheduleStore
from backburner.backends.postgres.schema import PostgresSchema
from backburner.backends.postgres.session import Session
from backburner.backends.postgres.transactions import PostgresTransactions
from backburner.shield import to_the_end

if TYPE_CHECKING:
    from backburner.backends.postgres.place import PostgresPlace
    from backburner.model.clock import Clock
    from backburner.ports.backend import Finding

__all__ = ["PostgresBackend"]


class PostgresBackend:
    """A `Backend` in one schema of a PostgreSQL database.

    ``write_timeout`` is how many seconds a transaction may take, connecting included. The time is the server's; only a
    clock that is no `SystemClock`, as tests have, takes its place.
    """

    own_thread = True
    timed_leases = True

    def __init__(self, place: PostgresPlace, *, clock: Clock, write_timeout: float = 5.0) -> None:
        self._session = session = Session(place, clock, write_timeout)
        self.transactions = PostgresTransactions(session)
        self.jobs = PostgresJobStore(session, self.transactions)
        self.reader = PostgresJobReader(session)
        self.admin = PostgresJobAdmin(session)
        self.nodes = PostgresNodeStore(session)
        self.queues = PostgresQueueStore(session)
        self.kinds = PostgresKindStore(session)
        self.limits = PostgresLimitStore(session)
        self.cells = PostgresCellStore(session)
        self.leases = PostgresLeaseStore(session)
        self.operations = PostgresOperationStore(session)
        self.schedules = PostgresScheduleStore(session)
        self.schedule_reader = PostgresScheduleReader(session)
        self.events = PostgresEventStore(session, self.transactions)
        self.event_reader = PostgresEventReader(session)
        self.notifier = PostgresNotifier(session)
        self.schema = PostgresSchema(session)

    @property
    def address(self) -> str:
        """Server, database and schema."""
        return self._session.place.address

    @property
    def durability(self) -> str:
        """What survives what, as the server had it set when the store was opened."""
        return self._session.durability

    def keeper(self) -> PostgresKeeper:
        """Return a new keeper."""
        return PostgresKeeper(self._session)

    async def examine(self) -> tuple[Finding, ...]:
        """Look the open store over."""
        return await examine(self._session, self.schema)

    async def open(self, *, create: bool, write: bool = True) -> None:
        """Connect, on the running loop."""
        await self.close()
        await self._session.open(create=create, write=write)

    async def close(self) -> None:
        """Disconnect; what runs is awaited."""
        await to_the_end(self._close())

    async def _close(self) -> None:
        await self.notifier.close()
        await self._session.close()
