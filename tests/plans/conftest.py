"""Stores as they are after a while: empty, and with a million jobs of each sort that must cost nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import anyio
import pytest

from backburner.backends.sqlite.backend import SqliteBackend
from backburner.testing import FakeClock

if TYPE_CHECKING:
    from pathlib import Path

#: The history keeps what ended, and far-future and parked jobs wait behind those that are due. Every second ended job had
#: one unique key once; a third of the parked wait for another, and as many misfits for a signature; and one parent that
#: runs for long has a crowd of children that ended, whose own time has passed.
CROWD = """
PRAGMA synchronous = OFF;
BEGIN;
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT :ended)
INSERT INTO backburner_jobs (
    id, kind, queue, state, priority, created_at, due_at, ended_at, attempt, args, unique_key, unique_states, unique_until)
SELECT
    printf('0ended%010d', i), 'kind', 'queue', iif(i % 10, 'completed', 'dead'), i % 10, 1, 1, :now + i, 1, '{}',
    iif(i % 2, 'free', NULL), iif(i % 2, '["pending","running"]', NULL), iif(i % 2, i, NULL)
FROM n;

WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT :later)
INSERT INTO backburner_jobs (id, kind, queue, priority, created_at, due_at, expires_at, args)
SELECT printf('0later%010d', i), 'kind', 'queue', i % 10, 1, :now + 1000000000 + i, :now + 9000000000 + i, '{}' FROM n;

WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT :parked)
INSERT INTO backburner_jobs (id, kind, queue, gate, priority, created_at, due_at, args, unique_key, unique_states)
SELECT
    printf('0parked%010d', i), 'strange', 'queue',
    CASE i % 3 WHEN 0 THEN 'unknown:strange' WHEN 1 THEN 'misfit:kind:one,two' ELSE 'unique:busy' END,
    i % 10, 1, 1, '{}', iif(i % 3 = 2, 'busy', NULL), iif(i % 3 = 2, '["pending","running"]', NULL)
FROM n;

WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT :children)
INSERT INTO backburner_jobs (
    id, kind, queue, state, priority, created_at, due_at, ended_at, attempt, args, parent, lifted)
SELECT printf('0child%010d', i), 'kind', 'queue', 'completed', 5, 1, 1, 1, 1, '{}', '1parent', 1 FROM n;

INSERT INTO backburner_jobs (id, kind, queue, priority, created_at, due_at, args, unique_key, unique_states)
VALUES
    ('1holder', 'kind', 'elsewhere', 5, 1, :now + 1000000000, '{}', 'busy', '["pending","running"]'),
    ('1parent', 'kind', 'elsewhere', 5, 1, :now + 1000000000, '{}', NULL, NULL);

WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT :due)
INSERT INTO backburner_jobs (id, kind, queue, priority, created_at, due_at, args)
SELECT printf('1due%010d', i), 'kind', 'queue', 5, 1, :now - :due + i, '{}' FROM n;
COMMIT;
"""


def _crowd(path: Path, **numbers: int) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in CROWD.split(";\n"):
            if statement.strip():
                connection.execute(statement, {name: n for name, n in numbers.items() if f":{name}" in statement})


def _made(path: Path, **numbers: int) -> Path:
    clock = FakeClock()

    async def make() -> None:
        backend = SqliteBackend(path, clock=clock)
        await backend.open(create=True)
        await backend.schema.upgrade()
        await backend.close()

    anyio.run(make)
    _crowd(path, now=clock.now(), **numbers)
    return path


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bring a store with a thousand due jobs and few others."""
    return _made(
        tmp_path_factory.mktemp("small") / "jobs.db", ended=1000, later=1000, parked=1000, children=1000, due=1000
    )


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bring a store with a million pending jobs and a million ended ones; a thousand are due."""
    return _made(
        tmp_path_factory.mktemp("large") / "jobs.db",
        ended=900_000,
        later=500_000,
        parked=499_000,
        children=100_000,
        due=1000,
    )
