"""Stores filled by SQL, in bulk: what an engine finds after years."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.raw import RawSqlite

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["fill"]

#: ?1 how many · ?2 state · ?3 microseconds from now until due · ?4 what the ids begin with
_FILL = """
INSERT INTO backburner_jobs (id, kind, queue, args, priority, created_at, due_at, state, attempt, node, ended_at, result)
WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < ?1),
     clock (now) AS (SELECT CAST(unixepoch('now') AS INTEGER) * 1000000)
SELECT printf('%s%025d', ?4, n), 'noop', 'default', '{}', 5, now, now + ?3, ?2, ?2 <> 'pending',
       iif(?2 = 'pending', NULL, 'filler'), iif(?2 = 'pending', NULL, now), iif(?2 = 'completed', 'null', NULL)
FROM number, clock
"""


def fill(path: Path, state: str, count: int, *, due_in: float = 0) -> None:
    """Store jobs in a state, due so many seconds from now; ids sort before those of the engine's own."""
    with RawSqlite(path) as store:
        store.connection.execute(_FILL, (count, state, int(due_in * 1_000_000), state[0]))
        store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
