"""Connections to the one primary that holds a namespace."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from redis.exceptions import MovedError, ResponseError

from backburner.backends.redis.connecting import is_stale, make, packed
from backburner.backends.redis.failures import CONNECTION, code_of, translate
from backburner.backends.redis.locating import Locator
from backburner.errors import StoreBusy, StoreUnavailable
from backburner.shield import to_the_end

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from backburner.backends.redis.connecting import Wire
    from backburner.backends.redis.place import RedisPlace
    from backburner.errors import Stored

__all__ = ["Client", "Line"]

T = TypeVar("T")

#: Connections of an engine: what stores, what settles and claims, what reads, and room.
_CONNECTIONS = 5
#: How often one unit follows the primary to another node.
_MOVES = 3
#: What says that the primary is to be looked for again.
_ELSEWHERE = frozenset({"READONLY", "MOVED", "MASTERDOWN", "CLUSTERDOWN"})


class Line:
    """One connection, for one unit of work."""

    __slots__ = ("_wire", "sent")

    def __init__(self) -> None:
        self._wire: Wire | None = None
        #: Whether any of it may have reached the server.
        self.sent = False

    def take(self, wire: Wire) -> None:
        """Use this connection from now on."""
        self._wire = wire

    async def call(self, *command: str | bytes | int) -> Any:  # noqa: ANN401 - whatever Redis answers
        """Send a command; return its answer, raise its error."""
        assert self._wire is not None  # noqa: S101 - given before the work begins
        self.sent = True
        await self._wire.send_packed_command([packed(command)])
        return await self._wire.read_response()


class Client:
    """Runs units of work, each on a connection of its own, to its end and within the deadline.

    A caller who is cancelled waits for the end. A connection that failed, or whose answer did not come in time, is
    dropped and never repeats anything: what has been sent may have been done.
    """

    def __init__(self, place: RedisPlace, *, timeout: float, connections: int = _CONNECTIONS) -> None:
        self.place = place
        self.timeout = timeout
        self._connections = connections
        self._locator = Locator(place, timeout=timeout)
        self._room: asyncio.Semaphore | None = None
        self._idle: list[Wire] = []
        self._busy: set[asyncio.Task[Any]] = set()

    def open(self) -> None:
        """Begin to take work, on the running loop; connections are made when they are needed."""
        self._room = asyncio.Semaphore(self._connections)

    async def close(self) -> None:
        """End what runs, disconnect; closing twice is fine."""
        self._room = None
        while self._busy:
            await asyncio.wait(tuple(self._busy))
        await self._drop_idle()

    async def run(self, work: Callable[[Line], Coroutine[Any, Any, T]]) -> T:
        """Run a unit of work; every error is a `StoreError`, or the work's own."""
        return await to_the_end(self._within(work, self.require_open()))

    def require_open(self) -> asyncio.Semaphore:
        """Return the room for connections; raises `StoreUnavailable` while closed."""
        if self._room is None:
            raise StoreUnavailable(
                f"The store at {self.place.address} is not open: await its open() first", stored="no"
            )
        return self._room

    async def call(self, *command: str | bytes | int) -> Any:  # noqa: ANN401 - whatever Redis answers
        """Send one command; return its answer."""
        return await self.run(lambda line: line.call(*command))

    async def dedicated(self) -> Wire:
        """Return a new open connection to the primary, which is the caller's to close; raises as the driver does."""
        wire = make(self.place, *await self._locator.find(), timeout=self.timeout)
        await self._connect(wire)
        return wire

    def forget(self) -> None:
        """Look for the primary again before the next connection."""
        self._locator.forget()

    # ---- one unit ----------------------------------------------------------------------------------------------

    async def _within(self, work: Callable[[Line], Coroutine[Any, Any, T]], room: asyncio.Semaphore) -> T:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine that runs does so in a task
        self._busy.add(task)
        line = Line()
        waiting = True
        try:
            async with asyncio.timeout(self.timeout), room:
                waiting = False
                return await self._follow(work, line)
        except Exception as error:
            if waiting and isinstance(error, TimeoutError):
                raise StoreBusy(
                    f"{self.place.address}: all {self._connections} connections were busy for {self.timeout:.1f} s: see "
                    "to the server, or raise write_timeout",
                    stored="no",
                ) from error
            stored: Stored = "unknown" if line.sent else "no"
            raise translate(error, self.place.address, timeout=self.timeout, stored=stored) from error
        finally:
            self._busy.discard(task)

    async def _follow(self, work: Callable[[Line], Coroutine[Any, Any, T]], line: Line) -> T:
        for _ in range(_MOVES):
            try:
                return await self._attempt(work, line)
            except ResponseError as error:
                # Whoever answers so has done nothing.
                moved = isinstance(error, MovedError) and self._locator.moved(str(error))
                if not moved and (self.place.kind == "single" or code_of(error) != "READONLY"):
                    raise
        return await self._attempt(work, line)

    async def _attempt(self, work: Callable[[Line], Coroutine[Any, Any, T]], line: Line) -> T:
        wire: Wire | None = None
        try:
            wire = await self._take()
            line.take(wire)
            answer = await work(line)
        except ResponseError as error:
            code = code_of(error)
            if code in _ELSEWHERE:
                if code != "MOVED":
                    self._locator.forget()
                await _drop(wire)
                await self._drop_idle()
            else:
                await self._give(wire)
            raise
        except BaseException as error:
            await _drop(wire)
            if isinstance(error, (*CONNECTION, asyncio.CancelledError)):
                # The others have most likely died with it, or lead to the same frozen server.
                self._locator.forget()
                await self._drop_idle()
            raise
        await self._give(wire)
        return answer

    # ---- connections -------------------------------------------------------------------------------------------

    async def _take(self) -> Wire:
        while self._idle:
            wire = self._idle.pop()
            if not await is_stale(wire):
                return wire
            await _drop(wire)
        return await self.dedicated()

    async def _connect(self, wire: Wire) -> None:
        try:
            await wire.connect()
            if self.place.kind == "sentinel":
                await self._check_role(wire)
        except BaseException:
            self._locator.forget()
            await _drop(wire)
            raise

    async def _check_role(self, wire: Wire) -> None:
        """Refuse a server that sentinels still call the primary while it is none any more."""
        await wire.send_command("ROLE")
        role = (await wire.read_response())[0]
        if role != b"master":
            raise StoreUnavailable(
                f"{self.place.address}: the primary is changing: wait until the sentinels have settled on one",
                stored="no",
            )

    async def _give(self, wire: Wire | None) -> None:
        if wire is None:
            return
        if self._room is None or not wire.is_connected:
            await _drop(wire)
        else:
            self._idle.append(wire)

    async def _drop_idle(self) -> None:
        idle, self._idle = self._idle, []
        for wire in idle:
            await _drop(wire)


async def _drop(wire: Wire | None) -> None:
    if wire is not None:
        await wire.disconnect(nowait=True)
