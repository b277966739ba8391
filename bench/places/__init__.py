"""Where stores are made to be measured: a host has as many places as are asked for, each for one store."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractAsyncContextManager, AbstractContextManager
    from pathlib import Path

    from bench.raw import Raw, RawTable, SharedRaw

__all__ = [
    "Counter",
    "Counts",
    "Host",
    "Place",
    "SharedHost",
    "SharedPlace",
    "State",
    "Store",
    "TablePlace",
    "open_host",
]

Store = Literal["sqlite", "memory", "postgres", "redis"]
State = Literal["pending", "completed", "dead"]


class Counts(NamedTuple):
    """What a server has done for its clients, since it counts."""

    transactions: int
    #: That clients sent.
    statements: int
    #: That those ran in turn; None where the server does not tell.
    inner: int | None

    def since(self, earlier: Counts) -> Counts:
        """Return what was done since an earlier reading."""
        inner = None if self.inner is None or earlier.inner is None else self.inner - earlier.inner
        return Counts(self.transactions - earlier.transactions, self.statements - earlier.statements, inner)


class Place(Protocol):
    """One store; goes to other processes by pickling."""

    @property
    def url(self) -> str:
        """Where the engine finds it."""
        ...

    def raw(self) -> AbstractAsyncContextManager[Raw]:
        """Connect to it without the engine."""
        ...

    def fill(self, state: State, count: int, *, due_in: float = 0) -> None:
        """Store no-op jobs in a state, due so many seconds from now; they come before all that are stored later."""
        ...


class SharedPlace(Place, Protocol):
    """One that processes share over a network."""

    def raw(self) -> AbstractAsyncContextManager[SharedRaw]:
        """Connect to it without the engine."""
        ...


class TablePlace(Place, Protocol):
    """One in SQL, whose engine takes part in transactions of others."""

    def raw(self) -> AbstractAsyncContextManager[RawTable]:
        """Connect to it without the engine."""
        ...

    def caller(self) -> AbstractAsyncContextManager[object]:
        """Lend a connection such as an app's own, in a transaction that is committed at the end."""
        ...


class Counter(Protocol):
    """A server that counts what is asked of it."""

    @property
    def url(self) -> str:
        """Where the engine finds a store on it."""
        ...

    def read(self) -> Counts:
        """Return the counts so far; nobody else may be connected any more."""
        ...


class Host(Protocol):
    """Where places of one kind are made."""

    @property
    def description(self) -> str:
        """What is measured: product, version, durability."""
        ...

    def fresh(self) -> AbstractContextManager[Place]:
        """Lend a place where nothing is; it is gone afterwards."""
        ...


class SharedHost(Host, Protocol):
    """A server."""

    def fresh(self) -> AbstractContextManager[SharedPlace]:
        """Lend a place where nothing is; it is gone afterwards."""
        ...

    def counting(self) -> AbstractContextManager[Counter]:
        """Lend an empty store on a server that counts."""
        ...


@contextmanager
def open_host(store: Store, directory: Path, url: str | None) -> Iterator[Host]:
    """Open the host of a store: in a directory, or on a server of its own unless a URL names another."""
    # Only what is chosen is loaded: the servers need more than the package itself.
    match store:
        case "memory":
            from bench.places.memory import MemoryHost  # noqa: PLC0415

            yield MemoryHost()
        case "sqlite":
            from bench.places.sqlite import SqliteHost  # noqa: PLC0415

            yield SqliteHost(directory)
        case "postgres":
            from bench.places import postgres  # noqa: PLC0415

            with postgres.host(url) as host:
                yield host
        case "redis":
            from bench.places import redis  # noqa: PLC0415

            with redis.host(url) as host:
                yield host
