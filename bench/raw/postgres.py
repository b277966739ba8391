"""PostgreSQL through its driver: one table, its line, who holds what, and what ended when.

Many rows are one statement over arrays. Each verb is one statement and one commit: a round trip.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg  # type: ignore[import-untyped]  # it brings no types

from bench.raw import GroupCommit, now

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from contextlib import AbstractAsyncContextManager

    from bench.raw import Claim, EventRow, Row

__all__ = ["RawPostgres", "connected"]

# Vacuumed as the engine's table is.
_TABLE = """
CREATE TABLE raw_jobs (
    id text COLLATE "C" PRIMARY KEY,
    kind text NOT NULL,
    queue text COLLATE "C" NOT NULL,
    args text NOT NULL,
    priority smallint NOT NULL,
    created_at bigint NOT NULL,
    due_at bigint NOT NULL,
    state text NOT NULL DEFAULT 'pending',
    attempt integer NOT NULL DEFAULT 0,
    token bigint NOT NULL DEFAULT 0,
    node text,
    started_at bigint,
    ended_at bigint,
    result text
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX ON raw_jobs (queue, priority, due_at, id) WHERE state = 'pending';
CREATE INDEX ON raw_jobs (node) WHERE state = 'running';
CREATE INDEX ON raw_jobs (state, ended_at) WHERE ended_at IS NOT NULL;
CREATE TABLE raw_events (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text COLLATE "C" UNIQUE,
    name text NOT NULL,
    subject text NOT NULL,
    time bigint NOT NULL,
    data text NOT NULL
);
CREATE TABLE raw_reader (cursor bigint NOT NULL) WITH (fillfactor = 25);
INSERT INTO raw_reader VALUES (0);
"""
_INSERT = """
INSERT INTO raw_jobs (id, kind, queue, args, priority, created_at, due_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::smallint[], $6::bigint[], $7::bigint[])
"""
_INSERT_AND_TELL = f"WITH stored AS ({_INSERT}) SELECT pg_notify('raw', '')"
_CLAIM = """
UPDATE raw_jobs SET state = 'running', attempt = attempt + 1, token = token + 1, node = 'raw', started_at = $1
WHERE id = ANY (ARRAY(
    SELECT id FROM raw_jobs
    WHERE state = 'pending' AND queue = 'default' AND due_at <= $1
    ORDER BY priority, due_at, id
    LIMIT $2
    FOR UPDATE SKIP LOCKED
))
RETURNING id, token, args
"""
_SETTLE_AND_CLAIM = f"""
WITH settled AS (
    UPDATE raw_jobs AS job SET state = 'completed', result = 'null', ended_at = $1
    FROM unnest($3::text[], $4::bigint[]) AS ended (id, token)
    WHERE job.id = ended.id AND job.token = ended.token AND job.node = 'raw' AND job.state = 'running'
)
{_CLAIM}
"""  # noqa: S608 - two texts of ours
_DIE = "UPDATE raw_jobs SET state = 'dead', ended_at = $2 WHERE id = ANY ($1::text[])"
_REVIVE = """
UPDATE raw_jobs SET state = 'pending', due_at = $2, ended_at = NULL WHERE id = ANY ($1::text[]) AND state = 'dead'
"""
_APPEND = """
INSERT INTO raw_events (id, name, subject, time, data)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[])
ON CONFLICT DO NOTHING
"""
_FOLLOW = """
WITH page AS MATERIALIZED (
    SELECT * FROM raw_events WHERE number > (SELECT cursor FROM raw_reader) ORDER BY number LIMIT $1
), moved AS (
    UPDATE raw_reader SET cursor = (SELECT max(number) FROM page) WHERE EXISTS (SELECT FROM page)
)
SELECT * FROM page
"""
_SIZE = """
SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class
WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace
"""


class RawPostgres:
    """One connection, whose server is asked for the durability that it has by default."""

    def __init__(self, connection: Any) -> None:  # noqa: ANN401 - the driver brings no types
        self._connection = connection

    async def insert(self, batch: Sequence[Row]) -> None:
        """Store rows in one transaction."""
        await self._connection.execute(_INSERT, *zip(*batch, strict=True))

    async def insert_and_tell(self, row: Row) -> None:
        """Store a row and tell who listens, in one transaction."""
        await self._connection.execute(_INSERT_AND_TELL, *zip(row, strict=True))

    async def claim_and_settle(self, settled: Sequence[Claim], limit: int) -> list[Claim]:
        """Settle claims and claim the next jobs, in one statement."""
        fetch = self._connection.fetch
        if not settled:
            return [tuple(row) for row in await fetch(_CLAIM, now(), limit)]
        ids, tokens, _ = zip(*settled, strict=True)
        return [tuple(row) for row in await fetch(_SETTLE_AND_CLAIM, now(), limit, ids, tokens)]

    async def bury(self, batch: Sequence[Row]) -> None:
        """Store rows as dead ones."""
        await self.insert(batch)
        await self._connection.execute(_DIE, [row[0] for row in batch], now())

    async def revive(self, ids: Sequence[str]) -> None:
        """Make dead rows pending and due, in one transaction."""
        await self._connection.execute(_REVIVE, ids, now())

    async def append(self, batch: Sequence[EventRow]) -> None:
        """Store events in one statement."""
        await self._connection.execute(_APPEND, *zip(*batch, strict=True))

    async def follow(self, limit: int) -> Sequence[object]:
        """Read the next events, and move the reader on, in one statement."""
        found: list[object] = await self._connection.fetch(_FOLLOW, limit)
        return found

    def transaction(self) -> AbstractAsyncContextManager[object]:
        """Have all within be one transaction."""
        transaction: AbstractAsyncContextManager[object] = self._connection.transaction()
        return transaction

    async def rest(self) -> None:
        """Vacuum, and gather statistics for the planner."""
        await self._connection.execute("VACUUM (ANALYZE) raw_jobs")

    def group(self) -> GroupCommit[Row]:
        """Return a group commit on this connection."""
        return GroupCommit(self.insert)

    async def tidings(self) -> AsyncIterator[None]:
        """Listen: the first tells that it does, every other that something was told."""
        told = asyncio.Event()
        await self._connection.add_listener("raw", lambda *_: told.set())
        yield
        while True:
            await told.wait()
            told.clear()
            yield

    async def size(self) -> int:
        """Return the bytes of all tables in the schema, with their indexes."""
        size: int = await self._connection.fetchval(_SIZE)
        return size


@asynccontextmanager
async def connected(url: str, schema: str) -> AsyncIterator[RawPostgres]:
    """Connect; the table is made where it is missing."""
    connection = await asyncpg.connect(url, server_settings={"search_path": schema, "jit": "off"})
    try:
        if await connection.fetchval("SELECT to_regclass('raw_jobs') IS NULL"):
            await connection.execute(_TABLE)
        yield RawPostgres(connection)
    finally:
        await connection.close()
