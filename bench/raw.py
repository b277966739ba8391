"""The raw limit: the same table through the driver alone, as fast as we know how at the same durability.

Many rows are one statement over one JSON text: it takes a third less CPU than `executemany`, which steps through them.
"""

from __future__ import annotations

import asyncio
import sqlite3
from queue import SimpleQueue
from threading import Thread
from time import perf_counter, time_ns
from typing import TYPE_CHECKING, Self

import msgspec

from backburner.model.clock import SystemClock
from backburner.model.ids import Ids

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["GroupCommit", "RawSqlite", "Row", "rows"]

#: id, kind, queue, args, priority, created_at, due_at.
Row = tuple[str, str, str, str, int, int, int]

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


def rows(count: int) -> list[Row]:
    """Make rows of no-op jobs that are due, with ids of the engine's own shape."""
    new_id = Ids(SystemClock()).new
    now = _now()
    return [(new_id(), "noop", "default", "{}", 5, now, now) for _ in range(count)]


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

    def insert(self, batch: Sequence[Row]) -> None:
        """Store rows in one transaction."""
        execute = self.connection.execute
        execute("BEGIN IMMEDIATE")
        execute(_INSERT, (_json(batch),))
        execute("COMMIT")

    def insert_one(self, row: Row) -> float:
        """Store one row in a transaction of its own; return the seconds that took."""
        began = perf_counter()
        self.insert((row,))
        return perf_counter() - began

    def claim_and_settle(self, settled: Sequence[tuple[str, int]], limit: int) -> list[tuple[str, int]]:
        """Settle claims (id and token) and claim the next jobs, in one transaction."""
        now = _now()
        execute = self.connection.execute
        execute("BEGIN IMMEDIATE")
        if settled:
            execute(_SETTLE, (_json(settled), now))
        claims = [(id, token) for id, token, _ in execute(_CLAIM, (now, limit)).fetchall()]
        execute("COMMIT")
        return claims

    def drain(self, batch: int) -> int:
        """Claim and settle until nothing is due; return how many jobs that were."""
        done = 0
        claims = self.claim_and_settle((), batch)
        while claims:
            done += len(claims)
            claims = self.claim_and_settle(claims, batch)
        return done


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
            self._store.insert(batch)
            self._loop.call_soon_threadsafe(self._written)

    def _written(self) -> None:
        for _, future in self._leaving:
            future.set_result(None)
        self._sending = bool(self._waiting)
        if self._sending:
            self._send()


def _json(values: Sequence[object]) -> str:
    return msgspec.json.encode(values).decode()


def _now() -> int:
    return time_ns() // 1000
