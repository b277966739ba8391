"""A store's log of events, for the time of a command."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from backburner.cli.store import apart_by, looked_for, steps_apart, unopened
from backburner.errors import StoreDenied, StoreReadOnly, StoreUnsupported

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Collection

    from backburner.model.event import NewSubscription
    from backburner.ports.backend import Backend
    from backburner.ports.events import EventPage, Subscribed, Subscriptions

__all__ = ["Log", "log"]

T = TypeVar("T")

#: What a store says that may be read all the same.
_UNWRITABLE = (StoreReadOnly, StoreDenied, StoreUnsupported)


class Log:
    """Reads a log with the rights there are.

    Where the store may be written to, it is opened so: on some, what is committed is seen by whoever reads for writing,
    and by others only after that. Where it proves not to be allowed, it is opened anew, for reading.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        #: Whether it is open for writing.
        self.writes = False

    @property
    def address(self) -> str:
        """Where the store is, without secrets."""
        return self._backend.address

    async def open(self) -> int:
        """Connect; raises what `Backend.open` does for a store that cannot be read.

        Returns how many steps the store's schema is ahead (less than 0: behind); unless it is none, it is only read.
        """
        try:
            await self._open(write=True)
        except _UNWRITABLE:
            await self._open(write=False)
        apart = await steps_apart(self._backend, exact=False)
        if apart and self.writes:
            await self._open(write=False)
        return apart

    async def read(
        self,
        *,
        patterns: Collection[str],
        subject: str | None,
        since: int | None,
        until: int | None = None,
        after: int | None,
        newest: bool = False,
        limit: int,
    ) -> EventPage:
        """Read as `EventReader.read` does."""

        async def work() -> EventPage:
            return await self._backend.event_reader.read(
                patterns=patterns,
                subject=subject,
                since=since,
                until=until,
                after=after,
                newest=newest,
                limit=limit,
            )

        return await self._either(work)

    async def subscriptions(self) -> Subscriptions:
        """Return all subscriptions."""
        return await self._either(self._backend.event_reader.subscriptions)

    async def subscribe(self, subscription: NewSubscription) -> Subscribed | None:
        """Enter a subscription; None where the store may not be written to."""
        if not self.writes:
            return None
        try:
            return await self._backend.events.subscribe(subscription)
        except _UNWRITABLE:
            await self._open(write=False)
            return None

    async def unsubscribe(self, name: str) -> bool:
        """Forget a subscription; False when there is none."""
        return await self._backend.events.unsubscribe(name)

    async def _either(self, work: Callable[[], Awaitable[T]]) -> T:
        try:
            return await work()
        except _UNWRITABLE:
            if not self.writes:
                raise
            await self._open(write=False)
            return await work()

    async def _open(self, *, write: bool) -> None:
        await self._backend.open(create=False, write=write)
        self.writes = write


@asynccontextmanager
async def log(url: str | None) -> AsyncGenerator[Log]:
    """Open a store's log for the block."""
    backend = unopened(url)
    opened = Log(backend)
    try:
        with looked_for(url):
            apart = await opened.open()
        with apart_by(apart, backend):
            yield opened
    finally:
        await backend.close()
