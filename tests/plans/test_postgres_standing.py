"""What runs, or waits, is found on PostgreSQL by indexes of that, however many jobs ended beside it."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import asyncpg  # type: ignore[import-untyped]  # it brings no types
import pytest

from backburner.backends.postgres.backend import PostgresBackend
from backburner.backends.postgres.link import Link
from backburner.model.query import JobFilter, Shown
from backburner.testing import FakeClock
from tests.plans.pages import Meter, named, place_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.servers.postgres import Postgres, Schema

ENDED, RUNNING, WAITING, SCHEDULED, RETRYING = 50_000, 40, 60, 50, 30
#: The newest have ended.
CROWD = """
    INSERT INTO {schema}.jobs (id, kind, queue, state, priority, created_at, due_at, ended_at, failures, node, args)
    SELECT
        $1 || lpad(i::text, 12, '0'), 'kind', 'queue', $2, 5, i, CASE WHEN $4 THEN 9e15 ELSE 1 END,
        CASE WHEN $2 = 'completed' THEN i END, $5::int, CASE WHEN $2 = 'running' THEN 'node' || i % 4 END,
        '{"note":"' || repeat('x', 200) || '"}'
    FROM generate_series(1, $3::bigint) AS i
"""
#: What a page of fifty touches: it looks each of them up.
FEW = 450
STATES = (Shown.RUNNING, Shown.WAITING, Shown.SCHEDULED, Shown.RETRYING)


@pytest.fixture(scope="module")
async def crowd(postgres_server: Postgres) -> AsyncIterator[Schema]:
    """Bring a store in which fifty thousand jobs have ended, and few have not."""
    with postgres_server.schema() as schema:
        backend = PostgresBackend(place_of(schema), clock=FakeClock())
        await backend.open(create=True)
        await backend.schema.upgrade()
        await backend.close()
        connection = await asyncpg.connect(schema.url)
        try:
            for sort in (
                ("0run", "running", RUNNING, False, 0),
                ("0wait", "pending", WAITING, False, 0),
                ("0later", "pending", SCHEDULED, True, 0),
                ("0again", "pending", RETRYING, True, 1),
                ("1ended", "completed", ENDED, False, 0),
            ):
                await connection.execute(named(schema, CROWD), *sort)
            await connection.execute(named(schema, "VACUUM ANALYZE {schema}.jobs"))
        finally:
            await connection.close()
        yield schema


@pytest.mark.parametrize("states", [some for n in range(1, 5) for some in combinations(STATES, n)])
async def test_what_ended_costs_nothing(
    crowd: Schema, states: tuple[Shown, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of what runs or waits, in each mix of states, touches no more than those."""
    backend = PostgresBackend(place_of(crowd), clock=FakeClock())
    await backend.open(create=False)
    asked: list[tuple[str, *tuple[object, ...]]] = []
    value = Link.value

    async def spy(link: Link, sql: str, *args: object) -> object:
        asked.append((sql, *args))
        return await value(link, sql, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Link, "value", spy)
        page = await backend.reader.find(JobFilter(states=states), limit=50)
    await backend.close()
    sizes = dict(zip(STATES, (RUNNING, WAITING, SCHEDULED, RETRYING), strict=True))
    assert len(page.jobs) == min(50, sum(sizes[state] for state in states))
    ((sql, *args),) = asked
    connection = await asyncpg.connect(crowd.url)
    try:
        meter = Meter(connection)
        await meter.count(sql, *args)
    finally:
        await connection.close()
    assert 0 < meter.pages <= FEW
