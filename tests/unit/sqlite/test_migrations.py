"""The schema's steps."""

from __future__ import annotations

import hashlib
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from backburner.backends.sqlite import schema as schema_module
from backburner.backends.sqlite.backend import SqliteBackend
from backburner.model.clock import SystemClock
from backburner.model.job import CANCELLED, JobState, Settlement
from backburner.ports.backend import Migration
from backburner.ports.jobs import Keep

if TYPE_CHECKING:
    from pathlib import Path

    from backburner.testing import FakeClock

START = """
import asyncio, pathlib, sys
from backburner.backends.sqlite.backend import SqliteBackend
from backburner.model.clock import SystemClock
from backburner.model.job import NewJob

async def main():
    backend = SqliteBackend(pathlib.Path(sys.argv[1]), clock=SystemClock(), write_timeout=30)
    sys.stdin.readline()
    await backend.open(create=True)
    before = await backend.schema.upgrade()
    await backend.jobs.enqueue([[NewJob(id=sys.argv[2], kind="kind", queue="queue", args="{}")]])
    print(before.current)
    await backend.close()

asyncio.run(main())
"""


def test_ten_processes_start_at_once(path: Path) -> None:
    """Ten processes that meet an empty place make one schema, each step applied once, and all go on to write."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", START, str(path), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(10)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    ended = [(process.communicate(timeout=60), process.returncode) for process in processes]
    assert [(errors, code) for (_, errors), code in ended] == [("", 0)] * 10
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT count(*) FROM backburner_jobs").fetchone() == (10,)
        assert other.execute("SELECT version FROM backburner_migrations").fetchall() == [(1,), (2,), (3,), (4,), (5,)]


async def test_state_before_and_after(path: Path, clock: FakeClock) -> None:
    """An empty store wants every step; upgraded, none; upgrading answers the state before, and twice is once."""
    backend = SqliteBackend(path, clock=clock)
    await backend.open(create=True)
    wanted = len(backend.schema.steps)
    empty = await backend.schema.state()
    assert (empty.current, empty.wanted, empty.pending) == (0, wanted, backend.schema.steps)
    assert await backend.schema.upgrade() == empty
    full = await backend.schema.state()
    assert (full.current, full.wanted, full.pending) == (wanted, wanted, ())
    assert await backend.schema.upgrade() == full
    await backend.close()


def test_the_steps_are_known_without_a_store(path: Path, clock: FakeClock) -> None:
    """What would be applied can be shown before there is anything to apply it to."""
    steps = SqliteBackend(path, clock=clock).schema.steps
    assert [step.version for step in steps] == list(range(1, len(steps) + 1))
    assert all(step.checksum == hashlib.sha256(step.sql.encode()).hexdigest() for step in steps)
    assert not path.exists()


async def test_a_step_that_fails_leaves_nothing(
    backend: SqliteBackend, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step is applied whole or not at all, its ledger included."""
    broken = Migration(9, "broken", "CREATE TABLE backburner_half (x);\nCREATE TABLE backburner_jobs (x);\n", "sum")
    monkeypatch.setattr(schema_module, "_STEPS", (*backend.schema.steps, broken))
    with pytest.raises(Exception, match="already exists"):
        await backend.schema.upgrade()
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT name FROM sqlite_schema WHERE name = 'backburner_half'").fetchall() == []
        assert other.execute("SELECT max(version) FROM backburner_migrations").fetchone() == (5,)


async def test_a_first_version_is_brought_up_to_date(
    path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an older backburner stored is read, cancelled, settled and pruned like anything stored today."""
    backend = SqliteBackend(path, clock=clock)
    await backend.open(create=True)
    with monkeypatch.context() as patch:
        patch.setattr(schema_module, "_STEPS", backend.schema.steps[:1])
        await backend.schema.upgrade()
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        old.execute("""
            INSERT INTO backburner_jobs (id, kind, queue, state, priority, created_at, due_at, ended_at, node, token,
                cancel, args)
            VALUES ('ended', 'kind', 'queue', 'completed', 5, 1, 1, 1, NULL, 1, 0, '{}'),
                   ('asked', 'kind', 'queue', 'running', 5, 1, 1, NULL, 'node', 1, 1, '{}'),
                   ('waiting', 'kind', 'queue', 'pending', 5, 1, 1, NULL, NULL, 0, 0, '{}')""")
        old.execute("INSERT INTO backburner_nodes VALUES ('node', 'host', 1, 1, '{}', '[]')")
    assert (await backend.schema.upgrade()).current == 1
    (record,) = (await backend.reader.get(["waiting"])).jobs
    assert (record.headers, record.parent, record.unique, record.checkpoint, record.done) == (None,) * 5
    assert record.lanes == ()
    settled = await backend.jobs.settle("node", [Settlement(id="asked", token=1, state=JobState.PENDING)])
    assert settled.cancelled == {"asked": CANCELLED}
    assert [(node.draining, node.signatures, node.schedules) for node in await backend.nodes.find()] == [
        (False, {}, ())
    ]
    assert await backend.admin.prune(Keep(completed=0, cancelled=None, dead=None), 9) == 1
    await backend.close()


async def test_a_later_step_is_applied_to_a_store_with_jobs(
    backend: SqliteBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older store is brought up to date step by step; semicolons inside a trigger do not cut it in two."""
    sql = """-- Two statements; and a trigger.
    CREATE TABLE backburner_extra (x TEXT DEFAULT ';') STRICT;
    CREATE TRIGGER backburner_extra_check AFTER INSERT ON backburner_extra BEGIN
        SELECT 1;
        SELECT 2;
    END;
    """
    monkeypatch.setattr(schema_module, "_STEPS", (*backend.schema.steps, Migration(9, "extra", sql, "sum")))
    assert (await backend.schema.upgrade()).current == 5
    assert (await backend.schema.state()).current == 9


async def test_a_step_takes_the_time_it_needs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step may write every job anew, for longer than other transactions may take."""
    backend = SqliteBackend(path, clock=SystemClock(), write_timeout=0.001)
    await backend.open(create=True)
    sql = """CREATE TABLE backburner_long AS
        WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100000)
        SELECT max(i) FROM n;
    """
    monkeypatch.setattr(schema_module, "_STEPS", (*backend.schema.steps, Migration(9, "long", sql, "sum")))
    await backend.schema.upgrade()
    assert (await backend.schema.state()).current == 9
    await backend.close()


async def test_what_an_older_version_stored_is_all_kept(
    path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every column of a first version's jobs comes over as it was, whatever order they stand in."""
    backend = SqliteBackend(path, clock=clock)
    await backend.open(create=True)
    with monkeypatch.context() as patch:
        patch.setattr(schema_module, "_STEPS", backend.schema.steps[:1])
        await backend.schema.upgrade()
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        old.row_factory = sqlite3.Row
        columns = old.execute("SELECT name, type FROM pragma_table_info('backburner_jobs')").fetchall()
        # No two columns are alike; the state and the priority are among those allowed.
        row = {name: place if kind == "INTEGER" else name for place, (name, kind) in enumerate(columns, 10)}
        row |= {"state": "dead", "priority": 9}
        names = ", ".join(row)
        old.execute(f"INSERT INTO backburner_jobs ({names}) VALUES (:{names.replace(', ', ', :')})", row)  # noqa: S608 - names
        await backend.schema.upgrade()
        assert dict(old.execute(f"SELECT {names} FROM backburner_jobs").fetchone()) == row  # noqa: S608 - names
    await backend.close()
