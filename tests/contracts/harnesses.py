"""What the contract suite needs of each store of this project."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import aiosqlite
import asyncpg  # type: ignore[import-untyped]  # it brings no types

from backburner.backends.memory import MemoryBackend, MemoryDatabase
from backburner.backends.postgres.backend import PostgresBackend
from backburner.backends.postgres.place import PostgresPlace
from backburner.backends.redis.backend import RedisBackend
from backburner.backends.redis.place import RedisPlace
from backburner.backends.sqlite.backend import SqliteBackend
from backburner.backends.urls import parse
from backburner.testing.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from contextlib import AbstractAsyncContextManager
    from typing import Self

    from backburner.ports.backend import Backend
    from tests.servers.postgres import Schema


class StoreHarness(ABC):
    """A `Harness`: opens the first connection on the way in, closes all on the way out."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self._opened = AsyncExitStack()
        self._backends: list[Backend] = []

    async def __aenter__(self) -> Self:
        await (await self.second()).schema.upgrade()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._opened.aclose()

    @property
    def backend(self) -> Backend:
        return self._backends[0]

    @abstractmethod
    def connection(self) -> Backend:
        """Make a connection that is not open yet."""

    async def second(self) -> Backend:
        backend = self.connection()
        await backend.open(create=not self._backends)
        self._opened.push_async_callback(backend.close)
        self._backends.append(backend)
        return backend

    def transaction(self) -> AbstractAsyncContextManager[object] | None:
        return None

    async def die(self, node: str) -> None:
        """Let the lease go on whichever connection holds it; the others know nothing of it."""
        for backend in self._backends:
            async with backend.keeper() as keeper:
                await keeper.abandon(node)


class MemoryHarness(StoreHarness):
    def __init__(self) -> None:
        super().__init__()
        self._database = MemoryDatabase()

    def connection(self) -> Backend:
        return MemoryBackend(self.clock, self._database)


class SqliteHarness(StoreHarness):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def connection(self) -> Backend:
        return SqliteBackend(self._path, clock=self.clock)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[object]:
        """Begin as an app does that means to write."""
        connection = await aiosqlite.connect(self._path, isolation_level=None)
        self._opened.push_async_callback(connection.close)
        await connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            await connection.rollback()
            raise
        await connection.commit()


#: Those of the schema in PostgreSQL.
TABLES = (
    *("jobs", "attempts", "nodes", "queues", "kinds", "limits", "lanes", "held", "cells", "leases", "operations"),
    *("schedules", "ticks", "unnumbered", "events", "subscriptions", "patterns"),
)


class PostgresHarness(StoreHarness):
    """Many tests use one schema, which is emptied before each: to make one takes longer than most of them."""

    def __init__(self, schema: Schema) -> None:
        super().__init__()
        self._place = PostgresPlace(dsn=schema.url, schema=schema.name, address=f"a server, schema {schema.name}")

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        connection = await asyncpg.connect(self._place.dsn)
        try:
            # Quicker than TRUNCATE, which makes a new file for each table and index.
            for table in TABLES:
                await connection.execute(f"DELETE FROM {self._place.schema}.{table}")  # noqa: S608 - names of our own
            await connection.execute(f"UPDATE {self._place.schema}.log SET last = 0, pruned = 0")  # noqa: S608 - as above
        finally:
            await connection.close()
        return self

    def connection(self) -> Backend:
        return PostgresBackend(self._place, clock=self.clock)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[object]:
        """Begin on a connection of the driver's own."""
        connection = await asyncpg.connect(self._place.dsn)
        self._opened.push_async_callback(connection.close)
        async with connection.transaction():
            yield connection


class RedisHarness(StoreHarness):
    def __init__(self, url: str) -> None:
        super().__init__()
        self._place = parse(url, base=Path("/")).place

    async def __aexit__(self, *error: object) -> None:
        """Delete every key there is, quicker than by looking for them."""
        assert isinstance(self.backend, RedisBackend)
        session = self.backend._session
        await session.client.call("UNLINK", *session.keys.tables, session.keys.meta)
        await super().__aexit__(*error)

    def connection(self) -> RedisBackend:
        assert isinstance(self._place, RedisPlace)
        return RedisBackend(self._place, clock=self.clock)
