"""What a verb costs on PostgreSQL depends neither on how many jobs it has nothing to do with nor on old snapshots."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg  # type: ignore[import-untyped]  # it brings no types
import pytest

from backburner.backends.postgres.backend import PostgresBackend
from backburner.backends.postgres.floors import Floors
from backburner.model.clock import SECOND
from backburner.model.job import JobState, NewJob, Settlement
from backburner.model.lane import Limit, Rate
from backburner.model.node import NodeRecord
from backburner.ports.jobs import ClaimRequest, Letter
from backburner.testing import FakeClock
from tests.plans.pages import TOLERANCE, Meter, named, place_of
from tests.plans.verbs import DEMAND, FIRST_WAITING, VERBS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from backburner.backends.postgres.link import Link
    from backburner.ports.backend import Backend
    from tests.servers.postgres import Postgres, Schema

NODE = NodeRecord(id="node", host="host", pid=1, started_at=0, queues={"queue": 1}, kinds=("kind",))
LEASE = 1_000_000_000 * SECOND

#: As `conftest` has it for SQLite.
CROWD = (
    """
    INSERT INTO {schema}.jobs (
        id, kind, queue, state, priority, created_at, due_at, ended_at, attempt, args, unique_key, unique_states,
        unique_until)
    SELECT
        '0ended' || lpad(i::text, 10, '0'), 'kind', 'queue', CASE WHEN i % 10 > 0 THEN 'completed' ELSE 'dead' END,
        i % 10, 1, 1, $1::bigint + i, 1, '{}', CASE WHEN i % 2 = 1 THEN 'free' END,
        CASE WHEN i % 2 = 1 THEN ARRAY['pending', 'running'] END, CASE WHEN i % 2 = 1 THEN i END
    FROM generate_series(1, $2::bigint) AS i
    """,
    """
    INSERT INTO {schema}.jobs (id, kind, queue, priority, created_at, due_at, expires_at, args)
    SELECT
        '0later' || lpad(i::text, 10, '0'), 'kind', 'queue', i % 10, 1, $1::bigint + 1000000000 + i,
        $1::bigint + 9000000000 + i, '{}'
    FROM generate_series(1, $2::bigint) AS i
    """,
    """
    INSERT INTO {schema}.jobs (id, kind, queue, gate, priority, created_at, due_at, args, unique_key, unique_states)
    SELECT
        '0parked' || lpad(i::text, 10, '0'), 'strange', 'queue',
        CASE i % 3 WHEN 0 THEN 'unknown:strange' WHEN 1 THEN 'misfit:kind:one,two' ELSE 'unique:busy' END,
        i % 10, 1, $1::bigint * 0 + 1, '{}', CASE WHEN i % 3 = 2 THEN 'busy' END,
        CASE WHEN i % 3 = 2 THEN ARRAY['pending', 'running'] END
    FROM generate_series(1, $2::bigint) AS i
    """,
    """
    INSERT INTO {schema}.jobs (
        id, kind, queue, state, priority, created_at, due_at, ended_at, attempt, args, parent, lifted)
    SELECT
        '0child' || lpad(i::text, 10, '0'), 'kind', 'queue', 'completed', 5, 1, $1::bigint * 0 + 1, 1, 1, '{}', '1parent',
        true
    FROM generate_series(1, $2::bigint) AS i
    """,
    """
    INSERT INTO {schema}.jobs (id, kind, queue, gate, priority, created_at, due_at, args, lanes, turn)
    SELECT
        '0lane' || lpad(i::text, 10, '0'), 'kind', 'queue', 'lane:' || lane, i % 10, 1, $1::bigint * 0 + 1, '{}',
        ARRAY[lane, 'turns'], hashtextextended('turns', hashtextextended('queue', 0))
    FROM generate_series(1, $2::bigint) AS i
    CROSS JOIN LATERAL (SELECT CASE WHEN i % 10 > 0 THEN 'full' ELSE 'shut/' || i END AS lane) AS named
    """,
    """
    INSERT INTO {schema}.jobs (id, kind, queue, priority, created_at, due_at, args)
    SELECT '1due' || lpad(i::text, 10, '0'), 'kind', 'queue', 5, 1, $1::bigint - $2::bigint + i, '{}'
    FROM generate_series(1, $2::bigint) AS i
    """,
)
HOLDERS = """
    INSERT INTO {schema}.jobs (id, kind, queue, priority, created_at, due_at, args, unique_key, unique_states)
    VALUES
        ('1holder', 'kind', 'elsewhere', 5, 1, $1::bigint + 1000000000, '{}', 'busy', '{pending,running}'),
        ('1parent', 'kind', 'elsewhere', 5, 1, $1::bigint + 1000000000, '{}', NULL, NULL)
"""
#: Two limits without slots: where a crowd stands at one lane, and where each stands at a lane of his own.
LIMITS = """
    INSERT INTO {schema}.limits (name, declared, slots) VALUES ('full', '{"slots":0}', 0), ('shut', '{"slots":0}', 0)
"""
LANES = """
    INSERT INTO {schema}.lanes (name, parked)
    SELECT DISTINCT substr(gate, 6), true FROM {schema}.jobs WHERE gate >= 'lane:' AND gate < 'lane;'
"""
#: The first two at the lane where the crowd stands, by priority, due time and id.
FIRST_AT_LANE = ("0lane0000000001", "0lane0000000011")
#: What the verbs change, and how it is put back.
KEEP = """
    CREATE TEMP TABLE kept AS
    SELECT * FROM {schema}.jobs WHERE id >= '1' OR id BETWEEN '0ended' AND '0ended0000000300'
"""
CLEAR = "DELETE FROM {schema}.jobs WHERE id >= '1' OR id BETWEEN '0ended' AND '0ended0000000300'"


async def _make(schema: Schema, numbers: tuple[int, ...]) -> None:
    clock = FakeClock()
    backend = PostgresBackend(place_of(schema), clock=clock)
    await backend.open(create=True)
    await backend.schema.upgrade()
    await backend.close()
    connection = await asyncpg.connect(schema.url)
    try:
        for statement, number in zip(CROWD, numbers, strict=True):
            await connection.execute(named(schema, statement), clock.now(), number)
        await connection.execute(named(schema, HOLDERS), clock.now())
        await connection.execute(named(schema, LIMITS))
        await connection.execute(named(schema, LANES))
        await connection.execute(named(schema, "VACUUM ANALYZE {schema}.jobs, {schema}.lanes"))
    finally:
        await connection.close()


@pytest.fixture(scope="module")
async def small(postgres_server: Postgres) -> AsyncIterator[Schema]:
    """Bring a store with a thousand due jobs and few others."""
    with postgres_server.schema() as schema:
        await _make(schema, (1000, 1000, 1000, 1000, 1000, 1000))
        yield schema


@pytest.fixture(scope="module")
async def large(postgres_server: Postgres) -> AsyncIterator[Schema]:
    """Bring a store with a million pending jobs and a million ended ones; a thousand are due."""
    with postgres_server.schema() as schema:
        await _make(schema, (900_000, 500_000, 399_000, 100_000, 100_000, 1000))
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
        await connection.execute(named(schema, KEEP))
        await backend.nodes.publish(NODE, LEASE)
        monkeypatch.setattr(session, "call", counted)
        yield backend, meter
    finally:
        await backend.close()
        await connection.execute(named(schema, CLEAR))
        await connection.execute(named(schema, "INSERT INTO {schema}.jobs SELECT * FROM kept"))
        await connection.execute(
            named(schema, "UPDATE {schema}.jobs SET gate = 'unique:busy' WHERE id = $1"), FIRST_WAITING
        )
        await connection.execute(named(schema, "UPDATE {schema}.jobs SET lifted = true WHERE id = '0child0000000001'"))
        await connection.execute(
            named(
                schema,
                "UPDATE {schema}.jobs SET state = 'pending', gate = 'lane:full', ended_at = NULL WHERE id = ANY ($1)",
            ),
            FIRST_AT_LANE,
        )
        await connection.execute(
            named(schema, "UPDATE {schema}.lanes SET parked = true, opens_at = NULL WHERE parked OR name = 'full'")
        )
        await connection.execute(named(schema, "DELETE FROM {schema}.held"))
        await connection.execute(named(schema, "DELETE FROM {schema}.lanes WHERE NOT parked OR name = 'new'"))
        await connection.execute(named(schema, "DELETE FROM {schema}.limits WHERE name NOT IN ('full', 'shut')"))
        await connection.execute(
            named(schema, "UPDATE {schema}.limits SET override = NULL, slots = 0 WHERE name IN ('full', 'shut')")
        )
        await connection.execute(named(schema, "DELETE FROM {schema}.attempts"))
        await connection.execute(named(schema, "DELETE FROM {schema}.nodes"))
        await connection.close()


async def _let_in(backend: Backend) -> None:
    """Open the lane where the crowd stands, by its limit, then by the end of a run."""
    await backend.limits.override("full", Limit(slots=1), by=None, reason=None)
    demand = ClaimRequest(node="node", queues={"queue": 1}, limit=1, kinds=frozenset({"kind"}))
    (first,) = (await backend.jobs.claim(demand)).claims
    settled = await backend.jobs.settle(
        "node", [Settlement(id=first.id, token=first.token, state=JobState.COMPLETED)], demand
    )
    assert settled.let_in == 1
    assert settled.batch is not None
    assert (first.id, settled.batch.claims[0].id) == FIRST_AT_LANE


async def _turn_away(backend: Backend) -> None:
    """Park fifty where nobody stands; fifty more are put behind them at once."""
    await backend.limits.declare({"new": Limit(slots=0)})
    jobs = [_laned(number, "new") for number in range(50)]
    await backend.jobs.enqueue([jobs])
    assert len((await backend.jobs.claim(DEMAND)).claims) == 50
    await backend.jobs.enqueue([[_laned(number, "new") for number in range(50, 100)]])
    page = await backend.reader.get([f"2lane{number}" for number in range(100)])
    assert {job.gate for job in page.jobs} == {"lane:new"}


async def _stand_behind(backend: Backend) -> None:
    await backend.jobs.enqueue([[_laned(number, "full") for number in range(50)]])


async def _pass_lanes(backend: Backend) -> None:
    await backend.limits.declare({"wide": Limit(slots=99, rate=Rate(limit=99, period=SECOND, burst=99))})
    await backend.jobs.enqueue([[_laned(number, f"wide/{number}") for number in range(50)]])
    claims = (await backend.jobs.claim(DEMAND)).claims
    assert {len(claim.lanes) for claim in claims} == {1}
    settlements = [Settlement(id=each.id, token=each.token, state=JobState.COMPLETED) for each in claims]
    assert (await backend.jobs.settle("node", settlements)).stale == ()


async def _take_turns(backend: Backend) -> None:
    """Run one after another, of those who take turns at a lane where the crowd does too, which stands elsewhere."""
    await backend.limits.declare({"turns": Limit(slots=1)})
    await backend.jobs.enqueue([[_laned(number, "turns") for number in range(2)]])
    demand = ClaimRequest(node="node", queues={"queue": 1}, limit=1, kinds=frozenset({"kind"}))
    (first,) = (await backend.jobs.claim(demand)).claims
    ended = Settlement(id=first.id, token=first.token, state=JobState.COMPLETED)
    settled = await backend.jobs.settle("node", [ended], demand)
    assert settled.batch is not None
    assert [first.id, *(each.id for each in settled.batch.claims)] == ["2lane0", "2lane1"]


async def _replay(backend: Backend) -> None:
    assert (await backend.admin.replay(_letters())).missed == ()


async def _purge(backend: Backend) -> None:
    assert (await backend.admin.purge(_letters())).missed == ()


def _laned(number: int, lane: str) -> NewJob:
    return NewJob(id=f"2lane{number}", kind="kind", queue="queue", args="{}", priority=0, lanes=(lane,))


def _letters() -> list[Letter]:
    return [Letter(id=f"0ended{number:010}", token=0) for number in range(10, 301, 10)]


OF_LANES = (_let_in, _turn_away, _stand_behind, _pass_lanes, _take_turns, _replay, _purge)


@pytest.mark.parametrize("verb", [*VERBS, *OF_LANES], ids=lambda verb: verb.__name__.strip("_"))
async def test_a_crowd_costs_nothing(
    small: Schema, large: Schema, verb: Callable[[Backend], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside a million pending and a million ended jobs a verb touches about as many pages as beside a thousand."""
    pages: list[int] = []
    for schema in (small, large):
        async with _opened(schema, monkeypatch) as (backend, meter):
            await verb(backend)
            pages.append(meter.pages)
    few, many = pages
    assert few > 0
    assert many <= few * TOLERANCE


async def test_an_old_snapshot_costs_nothing(large: Schema, monkeypatch: pytest.MonkeyPatch) -> None:
    """While somebody's transaction keeps an old snapshot, the last claim of a long line costs what the first one did."""
    stream = 20_000
    async with _opened(large, monkeypatch) as (backend, meter):
        # The test's clock stands still, but these are stored in order.
        backend.jobs._floors = Floors(FakeClock(), steady=True)
        jobs = [NewJob(id=f"3stream{number:06}", kind="kind", queue="stream", args="{}") for number in range(stream)]
        await backend.jobs.enqueue([jobs])
        old = await asyncpg.connect(large.url)
        try:
            await old.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            await old.execute(named(large, "SELECT FROM {schema}.jobs LIMIT 1"))
            demand = ClaimRequest(node="node", queues={"stream": 500}, limit=500, kinds=frozenset({"kind"}))
            costs: list[int] = []
            for _ in range(stream // 500):
                meter.pages = 0
                claims = (await backend.jobs.claim(demand)).claims
                costs.append(meter.pages)
                assert len(claims) == 500
                await backend.jobs.settle(
                    "node", [Settlement(id=each.id, token=each.token, state=JobState.COMPLETED) for each in claims]
                )
        finally:
            await old.close()
    # Only the last has to see that nothing is left.
    assert max(costs[:-1]) <= costs[0] * TOLERANCE
