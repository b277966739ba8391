"""What an operator asks of very many dead letters on PostgreSQL is answered by indexes of letters alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import asyncpg  # type: ignore[import-untyped]  # it brings no types
import pytest

from backburner.backends.postgres.backend import PostgresBackend
from backburner.backends.postgres.link import Link
from backburner.model.job import JobState
from backburner.model.query import JobFilter, Shown
from backburner.testing import FakeClock
from tests.plans.pages import Meter, named, place_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from backburner.ports.jobs import Timings
    from tests.servers.postgres import Postgres, Schema

LETTERS = 20_000
#: One letter in so many jobs, each of which is a quarter of a page long.
SHARE = 5
CROWD = """
    INSERT INTO {schema}.jobs (
        id, kind, queue, state, priority, created_at, due_at, ended_at, args, tags, error, message, fingerprint)
    SELECT
        lpad(i::text, 12, '0'), 'kind' || i % 7, 'queue' || i % 3, CASE WHEN i % $2 = 0 THEN 'dead' ELSE 'completed' END,
        5, i, i, i, '{"note":"' || repeat(md5(i::text), 60) || '"}', CASE WHEN i % 2 = 0 THEN ARRAY['tag' || i % 5] ELSE '{}' END,
        'ConnectionError', 'no answer to order ' || i, 'cause' || i % 9
    FROM generate_series(1, $1::bigint * $2) AS i
"""
#: Letters that one page of an index knows at the least.
DENSE = 20
#: What a page of fifty touches: it may look each of them up.
FEW = 400

READS: dict[str, Callable[[PostgresBackend, JobFilter], Awaitable[object]]] = {
    "find": lambda backend, where: backend.reader.find(where, limit=50),
    "count": lambda backend, where: backend.reader.count(where),
    "groups": lambda backend, where: backend.reader.groups(where, limit=50),
}
#: The last job of the crowd ends so many microseconds after 1970; each ends one after the one before.
LAST = LETTERS * SHARE
TIMINGS: dict[str, Callable[[PostgresBackend, JobFilter], Awaitable[Timings]]] = {
    "of late": lambda backend, where: backend.reader.timings(
        JobState.DEAD, where, within=FakeClock().now() - LAST + 249, limit=500
    ),
    "page": lambda backend, where: backend.reader.timings(JobState.COMPLETED, where, within=1 << 60, limit=50),
    "later page": lambda backend, where: backend.reader.timings(
        JobState.COMPLETED, where, within=1 << 60, limit=50, after=f"{LAST // 2}/x"
    ),
}


def _letters(**given: Any) -> JobFilter:  # noqa: ANN401 - any field of a filter
    return JobFilter(states=(Shown.DEAD,), **given)


@pytest.fixture(scope="module")
async def crowd(postgres_server: Postgres) -> AsyncIterator[Schema]:
    """Bring a store with letters among others."""
    with postgres_server.schema() as schema:
        backend = PostgresBackend(place_of(schema), clock=FakeClock())
        await backend.open(create=True)
        await backend.schema.upgrade()
        await backend.close()
        connection = await asyncpg.connect(schema.url)
        try:
            await connection.execute(named(schema, CROWD), LETTERS, SHARE)
            await connection.execute(named(schema, "VACUUM ANALYZE {schema}.jobs"))
        finally:
            await connection.close()
        yield schema


@pytest.fixture
async def backend(crowd: Schema) -> AsyncIterator[PostgresBackend]:
    """Open it."""
    made = PostgresBackend(place_of(crowd), clock=FakeClock())
    await made.open(create=False)
    yield made
    await made.close()


async def _pages(
    backend: PostgresBackend, read: str, where: JobFilter, monkeypatch: pytest.MonkeyPatch, found: int | None = None
) -> int:
    """Return the pages that a read touches."""
    asked: list[tuple[Any, ...]] = []
    value = Link.value

    async def spy(link: Link, sql: str, *args: object) -> object:
        asked.append((sql, *args))
        return await value(link, sql, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Link, "value", spy)
        if read in TIMINGS:
            assert len((await TIMINGS[read](backend, where)).jobs) == found
        else:
            await READS[read](backend, where)
    ((sql, *args),) = asked
    connection = await asyncpg.connect(backend._session.place.dsn)
    try:
        meter = Meter(connection)
        await meter.count(sql, *args)
    finally:
        await connection.close()
    return meter.pages


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize(
    "where",
    [
        _letters(queues=("strange",)),
        _letters(error="nonesuch"),
        _letters(error="nonesuch", kinds=("kind1",), queues=("queue1",)),
    ],
    ids=["queue", "error", "error of a kind"],
)
async def test_what_nothing_matches(
    backend: PostgresBackend, read: str, where: JobFilter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A filter by queue or by error that no letter matches walks an index of letters, and touches neither them nor others."""
    pages = await _pages(backend, read, where, monkeypatch)
    assert 0 < pages <= LETTERS / DENSE


@pytest.mark.parametrize("read", ["count", "groups"])
async def test_what_some_match(backend: PostgresBackend, read: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that match are counted and grouped without a look at them, but for a sample of each group."""
    for where in (_letters(queues=("queue1",)), _letters(error="ConnectionError")):
        assert await _pages(backend, read, where, monkeypatch) <= LETTERS / DENSE


@pytest.mark.parametrize("read", READS)
async def test_a_tag_that_no_letter_has(backend: PostgresBackend, read: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tag that no letter has is seen at once, however many others have."""
    assert await _pages(backend, read, _letters(tags=("strange",)), monkeypatch) < 50


async def test_the_first_page(backend: PostgresBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first page of a filter that many match ends where it is full, whatever is asked."""
    for where in (
        _letters(),
        _letters(queues=("queue1",)),
        _letters(error="ConnectionError"),
        _letters(tags=("tag0",)),
    ):
        assert await _pages(backend, "find", where, monkeypatch) <= FEW


@pytest.mark.parametrize(
    ("read", "where", "found"),
    [
        ("of late", JobFilter(), 50),
        ("of late", JobFilter(kinds=("strange",)), 0),
        ("of late", JobFilter(prefix="0", error="nonesuch", tags=("tag0",), fingerprint="cause1"), 0),
        ("page", JobFilter(), 50),
        ("page", JobFilter(kinds=("kind1", "kind2", "kind3"), queues=("queue1", "queue2")), 50),
        ("later page", JobFilter(), 50),
    ],
    ids=["of late", "strange", "of much", "page", "page of a kind", "later page"],
)
async def test_what_ended_earlier_costs_nothing(
    backend: PostgresBackend, read: str, where: JobFilter, found: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How jobs went is read by when they ended: neither those that ended earlier are touched, nor those of other pages."""
    assert await _pages(backend, read, where, monkeypatch, found) <= FEW
