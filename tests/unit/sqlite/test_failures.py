"""A store that is in no state to be used says so, in time and by type."""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backburner.backends.sqlite.backend import SqliteBackend
from backburner.errors import (
    LeaseLost,
    SchemaTooNew,
    SchemaTooOld,
    StoreBusy,
    StoreCorrupt,
    StoreFull,
    StoreMissing,
    StoreReadOnly,
    StoreRefused,
    StoreUnavailable,
    StoreUnsupported,
)
from backburner.model.clock import SystemClock
from backburner.model.event import NewEvent
from backburner.model.job import Ending, JobState, Settlement
from backburner.model.query import JobFilter
from tests.unit.sqlite.making import completed, demand, new, node

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backburner.testing import FakeClock

EVERYTHING = JobFilter()
NOBODY = 65534
DIARY = "Dear diary, " * 1000


def _names(directory: Path) -> list[str]:
    return sorted(file.name for file in directory.iterdir())


def _fill(path: Path) -> None:
    path.write_text(DIARY)


def _read(path: Path) -> str:
    return path.read_text()


def _allow(path: Path, mode: int) -> None:
    path.chmod(mode)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the file's write lock, as another program would."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def _without_rights() -> Iterator[None]:
    """Be a user whom permissions bind."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.fixture
def shared() -> Iterator[Path]:
    """Bring a directory that other users may enter."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        yield directory
        directory.chmod(0o755)


async def _made(path: Path, clock: FakeClock) -> None:
    backend = SqliteBackend(path, clock=clock)
    await backend.open(create=True)
    await backend.schema.upgrade()
    await backend.jobs.enqueue([[new()]])
    await backend.events.append([NewEvent(name="told", kept=True)])
    await backend.close()


async def test_another_programs_lock_is_waited_for_and_then_named(backend: SqliteBackend, path: Path) -> None:
    """A write that waits for another program's lock fails within its time, and nothing was stored."""
    with _locked(path), pytest.raises(StoreBusy, match="write-locked") as busy:
        await backend.jobs.enqueue([[new()]])
    assert str(path) in str(busy.value)
    assert busy.value.stored == "no"
    await backend.jobs.enqueue([[new()]])
    assert len((await backend.reader.find(EVERYTHING, limit=9)).jobs) == 1


async def test_reads_and_beats_go_on_beside_a_lock(backend: SqliteBackend, path: Path) -> None:
    """Another program's transaction harms no node: reading and beating wait for nothing."""
    await backend.nodes.publish(node(), 1)
    async with backend.keeper() as keeper:
        with _locked(path):
            assert (await keeper.beat("node", 1)).claims == ()
            assert (await backend.reader.find(EVERYTHING, limit=9)).jobs == ()


async def test_another_programs_lock_on_a_file_without_a_log(path: Path, clock: FakeClock) -> None:
    """A file that another program holds for itself, so that its journal cannot be switched, is told as busy."""
    backend = SqliteBackend(path, clock=clock, write_timeout=0.1)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("CREATE TABLE theirs (x)")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreBusy, match=str(path)):
            await backend.open(create=True)
        other.execute("COMMIT")
        await backend.open(create=True)
    await backend.close()


async def test_a_keeper_that_cannot_beat(backend: SqliteBackend, path: Path, clock: FakeClock) -> None:
    """A keeper that was not entered, whose store has no tables, or whose file is gone says so by a store's error."""
    await backend.nodes.publish(node(), 1)
    with pytest.raises(StoreUnavailable, match="enter it first"):
        await backend.keeper().beat("node", 1)
    with pytest.raises(StoreUnavailable, match=r"gone\.db"):
        await SqliteBackend(path.with_name("gone.db"), clock=clock).keeper().__aenter__()
    async with backend.keeper() as keeper:
        with closing(sqlite3.connect(path)) as other:
            other.execute("DROP TABLE backburner_jobs")
        with pytest.raises(SchemaTooOld):
            await keeper.beat("node", 1)


async def test_a_transaction_that_takes_too_long_is_ended(path: Path) -> None:
    """A statement still running at its deadline is interrupted and undone; the store is as usable as before."""
    backend = SqliteBackend(path, clock=SystemClock(), write_timeout=0.05)
    await backend.open(create=True)
    await backend.schema.upgrade()
    endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    with pytest.raises(StoreUnavailable, match="longer than write_timeout") as late:
        await backend._session.write(lambda connection: connection.execute(endless).fetchone())
    assert late.value.stored == "no"
    await backend.jobs.enqueue([[new()]])
    await backend.close()


async def test_a_full_disk(backend: SqliteBackend) -> None:
    """Without room a write fails as such and stores nothing; with room again the store goes on."""
    await backend._session.write(lambda connection: connection.execute("PRAGMA max_page_count = 40").fetchone())
    with pytest.raises(StoreFull) as full:
        await backend.jobs.enqueue([[new(args='"' + "x" * 500_000 + '"')]])
    assert full.value.stored == "no"
    await backend._session.write(lambda connection: connection.execute("PRAGMA max_page_count = 40000").fetchone())
    await backend.jobs.enqueue([[new()]])
    assert [job.args for job in (await backend.reader.find(EVERYTHING, limit=9)).jobs] == ["{}"]


async def test_no_store(path: Path, clock: FakeClock) -> None:
    """Where there is no file, opening without leave to create one says where none is, and makes none."""
    for write in (False, True):
        with pytest.raises(StoreMissing, match=str(path)):
            await SqliteBackend(path, clock=clock).open(create=False, write=write)
    assert _names(path.parent) == []


async def test_no_directory(tmp_path: Path, clock: FakeClock) -> None:
    """A missing directory is named, not made."""
    with pytest.raises(StoreMissing, match="missing does not exist"):
        await SqliteBackend(tmp_path / "missing" / "jobs.db", clock=clock).open(create=True)


async def test_a_directory(tmp_path: Path, clock: FakeClock) -> None:
    """A path that is a directory is told so, reading and writing."""
    for write in (True, False):
        with pytest.raises(StoreMissing, match="is a directory: name a file in it"):
            await SqliteBackend(tmp_path, clock=clock).open(create=True, write=write)


async def test_a_file_that_is_no_database(path: Path, clock: FakeClock) -> None:
    """A file of something else is refused and left as it is."""
    _fill(path)
    with pytest.raises(StoreCorrupt, match=str(path)):
        await SqliteBackend(path, clock=clock).open(create=True)
    assert _read(path) == DIARY


async def test_a_damaged_database(path: Path, clock: FakeClock) -> None:
    """Pages overwritten with noise are told as damage, by writes and by reads."""
    await _made(path, clock)
    with closing(sqlite3.connect(path)) as other:
        pages = other.execute("SELECT rootpage FROM sqlite_schema WHERE tbl_name = 'backburner_jobs'").fetchall()
    with path.open("r+b") as file:
        for (page,) in pages:
            file.seek((page - 1) * 4096)
            file.write(b"\xff" * 4096)
    backend = SqliteBackend(path, clock=clock)
    await backend.open(create=False)
    with pytest.raises(StoreCorrupt):
        await backend.jobs.enqueue([[new("other")]])
    with pytest.raises(StoreCorrupt):
        await backend.reader.find(EVERYTHING, limit=9)
    await backend.close()


async def test_another_applications_database(path: Path, clock: FakeClock) -> None:
    """A database of the user's own takes our tables beside its own."""
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE jobs (id)")
        other.commit()
    await _made(path, clock)
    with closing(sqlite3.connect(path)) as other:
        tables = {name for (name,) in other.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    # SQLite's own stands beside: it counts the events.
    assert {name for name in tables if not name.startswith(("backburner_", "sqlite_"))} == {"jobs"}


async def test_a_store_without_tables(path: Path, clock: FakeClock) -> None:
    """Before its schema is there, a store says how to make it."""
    backend = SqliteBackend(path, clock=clock)
    await backend.open(create=True)
    with pytest.raises(SchemaTooOld, match="backburner db upgrade"):
        await backend.jobs.enqueue([[new()]])
    with pytest.raises(SchemaTooOld, match="backburner db upgrade"):
        await backend.reader.find(EVERYTHING, limit=9)
    await backend.close()


async def test_a_newer_schema(backend: SqliteBackend, path: Path) -> None:
    """A schema of a newer version is refused, also for reading."""
    with closing(sqlite3.connect(path)) as other:
        other.execute("INSERT INTO backburner_migrations VALUES (999, 'future', 'x', 0)")
        other.commit()
    with pytest.raises(SchemaTooNew, match="999"):
        await backend.schema.state()
    with pytest.raises(SchemaTooNew, match="999"):
        await backend.schema.upgrade()


async def test_a_step_that_reads_otherwise(backend: SqliteBackend, path: Path) -> None:
    """An applied step whose checksum differs is refused."""
    with closing(sqlite3.connect(path)) as other:
        other.execute("UPDATE backburner_migrations SET checksum = 'other'")
        other.commit()
    with pytest.raises(StoreCorrupt, match="step 1"):
        await backend.schema.state()


async def test_a_file_system_without_locks(path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a file can be locked twice the store is refused, and nothing is left behind."""
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    with pytest.raises(StoreUnsupported, match="locked twice"):
        await SqliteBackend(path, clock=clock).open(create=True)
    assert list(path.parent.rglob("*.db")) == []
    assert list(path.with_name("jobs.db-nodes").iterdir()) == []


async def test_a_file_system_that_refuses_locks(path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where locks are refused altogether the store is refused."""

    def refuse(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(StoreUnsupported, match="No locks available"):
        await SqliteBackend(path, clock=clock).open(create=True)


async def test_a_read_only_file(shared: Path, clock: FakeClock) -> None:
    """A file, or a directory, that this user may not write is refused for writing, and read all the same."""
    await _made(shared / "jobs.db", clock)
    _allow(shared / "jobs.db", 0o444)
    _allow(shared, 0o555)
    backend = SqliteBackend(shared / "jobs.db", clock=clock)
    with _without_rights():
        with pytest.raises(StoreReadOnly, match="permissions"):
            await backend.open(create=False)
        await backend.open(create=False, write=False)
        assert [job.id for job in (await backend.reader.find(EVERYTHING, limit=9)).jobs] == ["job"]
        assert [event.name for event in (await backend.event_reader.read(limit=9)).events] == ["told"]
        assert (await backend.schema.state()).pending == ()
        await backend.close()
    assert _names(shared) == ["jobs.db", "jobs.db-nodes"]


async def test_a_read_only_directory(shared: Path, clock: FakeClock) -> None:
    """A directory without room for the log is refused for writing."""
    await _made(shared / "jobs.db", clock)
    _allow(shared / "jobs.db", 0o666)
    _allow(shared, 0o555)
    with _without_rights(), pytest.raises(StoreReadOnly, match=str(shared)):
        await SqliteBackend(shared / "jobs.db", clock=clock).open(create=False)


@pytest.mark.usefixtures("backend")
async def test_a_store_opened_for_reading_writes_nothing(path: Path, clock: FakeClock) -> None:
    """Opened for reading, every write is refused."""
    reading = SqliteBackend(path, clock=clock)
    await reading.open(create=False, write=False)
    with pytest.raises(StoreReadOnly, match="write=True"):
        await reading.jobs.enqueue([[new()]])
    assert (await reading.reader.find(EVERYTHING, limit=9)).jobs == ()
    await reading.close()


async def test_a_closed_store(backend: SqliteBackend) -> None:
    """Before it is opened, and after it is closed, a store says so; closing twice is fine."""
    await backend.close()
    await backend.close()
    with pytest.raises(StoreUnavailable, match="open"):
        await backend.jobs.enqueue([[new()]])
    with pytest.raises(StoreUnavailable, match="open"):
        await backend.reader.find(EVERYTHING, limit=9)


async def test_a_settlement_that_cannot_be_stored_is_named(backend: SqliteBackend) -> None:
    """One poisoned settlement is named, and the whole batch is left as it was."""
    await backend.nodes.publish(node(), 1)
    await backend.jobs.enqueue([[new(str(number)) for number in range(3)]])
    claims = (await backend.jobs.claim(demand())).claims
    settlements = completed(claims)
    for poison in ("\ud800", "a\0b"):
        settlements[1] = Settlement(
            id=claims[1].id, token=claims[1].token, state=JobState.DEAD, ending=Ending.FAILED, message=poison
        )
        with pytest.raises(StoreRefused) as refused:
            await backend.jobs.settle("node", settlements)
        assert refused.value.job_id == claims[1].id
        assert {job.state for job in (await backend.reader.find(EVERYTHING, limit=9)).jobs} == {JobState.RUNNING}


async def test_a_nul_is_refused_never_cut_off(backend: SqliteBackend) -> None:
    """Text with NUL is refused; NUL inside JSON arguments is kept."""
    fine = new("fine", args='{"text": "a\\u0000b"}')
    answer = await backend.jobs.enqueue([[fine], [new("bad", kind="a\0b")], [new("tag", tags=("a\0b",))]])
    assert [group.refused is None for group in answer.groups] == [True, False, False]
    (job,) = (await backend.reader.find(EVERYTHING, limit=9)).jobs
    assert job.args == fine.args


async def test_a_poisoned_unit_harms_no_other(backend: SqliteBackend, path: Path) -> None:
    """Units that share a transaction fail alone."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        first = asyncio.ensure_future(backend.jobs.enqueue([[new("first")]]))
        await asyncio.wait([first], timeout=0.05)
        # These wait for the first, and leave together.
        lost = asyncio.ensure_future(backend.jobs.claim(demand(id="nobody")))
        last = asyncio.ensure_future(backend.jobs.enqueue([[new("last")]]))
        await asyncio.wait([lost, last], timeout=0.02)
        other.execute("ROLLBACK")
    await first
    with pytest.raises(LeaseLost):
        await lost
    await last
    assert {job.id for job in (await backend.reader.find(EVERYTHING, limit=9)).jobs} == {"first", "last"}


def test_a_process_that_forgets_to_close_still_ends(tmp_path: Path) -> None:
    """Neither the writer's nor the reader's thread keeps a process alive."""
    program = """
import asyncio, pathlib, sys
from backburner.backends.sqlite.backend import SqliteBackend
from backburner.model.clock import SystemClock
async def main():
    global backend
    backend = SqliteBackend(pathlib.Path(sys.argv[1]), clock=SystemClock())
    await backend.open(create=True)
    await backend.schema.upgrade()
    backend.notifier.listen(print)
    await backend.reader.get(["x"])
asyncio.run(main())
print("done")
"""
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, str(tmp_path / "jobs.db")],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert ran.stdout == "done\n"
