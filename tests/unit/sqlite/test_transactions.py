"""Callers' own connections: what only a driver, a file and its locks have."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Any

import aiosqlite
import pytest

from backburner.backends.sqlite.backend import SqliteBackend
from backburner.errors import StoreBusy, StoreReadOnly, StoreRefused, TransactionRefused
from backburner.model.job import JobState, Settlement, UniqueKey
from backburner.model.query import JobFilter
from backburner.ports.jobs import Enqueued
from tests.unit.sqlite.making import completed, demand, new, node

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from backburner.testing import FakeClock


@asynccontextmanager
async def _connected(path: Path | str, **options: Any) -> AsyncIterator[aiosqlite.Connection]:  # noqa: ANN401
    """Bring a connection of an app's own, with a table of its own."""
    async with aiosqlite.connect(path, **{"timeout": 0.05} | options) as connection:
        await connection.execute("CREATE TABLE IF NOT EXISTS orders (id TEXT)")
        await connection.commit()
        yield connection


async def _stored(backend: SqliteBackend) -> set[str]:
    return {job.id for job in (await backend.reader.find(JobFilter(), limit=99)).jobs}


async def _at(connection: aiosqlite.Connection, statement: str, do: Callable[[], object]) -> None:
    """Do something on the loop just before a connection runs a statement."""
    loop = asyncio.get_running_loop()

    def trace(sql: str) -> None:
        if sql == statement:
            loop.call_soon_threadsafe(do)

    await connection.set_trace_callback(trace)


def _as_dict(cursor: sqlite3.Cursor, row: tuple[object, ...]) -> dict[str, object]:
    return dict(zip([column[0] for column in cursor.description], row, strict=True))


@pytest.mark.parametrize("isolation", ["", "DEFERRED", "IMMEDIATE", "EXCLUSIVE"])
async def test_a_driver_that_begins_by_itself(backend: SqliteBackend, path: Path, isolation: str) -> None:
    """Where the driver begins a transaction before it writes, it does so for jobs too; and the app ends it."""
    async with _connected(path, isolation_level=isolation) as tx:
        assert not backend.transactions.is_open(tx)
        await backend.jobs.enqueue([[new("lost")]], tx=tx)
        assert backend.transactions.is_open(tx)
        await tx.rollback()
        await tx.execute("INSERT INTO orders VALUES ('1')")
        await backend.jobs.enqueue([[new("kept")]], tx=tx)
        assert await _stored(backend) == set()
        await tx.commit()
    assert await _stored(backend) == {"kept"}


async def test_a_driver_that_never_begins(backend: SqliteBackend, path: Path) -> None:
    """A connection in no transaction, whose driver begins none, is refused, and nothing was written."""
    async with _connected(path, isolation_level=None) as tx:
        with pytest.raises(TransactionRefused, match="BEGIN IMMEDIATE"):
            await backend.jobs.enqueue([[new()]], tx=tx)
        await tx.execute("BEGIN IMMEDIATE")
        await backend.jobs.enqueue([[new("job")]], tx=tx)
        await tx.execute("COMMIT")
    assert await _stored(backend) == {"job"}


@pytest.mark.parametrize("make", [aiosqlite.Row, _as_dict, lambda *_: None], ids=["Row", "dict", "nothing"])
@pytest.mark.parametrize("text", [str, bytes])
async def test_rows_of_any_make(backend: SqliteBackend, path: Path, make: Any, text: type) -> None:  # noqa: ANN401
    """However an app's connection makes its rows and texts, jobs are stored, looked up and settled; and it stays so."""
    await backend.nodes.publish(node(), 1)
    await backend.jobs.enqueue([[new("known"), new("held", unique=UniqueKey("key", (JobState.RUNNING,)))]])
    claims = (await backend.jobs.claim(demand())).claims
    async with _connected(path) as tx:
        tx.row_factory, tx.text_factory = make, text
        jobs = [new("known"), new("a", tags=("t",)), new("b", unique=UniqueKey("key", (JobState.PENDING,)))]
        (group,) = (await backend.jobs.enqueue([jobs], tx=tx)).groups
        assert (group.duplicates, group.holders) == (("known",), {"b": "held"})
        again = [*completed(claims), Settlement(id="strange", token=1, state=JobState.DEAD)]
        assert (await backend.jobs.settle("node", again, tx=tx)).stale == ("strange",)
        await tx.commit()
        assert tx.row_factory is make
    page = await backend.reader.find(JobFilter(), limit=9)
    assert {job.id: job.state.value for job in page.jobs} == {"known": "completed", "held": "completed", "a": "pending"}


async def test_another_file_is_refused(backend: SqliteBackend, path: Path, tmp_path: Path) -> None:
    """A connection to another database is refused, naming both; one to the same file by another name is not."""
    for other in (tmp_path / "other.db", ":memory:"):
        async with _connected(other) as tx:
            with pytest.raises(TransactionRefused, match=str(path)) as refused:
                await backend.jobs.enqueue([[new()]], tx=tx)
            assert ("other.db" in str(refused.value)) is (other != ":memory:")
            assert not tx.in_transaction
    (tmp_path / "link.db").symlink_to(path)
    async with _connected(tmp_path / "link.db") as tx:
        await backend.jobs.enqueue([[new("job")]], tx=tx)
        await tx.commit()
    assert await _stored(backend) == {"job"}


async def test_what_is_no_open_connection(backend: SqliteBackend, path: Path) -> None:
    """Another driver's connection, and one that is closed, are refused by name, by a look as by a write."""
    async with _connected(path) as tx:
        pass
    with closing(sqlite3.connect(path)) as other:
        for wrong, words in ((other, "not Connection"), (tx, "not open"), ("tx", "not str")):
            with pytest.raises(TransactionRefused, match=words):
                backend.transactions.is_open(wrong)
            with pytest.raises(TransactionRefused, match=words):
                await backend.jobs.enqueue([[new()]], tx=wrong)


async def test_a_snapshot_that_is_too_old(backend: SqliteBackend, path: Path) -> None:
    """A transaction that read before others wrote cannot write any more: it says how to begin, and may go on reading."""
    async with _connected(path, isolation_level=None) as tx:
        await tx.execute("BEGIN")
        await tx.execute_fetchall("SELECT * FROM orders")
        await backend.jobs.enqueue([[new("first")]])
        with pytest.raises(StoreBusy, match="BEGIN IMMEDIATE") as busy:
            await backend.jobs.enqueue([[new()]], tx=tx)
        assert "before another connection wrote" in str(busy.value)
        assert tx.in_transaction
        await tx.rollback()
    assert await _stored(backend) == {"first"}


async def test_another_connection_s_lock(backend: SqliteBackend, path: Path) -> None:
    """A transaction waits for the lock as its own connection does; one begun for the write alone is ended again."""
    async with _connected(path) as tx:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreBusy, match="waited in vain"):
                await backend.jobs.enqueue([[new()]], tx=tx)
            assert not tx.in_transaction
        await backend.jobs.enqueue([[new("job")]], tx=tx)
        await tx.commit()
    assert await _stored(backend) == {"job"}


async def test_the_store_waits_for_a_caller_s_transaction(backend: SqliteBackend, path: Path) -> None:
    """A write beside a transaction that nobody ends is busy in time, and names that cause."""
    async with _connected(path) as tx:
        await backend.jobs.enqueue([[new("inside")]], tx=tx)
        with pytest.raises(StoreBusy, match="given as tx whose transaction is still open"):
            await backend.jobs.enqueue([[new("outside")]])
        await tx.commit()
    assert await _stored(backend) == {"inside"}


async def test_a_refusal_leaves_the_transaction_as_it_was(backend: SqliteBackend, path: Path) -> None:
    """What a refused write had done is undone; what the app did before stays, and the transaction goes on."""
    await backend.nodes.publish(node(), 1)
    await backend.jobs.enqueue([[new("good"), new("poisoned")]])
    good, poisoned = (await backend.jobs.claim(demand())).claims
    async with _connected(path) as tx:
        await tx.execute("INSERT INTO orders VALUES ('1')")
        poison = Settlement(id=poisoned.id, token=poisoned.token, state=JobState.DEAD, reason="a\0b")
        with pytest.raises(StoreRefused, match="poisoned"):
            await backend.jobs.settle("node", [*completed([good]), poison], tx=tx)
        await backend.jobs.settle("node", completed([poisoned]), tx=tx)
        await tx.commit()
        assert [*await tx.execute_fetchall("SELECT id FROM orders")] == [("1",)]
    states = {job.id: job.state for job in (await backend.reader.find(JobFilter(), limit=9)).jobs}
    assert states == {"good": JobState.RUNNING, "poisoned": JobState.COMPLETED}


async def test_a_cancelled_caller_has_all_of_it(backend: SqliteBackend, path: Path) -> None:
    """A caller cancelled in the midst is told so once all of its write is in the transaction, which is as usable."""
    async with _connected(path) as tx:
        task = asyncio.ensure_future(backend.jobs.enqueue([[new("plain"), new("rich", tags=("t",))]], tx=tx))
        await _at(tx, "SAVEPOINT backburner", task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task
        await backend.jobs.enqueue([[new("next")]], tx=tx)
        await tx.commit()
    assert await _stored(backend) == {"plain", "rich", "next"}


async def test_many_tasks_in_one_transaction(backend: SqliteBackend, path: Path) -> None:
    """Tasks that share a transaction take turns: what is undone of one that is refused is nothing of another's."""
    await backend.nodes.publish(node(), 1)
    await backend.jobs.enqueue([[new("run")]])
    (claim,) = (await backend.jobs.claim(demand())).claims
    poison = Settlement(id=claim.id, token=claim.token, state=JobState.PENDING, delay=2**70)
    names = {str(number) for number in range(9)}
    async with _connected(path) as tx:
        writes = [
            write
            for name in sorted(names)
            for write in (
                backend.jobs.enqueue([[new(name), new(f"tagged {name}", tags=("t",))]], tx=tx),
                backend.jobs.settle("node", [poison], tx=tx),
            )
        ]
        answers = await asyncio.gather(*writes, return_exceptions=True)
        await tx.commit()
    assert [type(answer) for answer in answers] == [Enqueued, StoreRefused] * 9
    assert await _stored(backend) == {"run"} | names | {f"tagged {name}" for name in names}


async def test_a_transaction_ended_in_the_midst(backend: SqliteBackend, path: Path) -> None:
    """An app that commits in one task while another stores in the same transaction is told of it."""
    async with _connected(path) as tx:
        commits: list[asyncio.Task[None]] = []
        await _at(tx, "SAVEPOINT backburner", lambda: commits.append(asyncio.ensure_future(tx.commit())))
        with pytest.raises(TransactionRefused, match="ended by another task"):
            await backend.jobs.enqueue([[new()]], tx=tx)
        await commits[0]
        assert len(commits) == 1


@pytest.mark.usefixtures("backend")
async def test_a_store_opened_for_reading_joins_nothing(path: Path, clock: FakeClock) -> None:
    """Opened for reading, a store writes through no connection."""
    reading = SqliteBackend(path, clock=clock)
    await reading.open(create=False, write=False)
    async with _connected(path) as tx:
        with pytest.raises(StoreReadOnly, match="write=True"):
            await reading.jobs.enqueue([[new()]], tx=tx)
        assert not tx.in_transaction
    await reading.close()
