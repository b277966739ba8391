"""A backend: a record of roles, and the three verbs of its life."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from backburner.ports.jobs import JobAdmin, JobReader, JobStore
    from backburner.ports.nodes import Keeper, NodeStore
    from backburner.ports.queues import QueueStore

__all__ = ["Backend", "Hint", "Migration", "Notifier", "Schema", "SchemaState", "Transactions"]


class Hint(StrEnum):
    """What may have changed. Hints are lossy: nothing may depend on one arriving."""

    #: Jobs may be due, or have ended.
    JOBS = "jobs"
    #: A job was cancelled, a queue paused or resumed, a node asked to drain.
    CONTROL = "control"
    #: A node died.
    LAPSE = "lapse"


class Notifier(Protocol):
    """Carries hints between nodes."""

    async def notify(self, hint: Hint) -> None:
        """Tell every listener of this store, on this and other nodes; never raises for want of a listener."""
        ...

    def listen(self, heard: Callable[[Hint], None]) -> Callable[[], None]:
        """Call ``heard`` on the listening loop for each hint, also for changes nobody notified of; returns the end."""
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

    def keeper(self) -> Keeper:
        """Return a new keeper, with a connection of its own."""
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
