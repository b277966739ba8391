"""The raw limit: the same table through the driver alone, as fast as the same durability allows."""

from __future__ import annotations

import asyncio
import sqlite3
from queue import SimpleQueue
from threading import Thread
from time import perf_counter, time_ns
from typing import TYPE_CHECKING, Self

from backburner.model.clock import SystemClock
from backburner.model.ids import Ids

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["GroupCommit", "RawSqlite", "Row", "rows"]

#: id, kind, queue, args, priority, created_at, due_at.
Row = tuple[str, str, str, str, int, int, int]

_INSERT = """
INSERT INTO backburner_jobs (id, kind, queue, args, priority, created_at, due_at) VALUES (?, ?, ?, ?, ?, ?, ?)
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
UPDATE backburner_jobs SET state = 'completed', result = 'null', ended_at = ?
WHERE id = ? AND token = ? AND node = 'raw' AND state = 'running'
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
        self.connection.executemany(_INSERT, batch)
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
        self.connection.executemany(_SETTLE, [(now, id, token) for id, token in settled])
        claims = [(id, token) for id, token, _ in execute(_CLAIM, (now, limit)).fetchall()] if limit else []
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
        self._batches: SimpleQueue[list[Row] | None] = SimpleQueue()
        self._thread = Thread(target=self._write)
        self._thread.start()

    async def insert(self, row: Row) -> None:
        """Store a row; returns once it is durable."""
        future = self._loop.create_future()
        self._waiting.append((row, future))
        if not self._leaving:
            self._send()
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
        written, self._leaving = self._leaving, []
        for _, future in written:
            future.set_result(None)
        if self._waiting:
            self._send()


def _now() -> int:
    return time_ns() // 1000
