"""A backend: a record of roles, and the three verbs of its life."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from backburner.ports.events import EventReader, EventStore
    from backburner.ports.jobs import JobAdmin, JobReader, JobStore
    from backburner.ports.leases import LeaseStore
    from backburner.ports.limits import CellStore, LimitStore
    from backburner.ports.nodes import Keeper, NodeStore
    from backburner.ports.operations import OperationStore
    from backburner.ports.queues import KindStore, QueueStore
    from backburner.ports.schedules import ScheduleReader, ScheduleStore

__all__ = [
    "Backend",
    "Finding",
    "Hint",
    "Level",
    "Migration",
    "Notifier",
    "Schema",
    "SchemaState",
    "Transactions",
]


class Hint(StrEnum):
    """What may have changed. Hints are lossy: nothing may depend on one arriving."""

    #: Jobs may be due, or have ended.
    JOBS = "jobs"
    #: A job was cancelled, a queue or kind paused or resumed, a limit or breaker changed, an operation begun, a
    #: schedule written, a node asked to drain.
    CONTROL = "control"
    #: A node died.
    LAPSE = "lapse"
    #: A lock was let go.
    LOCK = "lock"


class Notifier(Protocol):
    """Carries hints between nodes."""

    async def notify(self, hint: Hint) -> None:
        """Tell every listener of this store on other nodes; never raises for want of a listener.

        Whether this backend's own listeners hear it too is the store's affair: the engine tells itself what it must know.
        """
        ...

    def listen(self, heard: Callable[[Hint], None]) -> Callable[[], None]:
        """Call ``heard`` on the listening loop for each hint, also for changes nobody notified of; returns the end.

        Where the store cannot see those, it hints for nothing now and then: every few seconds, more often while its
        connection is down, and once that is back.
        """
        ...


class Migration(msgspec.Struct, frozen=True):
    """One step of the schema."""

    version: int
    name: str
    sql: str
    #: SHA-256 of the SQL, in hexadecimal: an applied step that reads otherwise today is refused.
    checksum: str


class SchemaState(msgspec.Struct, frozen=True, kw_only=True):
    """Which version a store has (0: empty) and which this code wants."""

    current: int
    wanted: int
    #: The steps still to apply, in order.
    pending: tuple[Migration, ...]


class Schema(Protocol):
    """The store's tables and their versions. A store without tables has none of this to do."""

    @property
    def steps(self) -> tuple[Migration, ...]:
        """Every step this code knows, in order; needs no open store."""
        ...

    @property
    def unattended(self) -> bool:
        """Whether an engine that starts may upgrade an older store by itself; an empty one it always may."""
        ...

    def grants(self, role: str) -> str | None:
        """Return the SQL that lets a role operate the store, but change no schema; None where a store knows no roles."""
        ...

    async def state(self) -> SchemaState:
        """Compare; raises `SchemaTooNew`, and `StoreCorrupt` for an applied step whose checksum differs."""
        ...

    async def upgrade(self) -> SchemaState:
        """Apply what is pending, once, however many processes do so at the same time; returns the state before."""
        ...


class Transactions(Protocol):
    """Callers' own connections, whose transactions jobs may join."""

    def is_open(self, tx: object) -> bool:
        """Tell, without asking the store, whether this connection stands in a transaction.

        Raises `TransactionRefused`, saying what to use instead, for anything this store cannot join.
        """
        ...


class Level(StrEnum):
    """How much a finding matters."""

    #: As it should be.
    GOOD = "good"
    #: Works, with less than what is promised or could be had.
    WARNING = "warning"
    #: Does not work, or loses what it should keep.
    PROBLEM = "problem"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at in a store."""

    #: What was looked at, in a word or two, such as ``durability``.
    check: str
    level: Level
    #: What was found, in one sentence without a full stop.
    found: str
    #: How to mend it; empty where there is nothing to mend.
    mend: str = ""


class Backend(Protocol):
    """One attribute a role. Roles of one backend see each other's writes."""

    @property
    def jobs(self) -> JobStore: ...
    @property
    def reader(self) -> JobReader: ...
    @property
    def admin(self) -> JobAdmin: ...
    @property
    def nodes(self) -> NodeStore: ...
    @property
    def queues(self) -> QueueStore: ...
    @property
    def kinds(self) -> KindStore: ...
    @property
    def limits(self) -> LimitStore: ...
    @property
    def cells(self) -> CellStore: ...
    @property
    def leases(self) -> LeaseStore: ...
    @property
    def operations(self) -> OperationStore: ...
    @property
    def schedules(self) -> ScheduleStore: ...
    @property
    def schedule_reader(self) -> ScheduleReader: ...
    @property
    def events(self) -> EventStore: ...
    @property
    def event_reader(self) -> EventReader: ...
    @property
    def transactions(self) -> Transactions: ...
    @property
    def notifier(self) -> Notifier: ...
    @property
    def schema(self) -> Schema: ...

    @property
    def address(self) -> str:
        """Where the store is, absolute, without secrets: what the start line names."""
        ...

    @property
    def durability(self) -> str:
        """What survives what, in a word or two: what the start line says."""
        ...

    @property
    def own_thread(self) -> bool:
        """Whether its keeper beats from a thread of its own; otherwise it beats on the engine's loop."""
        ...

    @property
    def timed_leases(self) -> bool:
        """Whether a node's lease ends by time; otherwise the node is alive as long as it holds a lock."""
        ...

    def keeper(self) -> Keeper:
        """Return a new keeper, with a connection of its own."""
        ...

    async def examine(self) -> tuple[Finding, ...]:
        """Look the open store over: version, durability, latency, schema, clock, hints, and what else can be wrong.

        Changes nothing, and takes a few round trips; works on a store opened for reading. What cannot be looked at is a
        finding too.
        """
        ...

    async def open(self, *, create: bool, write: bool = True) -> None:
        """Connect, on the running loop.

        ``create`` allows a store to be made where there is none; without it `StoreMissing` is raised. Without
        ``write`` nothing is ever written, so a read-only file, a copy or a role without rights will do.
        """
        ...

    async def close(self) -> None:
        """Disconnect; what runs is awaited. Closing twice, or before opening, is fine; it may be opened again."""
        ...
