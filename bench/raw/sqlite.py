"""SQLite through its driver: the engine's own table, with the engine's own durability.

Many rows are one statement over one JSON text: it takes a third less CPU than `executemany`, which steps through them.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Self

import msgspec

from bench.raw import now

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from pathlib import Path

    from bench.raw import Claim, EventRow, Row

__all__ = ["RawSqlite"]

_INSERT = """
INSERT INTO backburner_jobs (id, kind, queue, args, priority, created_at, due_at)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6 FROM json_each(?)
"""
_CLAIM = """
UPDATE backburner_jobs SET state = 'running', attempt = attempt + 1, token = token + 1, node = 'raw', started_at = ?1
WHERE seq IN (
    SELECT seq FROM backburner_jobs
    WHERE state = 'pending' AND queue = 'default' AND gate = '' AND due_at <= ?1
      AND priority IN (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
    ORDER BY priority, due_at, id
    LIMIT ?2
)
RETURNING id, token, args
"""
_SETTLE = """
WITH ended (id, token) AS MATERIALIZED (SELECT value ->> 0, value ->> 1 FROM json_each(?1))
UPDATE backburner_jobs AS job SET state = 'completed', result = 'null', ended_at = ?2
FROM ended
WHERE job.id = ended.id AND job.token = ended.token AND job.node = 'raw' AND job.state = 'running'
"""

_DIE = "UPDATE backburner_jobs SET state = 'dead', ended_at = ?2 WHERE id IN (SELECT value FROM json_each(?1))"
_REVIVE = """
UPDATE backburner_jobs SET state = 'pending', due_at = ?2, ended_at = NULL
WHERE id IN (SELECT value FROM json_each(?1)) AND state = 'dead'
"""
_APPEND = """
INSERT INTO backburner_events (id, name, subject, time, data)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each(?) WHERE true
ON CONFLICT DO NOTHING
"""
_READER = """
INSERT INTO backburner_subscriptions (name, patterns, ttl, cursor, created_at, seen_at) VALUES ('raw', '[]', 1, 0, 0, 0)
ON CONFLICT DO NOTHING
"""
_READ = """
SELECT number, id, name, subject, time, data FROM backburner_events
WHERE number > (SELECT cursor FROM backburner_subscriptions WHERE name = 'raw') ORDER BY number LIMIT ?
"""
_MOVE = "UPDATE backburner_subscriptions SET cursor = ? WHERE name = 'raw'"


class RawSqlite:
    """One connection, with the engine's own durability: WAL, ``synchronous=FULL``. Closes as a context manager."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = FULL")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    async def insert(self, batch: Sequence[Row]) -> None:
        """Store rows in one transaction; blocks the loop, which has nothing else to do."""
        self.insert_blocking(batch)

    def insert_blocking(self, batch: Sequence[Row]) -> None:
        """Store rows in one transaction."""
        execute = self.connection.execute
        execute("BEGIN IMMEDIATE")
        execute(_INSERT, (_json(batch),))
        execute("COMMIT")

    async def claim_and_settle(self, settled: Sequence[Claim], limit: int) -> list[Claim]:
        """Settle claims and claim the next jobs, in one transaction; blocks the loop."""
        moment = now()
        execute = self.connection.execute
        execute("BEGIN IMMEDIATE")
        if settled:
            execute(_SETTLE, (_json(settled), moment))
        claims: list[Claim] = execute(_CLAIM, (moment, limit)).fetchall()
        execute("COMMIT")
        return claims

    async def bury(self, batch: Sequence[Row]) -> None:
        """Store rows as dead ones; blocks the loop."""
        self.insert_blocking(batch)
        self.connection.execute(_DIE, (_json([row[0] for row in batch]), now()))

    async def revive(self, ids: Sequence[str]) -> None:
        """Make dead rows pending and due, in one transaction; blocks the loop."""
        self.connection.execute(_REVIVE, (_json(ids), now()))

    async def append(self, batch: Sequence[EventRow]) -> None:
        """Store events in one statement; blocks the loop."""
        self.connection.execute(_APPEND, (_json(batch),))

    async def follow(self, limit: int) -> Sequence[object]:
        """Read the next events, and move the reader on in the same transaction; blocks the loop."""
        execute = self.connection.execute
        execute("BEGIN IMMEDIATE")
        execute(_READER)
        found: list[tuple[int, ...]] = execute(_READ, (limit,)).fetchall()
        if found:
            execute(_MOVE, (found[-1][0],))
        execute("COMMIT")
        return found

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[None]:
        """Have all within be one transaction."""
        self.connection.execute("BEGIN IMMEDIATE")
        yield
        self.connection.execute("COMMIT")

    async def rest(self) -> None:
        """Nothing is left to be done here."""

    def group(self) -> GroupCommit:
        """Return a group commit on this connection, in a thread of its own."""
        return GroupCommit(self)


class GroupCommit:
    """Group commit at its barest: one thread that writes whatever waits, and producers that await its commit."""

    def __init__(self, store: RawSqlite) -> None:
        self._store = store
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[Row, asyncio.Future[None]]] = []
        self._leaving: list[tuple[Row, asyncio.Future[None]]] = []
        self._sending = False
        self._batches: SimpleQueue[list[Row] | None] = SimpleQueue()
        self._thread = Thread(target=self._write)
        self._thread.start()

    async def insert(self, row: Row) -> None:
        """Store a row; returns once it is durable."""
        future = self._loop.create_future()
        self._waiting.append((row, future))
        if not self._sending:
            self._sending = True
            # Not at once: all that wake in this step of the loop leave together.
            self._loop.call_soon(self._send)
        await future

    def close(self) -> None:
        """End the thread; nothing may be under way."""
        self._batches.put(None)
        self._thread.join()

    def _send(self) -> None:
        self._leaving, self._waiting = self._waiting, []
        self._batches.put([row for row, _ in self._leaving])

    def _write(self) -> None:
        while (batch := self._batches.get()) is not None:
            self._store.insert_blocking(batch)
            self._loop.call_soon_threadsafe(self._written)

    def _written(self) -> None:
        for _, future in self._leaving:
            future.set_result(None)
        self._sending = bool(self._waiting)
        if self._sending:
            self._send()


def _json(values: Sequence[object]) -> str:
    return msgspec.json.encode(values).decode()
