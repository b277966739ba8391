"""What events cost on PostgreSQL depends neither on how long the log is, nor on how many ask for others, nor on jobs that ended."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg  # type: ignore[import-untyped]  # it brings no types
import msgspec
import pytest

from backburner.backends.postgres.backend import PostgresBackend
from backburner.model.event import NewEvent, NewSubscription
from backburner.model.job import JobState, NewJob, Settlement
from backburner.model.node import NodeRecord
from backburner.ports.events import Confirmation
from backburner.ports.jobs import ClaimRequest, Keep, QueueBacklog
from backburner.testing import FakeClock
from tests.plans.pages import TOLERANCE, Meter, named, place_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from backburner.backends.postgres.link import Link
    from tests.servers.postgres import Postgres, Schema

NODE = NodeRecord(id="node", host="host", pid=1, started_at=0, queues={"queue": 1}, kinds=("kind",))
#: A hundred events are old, each subject has ten, and each thousandth is of a rare name.
CROWD = (
    """
    INSERT INTO {schema}.events (number, id, name, subject, time, data)
    SELECT
        i, 'id' || i, CASE WHEN i % 1000 = 0 THEN 'rare' ELSE 'crowd.' || i % 7 END, 'subject' || i % ($1 / 10),
        CASE WHEN i <= 100 THEN i ELSE $2::bigint END, '{}'
    FROM generate_series(1, $1::bigint) AS i
    """,
    "UPDATE {schema}.log SET last = $1 + $2::bigint * 0",
    """
    INSERT INTO {schema}.subscriptions (name, patterns, ttl, cursor, created_at, seen_at)
    SELECT 'other' || i, ARRAY['other.' || i, 'others.*'], 1000000000, 0, $2, $2 FROM generate_series(1, $1::bigint / 100) AS i
    """,
    """
    INSERT INTO {schema}.patterns (pattern, subscription)
    SELECT pattern, name FROM {schema}.subscriptions CROSS JOIN unnest(patterns) AS pattern WHERE $1 + $2::bigint > 0
    """,
    """
    INSERT INTO {schema}.jobs (id, kind, queue, state, priority, created_at, due_at, ended_at, attempt, args)
    SELECT '0ended' || i, 'kind', 'ended', CASE WHEN i % 2 = 0 THEN 'completed' ELSE 'cancelled' END, 5, 1, 1, $2::bigint, 1, '{}'
    FROM generate_series(1, $1::bigint) AS i
    """,
)
#: What is asked about, in both.
SAME = (
    """
    INSERT INTO {schema}.jobs (id, kind, queue, gate, priority, created_at, due_at, failures, args)
    SELECT
        '1pending' || i, 'kind', 'queue', CASE WHEN i % 4 = 0 THEN 'unknown:strange' ELSE '' END, i % 10, 1,
        CASE WHEN i % 2 = 0 THEN 1 ELSE $1::bigint + 1000000 END, CASE WHEN i % 4 = 1 THEN 1 ELSE 0 END, '{}'
    FROM generate_series(1, 1000) AS i
    """,
    """
    INSERT INTO {schema}.jobs (id, kind, queue, state, priority, created_at, due_at, ended_at, attempt, args)
    SELECT '1dead' || i, 'kind', 'queue', 'dead', 5, 1, 1, $1::bigint, 1, '{}' FROM generate_series(1, 100) AS i
    """,
)
PUT_BACK = (
    "DELETE FROM {schema}.unnumbered",
    "INSERT INTO {schema}.events SELECT * FROM kept ON CONFLICT DO NOTHING",
    "DELETE FROM {schema}.events WHERE number > (SELECT max FROM longest)",
    "UPDATE {schema}.log SET last = (SELECT max FROM longest), pruned = 0",
    "DELETE FROM {schema}.subscriptions WHERE name >= 'p'",
    "DELETE FROM {schema}.patterns WHERE subscription >= 'p'",
    "DELETE FROM {schema}.jobs WHERE id >= '2'",
    "DELETE FROM {schema}.nodes",
    "VACUUM {schema}.events, {schema}.unnumbered, {schema}.subscriptions, {schema}.patterns, {schema}.jobs",
)
FEW, MANY = 20_000, 400_000
FOR_EVER = Keep(completed=None, cancelled=None, dead=None)


async def _make(schema: Schema, others: int) -> None:
    clock = FakeClock()
    backend = PostgresBackend(place_of(schema), clock=clock)
    await backend.open(create=True)
    await backend.schema.upgrade()
    await backend.close()
    connection = await asyncpg.connect(schema.url)
    try:
        for statement in CROWD:
            await connection.execute(named(schema, statement), others, clock.now())
        for statement in SAME:
            await connection.execute(named(schema, statement), clock.now())
        await connection.execute(
            named(schema, "VACUUM ANALYZE {schema}.events, {schema}.jobs, {schema}.subscriptions, {schema}.patterns")
        )
    finally:
        await connection.close()


@pytest.fixture(scope="module")
async def small(postgres_server: Postgres) -> AsyncIterator[Schema]:
    """Bring a store with some thousand events."""
    with postgres_server.schema() as schema:
        await _make(schema, FEW)
        yield schema


@pytest.fixture(scope="module")
async def large(postgres_server: Postgres) -> AsyncIterator[Schema]:
    """Bring a store with very many events, subscriptions to others, and ended jobs."""
    with postgres_server.schema() as schema:
        await _make(schema, MANY)
        yield schema


@asynccontextmanager
async def _opened(schema: Schema, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[PostgresBackend, Meter]]:
    """Open the store with a live node; whatever is done is undone afterwards, for the next test."""
    backend = PostgresBackend(place_of(schema), clock=FakeClock())
    await backend.open(create=False)
    connection = await asyncpg.connect(schema.url)
    meter = Meter(connection)
    session = backend._session
    call = session.call

    async def counted(link: Link, function: str, document: bytes) -> str:
        await meter.count(f"SELECT {schema.name}.{function}($1::text::json)", document.decode())
        return await call(link, function, document)

    try:
        await connection.execute(
            named(schema, "CREATE TEMP TABLE kept AS SELECT * FROM {schema}.events WHERE number <= 100")
        )
        await connection.execute(named(schema, "CREATE TEMP TABLE longest AS SELECT max(number) FROM {schema}.events"))
        await backend.nodes.publish(NODE, 1_000_000_000)
        monkeypatch.setattr(session, "call", counted)
        yield backend, meter
    finally:
        await backend.close()
        for statement in PUT_BACK:
            await connection.execute(named(schema, statement))
        await connection.close()


async def _last(backend: PostgresBackend) -> int:
    return (await backend.event_reader.read(limit=1, newest=True)).last


async def _subscribe(backend: PostgresBackend, *patterns: str, name: str = "sub", behind: int = 0) -> None:
    after = await _last(backend) - behind
    await backend.events.subscribe(NewSubscription(name=name, patterns=patterns, ttl=1, after=after))


async def _append(backend: PostgresBackend) -> None:
    await _subscribe(backend, "wanted.*")
    events = [NewEvent(name=f"{name}.{at}", id=f"id{5000 + at}") for at in range(50) for name in ("wanted", "strange")]
    assert (await backend.events.append(events)).stored == 0
    new = [NewEvent(name=f"wanted.{at}", id=f"new{at}") for at in range(50)]
    assert (await backend.events.append(new)).stored == 50


async def _pull(backend: PostgresBackend) -> None:
    await _subscribe(backend, "crowd.*", "wanted", behind=100)
    await backend.events.append([NewEvent(name="wanted")])
    (received,) = (await backend.events.pull(["sub"], limit=500)).received
    # Every thousandth is of another name, the newest before too.
    assert len(received.events) == 100


async def _pull_few_of_many(backend: PostgresBackend) -> None:
    await _subscribe(backend, "rare", behind=15_000)
    (received,) = (await backend.events.pull(["sub"], limit=500)).received
    assert (len(received.events), received.upto - received.cursor) == (10, 10_000)


async def _confirm(backend: PostgresBackend) -> None:
    await _subscribe(backend, "crowd.*", behind=50)
    (received,) = (await backend.events.pull(["sub"], limit=500)).received
    jobs = tuple([NewJob(id=f"2job{at}", kind="kind", queue="queue", args="{}") for at in range(50)])
    given = Confirmation(name="sub", cursor=received.cursor, upto=received.upto, jobs=jobs)
    (answer,) = (await backend.events.confirm([given])).groups
    assert answer is not None


async def _read(backend: PostgresBackend) -> None:
    page = await backend.event_reader.read(after=10_000, limit=50)
    assert [page.events[0].number, page.upto] == [10_001, 10_050]


async def _read_newest(backend: PostgresBackend) -> None:
    page = await backend.event_reader.read(newest=True, limit=50)
    assert page.events[-1].number == page.upto == page.last - 49


async def _read_few_of_many(backend: PostgresBackend) -> None:
    page = await backend.event_reader.read(patterns=["strange.*"], limit=50)
    assert (page.events, page.upto) == ((), 10_000)


async def _read_about(backend: PostgresBackend) -> None:
    for newest in (False, True):
        page = await backend.event_reader.read(subject="subject77", newest=newest, limit=50)
        assert (len(page.events), page.end) == (10, True)


async def _prune(backend: PostgresBackend) -> None:
    keep = msgspec.structs.replace(FOR_EVER, events=1_000_000)
    assert await backend.admin.prune(keep, 60) == 60
    assert await backend.admin.prune(keep, 60) == 40


async def _prune_nothing(backend: PostgresBackend) -> None:
    assert await backend.admin.prune(msgspec.structs.replace(FOR_EVER, events=backend._session.clock.now()), 60) == 0


async def _tell_of_jobs(backend: PostgresBackend) -> None:
    await _subscribe(backend, "job.*")
    await backend.jobs.enqueue(
        [[NewJob(id=f"2job{at}", kind="kind", queue="told", args="{}", tags=("t",)) for at in range(50)]]
    )
    demand = ClaimRequest(node="node", queues={"told": 50}, limit=50, kinds=frozenset({"kind"}))
    claims = (await backend.jobs.claim(demand)).claims
    settlements = [
        Settlement(id=each.id, token=each.token, state=JobState.COMPLETED if at % 2 else JobState.DEAD, reason="r")
        for at, each in enumerate(claims)
    ]
    await backend.jobs.settle("node", settlements)
    (received,) = (await backend.events.pull(["sub"], limit=500)).received
    assert len(received.events) == 150


async def _backlog(backend: PostgresBackend) -> None:
    found = await backend.reader.backlog()
    assert found.queues == (
        QueueBacklog(queue="queue", waiting=250, oldest=1, scheduled=250, retrying=250, held=250, dead=100),
    )
    assert found.unknown == {"strange": 250}


VERBS = (
    _append,
    _pull,
    _pull_few_of_many,
    _confirm,
    _read,
    _read_newest,
    _read_few_of_many,
    _read_about,
    _prune,
    _prune_nothing,
    _tell_of_jobs,
    _backlog,
)


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.__name__.strip("_"))
async def test_a_crowd_costs_nothing(
    small: Schema, large: Schema, verb: Callable[[PostgresBackend], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside a long log, many who ask for others and many ended jobs a verb touches about as many pages as beside few."""
    pages: list[int] = []
    for schema in (small, large):
        async with _opened(schema, monkeypatch) as (backend, meter):
            await verb(backend)
            pages.append(meter.pages)
    few, many = pages
    assert few > 0
    assert many <= few * TOLERANCE


async def test_nobody_asks(small: Schema, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody subscribes, or only to others, to see that takes a few pages a verb, however many jobs it is about."""
    async with _opened(small, monkeypatch) as (backend, _):
        connection = await asyncpg.connect(small.url)
        try:
            meter = Meter(connection)
            await connection.execute(named(small, "SET search_path = {schema}"))
            await meter.count("SELECT wanted('{job.enqueued,job.claimed}')")
            assert meter.pages <= 20
            emptied = connection.transaction()
            await emptied.start()
            await connection.execute("TRUNCATE patterns")
            meter.pages = 0
            await meter.count("SELECT wanted('{job.enqueued,job.claimed}')")
            assert meter.pages <= 1
            await emptied.rollback()
        finally:
            await connection.close()
        assert (await backend.events.append([NewEvent(name="strange")])).stored == 0
