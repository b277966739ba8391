"""Stores in schemas of a PostgreSQL server."""

from __future__ import annotations

import re
import time
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import asyncpg  # type: ignore[import-untyped]  # it brings no types
import psycopg

from bench.places import Counts
from bench.raw.postgres import connected
from tests.servers.postgres import LaunchedPostgres, Postgres, serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from contextlib import AbstractAsyncContextManager

    from bench.places import State
    from bench.raw.postgres import RawPostgres

__all__ = ["PostgresHost", "PostgresPlace", "host"]

#: %(count)s · %(state)s · %(due_in)s microseconds from now until due · %(prefix)s what the ids begin with
_FILL = """
INSERT INTO jobs (id, kind, queue, args, priority, created_at, due_at, state, attempt, node, ended_at, result)
SELECT %(prefix)s || lpad(n::text, 25, '0'), 'noop', 'default', '{}', 5, now, now + %(due_in)s, %(state)s,
       (%(state)s <> 'pending')::integer, CASE WHEN %(state)s <> 'pending' THEN 'filler' END,
       CASE WHEN %(state)s <> 'pending' THEN now END, CASE WHEN %(state)s = 'completed' THEN 'null' END
FROM generate_series(1, %(count)s) AS n, (SELECT (extract(epoch FROM now()) * 1000000)::bigint AS now) AS clock
"""
#: What comes with the next checkpoint, and with the next vacuum, comes now.
_REST = ("VACUUM (ANALYZE) jobs", "CHECKPOINT")


@dataclass(frozen=True, slots=True)
class PostgresPlace:
    """A schema."""

    server: str
    schema: str

    @property
    def url(self) -> str:
        """Where the engine finds it."""
        return f"{self.server}{'&' if urlsplit(self.server).query else '?'}schema={self.schema}"

    def raw(self) -> AbstractAsyncContextManager[RawPostgres]:
        """Connect without the engine, to a table of its own in the same schema."""
        return connected(self.server, self.schema)

    @asynccontextmanager
    async def caller(self) -> AsyncIterator[object]:
        """Lend a connection such as an app's own, in a transaction that is committed at the end."""
        connection = await asyncpg.connect(self.server)
        try:
            async with connection.transaction():
                yield connection
        finally:
            await connection.close()

    def fill(self, state: State, count: int, *, due_in: float = 0) -> None:
        """Store no-op jobs in a state, due so many seconds from now; before those that are stored later."""
        values = {
            "count": count,
            "state": state,
            "due_in": int(due_in * 1_000_000),
            "prefix": "l" if due_in else state[0],
        }
        with psycopg.connect(self.server, autocommit=True, options=f"-c search_path={self.schema}") as connection:
            connection.execute(_FILL, values)
            for statement in _REST:
                connection.execute(statement)


class PostgresCounter:
    """A database on a server of its own that writes down every statement that clients send."""

    def __init__(self, server: LaunchedPostgres, database: Postgres) -> None:
        self._server = server
        self._name = urlsplit(database.url).path.removeprefix("/")
        self._statement = re.compile(rf"^{self._name} LOG:  (?:statement|execute [^:]*): ", re.MULTILINE)
        self.url = database.url

    def read(self) -> Counts:
        """Return the counts so far; waits until nobody is connected, since only then a connection's are all counted."""
        with psycopg.connect(self._server.url, autocommit=True) as connection:
            while self._ask(connection, "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"):
                time.sleep(0.01)
            committed = self._ask(connection, "SELECT xact_commit FROM pg_stat_database WHERE datname = %s")
        return Counts(committed, len(self._statement.findall(self._server.process.log())), None)

    def _ask(self, connection: psycopg.Connection[tuple[int]], query: str) -> int:
        row = connection.execute(query.encode(), (self._name,)).fetchone()
        assert row is not None, query
        return row[0]


class PostgresHost:
    """A server."""

    def __init__(self, server: Postgres) -> None:
        self._server = server
        with psycopg.connect(server.url) as connection:
            self.description = ", ".join(
                (
                    f"PostgreSQL {connection.info.parameter_status('server_version')}",
                    *(
                        f"{name}={(connection.execute(f'SHOW {name}').fetchone() or '?')[0]}"
                        for name in ("fsync", "synchronous_commit")
                    ),
                )
            )

    @contextmanager
    def fresh(self) -> Iterator[PostgresPlace]:
        """Lend an empty schema."""
        with self._server.schema() as schema:
            yield PostgresPlace(schema.url, schema.name)

    @contextmanager
    def counting(self) -> Iterator[PostgresCounter]:
        """Lend a database on another server, whichever this one is: to write statements down takes time."""
        # Vacuuming is the server's own: it does not come round while something is counted.
        settings = {"log_statement": "all", "log_line_prefix": "%d ", "autovacuum_naptime": "1d"}
        with serve(settings=settings) as server, server.database() as database:
            yield PostgresCounter(server, database)


@contextmanager
def host(url: str | None) -> Iterator[PostgresHost]:
    """Open a server: the one that a URL names, else one of our own, as durable as by default.

    Its files lie where temporary files do: TMPDIR says where that is.
    """
    if url is not None:
        yield PostgresHost(Postgres(url=url))
        return
    with serve() as server:
        yield PostgresHost(server)
