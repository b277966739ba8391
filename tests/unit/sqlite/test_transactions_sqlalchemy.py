"""SQLAlchemy's connections and sessions over aiosqlite, given as ``tx``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiosqlite
import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from backburner.errors import StoreBusy, TransactionRefused
from backburner.model.query import JobFilter
from tests.unit.sqlite.making import new

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncEngine

    from backburner.backends.sqlite.backend import SqliteBackend


@pytest.fixture
async def engine(path: Path, backend: SqliteBackend) -> AsyncIterator[AsyncEngine]:
    """Bring an app's own engine on the file of the jobs, with a table of its own."""
    assert backend.address
    made = create_async_engine(f"sqlite+aiosqlite:///{path}")
    async with made.begin() as connection:
        await connection.execute(text("CREATE TABLE orders (id TEXT)"))
    yield made
    await made.dispose()


async def _stored(backend: SqliteBackend) -> set[str]:
    return {job.id for job in (await backend.reader.find(JobFilter(), limit=99)).jobs}


async def _orders(engine: AsyncEngine) -> list[str]:
    async with engine.connect() as connection:
        return [*(await connection.execute(text("SELECT id FROM orders ORDER BY id"))).scalars()]


@pytest.mark.parametrize("first", ["the jobs", "the rows"])
@pytest.mark.parametrize("kind", ["connection", "session"])
async def test_it_is_one_transaction(backend: SqliteBackend, engine: AsyncEngine, kind: str, first: str) -> None:
    """Jobs and rows are committed together and rolled back together, whichever of them begins."""
    async with AsyncSession(engine) if kind == "session" else engine.connect() as tx:
        for number, ends in enumerate((tx.rollback, tx.commit)):
            assert not backend.transactions.is_open(tx)
            write = text("INSERT INTO orders VALUES (:id)"), {"id": f"{number}"}
            if first == "the rows":
                await tx.execute(*write)
            await backend.jobs.enqueue([[new(f"{number}")]], tx=tx)
            if first == "the jobs":
                await tx.execute(*write)
            assert backend.transactions.is_open(tx)
            assert await _stored(backend) == set()
            await ends()
    assert await _stored(backend) == {"1"}
    assert await _orders(engine) == ["1"]


async def test_many_at_once(backend: SqliteBackend, engine: AsyncEngine) -> None:
    """Tasks that store in one session at the same time go one after the other."""
    async with AsyncSession(engine) as session:
        await asyncio.gather(*[backend.jobs.enqueue([[new(f"{number}")]], tx=session) for number in range(5)])
        await session.commit()
    assert await _stored(backend) == {*"01234"}


async def test_a_begin_of_the_app_s_own(backend: SqliteBackend, engine: AsyncEngine) -> None:
    """Where the app begins by an event of SQLAlchemy's, as its documentation advises for savepoints, that is joined."""

    @event.listens_for(engine.sync_engine, "connect")
    def connect(made: object, _record: object) -> None:
        made.isolation_level = None  # type: ignore[attr-defined]  # the adapter's

    await engine.dispose()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: object) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # type: ignore[attr-defined]  # SQLAlchemy's own

    async with engine.connect() as connection:
        await backend.jobs.enqueue([[new("lost")]], tx=connection)
        await connection.rollback()
        await backend.jobs.enqueue([[new("kept")]], tx=connection)
        await connection.commit()
    assert await _stored(backend) == {"kept"}


async def test_autocommit_is_refused(backend: SqliteBackend, engine: AsyncEngine) -> None:
    """A connection in AUTOCOMMIT has no transactions, and nothing is written."""
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        with pytest.raises(TransactionRefused):
            await backend.jobs.enqueue([[new()]], tx=connection)
    assert await _stored(backend) == set()


async def test_what_is_not_open_is_refused(backend: SqliteBackend, engine: AsyncEngine) -> None:
    """A connection before it is opened and after it was closed is refused, and so is another driver's."""
    connection = engine.connect()
    with pytest.raises(TransactionRefused, match="not open"):
        backend.transactions.is_open(connection)
    async with connection:
        assert not backend.transactions.is_open(connection)
    with pytest.raises(TransactionRefused, match="not open"):
        await backend.jobs.enqueue([[new()]], tx=connection)
    other = AsyncSession(create_async_engine("postgresql+asyncpg://nobody@nowhere/nothing"))
    with pytest.raises(TransactionRefused, match="over asyncpg, the store needs aiosqlite"):
        backend.transactions.is_open(other)


async def test_another_file_is_refused(backend: SqliteBackend, tmp_path: Path) -> None:
    """A session on another file is refused, and nothing is written there."""
    other = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'other.db'}")
    async with AsyncSession(other) as session:
        with pytest.raises(TransactionRefused, match=r"other\.db open"):
            await backend.jobs.enqueue([[new()]], tx=session)
    await other.dispose()


async def test_a_session_that_takes_nothing(backend: SqliteBackend, engine: AsyncEngine) -> None:
    """A session that begins only when told to is refused until it was told; one whose write fails, until its rollback."""
    async with AsyncSession(engine, autobegin=False) as session:
        with pytest.raises(TransactionRefused, match="takes nothing now"):
            await backend.jobs.enqueue([[new()]], tx=session)
        async with session.begin():
            await backend.jobs.enqueue([[new("kept")]], tx=session)
    assert await _stored(backend) == {"kept"}


async def test_a_database_that_is_locked(path: Path, backend: SqliteBackend, engine: AsyncEngine) -> None:
    """Where SQLAlchemy cannot even begin, that is told as everywhere: busy, and nothing was stored."""

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: object) -> None:
        connection.exec_driver_sql("PRAGMA busy_timeout = 50")  # type: ignore[attr-defined]  # SQLAlchemy's own
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # type: ignore[attr-defined]  # SQLAlchemy's own

    async with aiosqlite.connect(path, isolation_level=None) as other:
        await other.execute("BEGIN IMMEDIATE")
        async with AsyncSession(engine) as session:
            with pytest.raises(StoreBusy) as caught:
                await backend.jobs.enqueue([[new()]], tx=session)
        await other.execute("ROLLBACK")
    assert caught.value.stored == "no"
