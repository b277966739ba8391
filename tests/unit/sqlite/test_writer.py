"""The thread that writes, and the one that reads."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from backburner.backends.sqlite.backend import SqliteBackend
from backburner.model.query import JobFilter
from backburner.ports.backend import Hint
from tests.unit.sqlite.making import completed, demand, new, node

if TYPE_CHECKING:
    from pathlib import Path

    from backburner.testing import FakeClock

ENDLESS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"


class _Gate:
    """Holds the writer's thread in a transaction until it is opened."""

    def __init__(self, backend: SqliteBackend) -> None:
        self._entered = threading.Event()
        self._open = threading.Event()
        self._task = asyncio.ensure_future(backend._session.write(self._work))

    def _work(self, _: sqlite3.Connection) -> None:
        self._entered.set()
        self._open.wait(10)

    async def entered(self) -> None:
        while not self._entered.is_set():
            await asyncio.wait([self._task], timeout=0.001)

    async def open(self) -> None:
        self._open.set()
        await self._task


async def _begin(*tasks: asyncio.Future[Any]) -> None:
    """Let tasks go on until they wait for the thread."""
    await asyncio.wait(tasks, timeout=0.001)


async def _stored(backend: SqliteBackend) -> set[str]:
    return {job.id for job in (await backend.reader.find(JobFilter(), limit=99)).jobs}


async def test_what_waits_shares_a_transaction(backend: SqliteBackend) -> None:
    """Everything that came while a transaction ran leaves in one commit."""
    gate = _Gate(backend)
    await gate.entered()
    statements: list[str] = []
    tracing = asyncio.ensure_future(
        backend._session.write(lambda connection: connection.set_trace_callback(statements.append))
    )
    writes = [asyncio.ensure_future(backend.jobs.enqueue([[new(str(number))]])) for number in range(50)]
    await _begin(tracing, *writes)
    await gate.open()
    await asyncio.gather(tracing, *writes)
    assert statements.count("COMMIT") == 1
    assert "BEGIN IMMEDIATE" not in statements
    assert len(await _stored(backend)) == 50


async def test_a_caller_cancelled_while_it_waits_writes_nothing(backend: SqliteBackend) -> None:
    """A write withdrawn before its turn never happens; those around it do."""
    gate = _Gate(backend)
    await gate.entered()
    writes = [asyncio.ensure_future(backend.jobs.enqueue([[new(name)]])) for name in ("a", "b", "c")]
    await _begin(*writes)
    writes[1].cancel()
    await _begin(writes[1])
    await gate.open()
    await asyncio.gather(*writes, return_exceptions=True)
    assert await _stored(backend) == {"a", "c"}


async def test_a_caller_cancelled_under_way_has_all_of_it(backend: SqliteBackend) -> None:
    """A write whose caller gives up in its midst is finished, and the store goes on."""
    entered, go_on = threading.Event(), threading.Event()

    def work(connection: sqlite3.Connection) -> None:
        entered.set()
        go_on.wait(10)
        connection.execute("UPDATE backburner_hints SET told = 7")

    task = asyncio.ensure_future(backend._session.write(work))
    while not entered.is_set():
        await _begin(task)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    assert await backend._session.write(
        lambda connection: connection.execute("SELECT told FROM backburner_hints").fetchone()
    ) == (7,)


async def test_closing_writes_what_waits(backend: SqliteBackend, path: Path, clock: FakeClock) -> None:
    """What was handed over before the store closes is stored; no thread is left behind."""
    gate = _Gate(backend)
    await gate.entered()
    write = asyncio.ensure_future(backend.jobs.enqueue([[new()]]))
    await _begin(write)
    thread = backend._session.writer._thread
    closing_ = asyncio.ensure_future(backend.close())
    await _begin(closing_)
    await gate.open()
    await asyncio.gather(write, closing_)
    assert not thread.is_alive()
    again = SqliteBackend(path, clock=clock)
    await again.open(create=False)
    assert await _stored(again) == {"job"}
    await again.close()
    assert not path.with_name("jobs.db-wal").exists()


async def test_what_changes_nothing_writes_nothing(backend: SqliteBackend) -> None:
    """Empty claims, recoveries, prunings and repeated settlements leave the file as it is."""
    await backend.nodes.publish(node(), 1)
    await backend.jobs.enqueue([[new()]])
    claims = (await backend.jobs.claim(demand())).claims
    await backend.jobs.settle("node", completed(claims))
    changes = backend._session.writer.changes
    await backend.jobs.claim(demand())
    await backend.jobs.recover("node", 10)
    assert (await backend.jobs.settle("node", completed(claims))).stale == ()
    await backend.jobs.enqueue([[new()]])
    await backend.admin.cancel(["job", "missing"])
    assert backend._session.writer.changes == changes


async def test_a_store_opens_again_on_another_loop(path: Path, clock: FakeClock) -> None:
    """Closed, a store may be opened again, on another loop too."""
    backend = SqliteBackend(path, clock=clock)

    async def once(name: str) -> None:
        await backend.open(create=True)
        await backend.schema.upgrade()
        await backend.jobs.enqueue([[new(name)]])
        await backend.reader.get([name])
        await backend.close()

    for name in ("a", "b"):
        thread = threading.Thread(target=lambda name=name: asyncio.run(once(name)))
        thread.start()
        while thread.is_alive():
            thread.join(0.01)
    await backend.open(create=False)
    assert await _stored(backend) == {"a", "b"}
    await backend.close()


async def test_a_cancelled_read_stops(backend: SqliteBackend) -> None:
    """A read whose caller gave up is interrupted: the next one does not wait for it."""
    read = asyncio.ensure_future(backend._session.reads.all(ENDLESS))
    await asyncio.wait([read], timeout=0.05)
    read.cancel()
    with pytest.raises(asyncio.CancelledError):
        await read
    assert (await backend.reader.find(JobFilter(), limit=1)).jobs == ()


async def test_a_commit_of_another_program_is_noticed(backend: SqliteBackend, path: Path) -> None:
    """A listener hears of what any other connection commits, whoever it is; its own store's writes are no news."""
    heard: asyncio.Queue[Hint] = asyncio.Queue()
    end = backend.notifier.listen(heard.put_nowait)
    await backend.jobs.enqueue([[new()]])
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("UPDATE backburner_queues SET slots = 1")
        other.execute("INSERT INTO backburner_queues (name, paused) VALUES ('x', 0)")
    assert {await heard.get(), await heard.get()} == {Hint.JOBS, Hint.CONTROL}
    end()
    assert heard.empty()


async def test_a_death_is_noticed_while_nothing_is_written(
    backend: SqliteBackend, path: Path, clock: FakeClock
) -> None:
    """A listener hears within a second that another node has died."""
    other = SqliteBackend(path, clock=clock)
    await other.open(create=False)
    await other.nodes.publish(node("other"), 1)
    lapsed = asyncio.Event()
    backend.notifier.listen(lambda hint: lapsed.set() if hint is Hint.LAPSE else None)
    await other.close()
    async with asyncio.timeout(10):
        await lapsed.wait()
