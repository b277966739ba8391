"""An app's own connections, one of each kind that can be given as ``tx``, and a table of its own."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from contextlib import AsyncExitStack, asynccontextmanager, closing
from typing import TYPE_CHECKING, Any

import asyncpg  # type: ignore[import-untyped]  # it brings no types
import psycopg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from backburner import Backburner, RetryPolicy, constant
from tests.stores import empty_store

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    import pytest
    from sqlalchemy.ext.asyncio import AsyncConnection

    from tests.servers.postgres import Schema

#: To a store in PostgreSQL, and to one in SQLite; aiosqlite itself is in test_transactions.py.
POSTGRES = (
    "asyncpg",
    "asyncpg pool",
    "psycopg",
    "sqlalchemy asyncpg",
    "sqlalchemy asyncpg session",
    "sqlalchemy psycopg",
    "sqlalchemy psycopg session",
)
SQLITE = ("sqlalchemy aiosqlite", "sqlalchemy aiosqlite session")

QUICK = RetryPolicy(attempts=3, backoff=constant(0.001))


class App(ABC):
    """An app's connection: what is given as ``tx``, and the app's own statements on it."""

    def __init__(self, tx: Any, orders: str) -> None:  # noqa: ANN401 - the driver's
        self.tx = tx
        self._orders = orders

    async def insert(self, number: int) -> None:
        """Write a row of the app's own, in a transaction begun as the driver has it."""
        await self.execute(f"INSERT INTO {self._orders} VALUES ({number})")  # noqa: S608 - our own names

    @abstractmethod
    async def execute(self, sql: str) -> None:
        """Run a statement."""

    @abstractmethod
    async def begin(self) -> None:
        """Begin a transaction, where the driver does not do so by itself."""

    async def commit(self) -> None:
        """Commit."""
        await self.tx.commit()

    async def rollback(self) -> None:
        """Roll back."""
        await self.tx.rollback()


class _Asyncpg(App):
    async def execute(self, sql: str) -> None:
        await self.tx.execute(sql)

    async def begin(self) -> None:
        self._transaction = self.tx.transaction()
        await self._transaction.start()

    async def commit(self) -> None:
        await self._transaction.commit()

    async def rollback(self) -> None:
        await self._transaction.rollback()


class _Psycopg(App):
    async def execute(self, sql: str) -> None:
        await self.tx.execute(sql)

    async def begin(self) -> None:
        """The first statement does."""


class _Alchemy(App):
    tx: AsyncConnection | AsyncSession

    async def execute(self, sql: str) -> None:
        await self.tx.execute(text(sql))

    async def begin(self) -> None:
        """The first statement does."""


class Shop:
    """An app with a table of its own beside its jobs, and one way to connect to both."""

    def __init__(self, kind: str, request: pytest.FixtureRequest, folder: Path) -> None:
        self.kind = kind
        if kind in SQLITE:
            self.url = empty_store("sqlite", request, folder)
            self._dsn, self._orders = f"{folder}/jobs.db", "orders"
        else:
            schema: Schema = request.getfixturevalue("postgres_schema")
            self.url = empty_store("postgres", request, folder)
            self._dsn, self._orders = schema.url, f"{schema.name}.orders"
            self.jobs = f"{schema.name}.jobs"
        self._run(f"CREATE TABLE {self._orders} (number INTEGER)")

    def make(self, **options: Any) -> Backburner[None]:  # noqa: ANN401 - whatever an engine takes
        """Return an engine on the store."""
        return Backburner(self.url, **{"retry": QUICK} | options)

    def orders(self) -> list[int]:
        """Read, on a connection of its own, what is in the table."""
        return [number for (number,) in self._run(f"SELECT number FROM {self._orders} ORDER BY number")]  # noqa: S608 - our own names

    def steal(self, job_id: str) -> None:
        """Claim a running job anew, as a node does that took the one before for dead."""
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            connection.execute(f"UPDATE {self.jobs} SET token = token + 1 WHERE id = %s", (job_id,))  # noqa: S608 - our own names

    @asynccontextmanager
    async def connected(self, kind: str | None = None) -> AsyncGenerator[App]:
        """Connect as the app does, and begin; what is not committed in the end is rolled back."""
        kind = kind or self.kind
        async with AsyncExitStack() as stack:
            app: App
            match kind.split():
                case ["asyncpg"]:
                    connection = await asyncpg.connect(self._dsn)
                    stack.push_async_callback(connection.close)
                    app = _Asyncpg(connection, self._orders)
                case ["asyncpg", _]:
                    pool = await stack.enter_async_context(asyncpg.create_pool(self._dsn, min_size=1, max_size=1))
                    app = _Asyncpg(await stack.enter_async_context(pool.acquire()), self._orders)
                case ["psycopg"]:
                    opened = await psycopg.AsyncConnection.connect(self._dsn)
                    stack.push_async_callback(opened.close)
                    app = _Psycopg(opened, self._orders)
                case [_, driver, *session]:
                    address = f"/{self._dsn}" if kind in SQLITE else self._dsn.partition("://")[2]
                    dialect = "sqlite" if kind in SQLITE else "postgresql"
                    engine = create_async_engine(f"{dialect}+{driver}://{address}")
                    stack.push_async_callback(engine.dispose)
                    tx = await stack.enter_async_context(AsyncSession(engine) if session else engine.connect())
                    app = _Alchemy(tx, self._orders)
                case _:
                    raise AssertionError(kind)
            await app.begin()
            yield app

    def _run(self, sql: str) -> list[Any]:
        if self.kind in SQLITE:
            with closing(sqlite3.connect(self._dsn)) as file:
                return file.execute(sql).fetchall()
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []
