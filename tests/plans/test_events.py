"""What events cost does not depend on how many are stored; nor a backlog on how many jobs have ended."""

from __future__ import annotations

import re
import sqlite3
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from backburner.backends.sqlite.backend import SqliteBackend
from backburner.model.event import NewEvent, NewSubscription
from backburner.model.job import NewJob
from backburner.ports.events import Confirmation
from backburner.ports.jobs import Keep, QueueBacklog
from backburner.testing import FakeClock
from tests.plans.meter import TOLERANCE, Meter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

#: Of the events the first hundred are old, and each subject has ten; behind them all stand a hundred that are asked for.
#: As many jobs have ended; of those that have not each sort is there, in two queues.
CROWD = """
PRAGMA synchronous = OFF;
BEGIN;
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT :others)
INSERT INTO backburner_events (id, name, subject, time, data)
SELECT printf('id%d', i), 'other.name', printf('subject%d', i / 10), iif(i <= 100, 1, :now), '{}' FROM n;

INSERT INTO backburner_subscriptions (name, patterns, kind, ttl, cursor, created_at, seen_at)
SELECT 'sub', '["order.*", "ping"]', 'kind', 1000000000, max(number), :now, :now FROM backburner_events;

WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100)
INSERT INTO backburner_events (name, subject, time, data)
SELECT iif(i % 2, 'order.paid', 'orders.paid'), 'order', :now, '{}' FROM n;

WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT :others)
INSERT INTO backburner_jobs (id, kind, queue, state, priority, created_at, due_at, ended_at, attempt, failures, args)
SELECT printf('0ended%d', i), 'kind', 'queue', iif(i % 2, 'completed', 'cancelled'), 5, 1, 1, 1, 1, 1, '{}' FROM n;

WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100)
INSERT INTO backburner_jobs (
    id, kind, queue, state, gate, priority, created_at, due_at, ended_at, failures, node, args)
SELECT
    printf('job%03d', i), 'kind', iif(i % 2, 'queue', 'other'),
    CASE i % 20 / 2 WHEN 0 THEN 'running' WHEN 1 THEN 'dead' ELSE 'pending' END,
    CASE i % 20 / 2 WHEN 2 THEN 'unknown:kind' WHEN 3 THEN 'lane:a' ELSE '' END,
    i % 10, 1, iif(i % 20 / 2 < 8, i, :now + i), iif(i % 20 / 2 = 1, 1, NULL), i % 20 / 2 = 9, 'node', '{}'
FROM n;
COMMIT;
"""

FEW, MANY = 1_000, 1_000_000
FOR_EVER = Keep(completed=None, cancelled=None, dead=None)


def _crowd(path: Path, **numbers: int) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in CROWD.split(";\n"):
            if statement.strip():
                connection.execute(statement, {name: n for name, n in numbers.items() if f":{name}" in statement})


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Bring two stores with a hundred events that are asked for, behind a thousand and behind a million others."""
    directory = tmp_path_factory.mktemp("events")
    clock = FakeClock()

    async def make(path: Path) -> None:
        backend = SqliteBackend(path, clock=clock)
        await backend.open(create=True)
        await backend.schema.upgrade()
        await backend.close()

    paths = directory / "few.db", directory / "many.db"
    for path, others in zip(paths, (FEW, MANY), strict=True):
        anyio.run(make, path)
        _crowd(path, now=clock.now(), others=others)
    return paths


@asynccontextmanager
async def _opened(path: Path) -> AsyncIterator[SqliteBackend]:
    """Open the store; whatever is done is undone afterwards, for the next test."""
    backend = SqliteBackend(path, clock=FakeClock())
    await backend.open(create=False)
    with closing(sqlite3.connect(path, isolation_level=None)) as keeper:
        keeper.execute("CREATE TEMP TABLE asked AS SELECT * FROM backburner_subscriptions")
        keeper.execute("CREATE TEMP TABLE old AS SELECT * FROM backburner_events WHERE number <= 100")
        (last,) = keeper.execute("SELECT max(number) FROM backburner_events").fetchone()
        try:
            yield backend
        finally:
            await backend.close()
            keeper.execute("DELETE FROM backburner_subscriptions")
            keeper.execute("INSERT INTO backburner_subscriptions SELECT * FROM asked")
            keeper.execute("DELETE FROM backburner_events WHERE number > :last", {"last": last})
            keeper.execute("UPDATE sqlite_sequence SET seq = :last WHERE name = 'backburner_events'", {"last": last})
            keeper.execute("INSERT OR IGNORE INTO backburner_events SELECT * FROM old")
            keeper.execute("UPDATE backburner_log SET pruned = 0")
            keeper.execute("DELETE FROM backburner_jobs WHERE id LIKE 'new%'")


async def _cursor(backend: SqliteBackend) -> int:
    ((cursor,),) = await backend._session.reads.all("SELECT cursor FROM backburner_subscriptions WHERE name = 'sub'")
    found: int = cursor
    return found


async def _append(backend: SqliteBackend) -> None:
    events = [NewEvent(name="order.paid", id=f"id{number}" if number < 9 else None) for number in range(1, 51)]
    assert (await backend.events.append(events)).stored == 42


async def _append_for_nobody(backend: SqliteBackend) -> None:
    assert (await backend.events.append([NewEvent(name="other.name", id="id1")])).stored == 0


async def _subscribe(backend: SqliteBackend) -> None:
    for name in ("sub", "new"):
        await backend.events.subscribe(NewSubscription(name=name, patterns=("a",), ttl=1))
    assert await backend.events.unsubscribe("new")


async def _confirm(backend: SqliteBackend) -> None:
    cursor = await _cursor(backend)
    jobs = tuple(NewJob(id=f"new{number}", kind="kind", queue="queue", args="{}") for number in range(50))
    given = [Confirmation(name="sub", cursor=cursor, upto=cursor + 50, jobs=jobs)] * 2
    first, second = (await backend.events.confirm(given)).groups
    assert first is not None
    assert second is None


async def _prune(backend: SqliteBackend) -> None:
    keep = Keep(completed=None, cancelled=None, dead=None, events=1_000_000)
    assert await backend.admin.prune(keep, 60) == 60
    assert await backend.admin.prune(keep, 60) == 40


async def _prune_nothing(backend: SqliteBackend) -> None:
    assert await backend.admin.prune(FOR_EVER, 60) == 0


async def _pull(backend: SqliteBackend) -> None:
    (received,) = (await backend.events.pull(["sub", "nobody"], limit=100)).received
    assert (len(received.events), received.upto - received.cursor) == (50, 100)


async def _pull_a_few(backend: SqliteBackend) -> None:
    (received,) = (await backend.events.pull(["sub"], limit=3)).received
    assert received.upto - received.cursor == 5


async def _page(backend: SqliteBackend) -> None:
    page = await backend.event_reader.read(after=500, limit=5)
    assert [event.number for event in page.events] == [501, 502, 503, 504, 505]


async def _newest(backend: SqliteBackend) -> None:
    page = await backend.event_reader.read(patterns=["order.*"], newest=True, limit=5)
    assert [page.last - event.number for event in page.events] == [1, 3, 5, 7, 9]


async def _page_down(backend: SqliteBackend) -> None:
    page = await backend.event_reader.read(newest=True, after=500, since=1, until=FakeClock().now() + 1, limit=2)
    assert [event.number for event in page.events] == [499, 498]


async def _of_a_subject(backend: SqliteBackend) -> None:
    page = await backend.event_reader.read(subject="subject50", limit=20)
    assert ([event.number for event in page.events], page.end) == ([*range(500, 510)], True)


async def _of_a_subject_down(backend: SqliteBackend) -> None:
    page = await backend.event_reader.read(subject="subject50", newest=True, after=505, limit=2)
    assert [event.number for event in page.events] == [504, 503]


async def _subscriptions(backend: SqliteBackend) -> None:
    assert len((await backend.event_reader.subscriptions()).subscriptions) == 1


async def _backlog(backend: SqliteBackend) -> None:
    backlog = await backend.reader.backlog()
    assert backlog.queues == tuple(
        QueueBacklog(queue=queue, waiting=20, oldest=oldest, scheduled=5, retrying=5, held=10, running=5, dead=5)
        for queue, oldest in (("other", 8), ("queue", 9))
    )
    assert backlog.unknown == {"kind": 10}


READS = (
    *(_pull, _pull_a_few, _page, _newest, _page_down, _of_a_subject, _of_a_subject_down, _subscriptions),
    _backlog,
)
WRITES = (_append, _append_for_nobody, _subscribe, _confirm, _prune, _prune_nothing)


async def _steps(backend: SqliteBackend, verb: Callable[[SqliteBackend], Awaitable[None]]) -> int:
    """Return how many steps of SQLite's machine a verb takes on both connections."""
    taken = 0

    def tick() -> int:
        nonlocal taken
        taken += 1
        return 0

    # The first read opens the connection.
    await backend.reader.get([])
    connection = backend._session.reads._connection
    assert connection is not None
    meter = Meter(backend)
    await meter.start()
    await connection.set_progress_handler(tick, 1)
    await verb(backend)
    await connection.set_progress_handler(None, 0)  # type: ignore[arg-type]
    return taken + meter.steps


@pytest.mark.parametrize("verb", [*READS, *WRITES], ids=lambda verb: verb.__name__.strip("_"))
async def test_a_crowd_costs_nothing(
    stores: tuple[Path, Path], verb: Callable[[SqliteBackend], Awaitable[None]]
) -> None:
    """Behind a million events, and beside a million ended jobs, a verb takes as many steps as beside a thousand."""
    steps: list[int] = []
    for path in stores:
        async with _opened(path) as backend:
            steps.append(await _steps(backend, verb))
    few, many = steps
    assert few > 0
    assert many <= few * TOLERANCE


@pytest.mark.parametrize(
    ("read", "searches"),
    [
        (_pull, ["SEARCH event USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"]),
        (_page, ["SEARCH backburner_events USING INTEGER PRIMARY KEY (rowid>?)"] * 2),
        # From the end, which is as far as is looked.
        (_newest, ["SCAN backburner_events"] * 2),
        (_page_down, ["SEARCH backburner_events USING INTEGER PRIMARY KEY (rowid<?)"] * 2),
        (
            _of_a_subject,
            [
                "SEARCH backburner_events USING INDEX backburner_events_of (subject=?)",
                "SEARCH backburner_events USING COVERING INDEX backburner_events_of (subject=?)",
            ],
        ),
        (
            _of_a_subject_down,
            [
                "SEARCH backburner_events USING INDEX backburner_events_of (subject=? AND rowid<?)",
                "SEARCH backburner_events USING COVERING INDEX backburner_events_of (subject=? AND rowid<?)",
            ],
        ),
        (_subscriptions, []),
        (
            _backlog,
            [
                "SCAN job USING INDEX backburner_jobs_line",
                "SEARCH backburner_jobs USING INDEX backburner_jobs_retrying (queue=? AND due_at>?)",
                "SCAN backburner_jobs USING INDEX backburner_jobs_held",
                "SCAN backburner_jobs USING INDEX backburner_jobs_dead",
                "SEARCH backburner_jobs USING INDEX backburner_jobs_line",
                "SEARCH backburner_jobs USING INDEX backburner_jobs_line (queue>?)",
                "SEARCH job USING INDEX backburner_jobs_line (queue=? AND gate>? AND gate<?)",
            ],
        ),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else "",
)
async def test_a_read_searches(
    stores: tuple[Path, Path],
    read: Callable[[SqliteBackend], Awaitable[None]],
    searches: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The statement as it is prepared, its values unknown, goes by the index that is meant for it, and sorts nothing."""
    async with _opened(stores[0]) as backend:
        asked: list[tuple[str, Any]] = []
        reads = backend._session.reads
        ask = reads.all

        async def spy(sql: str, parameters: Any = ()) -> list[Any]:  # noqa: ANN401 - as the original
            asked.append((sql, parameters))
            return await ask(sql, parameters)

        monkeypatch.setattr(reads, "all", spy)
        await read(backend)
        ((sql, parameters),) = asked
        plan = [row[3] for row in await ask(f"EXPLAIN QUERY PLAN {sql}", parameters)]
    ours = [step for step in plan if re.match(r"(SCAN|SEARCH) (backburner_(events|jobs)|event USING|job)\b", step)]
    # The last number is the end of the table.
    assert [step for step in ours if step != "SEARCH backburner_events"] == searches
    assert [step for step in plan if "B-TREE FOR ORDER BY" in step] == []


@pytest.mark.parametrize("write", WRITES, ids=lambda verb: verb.__name__.strip("_"))
async def test_a_write_searches(stores: tuple[Path, Path], write: Callable[[SqliteBackend], Awaitable[None]]) -> None:
    """No statement walks the events or the jobs, and none sorts them."""
    async with _opened(stores[0]) as backend:
        meter = Meter(backend)
        await meter.start()
        await write(backend)
        assert meter.statements
        plan = await meter.plan()
    walks = [step for step in plan if re.match(r"SCAN (backburner_(events|jobs)|job)\b", step)]
    # The oldest events, as many as are asked for.
    assert walks == ["SCAN backburner_events"] * 2 * (write is _prune)
    assert [step for step in plan if "B-TREE FOR ORDER BY" in step] == []
