"""What a read by parent, by node, by state or of a later page costs does not depend on how many other jobs there are."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from itertools import combinations
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from backburner.backends.sqlite import finding
from backburner.backends.sqlite.backend import SqliteBackend
from backburner.model.job import JobState
from backburner.model.query import JobFilter, Shown
from backburner.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

#: As in the costs of verbs: a deeper tree costs a few steps more a row.
TOLERANCE = 1.1

#: Above all ids of the crowd: a small family, a quiet queue, a node with little to do, and one that runs a crowd of its own.
FEW = """
PRAGMA synchronous = OFF;
BEGIN;
INSERT INTO backburner_jobs (id, kind, queue, priority, created_at, due_at, args, parent)
VALUES ('3child1', 'kind', 'queue', 5, 1, 1, '{}', '3parent'), ('3child2', 'kind', 'queue', 5, 1, 1, '{}', '3parent');
INSERT INTO backburner_jobs (id, kind, queue, gate, priority, created_at, due_at, attempt, failures, args)
VALUES
    ('3quiet1', 'kind', 'quiet', '', 5, 1, 1, 0, 0, '{}'), ('3quiet2', 'kind', 'quiet', '', 5, 1, 9e15, 0, 0, '{}'),
    ('3quiet3', 'kind', 'quiet', '', 5, 1, 9e15, 1, 1, '{}'), ('3quiet4', 'kind', 'quiet', 'lane:db', 5, 1, 1, 2, 2, '{}');
INSERT INTO backburner_jobs (id, kind, queue, state, priority, created_at, due_at, attempt, node, args)
VALUES ('3run1', 'kind', 'queue', 'running', 5, 1, 1, 1, 'calm', '{}'),
    ('3run2', 'kind', 'queue', 'running', 5, 1, 1, 1, 'calm', '{}');
INSERT INTO backburner_jobs (id, kind, queue, state, priority, created_at, due_at, attempt, node, args)
SELECT '3busy' || id, kind, queue, 'running', priority, 1, 1, 1, 'busy', '{}'
FROM backburner_jobs WHERE id >= '0child' AND id < '0child:';
COMMIT;
"""

CHILDREN = JobFilter(parents=("3parent",))
#: That a letter may take: a test of its kind, and groups' sums.
STEPS = 25
#: That a run may take, whose place among the others is looked for.
SORTED = 40
LETTERS = JobFilter(states=(Shown.DEAD,))
RUNNING = JobFilter(states=(Shown.RUNNING,))
WAITING = (Shown.WAITING, Shown.SCHEDULED, Shown.RETRYING)
RUNS = JobFilter(node="calm", states=(Shown.RUNNING,))


@pytest.fixture(scope="module")
def stores(small: Path, large: Path) -> Iterator[tuple[Path, Path]]:
    """Bring both stores with what is asked for in them, which is gone afterwards."""
    for path in (small, large):
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.executescript(FEW)
    yield small, large
    for path in (small, large):
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("DELETE FROM backburner_jobs WHERE id >= '3'")


@pytest.fixture
async def backends(stores: tuple[Path, Path]) -> AsyncIterator[tuple[SqliteBackend, SqliteBackend]]:
    """Open both."""
    few, many = [SqliteBackend(path, clock=FakeClock()) for path in stores]
    await few.open(create=False)
    await many.open(create=False)
    yield few, many
    await few.close()
    await many.close()


async def _find(backend: SqliteBackend, where: JobFilter, *expected: str, after: str | None = None) -> None:
    page = await backend.reader.find(where, limit=2, after=after)
    assert tuple(job.id for job in page.jobs) == expected


async def _children(backend: SqliteBackend) -> None:
    await _find(backend, CHILDREN, "3child2", "3child1")


async def _count_children(backend: SqliteBackend) -> None:
    assert await backend.reader.count(CHILDREN) == {Shown.WAITING: 2}


async def _runs(backend: SqliteBackend) -> None:
    await _find(backend, RUNS, "3run2", "3run1")


async def _count_runs(backend: SqliteBackend) -> None:
    assert await backend.reader.count(RUNS) == {Shown.RUNNING: 2}


async def _later_page(backend: SqliteBackend) -> None:
    await _find(backend, JobFilter(), "0ended0000000009", "0ended0000000008", after="0ended0000000010")


async def _later_page_of_a_kind(backend: SqliteBackend) -> None:
    where = JobFilter(kinds=("kind",), prefix="0e")
    await _find(backend, where, "0ended0000000009", "0ended0000000008", after="0ended0000000010")


async def _letters(backend: SqliteBackend) -> None:
    await _find(backend, LETTERS, "0ended0000000990", "0ended0000000980", after="0ended0000001000")


async def _letters_of_a_kind(backend: SqliteBackend) -> None:
    where = msgspec.structs.replace(LETTERS, kinds=("strange",), error="Error", since=1)
    await _find(backend, where)


async def _count_letters(backend: SqliteBackend) -> None:
    assert await backend.reader.count(msgspec.structs.replace(LETTERS, kinds=("strange",))) == {}


async def _group_letters(backend: SqliteBackend) -> None:
    assert (await backend.reader.groups(JobFilter(kinds=("strange",), until=9), limit=9)).groups == ()


async def _prefix(backend: SqliteBackend) -> None:
    await _find(backend, JobFilter(prefix="0child000000000"), "0child0000000009", "0child0000000008")


async def _count_prefix(backend: SqliteBackend) -> None:
    assert await backend.reader.count(JobFilter(prefix="0child000000000")) == {Shown.COMPLETED: 9}


async def _waiting(backend: SqliteBackend) -> None:
    await _find(backend, JobFilter(states=(Shown.WAITING,), queues=("quiet",)), "3quiet1")


async def _scheduled(backend: SqliteBackend) -> None:
    await _find(backend, JobFilter(states=(Shown.SCHEDULED,), queues=("quiet",)), "3quiet2")


async def _retrying(backend: SqliteBackend) -> None:
    await _find(backend, JobFilter(states=(Shown.RETRYING,), queues=("quiet",)), "3quiet4", "3quiet3")


async def _of_all_that_wait(backend: SqliteBackend) -> None:
    await _find(backend, JobFilter(states=WAITING, queues=("quiet",)), "3quiet2", "3quiet1", after="3quiet3")


async def _all_that_run(backend: SqliteBackend) -> None:
    await _find(backend, RUNNING, "3run2", "3run1")


async def _running_of_a_kind(backend: SqliteBackend) -> None:
    await _find(backend, msgspec.structs.replace(RUNNING, kinds=("strange",)))


async def _steps(backend: SqliteBackend, read: Callable[[SqliteBackend], Awaitable[None]]) -> int:
    """Return how many steps of SQLite's machine a read takes."""
    taken = 0

    def tick() -> int:
        nonlocal taken
        taken += 1
        return 0

    # The first read opens the connection.
    await backend.reader.get([])
    connection = backend._session.reads._connection
    assert connection is not None
    await connection.set_progress_handler(tick, 1)
    await read(backend)
    await connection.set_progress_handler(None, 0)  # type: ignore[arg-type]
    return taken


READS = (
    *(_children, _count_children, _runs, _count_runs, _later_page, _later_page_of_a_kind),
    *(_prefix, _count_prefix, _letters, _waiting, _scheduled, _retrying, _of_all_that_wait),
)


@pytest.mark.parametrize("read", READS, ids=lambda read: read.__name__.strip("_"))
async def test_a_crowd_costs_nothing(
    backends: tuple[SqliteBackend, SqliteBackend], read: Callable[[SqliteBackend], Awaitable[None]]
) -> None:
    """Beside two million jobs, and a hundred thousand that another node runs, a read takes no more steps."""
    few, many = [await _steps(backend, read) for backend in backends]
    assert few > 0
    assert many <= few * TOLERANCE


@pytest.mark.parametrize(
    ("read", "index"),
    [
        (_children, "backburner_jobs_children (parent=?)"),
        (_count_children, "backburner_jobs_children (parent=?)"),
        (_runs, "backburner_jobs_held (node=?)"),
        (_count_runs, "backburner_jobs_held (node=?)"),
        (_later_page, "sqlite_autoindex_backburner_jobs_1 (id<?)"),
        (_letters, "backburner_jobs_letters (id<?)"),
        (_prefix, "sqlite_autoindex_backburner_jobs_1 (id>? AND id<?)"),
        (_count_prefix, "sqlite_autoindex_backburner_jobs_1 (id>? AND id<?)"),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else "",
)
async def test_nothing_is_scanned(
    backends: tuple[SqliteBackend, SqliteBackend],
    read: Callable[[SqliteBackend], Awaitable[None]],
    index: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The statement as it is prepared, its values unknown, searches the jobs by the index that is meant for it."""
    backend = backends[1]
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
    assert [step for step in plan if re.match(r"(SCAN|SEARCH) backburner_jobs\b", step)] == [
        f"SEARCH backburner_jobs USING INDEX {index}"
    ]


@pytest.mark.parametrize(
    "read", [_letters_of_a_kind, _count_letters, _group_letters], ids=lambda read: read.__name__.strip("_")
)
async def test_letters_are_told_apart_by_their_index(
    backends: tuple[SqliteBackend, SqliteBackend], read: Callable[[SqliteBackend], Awaitable[None]]
) -> None:
    """Filters and groups of dead letters walk one index, in few steps a letter, and never a job that is not one."""
    for backend, letters in zip(backends, (100, 90_000), strict=True):
        steps = await _steps(backend, read)
        assert letters < steps <= letters * STEPS


@pytest.mark.parametrize("read", [_all_that_run, _running_of_a_kind], ids=lambda read: read.__name__.strip("_"))
async def test_what_runs_is_found_by_its_index(
    backends: tuple[SqliteBackend, SqliteBackend], read: Callable[[SqliteBackend], Awaitable[None]]
) -> None:
    """Runs of any node are gone through in few steps each, and never a job that does not run."""
    for backend, running in zip(backends, (1_002, 100_002), strict=True):
        steps = await _steps(backend, read)
        assert running < steps <= running * SORTED


@pytest.mark.parametrize("states", [some for n in range(1, 5) for some in combinations((*WAITING, Shown.RUNNING), n)])
async def test_both_ways_find_the_same(
    backends: tuple[SqliteBackend, SqliteBackend], states: tuple[Shown, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What runs or waits is found by indexes as it is by a walk, whatever else is asked for, on each page."""
    few, _ = backends
    for other in (JobFilter(), JobFilter(queues=("quiet", "elsewhere")), JobFilter(kinds=("kind",), prefix="0")):
        where = msgspec.structs.replace(other, states=states)
        for after in (None, "3quiet4", "0later0000000500"):
            by_index = await few.reader.find(where, limit=7, after=after)
            with monkeypatch.context() as patch:
                patch.setattr(finding, "_STANDING", frozenset())
                assert by_index == await few.reader.find(where, limit=7, after=after)


async def test_a_crowd_that_waits_is_not_sorted(backends: tuple[SqliteBackend, SqliteBackend]) -> None:
    """Where very many wait, a page of them is walked to, and they are not gone through one by one."""
    _, many = backends

    async def page(backend: SqliteBackend) -> None:
        await _find(backend, JobFilter(states=WAITING), "3quiet4", "3quiet3")

    assert await _steps(many, page) < 20 * finding._CROWD


async def _of_late(backend: SqliteBackend) -> None:
    assert len((await backend.reader.timings(JobState.COMPLETED, JobFilter(), within=0, limit=500)).jobs) == 27


async def _strange_of_late(backend: SqliteBackend) -> None:
    where = JobFilter(kinds=("strange",), prefix="0")
    assert (await backend.reader.timings(JobState.COMPLETED, where, within=0, limit=500)).jobs == ()


async def _pages_of_timings(backend: SqliteBackend) -> None:
    after = None
    for _ in range(3):
        page = await backend.reader.timings(
            JobState.COMPLETED, JobFilter(kinds=("kind",)), within=1 << 60, limit=20, after=after
        )
        assert len(page.jobs) == 20
        after = page.after


@pytest.mark.parametrize(
    "read", [_of_late, _strange_of_late, _pages_of_timings], ids=lambda read: read.__name__.strip("_")
)
async def test_what_ended_earlier_costs_nothing(
    small: Path, large: Path, read: Callable[[SqliteBackend], Awaitable[None]]
) -> None:
    """How jobs went is read in as many steps beside nine hundred thousand that ended before as beside a thousand."""
    steps: list[int] = []
    for path, ended in ((small, 1_000), (large, 900_000)):
        # In the crowd a job ends each microsecond.
        backend = SqliteBackend(path, clock=FakeClock(FakeClock().now() + ended - 29))
        await backend.open(create=False)
        steps.append(await _steps(backend, read))
        await backend.close()
    few, many = steps
    assert few > 0
    assert many <= few * TOLERANCE
