"""Which indexes answer what is asked of dead letters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from backburner.backends.postgres.link import Link
from backburner.model.query import JobFilter, Shown
from tests.unit.postgres.stranger import connect

if TYPE_CHECKING:
    from backburner.backends.postgres.backend import PostgresBackend
    from backburner.backends.postgres.link import Wire
    from backburner.backends.postgres.place import PostgresPlace

CROWD = """
    INSERT INTO {schema}.jobs (
        id, kind, queue, state, priority, created_at, due_at, ended_at, args, error, message, fingerprint)
    SELECT
        i::text, 'kind', 'queue', CASE WHEN i % 2 = 0 THEN 'dead' ELSE 'completed' END, 5, i, i, i, '{}', 'Failed', 'at ' || i,
        'f' || i % 9
    FROM generate_series(1, 2000) AS i
"""
#: What the indexes of letters know.
FILTERS: tuple[dict[str, Any], ...] = (
    {},
    {"kinds": ("kind",)},
    {"fingerprint": "f1"},
    {"since": 7, "until": 9},
    {"ended_before": 99, "prefix": "1"},
    {"queues": ("queue", "other")},
    {"error": "at 7"},
    {"error": "Failed", "queues": ("queue",), "kinds": ("kind",), "since": 7},
)
#: Bytes of error and message together, about where an account is too long for the index of brief ones.
LENGTHS = (2, 499, 500, 501, 5000)
LONG = """
    INSERT INTO {schema}.jobs (
        id, kind, queue, state, priority, created_at, due_at, ended_at, args, error, message, fingerprint)
    SELECT
        length::text, 'kind' || length % 2, 'queue', 'dead', 5, 1, 1, length, '{}', 'É', repeat('é', (length::integer - 2) / 2)
        || repeat('e', length::integer % 2), 'cause'
    FROM unnest($1::bigint[]) AS length
"""


@pytest.mark.parametrize("given", FILTERS, ids=lambda given: "+".join(given) or "all")
async def test_letters_are_counted_and_grouped_by_an_index_alone(
    backend: PostgresBackend, place: PostgresPlace, given: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dead letters are found, counted and grouped without a look at each of them, or at any other job."""
    connection = await connect(place)
    await connection.execute(CROWD.replace("{schema}", place.schema))
    await connection.execute(f"VACUUM ANALYZE {place.schema}.jobs")
    await connection.close()
    asked: list[tuple[object, ...]] = []
    value = Link.value

    async def spy(link: Link, sql: str, *args: object) -> object:
        asked.append((sql, *args))
        return await value(link, sql, *args)

    monkeypatch.setattr(Link, "value", spy)
    where = JobFilter(states=(Shown.DEAD,), **given)  # type: ignore[arg-type]  # any field of a filter
    await backend.reader.find(where, limit=3)
    await backend.reader.count(where)
    await backend.reader.groups(where, limit=3)

    async def explain(wire: Wire) -> list[str]:
        await wire.execute("BEGIN; SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        plans = ["\n".join([row[0] for row in await wire.fetch(f"EXPLAIN {sql}", *args)]) for sql, *args in asked]
        await wire.execute("ROLLBACK")
        return plans

    for plan in await backend._session.reads.run(explain):
        assert "Index Only Scan using jobs_" in plan or "Index Only Scan Backward using jobs_" in plan
        assert "Seq Scan on jobs" not in plan


async def test_errors_of_any_length(backend: PostgresBackend, place: PostgresPlace) -> None:
    """Letters are found page by page, counted and grouped by their errors, whether an index has those or cannot."""
    connection = await connect(place)
    await connection.execute(LONG.replace("{schema}", place.schema), LENGTHS)
    await connection.close()
    for error, expected in (
        ("É", LENGTHS),
        ("é", LENGTHS[1:]),
        ("e", (499, 501)),
        ("éé" * 200, LENGTHS[-1:]),
        ("x", ()),
    ):
        where = JobFilter(states=(Shown.DEAD,), error=error)
        found: list[str] = []
        after: str | None = None
        for _ in LENGTHS:
            page = await backend.reader.find(where, limit=2, after=after)
            found += [job.id for job in page.jobs]
            after = page.after
            if after is None:
                break
        assert found == sorted(map(str, expected), reverse=True)
        assert await backend.reader.count(where) == ({Shown.DEAD: len(expected)} if expected else {})
        groups = (await backend.reader.groups(JobFilter(error=error), limit=9)).groups
        assert [(group.count, group.last, group.sample) for group in groups] == (
            [(len(expected), max(expected), str(max(expected)))] if expected else []
        )
