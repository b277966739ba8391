"""Callers' own connections: every driver that can be joined, and what each refuses."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

import asyncpg  # type: ignore[import-untyped]  # it brings no types
import psycopg
import pytest
from psycopg.rows import dict_row
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from backburner.backends.postgres.backend import PostgresBackend
from backburner.backends.postgres.place import PostgresPlace
from backburner.errors import StoreBusy, StoreReadOnly, StoreRefused, StoreUnavailable, TransactionRefused
from backburner.model.event import NewEvent
from backburner.model.job import NewJob, UniqueKey
from backburner.model.query import JobFilter
from tests.servers.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from sqlalchemy.ext.asyncio import AsyncEngine

    from backburner.testing import FakeClock
    from tests.servers.postgres import Postgres

#: Every kind of connection that can be given as ``tx``.
KINDS = (
    "asyncpg",
    "asyncpg from a pool",
    "psycopg",
    "psycopg with its own ways",
    "sqlalchemy asyncpg",
    "sqlalchemy psycopg",
    "sqlalchemy asyncpg session",
    "sqlalchemy psycopg session",
)
#: Those whose driver begins a transaction with the first statement.
BEGINNING = tuple(kind for kind in KINDS if not kind.startswith("asyncpg"))


class App(Protocol):
    """An app's connection in a transaction: what is given as ``tx``, and its own statements and ends."""

    tx: Any

    async def run(self, sql: str) -> None: ...
    async def commit(self) -> None: ...
    async def rollback(self) -> None: ...


class _Asyncpg:
    def __init__(self, tx: Any) -> None:  # noqa: ANN401 - the driver's
        self.tx = tx

    async def run(self, sql: str) -> None:
        await self.tx.execute(sql)

    async def commit(self) -> None:
        await self.tx.execute("COMMIT")

    async def rollback(self) -> None:
        await self.tx.execute("ROLLBACK")


class _Other:
    def __init__(self, tx: Any) -> None:  # noqa: ANN401 - the driver's
        self.tx = tx

    async def run(self, sql: str) -> None:
        await self.tx.execute(text(sql) if isinstance(self.tx, AsyncSession) or hasattr(self.tx, "dialect") else sql)

    async def commit(self) -> None:
        await self.tx.commit()

    async def rollback(self) -> None:
        await self.tx.rollback()


@asynccontextmanager
async def _engine(dsn: str, driver: str, **options: Any) -> AsyncGenerator[AsyncEngine]:  # noqa: ANN401
    made = create_async_engine(dsn.replace("postgresql://", f"postgresql+{driver}://"), **options)
    yield made
    await made.dispose()


@asynccontextmanager
async def _connected(kind: str, dsn: str, *, begun: bool = True) -> AsyncGenerator[App]:
    """Connect as an app does; begun where the driver does not do so itself."""
    async with AsyncExitStack() as stack:
        match kind.split():
            case ["asyncpg", *pooled]:
                if pooled:
                    pool = await stack.enter_async_context(asyncpg.create_pool(dsn, min_size=1, max_size=1))
                    connection = await stack.enter_async_context(pool.acquire())
                else:
                    connection = await asyncpg.connect(dsn)
                    stack.push_async_callback(connection.close)
                if begun:
                    await connection.execute("BEGIN")
                yield _Asyncpg(connection)
                if connection.is_in_transaction():
                    await connection.execute("ROLLBACK")
            case ["psycopg", *ways]:
                made: psycopg.AsyncConnection[Any] = await psycopg.AsyncConnection.connect(dsn)
                if ways:
                    made.row_factory = dict_row
                    made.cursor_factory = psycopg.AsyncRawCursor
                stack.push_async_callback(made.close)
                yield _Other(made)
            case ["sqlalchemy", driver, *session]:
                engine = await stack.enter_async_context(_engine(dsn, driver))
                opened = AsyncSession(engine) if session else engine.connect()
                yield _Other(await stack.enter_async_context(opened))


def _new(id: str, **options: Any) -> NewJob:  # noqa: ANN401 - whatever a job may have
    return NewJob(id=id, kind="kind", queue="queue", args='{"percent":"50%","at":":x"}', **options)


async def _stored(backend: PostgresBackend) -> set[str]:
    return {job.id for job in (await backend.reader.find(JobFilter(), limit=99)).jobs}


@pytest.mark.parametrize("kind", KINDS)
async def test_it_is_one_transaction(backend: PostgresBackend, place: PostgresPlace, kind: str) -> None:
    """Jobs and rows are committed together and rolled back together, on every driver."""
    async with _connected(kind, place.dsn, begun=False) as app:
        await app.run(f"CREATE TABLE {place.schema}.orders (id text)")
        if kind in BEGINNING:
            await app.commit()
        for number, end in (("0", app.rollback), ("1", app.commit)):
            assert not backend.transactions.is_open(app.tx)
            if kind not in BEGINNING:
                await app.run("BEGIN")
            await app.run(f"INSERT INTO {place.schema}.orders VALUES ({number})")  # noqa: S608 - our own names
            assert backend.transactions.is_open(app.tx)
            await backend.jobs.enqueue([[_new(number)]], tx=app.tx)
            assert await _stored(backend) == set()
            await end()
        assert not backend.transactions.is_open(app.tx)
        assert await _stored(backend) == {"1"}


@pytest.mark.parametrize("kind", BEGINNING)
async def test_a_driver_that_begins_by_itself(backend: PostgresBackend, place: PostgresPlace, kind: str) -> None:
    """Where the driver begins a transaction by itself, it does so for jobs too, and the app ends it."""
    async with _connected(kind, place.dsn) as app:
        assert not backend.transactions.is_open(app.tx)
        await backend.jobs.enqueue([[_new("lost")]], tx=app.tx)
        assert backend.transactions.is_open(app.tx)
        await app.rollback()
        await backend.jobs.enqueue([[_new("kept")]], tx=app.tx)
        await app.commit()
    assert await _stored(backend) == {"kept"}


@pytest.mark.parametrize("kind", KINDS)
async def test_many_at_once(backend: PostgresBackend, place: PostgresPlace, kind: str) -> None:
    """Tasks that store in one transaction at the same time go one after the other."""
    async with _connected(kind, place.dsn) as app:
        await asyncio.gather(*[backend.jobs.enqueue([[_new(f"{number}")]], tx=app.tx) for number in range(5)])
        await app.commit()
    assert await _stored(backend) == {*"01234"}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_refused_group_leaves_it_usable(backend: PostgresBackend, place: PostgresPlace, kind: str) -> None:
    """What is refused for its content is answered, and the transaction goes on."""
    async with _connected(kind, place.dsn) as app:
        answer = await backend.jobs.enqueue([[_new("bad", tags=("\0",))], [_new("good")]], tx=app.tx)
        assert [group.refused is None for group in answer.groups] == [False, True]
        await app.commit()
    assert await _stored(backend) == {"good"}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_failed_transaction_is_refused(backend: PostgresBackend, place: PostgresPlace, kind: str) -> None:
    """A transaction in which a statement failed takes nothing more, and the error says to roll it back."""
    async with _connected(kind, place.dsn) as app:
        with pytest.raises(Exception, match="division by zero"):
            await app.run("SELECT 1/0")
        with pytest.raises(TransactionRefused, match="roll it back"):
            await backend.jobs.enqueue([[_new("job")]], tx=app.tx)
        await app.rollback()
    assert await _stored(backend) == set()


@pytest.mark.parametrize("kind", KINDS)
async def test_another_database_is_refused(
    backend: PostgresBackend, place: PostgresPlace, clock: FakeClock, postgres_database: Postgres, kind: str
) -> None:
    """A connection that leads to another database is refused, also where a store of the same name is there."""
    other = PostgresBackend(type(place)(dsn=postgres_database.url, schema=place.schema, address="another"), clock=clock)
    async with _connected(kind, postgres_database.url) as app:
        with pytest.raises(TransactionRefused, match="another database than the jobs, which are at the server"):
            await backend.jobs.enqueue([[_new("job")]], tx=app.tx)
    await other.open(create=True)
    await other.schema.upgrade()
    async with _connected(kind, postgres_database.url) as app:
        with pytest.raises(TransactionRefused, match="another database"):
            await backend.jobs.enqueue([[_new("job")]], tx=app.tx)
        await other.jobs.enqueue([[_new("job")]], tx=app.tx)
        await app.commit()
    assert (await _stored(backend), await _stored(other)) == (set(), {"job"})
    await other.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_closed_connection_is_refused(backend: PostgresBackend, place: PostgresPlace, kind: str) -> None:
    """A connection that was closed, or went back to its pool, is refused; a session only stands in no transaction."""
    async with _connected(kind, place.dsn) as app:
        pass
    if "session" in kind:
        assert not backend.transactions.is_open(app.tx)
        return
    with pytest.raises(TransactionRefused, match=r"not open|closed|gone back"):
        backend.transactions.is_open(app.tx)
    with pytest.raises(TransactionRefused):
        await backend.jobs.enqueue([[_new("job")]], tx=app.tx)


async def test_no_transaction_is_refused(backend: PostgresBackend, place: PostgresPlace) -> None:
    """A connection in no transaction, whose driver begins none, is told how to begin, and nothing is written."""
    async with _connected("asyncpg", place.dsn, begun=False) as app:
        with pytest.raises(TransactionRefused, match=r"async with tx\.transaction"):
            await backend.jobs.enqueue([[_new("job")]], tx=app.tx)
    connection = await psycopg.AsyncConnection.connect(place.dsn, autocommit=True)
    async with connection:
        with pytest.raises(TransactionRefused, match="autocommit"):
            await backend.jobs.enqueue([[_new("job")]], tx=connection)
        async with connection.transaction():
            await backend.jobs.enqueue([[_new("kept")]], tx=connection)
    assert await _stored(backend) == {"kept"}


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_autocommit_is_refused(backend: PostgresBackend, place: PostgresPlace, driver: str) -> None:
    """A connection of SQLAlchemy's in AUTOCOMMIT, by the engine or by itself, has no transactions."""
    async with (
        _engine(place.dsn, driver, isolation_level="AUTOCOMMIT") as engine,
        engine.connect() as connection,
        AsyncSession(engine) as session,
    ):
        for tx in (connection, session):
            with pytest.raises(TransactionRefused, match="AUTOCOMMIT"):
                await backend.jobs.enqueue([[_new("job")]], tx=tx)
    async with _engine(place.dsn, driver) as engine, engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        with pytest.raises(TransactionRefused, match="AUTOCOMMIT"):
            await backend.jobs.enqueue([[_new("job")]], tx=connection)
    assert await _stored(backend) == set()


async def test_a_read_only_transaction_is_refused(backend: PostgresBackend, place: PostgresPlace) -> None:
    """A transaction that may not write is refused."""
    async with _connected("asyncpg", place.dsn, begun=False) as app:
        await app.run("BEGIN READ ONLY")
        with pytest.raises(TransactionRefused, match="read-only"):
            await backend.jobs.enqueue([[_new("job")]], tx=app.tx)


async def test_other_things_are_refused(backend: PostgresBackend, place: PostgresPlace) -> None:
    """A sync connection, or SQLAlchemy over another database, is refused by name."""
    with psycopg.connect(place.dsn) as connection, pytest.raises(TransactionRefused, match="not Connection"):
        backend.transactions.is_open(connection)
    session = AsyncSession(create_async_engine("sqlite+aiosqlite://"))
    with pytest.raises(TransactionRefused, match="over aiosqlite, the store needs asyncpg or psycopg"):
        backend.transactions.is_open(session)


async def test_a_session_that_takes_nothing(backend: PostgresBackend, place: PostgresPlace) -> None:
    """A session of SQLAlchemy's that begins only when told to is refused until it was told."""
    async with _engine(place.dsn, "asyncpg") as engine, AsyncSession(engine, autobegin=False) as session:
        with pytest.raises(TransactionRefused, match="takes nothing now"):
            await backend.jobs.enqueue([[_new("job")]], tx=session)
        async with session.begin():
            await backend.jobs.enqueue([[_new("kept")]], tx=session)
    assert await _stored(backend) == {"kept"}


async def test_codecs_of_the_app_change_nothing(backend: PostgresBackend, place: PostgresPlace) -> None:
    """An app may have its own ideas of how JSON and texts come and go on its connection."""
    async with _connected("asyncpg", place.dsn) as app:
        for name in ("json", "jsonb"):
            await app.tx.set_type_codec(name, encoder=repr, decoder=repr, schema="pg_catalog")
        await backend.jobs.enqueue([[_new("job")]], tx=app.tx)
        await app.commit()
    assert await _stored(backend) == {"job"}


async def test_settings_of_the_app_change_nothing(backend: PostgresBackend, place: PostgresPlace) -> None:
    """A role without a search path, or of another style of strings, stores jobs all the same, and keeps its settings."""
    async with _connected("asyncpg", place.dsn) as app:
        await app.run("SET LOCAL search_path = ''")
        await backend.jobs.enqueue([[_new("job", unique=UniqueKey(key="k", states=()))]], tx=app.tx)
        assert await app.tx.fetchval("SHOW search_path") == '""'
        await app.commit()
    assert await _stored(backend) == {"job"}


async def test_a_conflict_says_to_begin_anew(backend: PostgresBackend, place: PostgresPlace) -> None:
    """Where the app's isolation makes the server end its transaction, that is busy, and nothing was stored."""
    async with _connected("asyncpg", place.dsn, begun=False) as app:
        count = f"SELECT count(*) FROM {place.schema}.jobs"  # noqa: S608 - our own names
        await app.run("BEGIN ISOLATION LEVEL SERIALIZABLE")
        await app.run(count)
        other = await asyncpg.connect(place.dsn)
        async with other.transaction(isolation="serializable"):
            await other.fetchval(count)
            await backend.jobs.enqueue([[_new("theirs")]], tx=other)
        await other.close()
        with pytest.raises(StoreBusy, match="start it anew") as caught:
            await backend.jobs.enqueue([[_new("ours")]], tx=app.tx)
        assert caught.value.stored == "no"


async def test_opened_for_reading_nothing_is_joined(place: PostgresPlace, backend: PostgresBackend) -> None:
    """A store opened for reading writes nothing, on whichever connection."""
    await backend.close()
    await backend.open(create=False, write=False)
    async with _connected("asyncpg", place.dsn) as app:
        with pytest.raises(StoreReadOnly):
            await backend.jobs.enqueue([[_new("job")]], tx=app.tx)


async def test_a_cancelled_caller_leaves_its_transaction_whole(backend: PostgresBackend, place: PostgresPlace) -> None:
    """Who is cancelled while the server works on it has all of it in the transaction, which stays usable."""
    async with _connected("asyncpg", place.dsn) as app:
        task = asyncio.ensure_future(backend.jobs.enqueue([[_new("job")]], tx=app.tx))
        while not task.done():
            await asyncio.wait([task], timeout=0)
            task.cancel()
        with pytest.raises((asyncio.CancelledError, StoreRefused)):
            await task
        await backend.jobs.enqueue([[_new("after")]], tx=app.tx)
        await app.commit()
    assert "after" in await _stored(backend)


# psycopg itself takes some five seconds for each of its tries to cancel what a dead network does not answer.
@pytest.mark.parametrize("kind", ["asyncpg", "sqlalchemy asyncpg"])
async def test_a_connection_that_goes_silent(
    place: PostgresPlace, clock: FakeClock, backend: PostgresBackend, kind: str
) -> None:
    """Where no answer comes on the caller's connection it is given up in time; the store's own are as before."""
    made = PostgresBackend(place, clock=clock, write_timeout=0.5)
    await made.open(create=False)
    told: list[str] = []
    async with _proxied(place) as proxy:
        # However the driver takes leave of a connection that is dead.
        with suppress(Exception):
            async with _connected(kind, proxy.url(place.dsn)) as app:
                await made.jobs.enqueue([[_new("first")]], tx=app.tx)
                proxy.freeze()
                with pytest.raises(StoreUnavailable, match="on the connection given as tx") as caught:
                    await made.jobs.enqueue([[_new("second")]], tx=app.tx)
                told.append(caught.value.stored)
                await proxy.sever()
    assert told == ["unknown"]
    await made.close()
    assert await _stored(backend) == set()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_connection_that_breaks(backend: PostgresBackend, place: PostgresPlace, kind: str) -> None:
    """A connection that breaks in its transaction takes the jobs along, and is told as unavailable or closed."""
    async with _proxied(place) as proxy:
        with suppress(Exception):
            async with _connected(kind, proxy.url(place.dsn)) as app:
                await backend.jobs.enqueue([[_new("first")]], tx=app.tx)
                await proxy.sever()
                for _ in range(2):
                    with pytest.raises((StoreUnavailable, TransactionRefused)):
                        await backend.jobs.enqueue([[_new("second")]], tx=app.tx)
    assert await _stored(backend) == set()


async def test_the_store_s_own_connections_fail(backend: PostgresBackend, place: PostgresPlace) -> None:
    """Where the store itself cannot be asked which one it is, that is told as it is, and not held against the caller."""
    async with _connected("asyncpg", place.dsn) as app, _proxied(place) as proxy:
        through = PostgresBackend(
            PostgresPlace(dsn=proxy.url(place.dsn), schema=place.schema, address="through a proxy"),
            clock=backend._session.clock,
            write_timeout=0.5,
        )
        await through.open(create=False)
        proxy.freeze()
        with pytest.raises(StoreUnavailable, match="through a proxy has not answered"):
            await through.jobs.enqueue([[_new("job")]], tx=app.tx)
        await proxy.sever()
        await through.close()


def _proxied(place: PostgresPlace) -> Proxy:
    parts = urlsplit(place.dsn)
    return Proxy(str(parts.hostname), parts.port or 5432)


@pytest.mark.parametrize("kind", KINDS)
async def test_events_are_in_it(backend: PostgresBackend, place: PostgresPlace, kind: str) -> None:
    """Events are committed and rolled back with the app's own writes, on every driver; a refused one leaves it usable."""
    data = '{"a":"50% $1 :x"}'
    async with _connected(kind, place.dsn, begun=False) as app:
        for name, end in (("lost", app.rollback), ("kept", app.commit)):
            if kind not in BEGINNING:
                await app.run("BEGIN")
            with pytest.raises(StoreRefused):
                await backend.events.append([NewEvent(name="\0", kept=True)], tx=app.tx)
            with pytest.raises(StoreRefused, match="longer than"):
                await backend.events.append([NewEvent(name="long", id="x" * 2601, kept=True)], tx=app.tx)
            longest = NewEvent(name=name, id=f"{name}{'ü' * 1298}", data=data, kept=True)
            assert (await backend.events.append([longest], tx=app.tx)).stored == 1
            assert (await backend.event_reader.read(limit=9)).events == ()
            await end()
    (found,) = (await backend.event_reader.read(limit=9)).events
    assert (found.name, found.id, found.data) == ("kept", f"kept{'ü' * 1298}", data)
