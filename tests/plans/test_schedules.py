"""What schedules cost does not depend on how many are not due, nor on how much their ledgers hold."""

from __future__ import annotations

import re
import sqlite3
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Any

import anyio
import msgspec
import pytest

from backburner.backends.sqlite.backend import SqliteBackend
from backburner.model.job import NewJob
from backburner.model.schedule import Outcome, ScheduleChange, TickRecord
from backburner.ports.jobs import Keep
from backburner.testing import FakeClock
from tests.plans.meter import TOLERANCE, Meter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from backburner.model.schedule import ScheduleRecord

#: Half of the others are due later and half never are; half of the last jobs of those that are due still run. Of the
#: lines of ledgers a hundred are old, and ten tell of each schedule.
CROWD = """
PRAGMA synchronous = OFF;
BEGIN;
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT :others)
INSERT INTO backburner_schedules (
    name, version, kind, declared, retired, created_at, changed_at, next_tick, due_at, last_job, paused, rule, job)
SELECT
    printf('other%07d', i), 1, 'kind', i % 2, 0, 1, 1, iif(i % 2, :now + i, NULL), iif(i % 2, :now + i, NULL),
    printf('0ended%07d', i), 0, '{}', '{}'
FROM n;

WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100)
INSERT INTO backburner_schedules (
    name, version, kind, declared, retired, created_at, changed_at, next_tick, due_at, last_job, paused, rule, job)
SELECT printf('due%03d', i), 1, 'kind', 1, 0, 1, 1, i, i, printf('0job%03d', i), 0, '{}', '{}' FROM n;

WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT :others)
INSERT INTO backburner_jobs (id, kind, queue, state, priority, created_at, due_at, ended_at, attempt, args)
SELECT printf('0ended%07d', i), 'kind', 'queue', 'completed', 5, 1, 1, 1, 1, '{}' FROM n WHERE i % 10 = 0;

WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100)
INSERT INTO backburner_jobs (id, kind, queue, state, priority, created_at, due_at, ended_at, node, attempt, args)
SELECT
    printf('0job%03d', i), 'kind', 'queue', iif(i % 2, 'running', 'completed'), 5, 1, 1, iif(i % 2, NULL, 1), 'node',
    1, '{}'
FROM n;

WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT :others)
INSERT INTO backburner_ticks (id, schedule, tick, last, count, outcome, due_at, at)
SELECT printf('0line%07d', i), printf('other%07d', i / 10), i, i, 1, 'fired', i, iif(i <= 100, i, :now) FROM n;
COMMIT;
"""

FEW, MANY = 1_000, 1_000_000
#: How many of a batch are fired.
BATCH = 50
FOR_EVER = Keep(completed=None, cancelled=None, dead=None)


def _crowd(path: Path, **numbers: int) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in CROWD.split(";\n"):
            if statement.strip():
                connection.execute(statement, {name: n for name, n in numbers.items() if f":{name}" in statement})


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Bring two stores with a hundred schedules that are due, beside a thousand and beside a million others."""
    directory = tmp_path_factory.mktemp("schedules")
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
        keeper.execute("CREATE TEMP TABLE planned AS SELECT * FROM backburner_schedules WHERE name < 'e'")
        keeper.execute("CREATE TEMP TABLE written AS SELECT * FROM backburner_ticks WHERE id <= '0line0000100'")
        try:
            yield backend
        finally:
            await backend.close()
            keeper.execute("DELETE FROM backburner_schedules WHERE name < 'e'")
            keeper.execute("INSERT INTO backburner_schedules SELECT * FROM planned")
            keeper.execute("INSERT OR IGNORE INTO backburner_ticks SELECT * FROM written")
            keeper.execute("DELETE FROM backburner_ticks WHERE id >= '1'")
            keeper.execute("DELETE FROM backburner_jobs WHERE id >= '1'")


def _fire(record: ScheduleRecord, now: int) -> ScheduleChange:
    job = NewJob(id=f"1{record.name}", kind="kind", queue="queue", args="{}", headers="{}")
    line = TickRecord(
        id=f"1{record.name}", schedule=record.name, tick=1, last=1, outcome=Outcome.FIRED, job=job.id, due_at=1
    )
    schedule = msgspec.structs.replace(record, due_at=now + 60_000_000, last_tick=1, fired_at=now, last_job=job.id)
    return ScheduleChange(schedule=schedule, ticks=(line,), jobs=(job,))


async def _due(backend: SqliteBackend) -> None:
    due = await backend.schedules.due(500)
    assert [record.name for record in due.schedules] == [f"due{number:03}" for number in range(1, 101)]
    assert (len(due.unended), due.wait) == (50, 1)


async def _due_more(backend: SqliteBackend) -> None:
    due = await backend.schedules.due(BATCH)
    assert (len(due.schedules), len(due.unended), due.wait) == (BATCH, 25, 0)


async def _fired(backend: SqliteBackend) -> None:
    due = await backend.schedules.due(BATCH)
    answers = (await backend.schedules.change([_fire(record, due.now) for record in due.schedules])).changes
    assert not any(answer.outrun or answer.refused for answer in answers)


async def _outrun(backend: SqliteBackend) -> None:
    due = await backend.schedules.due(BATCH)
    changes = [_fire(msgspec.structs.replace(record, version=0), due.now) for record in due.schedules]
    assert all(answer.outrun for answer in (await backend.schedules.change(changes)).changes)


async def _remove(backend: SqliteBackend) -> None:
    assert await backend.schedules.remove("due001", 1)
    assert not await backend.schedules.remove("due002", 2)


async def _prune(backend: SqliteBackend) -> None:
    keep = msgspec.structs.replace(FOR_EVER, ticks=1)
    assert await backend.admin.prune(keep, 60) == 60


async def _prune_nothing(backend: SqliteBackend) -> None:
    keep = msgspec.structs.replace(FOR_EVER, ticks=backend._session.clock.now())
    assert await backend.admin.prune(keep, 60) == 0


async def _get(backend: SqliteBackend) -> None:
    page = await backend.schedule_reader.get(["other0000500", "due001", "nobody"])
    assert [record.name for record in page.schedules] == ["due001", "other0000500"]


async def _find(backend: SqliteBackend) -> None:
    page = await backend.schedule_reader.find(declared=True, limit=2, after="other0000500")
    assert [record.name for record in page.schedules] == ["other0000501", "other0000503"]


async def _ledger(backend: SqliteBackend) -> None:
    page = await backend.schedule_reader.ticks(schedule="other0000050", limit=5)
    assert [line.tick for line in page.ticks] == [509, 508, 507, 506, 505]


async def _later_page_of_a_ledger(backend: SqliteBackend) -> None:
    page = await backend.schedule_reader.ticks(
        schedule="other0000050", outcomes=[Outcome.FIRED], since=1, until=508, limit=5, after="0line0000509"
    )
    assert [line.tick for line in page.ticks] == [507, 506, 505, 504, 503]


async def _later_page(backend: SqliteBackend) -> None:
    page = await backend.schedule_reader.ticks(limit=2, after="0line0000500")
    assert [line.tick for line in page.ticks] == [499, 498]


READS = (_due, _due_more, _get, _find, _ledger, _later_page_of_a_ledger, _later_page)
WRITES = (_fired, _outrun, _remove, _prune, _prune_nothing)


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
    """Beside a million schedules, and a million lines of ledgers, a verb takes as many steps as beside a thousand."""
    steps: list[int] = []
    for path in stores:
        async with _opened(path) as backend:
            steps.append(await _steps(backend, verb))
    few, many = steps
    assert few > 0
    assert many <= few * TOLERANCE


@pytest.mark.parametrize(
    ("read", "indexes"),
    [
        (
            _due,
            [
                "INDEX backburner_schedules_due (due_at>? AND due_at<?)",
                "COVERING INDEX backburner_schedules_due (due_at>?)",
            ],
        ),
        (_get, ["INDEX sqlite_autoindex_backburner_schedules_1 (name=?)"]),
        (_find, ["INDEX sqlite_autoindex_backburner_schedules_1 (name>?)"]),
        (_ledger, ["INDEX backburner_ticks_of (schedule=?)"]),
        (_later_page_of_a_ledger, ["INDEX backburner_ticks_of (schedule=? AND id<?)"]),
        (_later_page, ["PRIMARY KEY (id<?)"]),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else "",
)
async def test_a_read_searches(
    stores: tuple[Path, Path],
    read: Callable[[SqliteBackend], Awaitable[None]],
    indexes: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The statement as it is prepared, its values unknown, searches by the index that is meant for it, and sorts nothing.

    Last jobs are looked up one by one.
    """
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
    ours = [step for step in plan if re.match(r"(SCAN|SEARCH) backburner_(schedules|ticks)\b", step)]
    assert [step.partition(" USING ")[2] for step in ours] == indexes
    jobs = [step for step in plan if re.match(r"(SCAN|SEARCH) backburner_jobs\b", step)]
    assert jobs == ["SEARCH backburner_jobs USING INDEX sqlite_autoindex_backburner_jobs_1 (id=?)"] * (read is _due)
    assert [step for step in plan if "B-TREE" in step] == []


@pytest.mark.parametrize("write", WRITES, ids=lambda verb: verb.__name__.strip("_"))
async def test_a_write_searches(stores: tuple[Path, Path], write: Callable[[SqliteBackend], Awaitable[None]]) -> None:
    """No statement walks the schedules, the ledgers or the jobs, and none sorts them."""
    async with _opened(stores[0]) as backend:
        meter = Meter(backend)
        await meter.start()
        await write(backend)
        assert meter.statements
        plan = await meter.plan()
    assert [step for step in plan if re.match(r"SCAN (backburner_(schedules|ticks|jobs)|job)\b", step)] == []
    assert [step for step in plan if "B-TREE FOR ORDER BY" in step] == []


async def test_a_batch_takes_as_many_statements_as_one(stores: tuple[Path, Path]) -> None:
    """Fifty schedules are fired by the statements that fire one: a few, however many jobs and lines there are."""
    counts: list[int] = []
    for number in (1, BATCH):
        async with _opened(stores[0]) as backend:
            due = await backend.schedules.due(number)
            meter = Meter(backend)
            await meter.start()
            await backend.schedules.change([_fire(record, due.now) for record in due.schedules])
            counts.append(len(meter.statements))
    # One of them looks whether anybody asks for events.
    assert counts == [5, 5]
