"""The raw limit: what a store does through its driver alone, as fast as we know how, at the same durability.

It keeps what any queue has to keep of a job: whose it is, in which order it is due, who holds it under which token, how
it ended and when. It has no features, and nothing around the driver.
"""

from __future__ import annotations

import asyncio
from time import time_ns
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from backburner.model.clock import SystemClock
from backburner.model.ids import Ids

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from contextlib import AbstractAsyncContextManager

__all__ = [
    "Claim",
    "EventRow",
    "Group",
    "GroupCommit",
    "Raw",
    "RawTable",
    "Row",
    "SharedRaw",
    "event_rows",
    "insert_all",
    "now",
    "rows",
]

T = TypeVar("T")

#: id, kind, queue, args, priority, created_at, due_at.
Row = tuple[str, str, str, str, int, int, int]
#: id, token, args.
Claim = tuple[str, int, str]
#: id, name, subject, time, data.
EventRow = tuple[str, str, str, int, str]


class Group(Protocol):
    """Group commit at its barest, for producers that each await the commit of their own row."""

    async def insert(self, row: Row) -> None:
        """Store a row; returns once it is durable."""
        ...

    def close(self) -> None:
        """End; nothing may be under way."""
        ...


class Raw(Protocol):
    """One connection."""

    async def insert(self, batch: Sequence[Row]) -> None:
        """Store rows in one transaction."""
        ...

    async def claim_and_settle(self, settled: Sequence[Claim], limit: int) -> list[Claim]:
        """Settle claims and claim the next jobs, in one transaction."""
        ...

    async def append(self, batch: Sequence[EventRow]) -> None:
        """Store events in one transaction, each under the next number; none of an id that is stored."""
        ...

    async def follow(self, limit: int) -> Sequence[object]:
        """Read the next events behind where the one reader stands, and move it on, durably."""
        ...

    async def rest(self) -> None:
        """Do now what the store would do sooner or later with what was inserted, so that it disturbs no measure."""
        ...

    def group(self) -> Group:
        """Return a group commit on this connection."""
        ...


class RawTable(Raw, Protocol):
    """One connection to a store in SQL."""

    def transaction(self) -> AbstractAsyncContextManager[object]:
        """Have all within be one transaction."""
        ...

    async def bury(self, batch: Sequence[Row]) -> None:
        """Store rows as dead ones."""
        ...

    async def revive(self, ids: Sequence[str]) -> None:
        """Make dead rows pending and due, in one transaction."""
        ...


class SharedRaw(Raw, Protocol):
    """One connection to what other processes share."""

    async def insert_and_tell(self, row: Row) -> None:
        """Store a row and tell who listens, in one transaction."""
        ...

    def tidings(self) -> AsyncIterator[None]:
        """Listen: the first tells that it does, every other that something was told."""
        ...

    async def size(self) -> int:
        """Return the bytes that the whole store takes, an engine's jobs as well."""
        ...


class GroupCommit(Generic[T]):
    """Whatever waits leaves in one insert, on one connection, as soon as the one before is durable."""

    def __init__(self, insert: Callable[[Sequence[T]], Awaitable[None]]) -> None:
        self._insert = insert
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[T, asyncio.Future[None]]] = []
        self._sending: asyncio.Task[None] | None = None

    async def insert(self, row: T) -> None:
        """Store a row; returns once it is durable."""
        future = self._loop.create_future()
        self._waiting.append((row, future))
        if self._sending is None:
            # Not at once: all that wake in this step of the loop leave together.
            self._sending = self._loop.create_task(self._send())
        await future

    def close(self) -> None:
        """Nothing is left open."""

    async def _send(self) -> None:
        while self._waiting:
            leaving, self._waiting = self._waiting, []
            await self._insert([row for row, _ in leaving])
            for _, future in leaving:
                future.set_result(None)
        self._sending = None


async def insert_all(store: Raw, prepared: Sequence[Row], chunk: int) -> None:
    """Store rows, so many in a transaction."""
    for start in range(0, len(prepared), chunk):
        await store.insert(prepared[start : start + chunk])


def rows(count: int) -> list[Row]:
    """Make rows of no-op jobs that are due, with ids of the engine's own shape."""
    new_id = Ids(SystemClock()).new
    moment = now()
    return [(new_id(), "noop", "default", "{}", 5, moment, moment) for _ in range(count)]


def event_rows(count: int) -> list[EventRow]:
    """Make rows of events, as small as those that `bench.asking.EVENT` names."""
    new_id = Ids(SystemClock()).new
    moment = now()
    return [(new_id(), "bench.told", "", moment, "{}") for _ in range(count)]


def now() -> int:
    """Return the microseconds since 1970."""
    return time_ns() // 1000
