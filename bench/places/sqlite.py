"""Stores in files."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import aiosqlite

from bench.raw.sqlite import RawSqlite

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from bench.places import State

__all__ = ["SqliteHost", "SqlitePlace"]

#: ?1 how many · ?2 state · ?3 microseconds from now until due · ?4 what the ids begin with
_FILL = """
INSERT INTO backburner_jobs (id, kind, queue, args, priority, created_at, due_at, state, attempt, node, ended_at, result)
WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < ?1),
     clock (now) AS (SELECT CAST(unixepoch('now') AS INTEGER) * 1000000)
SELECT printf('%s%025d', ?4, n), 'noop', 'default', '{}', 5, now, now + ?3, ?2, ?2 <> 'pending',
       iif(?2 = 'pending', NULL, 'filler'), iif(?2 = 'pending', NULL, now), iif(?2 = 'completed', 'null', NULL)
FROM number, clock
"""


@dataclass(frozen=True, slots=True)
class SqlitePlace:
    """A file."""

    path: Path

    @property
    def url(self) -> str:
        """Where the engine finds it."""
        return f"sqlite:///{self.path}"

    @asynccontextmanager
    async def raw(self) -> AsyncIterator[RawSqlite]:
        """Open the file without the engine, which has made its schema."""
        with RawSqlite(self.path) as store:
            yield store

    @asynccontextmanager
    async def caller(self) -> AsyncIterator[aiosqlite.Connection]:
        """Lend a connection such as an app's own, in a transaction that is committed at the end."""
        async with aiosqlite.connect(self.path, isolation_level=None) as connection:
            await connection.execute("PRAGMA synchronous = FULL")
            await connection.execute("BEGIN IMMEDIATE")
            yield connection
            await connection.execute("COMMIT")

    def fill(self, state: State, count: int, *, due_in: float = 0) -> None:
        """Store no-op jobs in a state, due so many seconds from now; before those that are stored later."""
        with RawSqlite(self.path) as store:
            prefix = "l" if due_in else state[0]
            store.connection.execute(_FILL, (count, state, int(due_in * 1_000_000), prefix))
            store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@dataclass(frozen=True, slots=True)
class SqliteHost:
    """A directory."""

    directory: Path

    @property
    def description(self) -> str:
        """Version and durability."""
        return f"SQLite {sqlite3.sqlite_version}, synchronous=FULL"

    @contextmanager
    def fresh(self) -> Iterator[SqlitePlace]:
        """Lend the file of a store, which does not exist yet."""
        with tempfile.TemporaryDirectory(dir=self.directory, prefix="sqlite-") as directory:
            yield SqlitePlace(Path(directory, "jobs.db"))
