"""What schedules cost on PostgreSQL depends neither on how many are not due, nor on their ledgers, nor on old snapshots."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg  # type: ignore[import-untyped]  # it brings no types
import msgspec
import pytest

from backburner.backends.postgres.backend import PostgresBackend
from backburner.backends.postgres.due_floor import DueFloor
from backburner.backends.postgres.floors import SLOW
from backburner.model.job import NewJob, UniqueKey
from backburner.model.schedule import Outcome, ScheduleChange, TickRecord
from backburner.ports.jobs import Keep
from backburner.testing import FakeClock
from tests.plans.pages import TOLERANCE, Meter, named, place_of
from tests.plans.verbs import HELD

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from backburner.backends.postgres.link import Link
    from backburner.model.schedule import ScheduleRecord
    from tests.servers.postgres import Postgres, Schema

#: Half of the others are due later, and half never are. Of the lines of ledgers a hundred are old, a hundred were skipped, and
#: ten tell of each schedule. A hundred schedules are due, and the last jobs of half of those still run.
CROWD = (
    """
    INSERT INTO {schema}.schedules (
        name, version, kind, declared, retired, created_at, changed_at, next_tick, due_at, last_job, paused, rule, job)
    SELECT
        'other' || lpad(i::text, 7, '0'), 1, 'kind', i % 500 = 0, false, 1, 1, $1::bigint + i,
        CASE WHEN i % 2 = 1 THEN $1::bigint + i END, '0ended' || lpad(i::text, 7, '0'), false, '{}', '{}'
    FROM generate_series(1, $2::bigint) AS i
    """,
    """
    INSERT INTO {schema}.jobs (id, kind, queue, state, priority, created_at, due_at, ended_at, attempt, args)
    SELECT '0ended' || lpad(i::text, 7, '0'), 'kind', 'queue', 'completed', 5, 1, 1, $1::bigint, 1, '{}'
    FROM generate_series(1, $2::bigint) AS i
    """,
    """
    INSERT INTO {schema}.ticks (id, schedule, tick, last, count, outcome, due_at, at)
    SELECT
        '0line' || lpad(i::text, 7, '0'), 'other' || lpad((i / 10)::text, 7, '0'), i, i, 1,
        CASE WHEN i BETWEEN 101 AND 200 THEN 'skipped' ELSE 'fired' END, i, CASE WHEN i <= 100 THEN i ELSE $1::bigint END
    FROM generate_series(1, $2::bigint) AS i
    """,
)
DUE = (
    """
    INSERT INTO {schema}.schedules (
        name, version, kind, declared, retired, created_at, changed_at, next_tick, due_at, last_job, paused, rule, job)
    SELECT
        'due' || lpad(i::text, 3, '0'), 1, 'kind', false, false, 1, 1, i, i, '0job' || lpad(i::text, 3, '0'), false, '{}', '{}'
    FROM generate_series(1, 100) AS i
    """,
    """
    INSERT INTO {schema}.jobs (id, kind, queue, state, priority, created_at, due_at, ended_at, node, attempt, args)
    SELECT
        '0job' || lpad(i::text, 3, '0'), 'kind', 'queue', CASE WHEN i % 2 = 1 THEN 'running' ELSE 'completed' END, 5, 1, 1,
        CASE WHEN i % 2 = 0 THEN 1 END, 'node', 1, '{}'
    FROM generate_series(1, 100) AS i
    """,
)
#: What the verbs change, and how it is put back.
KEEP = (
    "CREATE TEMP TABLE planned AS SELECT * FROM {schema}.schedules WHERE name < 'e'",
    "CREATE TEMP TABLE written AS SELECT * FROM {schema}.ticks WHERE id <= '0line0000100'",
)
PUT_BACK = (
    "DELETE FROM {schema}.schedules WHERE name < 'e'",
    "INSERT INTO {schema}.schedules SELECT * FROM planned",
    "INSERT INTO {schema}.ticks SELECT * FROM written ON CONFLICT DO NOTHING",
    "DELETE FROM {schema}.ticks WHERE id >= '1'",
    "DELETE FROM {schema}.jobs WHERE id >= '1'",
    "VACUUM {schema}.schedules, {schema}.ticks, {schema}.jobs",
)
FEW, MANY = 1_000, 300_000
#: How many of those that are due are asked for.
BATCH = 50
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
            await connection.execute(named(schema, statement), clock.now(), others)
        for statement in DUE:
            await connection.execute(named(schema, statement))
        await connection.execute(named(schema, "VACUUM ANALYZE {schema}.jobs, {schema}.schedules, {schema}.ticks"))
    finally:
        await connection.close()


@pytest.fixture(scope="module")
async def small(postgres_server: Postgres) -> AsyncIterator[Schema]:
    """Bring a store with a hundred schedules that are due beside a thousand others."""
    with postgres_server.schema() as schema:
        await _make(schema, FEW)
        yield schema


@pytest.fixture(scope="module")
async def large(postgres_server: Postgres) -> AsyncIterator[Schema]:
    """Bring a store with a hundred schedules that are due beside very many others."""
    with postgres_server.schema() as schema:
        await _make(schema, MANY)
        yield schema


@asynccontextmanager
async def _opened(schema: Schema, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[PostgresBackend, Meter]]:
    """Open the store; whatever is done is undone afterwards, for the next test."""
    backend = PostgresBackend(place_of(schema), clock=FakeClock())
    await backend.open(create=False)
    connection = await asyncpg.connect(schema.url)
    meter = Meter(connection)
    session = backend._session
    call, value = session.call, session.reads.value

    async def counted(link: Link, function: str, document: bytes) -> str:
        await meter.count(f"SELECT {schema.name}.{function}($1::text::json)", document.decode())
        return await call(link, function, document)

    async def counted_read(statement: str, *parameters: object) -> Any:  # noqa: ANN401 - whatever the column holds
        await meter.count(statement, *parameters)
        return await value(statement, *parameters)

    try:
        for statement in KEEP:
            await connection.execute(named(schema, statement))
        monkeypatch.setattr(session, "call", counted)
        monkeypatch.setattr(session.reads, "value", counted_read)
        yield backend, meter
    finally:
        await backend.close()
        for statement in PUT_BACK:
            await connection.execute(named(schema, statement))
        await connection.close()


def _fire(record: ScheduleRecord, now: int, unique: UniqueKey | None = None) -> ScheduleChange:
    name = f"1{record.name}"
    job = NewJob(id=name, kind="kind", queue="queue", args="{}", unique=unique)
    line = TickRecord(id=name, schedule=record.name, tick=1, last=1, outcome=Outcome.FIRED, job=job.id, due_at=1)
    schedule = msgspec.structs.replace(record, due_at=now + 60_000_000, last_tick=1, fired_at=now, last_job=job.id)
    return ScheduleChange(schedule=schedule, ticks=(line,), jobs=(job,))


async def _due(backend: PostgresBackend) -> None:
    due = await backend.schedules.due(500)
    assert [record.name for record in due.schedules] == [f"due{number:03}" for number in range(1, 101)]
    assert (len(due.unended), due.wait) == (50, 1)


async def _due_more(backend: PostgresBackend) -> None:
    due = await backend.schedules.due(BATCH)
    assert (len(due.schedules), len(due.unended), due.wait) == (BATCH, 25, 0)


async def _fired(backend: PostgresBackend) -> None:
    due = await backend.schedules.due(BATCH)
    answers = (await backend.schedules.change([_fire(record, due.now) for record in due.schedules])).changes
    assert not any(answer.outrun or answer.refused or answer.holders for answer in answers)


async def _fired_in_vain(backend: PostgresBackend) -> None:
    due = await backend.schedules.due(BATCH)
    key = UniqueKey("key", HELD)
    answers = (await backend.schedules.change([_fire(record, due.now, key) for record in due.schedules])).changes
    assert [answer.holders for answer in answers[1:]] == [{f"1due{n:03}": "1due001"} for n in range(2, BATCH + 1)]


async def _outrun(backend: PostgresBackend) -> None:
    due = await backend.schedules.due(BATCH)
    changes = [_fire(msgspec.structs.replace(record, version=0), due.now) for record in due.schedules]
    assert all(answer.outrun for answer in (await backend.schedules.change(changes)).changes)


async def _put(backend: PostgresBackend) -> None:
    due = await backend.schedules.due(BATCH)
    new = [msgspec.structs.replace(record, name=f"a{record.name}", version=0) for record in due.schedules]
    answers = (await backend.schedules.change([ScheduleChange(schedule=each) for each in new])).changes
    assert not any(answer.outrun for answer in answers)


async def _prune(backend: PostgresBackend) -> None:
    assert await backend.admin.prune(msgspec.structs.replace(FOR_EVER, ticks=1), 60) == 60


async def _prune_nothing(backend: PostgresBackend) -> None:
    assert await backend.admin.prune(msgspec.structs.replace(FOR_EVER, ticks=backend._session.clock.now()), 60) == 0


async def _get(backend: PostgresBackend) -> None:
    page = await backend.schedule_reader.get(["other0000500", "due001", "nobody"])
    assert [record.name for record in page.schedules] == ["due001", "other0000500"]


async def _find(backend: PostgresBackend) -> None:
    page = await backend.schedule_reader.find(limit=2, after="other0000500")
    assert [record.name for record in page.schedules] == ["other0000501", "other0000502"]


async def _find_declared(backend: PostgresBackend) -> None:
    page = await backend.schedule_reader.find(declared=True, limit=2)
    assert [record.name for record in page.schedules] == ["other0000500", "other0001000"]


async def _ledger(backend: PostgresBackend) -> None:
    page = await backend.schedule_reader.ticks(schedule="other0000050", limit=5)
    assert [line.tick for line in page.ticks] == [509, 508, 507, 506, 505]


async def _later_page_of_a_ledger(backend: PostgresBackend) -> None:
    page = await backend.schedule_reader.ticks(
        schedule="other0000050", outcomes=[Outcome.FIRED], since=1, until=508, limit=5, after="0line0000509"
    )
    assert [line.tick for line in page.ticks] == [507, 506, 505, 504, 503]


async def _later_page(backend: PostgresBackend) -> None:
    page = await backend.schedule_reader.ticks(limit=2, after="0line0000500")
    assert [line.tick for line in page.ticks] == [499, 498]


async def _skipped(backend: PostgresBackend) -> None:
    page = await backend.schedule_reader.ticks(outcomes=[Outcome.SKIPPED, Outcome.TRIGGERED], limit=200)
    assert [line.tick for line in page.ticks] == [*range(200, 100, -1)]


async def _lately(backend: PostgresBackend) -> None:
    (last,) = (await backend.schedule_reader.ticks(limit=1)).ticks
    page = await backend.schedule_reader.ticks(since=last.tick - 3, limit=200)
    assert [line.tick for line in page.ticks] == [*range(last.tick, last.tick - 4, -1)]


VERBS = (_due, _due_more, _fired, _fired_in_vain, _outrun, _put, _prune, _prune_nothing)
READS = (_get, _find, _find_declared, _ledger, _later_page_of_a_ledger, _later_page, _skipped, _lately)


@pytest.mark.parametrize("verb", [*VERBS, *READS], ids=lambda verb: verb.__name__.strip("_"))
async def test_a_crowd_costs_nothing(
    small: Schema, large: Schema, verb: Callable[[PostgresBackend], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside very many schedules and lines of ledgers a verb touches about as many pages as beside a thousand."""
    pages: list[int] = []
    for schema in (small, large):
        async with _opened(schema, monkeypatch) as (backend, meter):
            await verb(backend)
            pages.append(meter.pages)
    few, many = pages
    assert few > 0
    assert many <= few * TOLERANCE


async def test_an_old_snapshot_costs_nothing(small: Schema, monkeypatch: pytest.MonkeyPatch) -> None:
    """While somebody's transaction keeps an old snapshot, a look for what is due costs what the first one did."""
    async with _opened(small, monkeypatch) as (backend, meter):
        store = backend.schedules
        # The test's clock stands still, and looks are as slow as they are on a large store.
        store._floor = DueFloor(FakeClock(), steady=True)
        old = await asyncpg.connect(small.url)
        try:
            await old.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            await old.execute(named(small, "SELECT FROM {schema}.jobs LIMIT 1"))
            costs: list[int] = []
            for moment in range(200, 4200, 100):
                store._floor._slow = SLOW
                meter.pages = 0
                due = await store.due(100)
                costs.append(meter.pages)
                assert len(due.schedules) == 100
                changes = [
                    ScheduleChange(schedule=msgspec.structs.replace(record, due_at=moment + number))
                    for number, record in enumerate(due.schedules)
                ]
                await store.change(changes)
            head = DueFloor(FakeClock(), steady=False)
            store._floor = head
            meter.pages = 0
            await store.due(100)
        finally:
            await old.close()
    assert max(costs[1:]) <= costs[0] * TOLERANCE < meter.pages
