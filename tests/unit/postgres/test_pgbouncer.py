"""Behind a PgBouncer: one that pools transactions, with `listen=off`, and one that pools sessions, with all there is."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import asyncpg  # type: ignore[import-untyped]  # it brings no types
import psycopg
import pytest

from backburner import Backburner, RetryPolicy, constant
from backburner.backends.postgres.backend import PostgresBackend
from backburner.backends.postgres.link import Link
from backburner.backends.postgres.place import PostgresPlace
from backburner.errors import JobNotFound, StoreError, StoreUnavailable, StoreUnsupported
from backburner.model.clock import SystemClock
from backburner.ports.backend import Finding, Hint, Level
from tests.servers import pgbouncer
from tests.servers.launch import ServerMissing
from tests.stores import postgres_url

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from backburner import Job
    from backburner.backends.postgres.link import Wire
    from tests.servers.pgbouncer import PgBouncer
    from tests.servers.postgres import Postgres, Schema

try:
    pgbouncer.find()
except ServerMissing as missing:
    pytestmark = pytest.mark.skip(reason=str(missing))

TRIES = 3
QUICK = RetryPolicy(attempts=TRIES, backoff=constant(0.001))
#: Fewer connections than one engine opens, so that each statement may come to another.
FEW = {"default_pool_size": "3"}
#: Has a pooler pass over what it would refuse: a pooler of sessions must, to be used with all there is.
DEAF = {
    "ignore_startup_parameters": "statement_timeout,idle_in_transaction_session_timeout,idle_session_timeout,lock_timeout,"
    "jit,default_transaction_isolation,default_transaction_read_only"
}


@pytest.fixture(scope="module")
def pooler(postgres_server: Postgres) -> Iterator[PgBouncer]:
    """Bring a pooler of transactions."""
    with pgbouncer.serve(postgres_server.url, settings=FEW) as started:
        yield started


@pytest.fixture
def url(pooler: PgBouncer, postgres_schema: Schema) -> str:
    """Bring the URL of an empty store behind it."""
    return through(pooler, postgres_schema)


def through(pooler: PgBouncer, schema: Schema, *, listen: bool = False) -> str:
    """Return the URL of a store behind a pooler."""
    url = postgres_url(replace(schema, url=pooler.url(schema.url)))
    return url if listen else f"{url}&listen=off"


def place(pooler: PgBouncer, schema: Schema, *, listen: bool = False) -> PostgresPlace:
    """Return where that store is."""
    return PostgresPlace(dsn=pooler.url(schema.url), schema=schema.name, listen=listen, address="the pooler")


@asynccontextmanager
async def opened(where: PostgresPlace, *, write: bool = True) -> AsyncGenerator[PostgresBackend]:
    """Open a store, with its schema."""
    backend = PostgresBackend(where, clock=SystemClock())
    await backend.open(create=True, write=write)
    if write:
        await backend.schema.upgrade()
    yield backend
    await backend.close()


class Work:
    """An engine, and what its jobs have done."""

    def __init__(self, url: str, **options: Any) -> None:  # noqa: ANN401 - any option there is
        self.bb = bb = Backburner(url, retry=QUICK, **options)
        self.tries: list[int] = []
        self.started, self.release = asyncio.Event(), asyncio.Event()

        @bb.job
        async def double(number: int) -> int:
            return number * 2

        @bb.job
        async def stumble(number: int) -> int:
            self.tries.append(number)
            if self.tries.count(number) < TRIES:
                raise ConnectionError(number)
            return number

        @bb.job
        async def stay() -> str:
            self.started.set()
            await self.release.wait()
            return "stayed"

        self.double: Job[[int], int] = double
        self.stumble: Job[[int], int] = stumble
        self.stay: Job[[], str] = stay


# ---- a pooler of transactions --------------------------------------------------------------------------------------


async def test_a_life(url: str) -> None:
    """The schema is made, jobs run, fail, are tried again, and answer."""
    work = Work(url)
    async with work.bb as bb:
        handles = await bb.create_tasks([work.double(number) for number in range(200)])
        assert [await handle for handle in handles] == [2 * number for number in range(200)]
        assert await (await bb.create_task(work.stumble(7))) == 7
    assert work.tries == [7] * TRIES


async def test_several_engines(url: str) -> None:
    """Engines with more connections than the pooler has share the work; each job runs once, wherever it was stored."""
    works = [Work(url) for _ in range(3)]
    async with AsyncExitStack() as stack:
        for work in works:
            await stack.enter_async_context(work.bb)
        handles = await asyncio.gather(
            *[work.bb.create_tasks([work.double(number) for number in range(50)]) for work in works for _ in range(4)]
        )
        ran = await asyncio.gather(*[handle for group in handles for handle in group])
    assert sorted(ran) == sorted(2 * number for number in range(50) for _ in range(12))


async def test_work_is_found_by_looking(url: str) -> None:
    """What another process stores is found without LISTEN; what it cancels ends."""
    store, work = Work(url, run=False), Work(url)
    async with store.bb as bb, work.bb:
        assert await (await bb.create_task(store.double(4))) == 8
        staying = await bb.create_task(store.stay())
        await work.started.wait()
        assert await staying.cancel()
        assert (await staying.status()).state in {"running", "cancelled"}
        await staying.wait()
        assert (await staying.status()).state == "cancelled"


async def test_a_transaction_of_the_caller_s(url: str, pooler: PgBouncer, postgres_schema: Schema) -> None:
    """Jobs join a transaction that is open through the pooler, and end with it."""
    work = Work(url)
    connection = await asyncpg.connect(pooler.url(postgres_schema.url), statement_cache_size=0)
    async with work.bb as bb:
        begun = connection.transaction()
        await begun.start()
        lost = await bb.create_task(work.double(1), tx=connection)
        await begun.rollback()
        with pytest.raises(JobNotFound):
            await lost
        async with connection.transaction():
            kept = await bb.create_task(work.double(2), tx=connection)
        assert await kept == 4
    await connection.close()


async def test_a_deadline(pooler: PgBouncer, postgres_schema: Schema) -> None:
    """What takes too long is given up on this side, and ended on the server's; the next unit has a new connection."""
    link = Link(place(pooler, postgres_schema), timeout=0.5)
    with pytest.raises(StoreUnavailable, match="has not answered within write_timeout") as caught:
        await link.value("SELECT pg_sleep(60), 'given up'")
    assert caught.value.stored == "unknown"
    assert await link.value("SELECT 1") == 1
    sleeping = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(60)%' AND state = 'active'"
    while await link.value(sleeping):
        pass
    await link.close()


async def test_a_beat_gives_its_connection_back(pooler: PgBouncer, postgres_schema: Schema) -> None:
    """Somebody who locks a table leaves no heap of waiting connections behind, however often it is tried."""
    where = replace(place(pooler, postgres_schema), address="it")
    async with opened(where) as backend, AsyncExitStack() as stack:
        link = Link(where, timeout=0.2)
        locked = stack.enter_context(psycopg.connect(postgres_schema.url))
        locked.execute(f"LOCK TABLE {postgres_schema.name}.nodes")
        for _ in range(4):
            with pytest.raises(StoreUnavailable):
                await link.value(backend._session.statement("beat"), None, "node", 1)
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = $1::text::regclass"
        while await backend._session.reads.value(waiting, f"{postgres_schema.name}.nodes"):
            pass
        await link.close()


async def test_the_pooler_restarts(postgres_schema: Schema) -> None:
    """While the pooler is away callers are told; what runs goes on, and all does once it is back."""
    with pgbouncer.serve(postgres_schema.url, settings=FEW) as pooler:
        work = Work(through(pooler, postgres_schema), write_timeout=0.5)
        async with work.bb as bb:
            staying = await bb.create_task(work.stay())
            await work.started.wait()
            await asyncio.to_thread(pooler.process.kill)
            with pytest.raises(StoreError):
                await bb.create_task(work.double(1))
            work.release.set()
            await asyncio.to_thread(pooler.process.start)
            assert await staying == "stayed"
            assert await (await bb.create_task(work.double(2))) == 4


async def test_a_url_that_says_nothing_of_it(pooler: PgBouncer, postgres_schema: Schema) -> None:
    """Without `listen=off` a pooler refuses what a session is set up with, and who reads or writes is told the mend."""
    for write in (True, False):
        with pytest.raises(StoreUnsupported, match=r"unsupported startup parameter.*listen=off") as caught:
            async with opened(place(pooler, postgres_schema, listen=True), write=write):
                pass
        assert caught.value.stored == "no"


async def test_what_is_found_of_it(pooler: PgBouncer, postgres_schema: Schema) -> None:
    """A look at the store sees the pooler, and that the URL is written for it."""
    async with opened(place(pooler, postgres_schema)) as backend:
        findings = await found(backend)
    assert [*findings] == [
        *("version", "durability", "role", "privileges", "clock", "connections", "vacuum", "timeouts", "pooler"),
        *("schema", "latency", "hints"),
    ]
    assert {findings[name].level for name in ("timeouts", "pooler", "schema", "hints")} == {Level.GOOD}
    assert "nothing is kept in a session" in findings["pooler"].found


async def test_one_that_ignores_what_it_is_told(postgres_schema: Schema) -> None:
    """Where nothing is refused, a look finds what is lost, and names the mend."""
    with pgbouncer.serve(postgres_schema.url, settings=FEW | DEAF) as pooler:
        async with opened(place(pooler, postgres_schema, listen=True)) as backend:
            backend._session.timeout = 0.5
            findings = await found(backend)
    assert (findings["pooler"].level, findings["hints"].level) == (Level.WARNING, Level.PROBLEM)
    assert "listen=off" in findings["pooler"].mend
    assert "listen=off" in findings["hints"].mend


async def test_statements_of_others(postgres_schema: Schema) -> None:
    """Statements that a pooler mixes up are told as what they are."""
    with pgbouncer.serve(postgres_schema.url, settings=DEAF | {"default_pool_size": "2"}) as pooler:
        where = place(pooler, postgres_schema, listen=True)
        first, second = Link(where, timeout=5), Link(where, timeout=5)
        assert await first.value("SELECT 1") == 1

        async def work(wire: Wire) -> None:
            await wire.execute("BEGIN")
            # The connection that the first had is taken.
            with pytest.raises(StoreUnsupported, match=r"26000.*listen=off"):
                await first.value("SELECT 1")
            await wire.execute("ROLLBACK")

        await second.run(work)
        for link in (first, second):
            await link.close()


# ---- a pooler of sessions ------------------------------------------------------------------------------------------


async def test_whole_sessions(postgres_schema: Schema) -> None:
    """Through a pooler of sessions that passes over a session's settings, all is as without one: LISTEN too."""
    with pgbouncer.serve(postgres_schema.url, mode="session", settings=DEAF) as pooler:
        async with opened(place(pooler, postgres_schema, listen=True)) as backend:
            findings = await found(backend)
            assert "keeps whole sessions" in findings["pooler"].found
            assert "A hint went to the server and back" in findings["hints"].found
            async with opened(place(pooler, postgres_schema, listen=True)) as other:
                hints: asyncio.Queue[Hint] = asyncio.Queue()
                backend.notifier.listen(hints.put_nowait)
                # With the first look the ears are open.
                while await hints.get() is not Hint.LAPSE:
                    pass
                await other.notifier.notify(Hint.LAPSE)
                while await hints.get() is not Hint.LAPSE:
                    pass
        work = Work(through(pooler, postgres_schema, listen=True))
        async with work.bb as bb:
            assert await (await bb.create_task(work.double(4))) == 8


async def found(backend: PostgresBackend) -> dict[str, Finding]:
    """Return what a look finds, by what was looked at."""
    return {finding.check: finding for finding in await backend.examine()}
