"""One connection, made when it is first needed and replaced when it is broken."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import asyncpg  # type: ignore[import-untyped]  # it brings no types; `Wire` is what we use of it

from backburner.backends.postgres.failures import CONFLICTS, READ_ONLY, sqlstate, translate
from backburner.errors import StoreBusy, StoreUnavailable, StoreUnsupported
from backburner.shield import to_the_end

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from backburner.backends.postgres.place import PostgresPlace
    from backburner.errors import Stored

__all__ = ["OLDEST", "Link", "Wire", "connect"]

T = TypeVar("T")

#: The oldest major version of the server that will do.
OLDEST = 14

#: Tries at a transaction that others are in the way of.
_TRIES = 4
#: Seconds that closing a connection may take, and on one that is given up ending what it waits for; then it is dropped.
_CLOSING = 1.0
#: Seconds by which the server ends later what this side has given up.
_MARGIN = 0.5
#: Milliseconds that a statement waits for a lock.
_LOCK_TIMEOUT = 1000


class Wire(Protocol):
    """A connection of the driver's, as far as it is used here."""

    async def execute(self, query: str, *args: object) -> str:
        """Run a statement, or without arguments a whole script; return its command tag."""
        ...

    async def fetch(self, query: str, *args: object) -> list[Any]:
        """Return all rows."""
        ...

    async def fetchval(self, query: str, *args: object) -> Any:  # noqa: ANN401 - whatever the column holds
        """Return the first column of the first row; None where there is no row."""
        ...

    async def add_listener(self, channel: str, callback: Callable[[Wire, int, str, str], object]) -> None:
        """Call back for each notification of a channel."""
        ...

    def add_termination_listener(self, callback: Callable[[Wire], object]) -> None:
        """Call back once the connection has ended, however it did."""
        ...

    def is_closed(self) -> bool: ...  # noqa: D102 - as it says
    def is_in_transaction(self) -> bool: ...  # noqa: D102 - as it says
    def get_server_pid(self) -> int: ...  # noqa: D102 - as it says
    def get_server_version(self) -> tuple[int, ...]: ...  # noqa: D102 - as it says

    async def close(self, *, timeout: float) -> None:
        """Say goodbye, and wait for the end."""
        ...

    def terminate(self) -> None:
        """Drop the connection at once."""
        ...


async def connect(place: PostgresPlace, *, timeout: float, read_only: bool = False) -> Wire:
    """Open a connection with the session's own settings, where no pooler is in the way of those."""
    settings = {"application_name": "backburner"}
    if place.listen:
        limit = int((timeout + _MARGIN) * 1000)
        settings |= {
            "statement_timeout": str(limit),
            "idle_in_transaction_session_timeout": str(limit),
            "idle_session_timeout": "0",
            "lock_timeout": str(min(_LOCK_TIMEOUT, limit)),
            # Each statement is a transaction, and sees what the one before it in the same verb may have waited for.
            "default_transaction_isolation": "read committed",
            # Short statements: compiling one takes longer than running it.
            "jit": "off",
        }
        if read_only:
            settings["default_transaction_read_only"] = "on"
    driver: Any = asyncpg
    made: Wire = await driver.connect(
        **place.arguments,
        server_settings=settings,
        # Behind a pooler a prepared statement may be another connection's.
        statement_cache_size=100 if place.listen else 0,
    )
    major, *_ = made.get_server_version()
    if major < OLDEST:
        made.terminate()
        raise StoreUnsupported(
            f"{place.address} is PostgreSQL {major}, and backburner needs {OLDEST} or later: upgrade the server",
            stored="no",
        )
    return made


class Link:
    """One connection; its units of work go one after the other, each shielded and in time.

    A unit is whatever one transaction does. Where it comes back with an error or not in time, nothing half done is left
    behind: the connection is dropped, and the next unit has a new one. What was not in time is ended on the server too,
    as far as that can be reached: behind a pooler nobody else would.
    """

    def __init__(self, place: PostgresPlace, *, timeout: float, read_only: bool = False) -> None:
        self._place = place
        self._timeout = timeout
        self._read_only = read_only
        self._turn = asyncio.Lock()
        self._wire: Wire | None = None
        #: Connections that are given up, while they are being closed.
        self._parting: set[asyncio.Task[None]] = set()
        self._closed = False

    async def value(self, sql: str, *args: object) -> Any:  # noqa: ANN401 - whatever the column holds
        """Run one statement; return the first column of its first row."""
        return await self.run(lambda wire: wire.fetchval(sql, *args))

    async def run(self, work: Callable[[Wire], Awaitable[T]], *, limited: bool = True) -> T:
        """Run one unit of work, whoever is cancelled meanwhile; return what it returns.

        Raises `StoreBusy` and `StoreUnavailable` when it is out of time, unless it is not ``limited``. Deadlocks and
        serialization failures are tried again at once, a few times: the work must bear that.
        """
        async with self._mine():
            return await to_the_end(self._unit(work, self._timeout if limited else None))

    async def close(self) -> None:
        """Disconnect; what runs is awaited."""
        self._closed = True
        async with self._turn:
            wire, self._wire = self._wire, None
            if wire is not None and not wire.is_closed():
                await to_the_end(_part(wire))
            if self._parting:
                await to_the_end(_all_of(self._parting))

    @asynccontextmanager
    async def _mine(self) -> AsyncGenerator[None]:
        """Wait for one's turn, as long as a unit may take."""
        try:
            async with asyncio.timeout(self._timeout):
                await self._turn.acquire()
        except TimeoutError:
            raise StoreBusy(
                f"{self._place.address} has been at other work for write_timeout, {self._timeout:g} s, and this one was "
                "not begun: it is overloaded, or cannot be reached",
                stored="no",
            ) from None
        try:
            yield
        finally:
            self._turn.release()

    async def _unit(self, work: Callable[[Wire], Awaitable[T]], limit: float | None) -> T:
        wire: Wire | None = None
        stored: Stored = "no"
        deadline = asyncio.timeout(limit)
        try:
            async with deadline:
                wire = await self._connected()
                stored = "unknown"
                return await _persist(wire, work)
        except TimeoutError as error:
            self._give_up()
            if not deadline.expired():
                raise translate(error, self._place.address, stored=stored) from error
            raise StoreUnavailable(
                f"{self._place.address} has not answered within write_timeout, {self._timeout:g} s: it is overloaded, or "
                "cannot be reached",
                stored=stored,
            ) from error
        except Exception as error:
            # One that takes no writes may have been the primary before: the next may lead to the new one.
            if (wire is not None and wire.is_in_transaction()) or sqlstate(error) == READ_ONLY:
                self._drop()
            raise translate(error, self._place.address, stored=stored) from error
        except BaseException:
            # The loop itself ends.
            self._drop()
            raise

    async def _connected(self) -> Wire:
        if self._closed:
            raise StoreUnavailable(f"The store at {self._place.address} is closed", stored="no")
        wire = self._wire
        if wire is None or wire.is_closed():
            # Forgotten first: where connecting fails, none is left that is broken.
            self._wire = None
            wire = await connect(self._place, timeout=self._timeout, read_only=self._read_only)
            try:
                await self.greet(wire)
            except BaseException:
                wire.terminate()
                raise
            self._wire = wire
        return wire

    async def greet(self, wire: Wire) -> None:
        """Say what a new connection is for; a subclass may."""

    def _give_up(self) -> None:
        """Drop the connection, once what it waits for is ended on the server; nobody waits for that."""
        wire, self._wire = self._wire, None
        if wire is not None:
            parting = asyncio.get_running_loop().create_task(_part(wire))
            self._parting.add(parting)
            parting.add_done_callback(self._parting.discard)

    def _drop(self) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.terminate()


async def _persist(wire: Wire, work: Callable[[Wire], Awaitable[T]]) -> T:
    """Do the work, again where others were in its way: the server has let the first of two go on meanwhile."""
    for _ in range(_TRIES - 1):
        try:
            return await work(wire)
        except Exception as error:
            if sqlstate(error) not in CONFLICTS or wire.is_in_transaction():
                raise
    return await work(wire)


async def _part(wire: Wire) -> None:
    try:
        await wire.close(timeout=_CLOSING)
    except Exception:  # noqa: BLE001 - however it ends, it is over
        wire.terminate()
    except BaseException:
        # The loop itself ends.
        wire.terminate()
        raise


async def _all_of(parting: set[asyncio.Task[None]]) -> None:
    await asyncio.wait(parting)
